/** Waiting for what is not here yet: what ends a wait, and that nothing of it is left behind. */
import { describe, expect } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber, Stream, TestClock } from "effect"
import { Feed, type Read, Storage } from "../../src/index.js"
import { get, getBatch } from "../../src/services/feed/get.js"
import { openCore } from "../../src/services/feed/open.js"
import { append } from "../../src/services/feed/append.js"
import { seek } from "../../src/services/feed/seek.js"
import { stream } from "../../src/services/feed/stream.js"
import { update } from "../../src/services/feed/update.js"
import { SCHEDULES, SeededScheduler } from "./SeededScheduler.js"
import {
  atOnce,
  bytes,
  ended,
  expectFailure,
  expectWaiting,
  failure,
  inMemory,
  onEachStorage,
  openText,
  quiet,
  someBlocks,
  source,
  startWaiting,
  transfer
} from "./harness.js"

/** An author's feed of ten blocks, and a reader that holds block 0. */
const pair = Effect.gen(function* () {
  const blocks = someBlocks(10)
  const from = yield* source(blocks)
  const feed = yield* Feed.open({ key: from.key, sparse: true })
  yield* transfer(from, feed, 0)
  return { blocks, from, feed }
})

describe("get of a block that is not held", () => {
  onEachStorage("waits until it is appended", () =>
    Effect.gen(function* () {
      const feed = yield* openText()
      const gets = yield* Effect.forEach([0, 1, 2, 1], (index) => startWaiting(feed.get(index)))
      yield* feed.append("a")
      expect(yield* ended(gets[0]!)).toBe("a")
      yield* Effect.forEach(gets.slice(1), expectWaiting)
      yield* feed.appendBatch(["b", "c"])
      expect(yield* Effect.forEach(gets.slice(1), ended)).toEqual(["b", "c", "b"])
    })
  )

  onEachStorage("waits until it is put, not for another, nor for its leaf", () =>
    Effect.gen(function* () {
      const { blocks, from, feed } = yield* pair
      const waiting = yield* startWaiting(feed.get(5))
      yield* transfer(from, feed, 4)
      yield* expectWaiting(waiting)
      const digest = yield* feed.digest(5)
      yield* feed.put({ index: 5, proof: yield* from.proof(5, { digest, hash: true }) })
      yield* expectWaiting(waiting)
      yield* transfer(from, feed, 5)
      expect(yield* ended(waiting)).toEqual(blocks[5])
    })
  )

  onEachStorage("waits for a cleared block until it is put again", () =>
    Effect.gen(function* () {
      const { blocks, from, feed } = yield* pair
      yield* feed.clear(0)
      const waiting = yield* startWaiting(feed.get(0))
      yield* transfer(from, feed, 0)
      expect(yield* ended(waiting)).toEqual(blocks[0])
    })
  )

  onEachStorage("a wait whose block comes and goes again waits on, or has the block", () =>
    Effect.gen(function* () {
      const { blocks, from, feed } = yield* pair
      const all = yield* Effect.forEach(
        [
          feed.get(5),
          Effect.map(feed.getBatch(5, 6), ([block]) => block!),
          Stream.runHead(feed.stream({ start: 5, end: 6 }))
        ],
        (wait) => startWaiting<unknown, unknown, never>(wait)
      )
      const proof = yield* from.proof(5, { digest: yield* feed.digest(5) })
      // In one fiber, so that no waiting one has its turn in between.
      yield* Effect.zipRight(feed.put({ index: 5, proof, block: blocks[5] }), feed.clear(5))
      yield* quiet
      for (const wait of all) {
        const exit = wait.unsafePoll()
        if (exit !== null) expect(Exit.isSuccess(exit), String(exit)).toBe(true)
      }
      yield* transfer(from, feed, 5)
      const results = yield* Effect.forEach(all, ended)
      expect(results.slice(0, 2)).toEqual([blocks[5], blocks[5]])
      expect(results[2]).toMatchObject({ _tag: "Some", value: blocks[5] })
    })
  )

  onEachStorage("with wait false fails at once", () =>
    Effect.gen(function* () {
      const { feed } = yield* pair
      const notHeld = { _tag: "BlockUnavailable", reason: "not-held" }
      const options = { wait: false }
      yield* expectFailure(atOnce(feed.get(5, options)), { ...notHeld, index: 5 })
      yield* expectFailure(atOnce(feed.get(99, options)), { ...notHeld, index: 99 })
      yield* expectFailure(atOnce(feed.getBatch(0, 4, options)), { ...notHeld, index: 1 })
      yield* expectFailure(atOnce(feed.head(options)), { ...notHeld, index: 9 })
      yield* expectFailure(atOnce(Stream.runDrain(feed.stream(options))), { ...notHeld, index: 1 })
      yield* expectFailure(atOnce(feed.seek(feed.byteLength - 1, options)), notHeld)
      // A timeout makes no difference.
      yield* expectFailure(atOnce(feed.get(5, { wait: false, timeout: "1 hour" })), { ...notHeld, index: 5 })
    })
  )

  onEachStorage("with wait true, and with options that say nothing of it, waits", () =>
    Effect.gen(function* () {
      const { feed } = yield* pair
      for (const options of [undefined, {}, { wait: true }]) {
        yield* startWaiting(feed.get(5, options))
        yield* startWaiting(feed.getBatch(0, 4, options))
        yield* startWaiting(feed.head(options))
      }
    })
  )

  onEachStorage("with a timeout fails when that is over, not before", () =>
    Effect.gen(function* () {
      const { feed } = yield* pair
      const late = { _tag: "BlockUnavailable", reason: "timeout" }
      const options = { timeout: "10 seconds" } as const
      const waits = yield* Effect.forEach(
        [
          [feed.get(5, options), { ...late, index: 5 }],
          [feed.getBatch(0, 4, options), late],
          [feed.head(options), { ...late, index: 9 }],
          [Stream.runDrain(feed.stream(options)), { ...late, index: 1 }],
          [feed.seek(feed.byteLength - 1, options), late],
          [feed.seek(feed.byteLength + 7, options), late],
          [feed.update(11, options), late],
          [feed.update(undefined, options), late]
        ] as ReadonlyArray<readonly [Effect.Effect<unknown, unknown>, object]>,
        ([effect, error]) => Effect.map(startWaiting(effect), (fiber) => [fiber, error] as const)
      )
      yield* TestClock.adjust("9999 millis")
      yield* Effect.forEach(waits, ([fiber]) => expectWaiting(fiber))
      yield* TestClock.adjust("1 millis")
      for (const [fiber, error] of waits) expect(yield* failure(ended(fiber))).toMatchObject(error)
    })
  )

  onEachStorage(
    "with a timeout succeeds when the block comes in time; of a held block it plays no part",
    () =>
      Effect.gen(function* () {
        const { blocks, from, feed } = yield* pair
        const waiting = yield* startWaiting(feed.get(5, { timeout: "10 seconds" }))
        yield* TestClock.adjust("9 seconds")
        yield* transfer(from, feed, 5)
        expect(yield* ended(waiting)).toEqual(blocks[5])
        expect(yield* atOnce(feed.get(5, { timeout: 0 }))).toEqual(blocks[5])
      })
  )
})

