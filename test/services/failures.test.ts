/**
 * Storage that fails: each operation says so, nothing is half done in memory, the feed goes on or says that it cannot, and
 * what was acknowledged is there when the feed is opened again. (`test/recovery` fails every write of an author in turn.)
 */
import { describe, expect } from "@effect/vitest"
import { Chunk, Effect, Exit, Stream } from "effect"
import { Feed, type FeedEvent, type FileName, toHex } from "../../src/index.js"
import { type Fault, type Instrument, type Step, withInstrument } from "./InstrumentedStorage.js"
import {
  atOnce,
  bytes,
  ended,
  expectFailure,
  expectWaiting,
  failure,
  inMemory,
  keyPair,
  onEachStorage,
  openText,
  overwriteFile,
  quiet,
  someBlocks,
  source,
  startWaiting,
  stored,
  transfer
} from "./harness.js"

const FAULTS = ["before", "torn", "after"] as const

/** An instrument that a test sets while the feed is in use. */
const switchable = () => {
  const faults: { current: Instrument } = { current: () => undefined }
  const install = withInstrument((step) => faults.current(step))
  const failing = <A, E, R>(instrument: Instrument, effect: Effect.Effect<A, E, R>) =>
    Effect.acquireUseRelease(
      Effect.sync(() => {
        faults.current = instrument
      }),
      () => effect,
      () =>
        Effect.sync(() => {
          faults.current = () => undefined
        })
    )
  return { install, failing }
}

const writesTo =
  (file: FileName, fault: Fault): Instrument =>
  (step) =>
    step.operation === "write" && step.file === file ? fault : undefined

const storageError = { _tag: "StorageError", reason: "io" }

