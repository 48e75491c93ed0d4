/** A feed opened read-only follows another that is open on the same files for writing. */
import { describe, expect } from "@effect/vitest"
import { Chunk, Effect, Fiber, Stream } from "effect"
import { Feed, type FeedEvent } from "../../src/index.js"
import { bytes, keyPair, onEachStorage, quiet, someBlocks, source, transfer } from "./harness.js"

const openReadOnly = Feed.open({ readOnly: true })

/** What `work` makes the feed tell. */
const eventsOf = <E, R>(feed: Feed.Feed, work: Effect.Effect<unknown, E, R>) =>
  Effect.gen(function* () {
    const collecting = yield* Effect.fork(Stream.runCollect(feed.events))
    yield* quiet
    yield* work
    yield* feed.close
    return Chunk.toReadonlyArray(yield* Fiber.join(collecting)) as ReadonlyArray<FeedEvent>
  })

describe("refresh", () => {
  onEachStorage("brings what was appended, in one event, and wakes who waits", () =>
    Effect.gen(function* () {
      const writer = yield* Feed.open(yield* keyPair(1))
      const reader = yield* openReadOnly
      const waiting = yield* Effect.fork(reader.get(2))
      const events = yield* eventsOf(
        reader,
        Effect.gen(function* () {
          expect(yield* reader.refresh).toBe(false)
          for (const batch of [["a", "b"], ["c"]]) {
            yield* writer.appendBatch(batch.map(bytes))
            expect(reader.length).toBe(writer.length - batch.length)
            expect(yield* reader.refresh).toBe(true)
            expect([reader.length, reader.byteLength]).toEqual([writer.length, writer.byteLength])
          }
          expect(yield* Fiber.join(waiting)).toEqual(bytes("c"))
          expect(yield* reader.audit()).toEqual({ valid: 3, invalid: 0 })
          const last = yield* reader.signature()
          yield* reader.verify(last.index, last.signature)
          expect(yield* reader.refresh).toBe(false)
        })
      )
      expect(events).toEqual([
        { _tag: "Append", length: 2, byteLength: 2 },
        { _tag: "Sync", length: 2 },
        { _tag: "Append", length: 3, byteLength: 3 },
        { _tag: "Sync", length: 3 },
        { _tag: "Close" }
      ])
    })
  )

  onEachStorage("brings blocks that came from elsewhere, and takes those that went", () =>
    Effect.gen(function* () {
      const blocks = someBlocks(20)
      const author = yield* source(blocks)
      const copy = yield* Feed.open({ key: author.key, sparse: true })
      const reader = yield* openReadOnly
      const events = yield* eventsOf(
        reader,
        Effect.gen(function* () {
          for (const index of [7, 5, 6]) yield* transfer(author, copy, index)
          yield* reader.refresh
          expect(reader.length).toBe(20)
          expect(yield* reader.downloaded()).toBe(3)
          expect(yield* reader.getBatch(5, 8, { wait: false })).toEqual(blocks.slice(5, 8))
          yield* copy.clear(5, 7)
          yield* transfer(author, copy, 19)
          yield* reader.refresh
          expect(yield* reader.downloaded()).toBe(2)
          expect(yield* reader.has(5)).toBe(false)
        })
      )
      expect(events).toEqual([
        { _tag: "Append", length: 20, byteLength: author.byteLength },
        ...[5, 6, 7].map((index) => ({ _tag: "Download", index, size: blocks[index]!.length })),
        { _tag: "Clear", start: 5, end: 7 },
        { _tag: "Download", index: 19, size: blocks[19]!.length },
        { _tag: "Close" }
      ])
    })
  )

  onEachStorage("over pages of the bitfield, what it held before stays", () =>
    Effect.gen(function* () {
      const writer = yield* Feed.open(yield* keyPair(1))
      yield* writer.appendBatch(someBlocks(8190))
      const reader = yield* openReadOnly
      yield* writer.appendBatch(someBlocks(9000, "x"))
      yield* reader.refresh
      expect(yield* reader.downloaded()).toBe(17_190)
      expect(yield* reader.get(8189)).toEqual(someBlocks(8190)[8189])
      expect(yield* reader.get(17_189)).toEqual(someBlocks(9000, "x")[8999])
      expect((yield* reader.proof(8191)).nodes).toEqual((yield* writer.proof(8191)).nodes)
    })
  )

  onEachStorage(
    "refuses files that are another feed's by now; in a feed that writes nothing can change",
    () =>
      Effect.gen(function* () {
        const first = yield* Feed.open(yield* keyPair(1))
        expect(yield* first.refresh).toBe(false)
        const reader = yield* openReadOnly
        yield* first.append(bytes("a"))
        yield* first.close
        yield* Feed.open({ ...(yield* keyPair(2)), overwrite: true })
        expect(yield* Effect.flip(reader.refresh)).toMatchObject({ _tag: "OpenRefused", reason: "other-key" })
        expect(reader.length).toBe(0)
        yield* reader.close
        expect((yield* Effect.flip(reader.refresh))._tag).toBe("FeedClosed")
      })
  )
})
