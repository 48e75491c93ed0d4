/** Two histories of one key that meet over a connection, and authors whose log is longer elsewhere: in memory and over TCP. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Fiber, type Scope } from "effect"
import fc from "fast-check"
import {
  type Connection,
  Feed,
  ForkDetected,
  Fork,
  NetworkMemory,
  type NetworkError,
  Replication
} from "../../src/index.js"
import { CryptoNode, NetworkTcp } from "../../src/node.js"
import { bytes, expectFailure, failure } from "../services/harness.js"
import { history, put, reading, signing, told } from "../services/forks.js"

type Ends = readonly [Connection, Connection]

/** Both ends of a connection. */
const networks: Record<string, Effect.Effect<Ends, NetworkError, Scope.Scope>> = {
  memory: NetworkMemory.pair(),
  TCP: Effect.gen(function* () {
    const network = NetworkTcp.make()
    let taken: ((end: Connection) => void) | undefined
    const accepted = Effect.async<Connection>((resume) => {
      taken = (end) => resume(Effect.succeed(end))
    })
    const waiting = yield* Effect.fork(accepted)
    yield* Effect.yieldNow()
    const { address } = yield* network.listen({ host: "127.0.0.1", port: 0 }, (end) =>
      Effect.zipRight(
        Effect.sync(() => taken?.(end)),
        Effect.never
      )
    )
    const left = yield* network.connect({ host: "127.0.0.1", port: address.port })
    return [left, yield* Fiber.join(waiting)] as const
  })
}

type Options = Replication.Options

/** Replicates the two with each other, and gives how each ended. */
const meet = (network: string, a: Feed.Feed, b: Feed.Feed, options: readonly [Options?, Options?] = []) =>
  Effect.gen(function* () {
    const [left, right] = yield* networks[network]!
    return yield* Effect.all(
      [
        Effect.exit(Replication.replicate(a, left, options[0])),
        Effect.exit(Replication.replicate(b, right, options[1]))
      ],
      { concurrency: "unbounded" }
    )
  }).pipe(Effect.scoped)

/** A fork was found on that side, by evidence that holds. */
const expectFork = (exit: Exit.Exit<void, unknown>, feed: Feed.Feed) =>
  Effect.gen(function* () {
    const error = yield* Effect.flip(exit)
    expect(error).toBeInstanceOf(ForkDetected)
    expect(feed.fork).toBeDefined()
    expect(yield* Fork.verify(feed.fork!, feed.key)).toBe(true)
  }).pipe(Effect.provide(CryptoNode.layer))

const LIVE = [{ live: true }, { live: true }] as const