describe("getBatch of a range that is not all held", () => {
  onEachStorage("tells which block did not come in time", () =>
    Effect.gen(function* () {
      const { from, feed } = yield* pair
      const waiting = yield* startWaiting(feed.getBatch(0, 6, { timeout: "1 minute" }))
      for (const index of [1, 2, 3]) yield* transfer(from, feed, index)
      yield* TestClock.adjust("1 minute")
      yield* expectFailure(ended(waiting), { _tag: "BlockUnavailable", reason: "timeout", index: 4 })
    })
  )

  onEachStorage("waits until all of it is, in whatever order it comes", () =>
    Effect.gen(function* () {
      const { blocks, from, feed } = yield* pair
      const waiting = yield* startWaiting(feed.getBatch(0, 6))
      for (const index of [5, 2, 4, 1]) {
        yield* transfer(from, feed, index)
        yield* expectWaiting(waiting)
      }
      yield* transfer(from, feed, 3)
      expect(yield* ended(waiting)).toEqual(blocks.slice(0, 6))
    })
  )

  onEachStorage("past the end waits for appends", () =>
    Effect.gen(function* () {
      const feed = yield* openText()
      yield* feed.append("a")
      const waiting = yield* startWaiting(feed.getBatch(0, 3))
      yield* feed.append("b")
      yield* expectWaiting(waiting)
      yield* feed.append("c")
      expect(yield* ended(waiting)).toEqual(["a", "b", "c"])
    })
  )
})