describe("an append whose write fails", () => {
  for (const file of ["data", "tree", "signatures"] as const) {
    for (const fault of FAULTS) {
      onEachStorage(`${file}, ${fault}: changes nothing that can be seen, and the next one succeeds`, () =>
        Effect.gen(function* () {
          const { install, failing } = switchable()
          const feed = yield* install(openText())
          yield* feed.appendBatch(["a", "b", "c"])
          const before = (yield* stored()).signatures
          const events: Array<FeedEvent> = []
          yield* Effect.fork(
            Stream.runForEach(feed.events, (event) => Effect.sync(() => void events.push(event)))
          )
          const waiting = yield* startWaiting(feed.get(3))
          yield* expectFailure(failing(writesTo(file, fault), feed.append("lost")), storageError)
          expect([feed.length, feed.byteLength, yield* feed.has(3), feed.writable]).toEqual([
            3,
            3,
            false,
            true
          ])
          expect((yield* stored()).signatures).toBe(before)
          yield* expectWaiting(waiting)
          yield* expectFailure(feed.proof(3), { _tag: "BlockUnavailable" })
          expect(events).toEqual([])
          expect(yield* feed.append("found")).toBe(3)
          expect(yield* ended(waiting)).toBe("found")
          yield* quiet
          expect(events).toEqual([{ _tag: "Append", length: 4, byteLength: 8 }])
          yield* feed.close
          const again = yield* openText()
          expect(yield* again.getBatch(0, 4)).toEqual(["a", "b", "c", "found"])
          expect(yield* again.audit()).toEqual({ valid: 4, invalid: 0 })
          yield* again.verify(3, (yield* again.signature()).signature)
        })
      )
    }
  }

  for (const fault of FAULTS) {
    onEachStorage(`signatures, ${fault}: of a batch, leaves a feed that opens at its length`, () =>
      Effect.gen(function* () {
        const { install, failing } = switchable()
        const feed = yield* install(openText())
        yield* feed.appendBatch(["a", "b"])
        const lost = feed.appendBatch(["lost", "lost too", "and lost"])
        yield* expectFailure(failing(writesTo("signatures", fault), lost), storageError)
        yield* feed.close
        const again = yield* openText()
        expect([again.length, again.claimedLength]).toEqual([2, 2])
        expect(yield* again.append("c")).toBe(2)
      })
    )
  }

  onEachStorage(
    "signatures, torn, in a process that dies of it: leaves a feed that opens at its length",
    () =>
      Effect.gen(function* () {
        const feed = yield* openText()
        yield* feed.appendBatch(["a", "b"])
        yield* feed.close
        // What a batch of three leaves that was cut off within its signature.
        yield* overwriteFile("signatures", new Uint8Array(30).fill(7), 32 + 4 * 64)
        for (let i = 0; i < 2; i++) {
          const again = yield* openText()
          expect([again.length, again.claimedLength]).toEqual([2, 2])
          yield* again.close
        }
        expect((yield* stored()).signatures).toHaveLength(2 * (32 + 2 * 64))
      })
  )

  onEachStorage("fails everyone of its group, and only them", () =>
    Effect.gen(function* () {
      const { install, failing } = switchable()
      const feed = yield* install(openText())
      const exits = yield* failing(
        writesTo("data", "before"),
        Effect.forEach(["a", "b", "c"], (text) => Effect.exit(feed.append(text)), {
          concurrency: "unbounded"
        })
      )
      for (const exit of exits) expect(exit).toMatchObject({ cause: { error: storageError } })
      expect(yield* feed.append("d")).toBe(0)
    })
  )

  for (const fault of FAULTS) {
    onEachStorage(`bitfield, ${fault}: is done all the same, and the next write or the close mends it`, () =>
      Effect.gen(function* () {
        const { install, failing } = switchable()
        const feed = yield* install(openText())
        expect(yield* failing(writesTo("bitfield", fault), feed.append("a"))).toBe(0)
        expect([feed.length, yield* feed.get(0)]).toEqual([1, "a"])
        yield* feed.close
        const again = yield* openText({ createIfMissing: false })
        expect(yield* again.getBatch(0, 1)).toEqual(["a"])
      })
    )
  }

  onEachStorage("bitfield for good: reopening finds the blocks, and the close has said so", () =>
    Effect.gen(function* () {
      const { install, failing } = switchable()
      const feed = yield* install(openText())
      yield* failing(
        writesTo("bitfield", "torn"),
        Effect.gen(function* () {
          yield* feed.append("a")
          yield* feed.appendBatch(["b", "c"])
          yield* expectFailure(feed.close, storageError)
        })
      )
      expect(feed.readable).toBe(false)
      const again = yield* openText()
      expect(yield* again.getBatch(0, 3)).toEqual(["a", "b", "c"])
      expect(yield* again.audit()).toEqual({ valid: 3, invalid: 0 })
    })
  )

  for (const fault of FAULTS) {
    onEachStorage(
      `signatures, ${fault}, and cannot be taken back: nothing more is signed until it is reopened`,
      () =>
        Effect.gen(function* () {
          const { install, failing } = switchable()
          const feed = yield* install(openText())
          yield* feed.append("a")
          yield* failing(
            (step) =>
              step.file === "signatures" && (step.operation === "write" || step.operation === "truncate")
                ? step.operation === "write"
                  ? fault
                  : "before"
                : undefined,
            expectFailure(feed.append("b"), storageError)
          )
          expect([feed.writable, feed.readable, feed.length]).toEqual([false, true, 1])
          yield* expectFailure(feed.append("other"), storageError)
          expect(yield* feed.get(0)).toBe("a")
          yield* feed.close
          const again = yield* openText()
          expect(again.writable).toBe(true)
          expect(["a", "a,b"]).toContain(String(yield* again.getBatch(0, again.length)))
          if (fault === "after") expect(again.length).toBe(2)
          expect(yield* again.append("c")).toBe(again.length - 1)
          expect(yield* again.audit()).toEqual({ valid: again.length, invalid: 0 })
        })
    )
  }
})