for (const network of Object.keys(networks)) {
  describe(`a reader, over ${network},`, () => {
    for (const [what, forkAt, aLength, bLength] of [
      ["that is longer", 5, 10, 12],
      ["that is longer, and forked in its last block", 9, 10, 11],
      ["of which no block is the same", 0, 7, 20],
      ["that forked in the middle of a subtree that neither signed", 4, 5, 8],
      ["that is as long", 5, 10, 10],
      ["that is shorter, and forked in its last block", 6, 10, 7]
    ] as const) {
      it.scopedLive(`stops at a branch ${what}, and keeps its own`, () =>
        Effect.gen(function* () {
          const a = yield* signing(history("a", forkAt, aLength))
          const b = yield* signing(history("b", forkAt, bLength))
          const [reader, other] = [yield* reading(a), yield* reading(b)]
          const [mine] = yield* meet(network, reader, other, LIVE)
          yield* expectFork(mine, reader)
          expect(reader.length).toBe(aLength)
          expect(yield* reader.getBatch(0, aLength)).toEqual(history("a", forkAt, aLength))
          // With its own branch it goes on.
          yield* a.append(new Uint8Array(9))
          yield* meet(network, reader, a)
          expect(yield* reader.get(aLength, { wait: false })).toEqual(new Uint8Array(9))
        })
      )
    }

    it.scopedLive(
      "that lacks blocks finds that another branch, shorter than its own, has others for them",
      () =>
        Effect.gen(function* () {
          const a = yield* signing(history("a", 6, 13))
          const b = yield* signing(history("b", 6, 9))
          const reader = yield* reading(a, 0)
          // It has the last block, and of the others what proves it.
          yield* reader.put({ index: 12, block: yield* a.get(12), proof: yield* a.proof(12) })
          const [mine] = yield* meet(network, reader, yield* reading(b), LIVE)
          yield* expectFork(mine, reader)
          expect(reader.length).toBe(13)
        })
    )

    it.scopedLive("that was connected all along finds a fork when it is made", () =>
      Effect.gen(function* () {
        const a = yield* signing(history("a", 3, 3))
        const b = yield* signing(history("b", 3, 3))
        const reader = yield* reading(a)
        const other = yield* Effect.fork(meet(network, reader, b, LIVE))
        const own = yield* Effect.fork(meet(network, reader, a, LIVE))
        yield* a.appendBatch(history("a", 3, 6).slice(3))
        yield* reader.download({ start: 0, end: 6 })
        yield* b.appendBatch(history("b", 3, 9).slice(3))
        const [mine] = yield* Fiber.join(other)
        yield* expectFork(mine, reader)
        // That connection alone has ended.
        yield* a.append(new Uint8Array(9))
        expect(yield* reader.get(6)).toEqual(new Uint8Array(9))
        // The last block, which is asked for first, does not show that the log goes on from the reader's.
        const last = yield* Effect.fork(reader.get(306))
        yield* a.appendBatch(history("later", 0, 300))
        yield* Fiber.join(last)
        yield* reader.download({ start: 0, end: 307 })
        yield* Fiber.interrupt(own)
      })
    )
  })

  describe(`a reader of two writers that run with one key, over ${network},`, () => {
    for (const wanted of [5, 6, 15]) {
      it.scopedLive(`goes with the first to append, whatever it asks the other for: block ${wanted}`, () =>
        Effect.gen(function* () {
          const shared = history("", 5, 5)
          const [a, b] = [yield* signing(shared), yield* signing(shared)]
          const reader = yield* reading(a, 0)
          const withB = yield* Effect.fork(meet(network, reader, b, LIVE))
          yield* reader.download({ start: 0, end: 5 })
          const withA = yield* Effect.fork(meet(network, reader, a, LIVE))
          yield* a.append(bytes("a 5"))
          yield* reader.download({ start: 0, end: 6 })
          const waiting = yield* Effect.fork(Effect.exit(reader.get(wanted)))
          yield* b.appendBatch(history("b", 5, 16).slice(5))
          const [mine] = yield* Fiber.join(withB)
          yield* expectFork(mine, reader)
          expect([reader.length, yield* reader.get(5)]).toEqual([6, bytes("a 5")])
          yield* Fiber.interrupt(waiting)
          yield* Fiber.interrupt(withA)
        })
      )
    }
  })

  describe(`an author, over ${network},`, () => {
    for (const [what, bLength] of [
      ["longer", 12],
      ["as long", 10],
      ["shorter", 8]
    ] as const) {
      it.scopedLive(`hears of a branch that is ${what}, and signs no more`, () =>
        Effect.gen(function* () {
          const a = yield* signing(history("a", 5, 10))
          const b = yield* signing(history("b", 5, bLength))
          const [mine] = yield* meet(network, a, yield* reading(b), LIVE)
          yield* expectFork(mine, a)
          yield* expectFailure(a.append(new Uint8Array(1)), { _tag: "ForkDetected" })
          expect(yield* a.getBatch(0, a.length)).toEqual(history("a", 5, 10))
        })
      )
    }

    for (const live of [true, false]) {
      it.scopedLive(`opened from an old backup catches up first, live: ${live}`, () =>
        Effect.gen(function* () {
          const blocks = history("a", 99, 40)
          const stale = yield* signing(blocks.slice(0, 5))
          const reader = yield* reading(yield* signing(blocks, [7, 20]), 40)
          const refused: Array<unknown> = []
          const whenStale = yield* told(stale, "Stale")
          stale.unsafeListen((event) => {
            if (event._tag !== "Stale") return
            refused.push([stale.writable, stale.signedLength])
            stale.unsafeAppend([new Uint8Array(1)], (exit) => refused.push(exit))
          })
          const meeting = yield* Effect.fork(meet(network, stale, reader, [{ live }, { live }]))
          expect(yield* whenStale).toEqual({ _tag: "Stale", signedLength: 40 })
          yield* stale.download({ start: 0, end: 40 })
          expect(refused[0]).toEqual([false, 40])
          expect(refused[1]).toMatchObject(Exit.fail({ _tag: "StaleWriter", signedLength: 40 }))
          expect(stale.writable).toBe(true)
          expect(yield* stale.append(new Uint8Array(2))).toBe(40)
          expect(yield* stale.getBatch(0, 40)).toEqual(blocks)
          if (live) {
            expect(yield* reader.get(40)).toEqual(new Uint8Array(2))
            yield* Fiber.interrupt(meeting)
          } else expect((yield* Fiber.join(meeting)).every(Exit.isSuccess)).toBe(true)
          expect(reader.fork).toBeUndefined()
        })
      )
    }

    it.scopedLive("that is told to download nothing stays stale, and catches up when it may", () =>
      Effect.gen(function* () {
        const blocks = history("a", 99, 9)
        const stale = yield* signing(blocks.slice(0, 5))
        const reader = yield* reading(yield* signing(blocks))
        const whenStale = yield* told(stale, "Stale")
        const meeting = yield* Effect.fork(
          meet(network, stale, reader, [{ live: true, download: false }, LIVE[1]])
        )
        yield* whenStale
        yield* Fiber.interrupt(meeting)
        expect(yield* failure(stale.append(new Uint8Array(1)))).toMatchObject({
          _tag: "StaleWriter",
          length: 5,
          signedLength: 9
        })
        yield* meet(network, stale, reader)
        expect(yield* stale.append(new Uint8Array(1))).toBe(9)
      })
    )

    it.scopedLive("with nothing left but its keys has its log again", () =>
      Effect.gen(function* () {
        const blocks = history("a", 99, 300)
        const lost = yield* signing([])
        const reader = yield* reading(yield* signing(blocks))
        const whenStale = yield* told(lost, "Stale")
        const meeting = yield* Effect.fork(meet(network, lost, reader, LIVE))
        yield* whenStale
        yield* lost.download({ start: 0, end: 300 })
        expect(yield* lost.append(new Uint8Array(1))).toBe(300)
        yield* Fiber.interrupt(meeting)
      })
    )
  })
}

