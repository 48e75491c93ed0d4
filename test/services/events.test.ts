/** events: what happened, in order, told after it happened; ends after Close. */
import { describe, expect } from "@effect/vitest"
import { Chunk, Effect, Fiber, Stream } from "effect"
import { Feed, type FeedEvent } from "../../src/index.js"
import { SCHEDULES, SeededScheduler } from "./SeededScheduler.js"
import {
  atOnce,
  bytes,
  ended,
  expectFailure,
  keyPair,
  onEachStorage,
  openText,
  overwriteFile,
  quiet,
  someBlocks,
  source,
  transfer
} from "./harness.js"

/** Collects the feed's events from now on; the fiber ends when the feed is closed. */
const listen = (feed: Feed.Feed<string, unknown> | Feed.Feed) =>
  Effect.gen(function* () {
    const events: Array<FeedEvent> = []
    const fiber = yield* Effect.fork(
      Stream.runForEach(feed.events, (event) => Effect.sync(() => void events.push(event)))
    )
    yield* quiet
    return { events, fiber }
  })

describe("events of an author", () => {
  onEachStorage("tell of appends, clears and the close, in order", () =>
    Effect.gen(function* () {
      const feed = yield* openText()
      const { events, fiber } = yield* listen(feed)
      yield* feed.append("a")
      yield* feed.appendBatch(["bb", "ccc"])
      yield* feed.appendBatch([])
      yield* feed.clear(0, 2)
      yield* feed.clear(0, 2)
      yield* feed.append("dddd")
      yield* feed.close
      yield* ended(fiber)
      expect(events).toEqual([
        { _tag: "Append", length: 1, byteLength: 1 },
        { _tag: "Append", length: 3, byteLength: 6 },
        { _tag: "Clear", start: 0, end: 2 },
        { _tag: "Append", length: 4, byteLength: 10 },
        { _tag: "Close" }
      ])
    })
  )

  onEachStorage("appends of one group are one event", () =>
    Effect.gen(function* () {
      const feed = yield* openText()
      const { events } = yield* listen(feed)
      yield* Effect.forEach(["a", "b", "c"], (text) => feed.append(text), { concurrency: "unbounded" })
      yield* quiet
      expect(events).toEqual([{ _tag: "Append", length: 3, byteLength: 3 }])
    })
  )

  onEachStorage("come after what they tell: the feed has the length, the block can be read", () =>
    Effect.gen(function* () {
      const feed = yield* openText()
      const checked: Array<readonly [number, number, string]> = []
      const fiber = yield* Effect.fork(
        Stream.runForEach(feed.events, (event) =>
          event._tag === "Append"
            ? Effect.map(feed.get(event.length - 1, { wait: false }), (text) => {
                checked.push([event.length, feed.length, text])
              })
            : Effect.void
        )
      )
      yield* quiet
      for (const text of ["a", "b", "c"]) {
        yield* feed.append(text)
        yield* quiet
      }
      yield* feed.close
      yield* ended(fiber)
      expect(checked).toEqual([
        [1, 1, "a"],
        [2, 2, "b"],
        [3, 3, "c"]
      ])
    })
  )

  onEachStorage("do not tell of what failed", () =>
    Effect.gen(function* () {
      const feed = yield* openText({ onwrite: () => Effect.fail("no") })
      const { events } = yield* listen(feed)
      yield* expectFailure(feed.append("a"), { _tag: "WriteRefused" })
      yield* expectFailure(feed.clear(3, 1), { _tag: "BadArgument" })
      yield* feed.clear(7)
      yield* quiet
      expect(events).toEqual([])
    })
  )

  onEachStorage("do not tell of the past", () =>
    Effect.gen(function* () {
      const feed = yield* openText()
      yield* feed.append("a")
      const { events, fiber } = yield* listen(feed)
      yield* feed.close
      yield* ended(fiber)
      expect(events).toEqual([{ _tag: "Close" }])
    })
  )
})

