/** ifAvailable: a wait goes on only as long as somebody may have what it is for. */
import { describe, expect } from "@effect/vitest"
import { Clock, Effect, Fiber, Runtime, Stream, TestClock } from "effect"
import { Feed } from "../../src/index.js"
import { coreOf } from "../../src/services/feed/FeedCore.js"
import { SCHEDULES, SeededScheduler } from "./SeededScheduler.js"
import {
  atOnce,
  ended,
  expectFailure,
  expectWaiting,
  failure,
  inMemory,
  quiet,
  someBlocks,
  source,
  startWaiting,
  transfer
} from "./harness.js"

const blocks = someBlocks(10)
const nobody = { _tag: "BlockUnavailable", reason: "no-peer-has-it" }
const options = { ifAvailable: true }

/** A sparse reader that holds block 0 of ten, its author, and what replication would say. */
const reader = Effect.gen(function* () {
  const from = yield* source(blocks)
  const feed = yield* Feed.open({ key: from.key, sparse: true })
  yield* transfer(from, feed, 0)
  return { from, feed, core: coreOf(feed), availability: coreOf(feed).availability }
})

/** Peers that have these blocks. */
const having = (...held: ReadonlyArray<number>) => ({
  remoteLength: Math.max(0, ...held.map((index) => index + 1)),
  has: (index: number) => held.includes(index)
})

/** All that can be asked for so, and whether `held` of a peer fulfils it: here, none is. */
const waits = (feed: Feed.Feed): Record<string, readonly [Effect.Effect<unknown, unknown>, number]> => ({
  get: [feed.get(5, options), 5],
  head: [feed.head(options), 9],
  stream: [Stream.runDrain(feed.stream({ start: 4, ...options })), 4],
  update: [feed.update(11, options), 10]
})

describe("with ifAvailable", () => {
  inMemory("what nobody can have, since nobody is there, fails at once", () =>
    Effect.gen(function* () {
      const { feed } = yield* reader
      for (const [name, [wait, index]] of Object.entries(waits(feed))) {
        expect([name, yield* failure(atOnce(wait))]).toMatchObject([name, { ...nobody, index }])
      }
      yield* expectFailure(atOnce(feed.update(undefined, options)), { ...nobody, index: 10 })
    })
  )

  inMemory("what is held, or long enough, is answered though nobody is there", () =>
    Effect.gen(function* () {
      const { feed } = yield* reader
      expect(yield* atOnce(feed.get(0, options))).toEqual(blocks[0])
      expect(yield* atOnce(feed.update(10, options))).toBe(10)
    })
  )

  inMemory("it is waited for while a question is open, and while a peer has it", () =>
    Effect.gen(function* () {
      const { availability, feed } = yield* reader
      const close = availability.ask()
      const all = waits(feed)
      const fibers = yield* Effect.forEach(Object.values(all), ([wait]) => startWaiting(wait))
      availability.source = having(4, 5, 9, 10)
      yield* Effect.forEach(fibers, expectWaiting)
      close()
      yield* Effect.forEach(fibers, expectWaiting)
      availability.source = having(10)
      for (const [i, [name, [, index]]] of Object.entries(all).entries()) {
        if (name === "update") yield* expectWaiting(fibers[i]!)
        else yield* expectFailure(ended(fibers[i]!), { ...nobody, index })
      }
      availability.source = undefined
      yield* expectFailure(ended(fibers[3]!), { ...nobody, index: 10 })
    })
  )

  inMemory("all open questions count, each once", () =>
    Effect.gen(function* () {
      const { availability, feed } = yield* reader
      const [one, other] = [availability.ask(), availability.ask()]
      const waiting = yield* startWaiting(feed.get(5, options))
      one()
      one()
      yield* expectWaiting(waiting)
      other()
      yield* expectFailure(ended(waiting), nobody)
    })
  )

  inMemory("news of what peers have is looked at anew", () =>
    Effect.gen(function* () {
      const { availability, feed } = yield* reader
      const held = new Set([5, 6])
      availability.source = { remoteLength: 10, has: (index) => held.has(index) }
      const waiting = yield* startWaiting(feed.get(5, options))
      held.delete(6)
      availability.changed()
      yield* expectWaiting(waiting)
      held.delete(5)
      availability.changed()
      yield* expectFailure(ended(waiting), nobody)
    })
  )

  inMemory("the block that comes is the answer, and what is cleared is looked for anew", () =>
    Effect.gen(function* () {
      const { availability, feed, from } = yield* reader
      const close = availability.ask()
      const waiting = yield* startWaiting(feed.get(5, options))
      yield* transfer(from, feed, 5)
      // It is told that nobody has it in the moment that it is here.
      close()
      expect(yield* ended(waiting)).toEqual(blocks[5])
      yield* feed.clear(5)
      yield* expectFailure(atOnce(feed.get(5, options)), nobody)
    })
  )

  inMemory("`wait: false` does not wait for peers either, and a timeout ends the wait for a question", () =>
    Effect.gen(function* () {
      const { availability, feed } = yield* reader
      availability.ask()
      yield* expectFailure(atOnce(feed.get(5, { ...options, wait: false })), { reason: "not-held" })
      const waiting = yield* startWaiting(feed.get(5, { ...options, timeout: "1 second" }))
      yield* TestClock.adjust("1 second")
      yield* expectFailure(ended(waiting), { _tag: "BlockUnavailable", reason: "timeout", index: 5 })
    })
  )

  inMemory(
    "a wait ends with FeedClosed when the feed is closed, and nothing of it is left then, nor when it is interrupted",
    () =>
      Effect.gen(function* () {
        const { availability, core, feed } = yield* reader
        availability.ask()
        const start = Effect.forEach(Object.values(waits(feed)), ([wait]) => startWaiting(wait))
        const interrupted = yield* start
        expect([availability.size, core.demand.size]).toEqual([4, 4])
        yield* Fiber.interruptAll(interrupted)
        expect([availability.size, core.demand.size]).toEqual([0, 0])
        const fibers = yield* start
        yield* feed.close
        for (const fiber of fibers) yield* expectFailure(ended(fiber), { _tag: "FeedClosed" })
        expect([availability.size, core.demand.size]).toEqual([0, 0])
      })
  )
})