const histories = fc.record({
  a: fc.integer({ min: 1, max: 40 }),
  b: fc.integer({ min: 1, max: 40 }),
  forkAt: fc.nat({ max: 60 }),
  held: fc.nat({ max: 40 }),
  batches: fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 4 })
})

describe("any two histories", () => {
  it.live(
    "readers: who lacks something finds the fork, if there is one; there is no false alarm, and all ends",
    () =>
      Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(histories, ({ a: aLength, b: bLength, batches, forkAt, held }) =>
            Effect.gen(function* () {
              const sorted = [...batches].sort((x, y) => x - y)
              const within = (length: number) => sorted.filter((end) => end < length)
              const a = yield* signing(history("a", forkAt, aLength), within(aLength))
              const b = yield* signing(history("b", forkAt, bLength), within(bLength))
              // Of those that are not held, what proves the last block is.
              const mine = yield* reading(a, 0)
              yield* put(mine, a, aLength - 1)
              for (let index = 0; index < Math.min(held, aLength); index++) yield* put(mine, a, index)
              const theirs = yield* reading(b)
              const exits = yield* meet("memory", mine, theirs)
              const found = [mine, theirs].flatMap(({ fork }) => fork ?? [])
              const differ = forkAt < Math.min(aLength, bLength)
              const isWhole = held >= aLength - 1
              if (!differ) {
                expect(found).toEqual([])
                expect(exits.every(Exit.isSuccess)).toBe(true)
                expect(mine.length).toBe(Math.max(aLength, bLength))
              } else if (isWhole) expect(found.length).toBeGreaterThan(0)
              for (const evidence of found) expect(yield* Fork.verify(evidence, a.key)).toBe(true)
            }).pipe(Effect.scoped, Effect.provide(CryptoNode.layer), Effect.runPromise)
          ),
          { numRuns: 100, interruptAfterTimeLimit: 30_000 }
        )
      )
  )

  it.live("an author and a reader: the author finds the fork, if there is one", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(histories, ({ a: aLength, b: bLength, batches, forkAt }) =>
          Effect.gen(function* () {
            const within = batches.filter((end) => end < aLength).sort((x, y) => x - y)
            const a = yield* signing(history("a", forkAt, aLength), within)
            const b = yield* reading(yield* signing(history("b", forkAt, bLength)))
            yield* meet("memory", a, b)
            const differ = forkAt < Math.min(aLength, bLength)
            expect([a.fork, b.fork].some((fork) => fork !== undefined)).toBe(differ)
            // A reader that wants nothing may find it first: it ends the connection only after it has answered.
            if (bLength >= aLength) expect(a.fork !== undefined).toBe(differ)
            if (differ) return
            expect(a.length).toBe(Math.max(aLength, bLength))
            expect(yield* a.append(new Uint8Array(1))).toBe(Math.max(aLength, bLength))
          }).pipe(Effect.scoped, Effect.runPromise)
        ),
        { numRuns: 100, interruptAfterTimeLimit: 30_000 }
      )
    )
  )
})