describe("a clear that fails", () => {
  for (const fault of FAULTS) {
    onEachStorage(`to store its bits, ${fault}: can be done again, and leaves nothing unreadable`, () =>
      Effect.gen(function* () {
        const { install, failing } = switchable()
        const feed = yield* install(openText())
        yield* feed.appendBatch(["aa", "bb", "cc"])
        yield* expectFailure(failing(writesTo("bitfield", fault), feed.clear(1)), storageError)
        yield* feed.clear(1)
        expect(yield* Effect.forEach([0, 1, 2], (index) => feed.has(index))).toEqual([true, false, true])
        yield* feed.close
        const again = yield* openText()
        expect(yield* Effect.forEach([0, 1, 2], (index) => again.has(index))).toEqual([true, false, true])
        expect(yield* again.audit()).toEqual({ valid: 2, invalid: 0 })
      })
    )
  }

  onEachStorage("to free its bytes has dropped the blocks all the same, and tells of it", () =>
    Effect.gen(function* () {
      const { install, failing } = switchable()
      const feed = yield* install(openText())
      yield* feed.appendBatch(["aa", "bb", "cc"])
      const events: Array<FeedEvent> = []
      yield* Effect.fork(
        Stream.runForEach(feed.events, (event) => Effect.sync(() => void events.push(event)))
      )
      yield* quiet
      yield* expectFailure(
        failing((step) => (step.operation === "remove" ? "before" : undefined), feed.clear(1)),
        storageError
      )
      yield* quiet
      expect([yield* feed.has(1), events]).toEqual([false, [{ _tag: "Clear", start: 1, end: 2 }]])
      yield* feed.close
      const again = yield* openText()
      expect([yield* again.has(1), yield* again.get(2)]).toEqual([false, "cc"])
    })
  )
})