describe("events of a reader", () => {
  onEachStorage("tell of growth, each new block, and when all are there", () =>
    Effect.gen(function* () {
      const blocks = someBlocks(4)
      const from = yield* source(blocks.slice(0, 3))
      const feed = yield* Feed.open({ key: from.key, sparse: true })
      const { events, fiber } = yield* listen(feed)
      yield* transfer(from, feed, 2)
      yield* transfer(from, feed, 2)
      yield* transfer(from, feed, 0)
      yield* transfer(from, feed, 1)
      yield* from.append(blocks[3]!)
      yield* transfer(from, feed, 3)
      yield* feed.clear(1)
      yield* transfer(from, feed, 1)
      yield* feed.close
      yield* ended(fiber)
      const download = (index: number) => ({ _tag: "Download", index, size: blocks[index]!.length })
      const size = (end: number) => blocks.slice(0, end).reduce((sum, block) => sum + block.length, 0)
      expect(events).toEqual([
        { _tag: "Append", length: 3, byteLength: size(3) },
        download(2),
        download(0),
        download(1),
        { _tag: "Sync", length: 3 },
        { _tag: "Append", length: 4, byteLength: size(4) },
        download(3),
        { _tag: "Sync", length: 4 },
        { _tag: "Clear", start: 1, end: 2 },
        download(1),
        { _tag: "Sync", length: 4 },
        { _tag: "Close" }
      ])
    })
  )

  onEachStorage("a leaf without its block is growth only", () =>
    Effect.gen(function* () {
      const from = yield* source(someBlocks(3))
      const feed = yield* Feed.open({ key: from.key, sparse: true })
      const { events } = yield* listen(feed)
      yield* feed.put({ index: 1, proof: yield* from.proof(1, { hash: true }) })
      yield* quiet
      expect(events).toEqual([{ _tag: "Append", length: 3, byteLength: from.byteLength }])
    })
  )

  onEachStorage("forged blocks are no events", () =>
    Effect.gen(function* () {
      const from = yield* source(someBlocks(3))
      const feed = yield* Feed.open({ key: from.key, sparse: true })
      const { events } = yield* listen(feed)
      yield* Effect.ignore(feed.put({ index: 1, proof: yield* from.proof(1), block: bytes("forged") }))
      yield* quiet
      expect([events, feed.length]).toEqual([[], 0])
    })
  )

  onEachStorage(
    "a block that is fetched again after an audit dropped it is a download and a sync again",
    () =>
      Effect.gen(function* () {
        const blocks = ["aa", "bb"].map(bytes)
        const from = yield* source(blocks)
        const read = Feed.open({ key: from.key, sparse: true })
        yield* Effect.scoped(
          Effect.flatMap(read, (feed) => Effect.forEach([0, 1], (index) => transfer(from, feed, index)))
        )
        yield* overwriteFile("data", bytes("X"), 2)
        const feed = yield* read
        const { events } = yield* listen(feed)
        expect(yield* feed.audit()).toEqual({ valid: 1, invalid: 1 })
        yield* transfer(from, feed, 1)
        yield* quiet
        expect(events.filter(({ _tag }) => _tag !== "Clear")).toEqual([
          { _tag: "Download", index: 1, size: 2 },
          { _tag: "Sync", length: 2 }
        ])
      })
  )
})

describe("subscribers", () => {
  onEachStorage("all hear everything while they listen, and end with Close", () =>
    Effect.gen(function* () {
      const feed = yield* openText()
      const one = yield* listen(feed)
      yield* feed.append("a")
      const two = yield* listen(feed)
      yield* feed.append("b")
      yield* Fiber.interrupt(one.fiber)
      yield* feed.append("c")
      yield* feed.close
      yield* ended(two.fiber)
      const lengths = (events: ReadonlyArray<FeedEvent>) =>
        events.map((event) => (event._tag === "Append" ? event.length : event._tag))
      expect([lengths(one.events), lengths(two.events)]).toEqual([
        [1, 2],
        [2, 3, "Close"]
      ])
    })
  )

  onEachStorage("of a closed feed end at once", () =>
    Effect.gen(function* () {
      const feed = yield* openText()
      const { events } = feed
      yield* feed.append("a")
      yield* feed.close
      expect(Chunk.size(yield* atOnce(Stream.runCollect(events)))).toBeLessThanOrEqual(1)
    })
  )

  onEachStorage("end under every schedule, when the feed is closed while they begin to listen", () =>
    Effect.forEach(SCHEDULES, (seed) =>
      Effect.withScheduler(
        Effect.gen(function* () {
          for (let turns = 0; turns < 12; turns++) {
            const feed = yield* openText({ path: `${seed}/${turns}` })
            const fiber = yield* Effect.fork(Stream.runCollect(feed.events))
            yield* Effect.repeatN(Effect.yieldNow(), turns)
            yield* feed.close
            const last = Chunk.toReadonlyArray(yield* ended(fiber)).map(({ _tag }) => _tag)
            expect(["", "Close"]).toContain(last.join())
          }
        }),
        new SeededScheduler(seed)
      )
    )
  )

  onEachStorage("that are slow lose the oldest, not the newest, and cost no more memory", () =>
    Effect.gen(function* () {
      const feed = yield* Feed.open({ ...(yield* keyPair(1)) })
      const pull = yield* Stream.toPull(feed.events)
      const first = yield* Effect.fork(pull)
      yield* quiet
      for (let i = 0; i < 5000; i++) yield* feed.append(bytes("x"))
      yield* feed.close
      const seen = [...(yield* ended(first))]
      for (let more = true; more;) {
        const chunk = yield* Effect.option(pull)
        if (chunk._tag === "None") more = false
        else seen.push(...chunk.value)
      }
      expect(seen.length).toBeLessThanOrEqual(4096 + 64)
      expect(seen.slice(-2)).toEqual([{ _tag: "Append", length: 5000, byteLength: 5000 }, { _tag: "Close" }])
    })
  )
})