/** Runs `effect` on a storage whose reads of `data` wait for `gate` first. */
const withSlowData =
  (gate: Effect.Effect<void>) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.provideServiceEffect(
      effect,
      Storage,
      Effect.map(Storage, (inner) => ({
        open: (path: string) =>
          Effect.map(inner.open(path), (files) => ({
            ...files,
            read: (ranges: ReadonlyArray<Read>) =>
              Effect.zipRight(
                ranges.some(({ file }) => file === "data") ? gate : Effect.void,
                files.read(ranges)
              )
          }))
      }))
    )

describe("a block that is cleared, or whose feed is closed, while it is read", () => {
  const reads: Record<string, (feed: Feed.Feed) => Effect.Effect<unknown, unknown>> = {
    get: (feed) => Effect.map(feed.get(1), (block) => [block]),
    getBatch: (feed) => feed.getBatch(0, 3),
    stream: (feed) => Effect.map(Stream.runCollect(feed.stream({ start: 1, end: 3 })), (all) => [...all])
  }
  for (const [name, read] of Object.entries(reads)) {
    onEachStorage(`ends in FeedClosed when the feed is closed meanwhile, by ${name}`, () =>
      Effect.gen(function* () {
        const gate = yield* Effect.makeLatch(true)
        const feed = yield* withSlowData(gate.await)(Feed.open())
        yield* feed.appendBatch(someBlocks(3))
        yield* gate.close
        const reading = yield* startWaiting(read(feed))
        yield* feed.close
        yield* gate.open
        yield* expectFailure(ended(reading), { _tag: "FeedClosed" })
      })
    )

    onEachStorage(`is waited for again when it is cleared, by ${name}`, () =>
      Effect.gen(function* () {
        const blocks = ["a", "b", "c"].map((text) => bytes(text.repeat(8192)))
        const from = yield* source(blocks)
        const gate = yield* Effect.makeLatch(true)
        const feed = yield* withSlowData(gate.await)(Feed.open({ key: from.key }))
        for (const index of blocks.keys()) yield* transfer(from, feed, index)
        yield* gate.close
        const reading = yield* startWaiting(read(feed))
        yield* feed.clear(0, 3)
        yield* gate.open
        yield* expectWaiting(reading)
        for (const index of blocks.keys()) yield* transfer(from, feed, index)
        expect(yield* ended(reading)).toEqual(
          { get: [blocks[1]], getBatch: blocks, stream: blocks.slice(1) }[name]
        )
      })
    )
  }
})

describe("update", () => {
  onEachStorage("waits for one block more than there is, or for the length given", () =>
    Effect.gen(function* () {
      const feed = yield* openText()
      const one = yield* startWaiting(feed.update())
      const three = yield* startWaiting(feed.update(3))
      yield* feed.append("a")
      expect(yield* ended(one)).toBe(1)
      const next = yield* startWaiting(feed.update())
      yield* feed.appendBatch(["b", "c", "d"])
      expect([yield* ended(three), yield* ended(next)]).toEqual([4, 4])
      expect([yield* atOnce(feed.update(4)), yield* atOnce(feed.update(0))]).toEqual([4, 4])
    })
  )

  onEachStorage("of a reader ends with a proof of the longer log, without any block", () =>
    Effect.gen(function* () {
      const { from, feed } = yield* pair
      const waiting = yield* startWaiting(feed.update())
      yield* transfer(from, feed, 3)
      yield* expectWaiting(waiting)
      yield* from.appendBatch(someBlocks(5))
      const digest = yield* feed.digest(14)
      yield* feed.put({ index: 14, proof: yield* from.proof(14, { digest, hash: true }) })
      expect(yield* ended(waiting)).toBe(15)
    })
  )

  onEachStorage("without a length counts from when it runs", () =>
    Effect.gen(function* () {
      const feed = yield* openText()
      const update = feed.update()
      yield* feed.append("a")
      const waiting = yield* startWaiting(update)
      yield* feed.append("b")
      expect(yield* ended(waiting)).toBe(2)
    })
  )
})