describe("a question that is opened", () => {
  /** With the real clock, whose turns of the event loop these are about. */
  const inRealTime = Effect.withClock(Clock.make())

  /** Starts to wait, and does `then` before anything else can. */
  const startAnd = <A>(feed: Feed.Feed, then: () => A) =>
    Effect.map(Effect.runtime<never>(), (runtime) => {
      const fiber = Runtime.runFork(runtime)(feed.get(5, options))
      return [fiber, then()] as const
    })

  const answered = (order: "before" | "after") =>
    Effect.gen(function* () {
      const { availability, feed, from } = yield* reader
      const early = order === "before" ? availability.ask() : undefined
      const [waiting, late] = yield* startAnd(feed, () =>
        order === "after" ? availability.ask() : undefined
      )
      yield* Effect.sleep(20)
      yield* expectWaiting(waiting)
      yield* transfer(from, feed, 5)
      ;(early ?? late)!()
      expect(yield* Fiber.join(waiting)).toEqual(blocks[5])
    }).pipe(inRealTime)

  inMemory("just before is waited for", () => answered("before"))
  inMemory("after it, in the same breath, is waited for", () => answered("after"))

  inMemory("by a promise that is under way is waited for", () =>
    Effect.gen(function* () {
      const { availability, feed, from } = yield* reader
      const [waiting, asked] = yield* startAnd(feed, () =>
        Promise.resolve()
          .then(() => Promise.resolve())
          .then(() => availability.ask())
      )
      const close = yield* Effect.promise(() => asked)
      yield* Effect.sleep(20)
      yield* expectWaiting(waiting)
      yield* transfer(from, feed, 5)
      close()
      expect(yield* Fiber.join(waiting)).toEqual(blocks[5])
    }).pipe(inRealTime)
  )

  inMemory("as another is closed, and in a fiber's turn after that, is waited for", () =>
    Effect.gen(function* () {
      const { availability, feed } = yield* reader
      const first = availability.ask()
      const waiting = yield* startWaiting(feed.get(5, options))
      first()
      const second = availability.ask()
      yield* expectWaiting(waiting)
      second()
      yield* Effect.yieldNow()
      const third = availability.ask()
      yield* expectWaiting(waiting)
      third()
      yield* expectFailure(Fiber.join(waiting), nobody)
    }).pipe(inRealTime)
  )
})

describe("under every schedule", () => {
  inMemory("a block that comes before the last question is closed is got, and else the wait ends", () =>
    Effect.forEach(SCHEDULES, (seed) =>
      Effect.gen(function* () {
        const from = yield* source(blocks)
        for (let turns = 0; turns < 12; turns++) {
          const feed = yield* Feed.open({ path: `${seed}/${turns}`, key: from.key, sparse: true })
          const { availability } = coreOf(feed)
          const close = availability.ask()
          const [comes, stays, grows] = [feed.get(1, options), feed.get(2, options), feed.update(10, options)]
          const fibers = yield* Effect.forEach([comes, stays, grows], (wait) =>
            Effect.fork<unknown, unknown, never>(wait)
          )
          yield* Effect.repeatN(Effect.yieldNow(), turns)
          yield* transfer(from, feed, 1)
          close()
          yield* Effect.repeatN(quiet, 20)
          expect({ seed, turns, late: fibers.filter((fiber) => fiber.unsafePoll() === null).length }).toEqual(
            {
              seed,
              turns,
              late: 0
            }
          )
          expect(yield* ended(fibers[0]!)).toEqual(blocks[1])
          yield* expectFailure(ended(fibers[1]!), nobody)
          expect(yield* ended(fibers[2]!)).toBe(10)
          yield* feed.close
        }
      }).pipe(Effect.withScheduler(new SeededScheduler(seed)))
    )
  )
})