describe("a put whose write fails", () => {
  const wanted = [2, 3, 6, 0, 7, 1]

  /** Downloads into a reader while write number `failAt` fails once; answers whether there was such a write. */
  const download = (path: string, failAt: number, fault: Fault) =>
    Effect.gen(function* () {
      const blocks = someBlocks(12)
      const from = yield* source(blocks.slice(0, 5))
      const old = { index: 4, proof: yield* from.proof(4), block: blocks[4]! }
      yield* from.appendBatch(blocks.slice(5))
      let count = 0
      const instrument: Instrument = (step) =>
        step.operation !== "read" && count++ === failAt ? fault : undefined
      const { install, failing } = switchable()
      const feed = yield* install(Feed.open({ path, key: from.key, sparse: true }))
      const waits = yield* Effect.forEach([...wanted, 4], (index) => startWaiting(feed.get(index)))
      const attempt = <E>(put: Effect.Effect<void, E>) =>
        Effect.gen(function* () {
          const exit = yield* Effect.exit(failing(instrument, put))
          if (Exit.isSuccess(exit)) return
          expect(exit.cause).toMatchObject({ error: storageError })
          // It comes again, as from another peer.
          yield* put
        })
      const acknowledged: Array<number> = []
      for (const index of wanted) {
        yield* attempt(Effect.suspend(() => transfer(from, feed, index)))
        acknowledged.push(index)
        expect(feed.length).toBe(12)
        expect(yield* feed.get(index, { wait: false })).toEqual(blocks[index])
      }
      // A proof of a shorter log, with that one's signature.
      yield* attempt(feed.put(old))
      expect(yield* Effect.forEach(waits, ended)).toEqual([...wanted, 4].map((index) => blocks[index]))
      expect(yield* feed.audit()).toEqual({ valid: 7, invalid: 0 })
      yield* feed.close
      const again = yield* Feed.open({ path, key: from.key, sparse: true })
      expect([failAt, fault, again.length, again.byteLength]).toEqual([failAt, fault, 12, from.byteLength])
      for (const index of [...acknowledged, 4]) {
        expect(yield* again.get(index, { wait: false })).toEqual(blocks[index])
      }
      expect(yield* again.audit()).toEqual({ valid: 7, invalid: 0 })
      yield* again.verify(11, (yield* again.signature(11)).signature)
      yield* again.close
      return count > failAt
    })

  for (const fault of FAULTS) {
    onEachStorage(
      `${fault}, whichever it is: the put fails, can be done again, and all is there afterwards`,
      () =>
        Effect.gen(function* () {
          let failAt = 0
          while (yield* download(`${failAt}`, failAt, fault)) failAt++
          expect(failAt).toBeGreaterThan(20)
        })
    )
  }

  for (const fault of FAULTS) {
    onEachStorage(`the signature of an older, shorter log, ${fault}: the newer one stays`, () =>
      Effect.gen(function* () {
        const blocks = someBlocks(12)
        const from = yield* source(blocks.slice(0, 5))
        const old = { index: 4, proof: yield* from.proof(4), block: blocks[4]! }
        yield* from.appendBatch(blocks.slice(5))
        const { install, failing } = switchable()
        const feed = yield* install(Feed.open({ key: from.key, sparse: true }))
        yield* transfer(from, feed, 11)
        yield* expectFailure(failing(writesTo("signatures", fault), feed.put(old)), storageError)
        const { signature } = yield* from.signature(11)
        expect(yield* feed.signature(11)).toEqual({ index: 11, signature })
        yield* feed.close
        const again = yield* Feed.open({ key: from.key, sparse: true })
        expect([again.length, yield* again.get(11, { wait: false })]).toEqual([12, blocks[11]])
      })
    )
  }

  onEachStorage("is held, told and ends waits, or none of these; in the end it is told once", () =>
    Effect.gen(function* () {
      const from = yield* source(someBlocks(3))
      for (const file of ["data", "tree", "signatures", "bitfield"] as const) {
        const { install, failing } = switchable()
        const feed = yield* install(Feed.open({ path: file, key: from.key, sparse: true }))
        yield* transfer(from, feed, 0)
        const events: Array<string> = []
        yield* Effect.fork(
          Stream.runForEach(feed.events, (event) => Effect.sync(() => void events.push(event._tag)))
        )
        const waiting = yield* startWaiting(feed.get(2))
        const exit = yield* Effect.exit(failing(writesTo(file, "before"), transfer(from, feed, 2)))
        yield* quiet
        const held = yield* feed.has(2)
        expect([file, held, waiting.unsafePoll() !== null, events.length === 1]).toEqual([
          file,
          held,
          held,
          held
        ])
        if (Exit.isFailure(exit)) yield* transfer(from, feed, 2)
        expect(yield* ended(waiting)).toEqual(yield* from.get(2))
        yield* quiet
        expect([file, events]).toEqual([file, ["Download"]])
      }
    })
  )
})