describe("seek", () => {
  onEachStorage("waits for the log to reach the byte", () =>
    Effect.gen(function* () {
      const feed = yield* openText()
      yield* feed.append("abc")
      const waiting = yield* startWaiting(feed.seek(5))
      yield* feed.append("d")
      yield* expectWaiting(waiting)
      yield* feed.append("ef")
      expect(yield* ended(waiting)).toEqual({ index: 2, offset: 1 })
    })
  )

  onEachStorage("of a reader waits for the nodes that tell", () =>
    Effect.gen(function* () {
      const from = yield* source(Array.from({ length: 8 }, (_, i) => bytes(`${i}${i}`)))
      const feed = yield* Feed.open({ key: from.key, sparse: true })
      yield* transfer(from, feed, 7)
      const waiting = yield* startWaiting(feed.seek(5))
      yield* transfer(from, feed, 0)
      yield* expectWaiting(waiting)
      yield* transfer(from, feed, 2)
      expect(yield* ended(waiting)).toEqual({ index: 2, offset: 1 })
    })
  )
})

describe("every wait", () => {
  const waits = (feed: Feed.Feed): ReadonlyArray<readonly [string, Effect.Effect<unknown, unknown>]> => [
    ["get", feed.get(5)],
    ["get with a timeout", feed.get(5, { timeout: "1 hour" })],
    ["getBatch", feed.getBatch(0, 9)],
    ["head", feed.head()],
    ["seek", feed.seek(feed.byteLength - 1)],
    ["seek past the end", feed.seek(feed.byteLength + 1)],
    ["update", feed.update()],
    ["stream", Stream.runDrain(feed.stream())],
    ["live stream", Stream.runDrain(feed.stream({ tail: true, live: true }))]
  ]

  onEachStorage("ends with FeedClosed when the feed is closed", () =>
    Effect.gen(function* () {
      const { feed } = yield* pair
      const fibers = yield* Effect.forEach(waits(feed), ([name, wait]) =>
        Effect.map(startWaiting(wait), (fiber) => [name, fiber] as const)
      )
      yield* feed.close
      for (const [name, fiber] of fibers) {
        expect([name, yield* failure(ended(fiber))]).toMatchObject([name, { _tag: "FeedClosed" }])
      }
    })
  )

  onEachStorage("ends when it is interrupted", () =>
    Effect.gen(function* () {
      const { feed } = yield* pair
      for (const [name, wait] of waits(feed)) {
        const fiber = yield* startWaiting(wait)
        const exit = yield* atOnce(Fiber.interrupt(fiber))
        expect([name, Exit.isInterrupted(exit)]).toEqual([name, true])
      }
    })
  )

  // With the real clock: the test clock's own bookkeeping of sleeps does not survive every schedule, and then never ends.
  const onEachSchedule = <A, E, R>(body: (path: string) => Effect.Effect<A, E, R>) =>
    Effect.forEach(SCHEDULES, (seed) =>
      body(`${seed}`).pipe(Effect.withClock(Clock.make()), Effect.withScheduler(new SeededScheduler(seed)))
    )

  onEachStorage("ends under every schedule, when its block comes while it begins to wait", () =>
    Effect.gen(function* () {
      const from = yield* source([])
      const claims: Array<Parameters<Feed.Feed["put"]>[0]> = []
      for (let index = 0; index < 30; index++) {
        const block = bytes(`block ${index}`)
        yield* from.append(block)
        claims.push({ index, proof: yield* from.proof(index), block })
      }
      yield* onEachSchedule((path) =>
        Effect.gen(function* () {
          const feed = yield* Feed.open({ path, key: from.key })
          for (const claim of claims) {
            const { index, block } = claim
            const waits: Record<string, Effect.Effect<unknown, unknown>> = {
              get: feed.get(index),
              getBatch: feed.getBatch(index, index + 1),
              stream: Stream.runHead(feed.stream({ start: index, end: index + 1 })),
              update: feed.update(index + 1),
              seek: feed.seek(feed.byteLength + 1)
            }
            const fibers = yield* Effect.forEach(Object.values(waits), (wait) => Effect.fork(wait))
            yield* Effect.repeatN(Effect.yieldNow(), index % 7)
            yield* feed.put(claim)
            yield* Effect.repeatN(quiet, 20)
            const late = Object.keys(waits).filter((_, i) => fibers[i]!.unsafePoll() === null)
            expect({ path, index, late }).toEqual({ path, index, late: [] })
            expect(yield* Effect.forEach(fibers, ended)).toMatchObject([
              block,
              [block],
              { _tag: "Some", value: block },
              index + 1,
              { index, offset: 1 }
            ])
          }
          yield* feed.close
        })
      )
    })
  )

  onEachStorage("ends under every schedule, when the feed is closed while it begins to wait", () =>
    onEachSchedule((path) =>
      Effect.gen(function* () {
        for (let turns = 0; turns < 12; turns++) {
          const feed = yield* Feed.open({ path: `${path}/${turns}` })
          yield* feed.appendBatch(someBlocks(3))
          const fibers = yield* Effect.forEach(waits(feed), ([, wait]) => Effect.fork(wait))
          yield* Effect.repeatN(Effect.yieldNow(), turns)
          yield* feed.close
          yield* Effect.repeatN(quiet, 20)
          const late = waits(feed).flatMap(([name], i) => (fibers[i]!.unsafePoll() === null ? [name] : []))
          expect({ path, turns, late }).toEqual({ path, turns, late: [] })
          for (const [i, [name]] of waits(feed).entries()) {
            // These are answered when they come to it before the feed is closed.
            if (["head", "seek", "stream"].includes(name)) continue
            expect([name, yield* failure(ended(fibers[i]!))]).toMatchObject([name, { _tag: "FeedClosed" }])
          }
        }
      })
    )
  )
})

describe("nothing is left of a wait", () => {
  // The public surface does not tell how many wait: these look at the insides.
  const waits = (core: Effect.Effect.Success<ReturnType<typeof openCore>>) => [
    get(core, 5),
    get(core, 6, { timeout: "1 hour" }),
    getBatch(core, 0, 20),
    seek(core, 1000),
    update(core, 50),
    Stream.runDrain(stream(core, { live: true }))
  ]

  inMemory("that was interrupted, a thousand times", () =>
    Effect.gen(function* () {
      const core = yield* openCore({})
      for (let round = 0; round < 170; round++) {
        const fibers = yield* Effect.forEach(waits(core), (wait) =>
          Effect.fork(wait as Effect.Effect<unknown, unknown>)
        )
        yield* Effect.repeatN(Effect.yieldNow(), round % 8)
        yield* Fiber.interruptAll(fibers)
      }
      yield* quiet
      expect([core.demand.size, [...core.demand.blocks()]]).toEqual([0, []])
      yield* append(core, [bytes("a")])
      expect(yield* get(core, 0)).toEqual(bytes("a"))
    })
  )

  inMemory("that was answered, timed out, or ended by close", () =>
    Effect.gen(function* () {
      const core = yield* openCore({})
      const begin = Effect.forEach(waits(core), (wait) =>
        startWaiting(wait as Effect.Effect<unknown, unknown>)
      )
      const [, timed] = yield* begin
      expect(core.demand.size).toBeGreaterThan(5)
      expect([...core.demand.blocks()]).toContain(6)
      yield* TestClock.adjust("1 hour")
      yield* failure(ended(timed!))
      // The live stream waits for block 0; the batch wants its range, and waits for no single block.
      expect([...core.demand.blocks()]).toEqual([5, 0])
      yield* append(core, someBlocks(60, "some text that makes blocks long enough "))
      yield* quiet
      // The live stream goes on.
      expect(core.demand.size).toBe(1)
      yield* core.demand.block(1000).pipe(Effect.fork)
      yield* quiet
      expect(core.demand.size).toBe(2)
      core.demand.close()
      yield* quiet
      expect([core.demand.size, [...core.demand.blocks()]]).toEqual([0, []])
    })
  )

  inMemory("that is interrupted at any operation", () =>
    Effect.forEach(
      Array.from({ length: 150 }, (_, seed) => seed),
      (seed) =>
        Effect.gen(function* () {
          const core = yield* openCore({ path: `interrupted-${seed}` })
          for (let turns = 0; turns < 6; turns++) {
            const begun: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
              get(core, 5),
              update(core, 5),
              seek(core, 5)
            ]
            const fibers = yield* Effect.forEach(begun, (wait) => Effect.fork(wait))
            for (let i = 0; i < turns; i++) yield* Effect.yieldNow()
            yield* Fiber.interruptAll(fibers)
          }
          expect(core.demand.size).toBe(0)
          expect(core.demand.wishes.size).toBe(0)
        }).pipe(Effect.withScheduler(new SeededScheduler(seed))),
      { discard: true }
    )
  )
})