describe("a read that fails", () => {
  const operations = (feed: Feed.Feed) =>
    ({
      get: feed.get(20),
      getBatch: feed.getBatch(3, 30),
      head: feed.head(),
      stream: Effect.map(Stream.runCollect(feed.stream()), Chunk.toReadonlyArray),
      seek: feed.seek(17),
      signature: feed.signature(3),
      rootHashes: feed.rootHashes(30),
      verify: Effect.flatMap(feed.signature(3), ({ index, signature }) => feed.verify(index, signature)),
      proof: feed.proof(5),
      audit: feed.audit(),
      clear: feed.clear(7, 7)
    }) as const satisfies Record<string, Effect.Effect<unknown, unknown>>

  onEachStorage("fails the operation with StorageError, and the next one is right", () =>
    Effect.gen(function* () {
      const blocks = someBlocks(40)
      const { install, failing } = switchable()
      const keys = yield* keyPair(1)
      yield* Effect.scoped(
        Effect.flatMap(Feed.open(keys), (feed) => Effect.forEach(blocks, (block) => feed.append(block)))
      )
      const before = yield* stored()
      const reads: Record<string, number> = {}
      // Opened anew for each: what one operation remembers the next need not read.
      const fresh = <A, E>(use: (feed: Feed.Feed) => Effect.Effect<A, E>) =>
        Effect.scoped(Effect.flatMap(install(Feed.open()), use))
      const names = Object.keys(yield* fresh((feed) => Effect.succeed(operations(feed)))) as ReadonlyArray<
        keyof ReturnType<typeof operations>
      >
      for (const name of names) {
        for (let failAt = 0, more = true; more; failAt++) {
          yield* fresh((feed) =>
            Effect.gen(function* () {
              let count = 0
              const steps: Array<Step> = []
              const exit = yield* Effect.exit(
                failing(
                  (step) => {
                    steps.push(step)
                    return count++ === failAt ? "before" : undefined
                  },
                  operations(feed)[name] as Effect.Effect<unknown, unknown>
                )
              )
              more = count > failAt
              reads[name] = failAt
              if (more) expect([name, exit]).toMatchObject([name, { cause: { error: storageError } }])
              else expect([name, Exit.isSuccess(exit)]).toEqual([name, true])
              const healthy = yield* Effect.exit(operations(feed)[name] as Effect.Effect<unknown, unknown>)
              expect([name, healthy._tag]).toEqual([name, "Success"])
              expect(yield* feed.get(20)).toEqual(blocks[20])
            })
          )
        }
      }
      expect(reads).toMatchObject({ get: expect.any(Number), clear: 0 })
      for (const name of names) if (name !== "clear") expect([name, reads[name]! > 0]).toEqual([name, true])
      expect(yield* stored()).toEqual(before)
    })
  )
})

describe("opening on a storage that fails", () => {
  for (const fault of FAULTS) {
    inMemory(`${fault}, at whichever step: says so, frees the lock, and the next open succeeds`, () =>
      Effect.gen(function* () {
        const keys = yield* keyPair(1)
        let steps = 0
        for (let failAt = 0, more = true; more; failAt++) {
          let count = 0
          const instrument: Instrument = () => (count++ === failAt ? fault : undefined)
          const options = { ...keys, key: keys.publicKey, path: `${failAt}` }
          const exit = yield* Effect.exit(Effect.scoped(withInstrument(instrument)(Feed.open(options))))
          more = count > failAt
          steps = failAt
          if (more && Exit.isFailure(exit)) expect(exit).toMatchObject({ cause: { error: storageError } })
          const feed = yield* Feed.open(options)
          expect([feed.length, feed.writable]).toEqual([0, true])
          expect(yield* atOnce(feed.append(bytes("a")))).toBe(0)
          yield* feed.close
          const again = yield* Feed.open({ path: `${failAt}` })
          expect(yield* again.get(0)).toEqual(bytes("a"))
          yield* again.close
        }
        expect(steps).toBeGreaterThan(5)
      })
    )
  }

  inMemory(
    "a new feed whose key was lost half-way has one key in the end, which is the one that is told",
    () =>
      Effect.gen(function* () {
        for (let failAt = 0; failAt < 12; failAt++) {
          let count = 0
          const path = `${failAt}`
          yield* Effect.exit(
            Effect.scoped(
              withInstrument((step) =>
                step.operation === "write" && count++ === failAt ? "after" : undefined
              )(Feed.open({ path }))
            )
          )
          const feed = yield* Feed.open({ path })
          const content = yield* stored(path)
          expect([content.key, content.secret_key.slice(64)]).toEqual([toHex(feed.key), toHex(feed.key)])
          yield* feed.append(bytes("a"))
          yield* feed.verify(0, (yield* feed.signature()).signature)
        }
      })
  )
})

inMemory("a failure is told with its file, operation and cause", () =>
  Effect.gen(function* () {
    const { install, failing } = switchable()
    const feed = yield* install(openText())
    const error = yield* failure(failing(writesTo("data", "before"), feed.append("x")))
    expect(error).toMatchObject({
      _tag: "StorageError",
      file: "data",
      operation: "write",
      cause: { message: "injected" }
    })
  })
)
