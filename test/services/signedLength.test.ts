/** A record of the longest signed log, kept outside the feed: of two writers with one key, one signs each length. */
import { describe, expect } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber } from "effect"
import fc from "fast-check"
import { type Crypto, Feed, StorageError, Storage } from "../../src/index.js"
import { bytes, expectFailure, inMemory, keyPair, memory, onEachStorage, someBlocks } from "./harness.js"

/** A record in memory; what it was asked. */
const recordOf = (length = 0) => {
  const record = {
    length,
    asked: [] as Array<readonly [number, number]>,
    compareAndSet: (expected: number, next: number): Effect.Effect<number, unknown> =>
      Effect.sync(() => {
        record.asked.push([expected, next])
        const before = record.length
        if (before === expected) record.length = next
        return before
      })
  }
  return record
}

const open = (signedLength: Feed.SignedLength) =>
  Effect.flatMap(keyPair(1), (keys) => Feed.open({ ...keys, key: keys.publicKey, signedLength }))

describe("an append", () => {
  onEachStorage("claims its length before it is signed, a group once", () =>
    Effect.gen(function* () {
      const record = recordOf()
      const feed = yield* open(record)
      yield* feed.append(bytes("a"))
      yield* Effect.all([feed.append(bytes("b")), feed.appendBatch(someBlocks(3))], { concurrency: 2 })
      yield* feed.appendBatch([])
      expect(record.asked).toEqual([
        [0, 1],
        [1, 5]
      ])
      yield* feed.close
      const again = yield* open(record)
      expect(yield* again.append(bytes("c"))).toBe(5)
      expect(record.length).toBe(6)
    })
  )

  onEachStorage("is refused when a longer log was claimed, and stores nothing", () =>
    Effect.gen(function* () {
      const record = recordOf()
      const feed = yield* open(record)
      yield* feed.append(bytes("a"))
      record.length = 7
      yield* expectFailure(feed.append(bytes("b")), { _tag: "StaleWriter", length: 1, signedLength: 7 })
      expect([feed.length, record.length]).toEqual([1, 7])
      // The record is asked each time: who corrects it need not open the feed again.
      record.length = 1
      expect(yield* feed.append(bytes("b"))).toBe(1)
    })
  )

  onEachStorage(
    "is given up with the feed, whose closing does not wait for a record that does not answer",
    () =>
      Effect.gen(function* () {
        const asked = yield* Deferred.make<void>()
        const feed = yield* open({
          compareAndSet: () => Effect.zipRight(Deferred.succeed(asked, undefined), Effect.never)
        })
        const append = yield* Effect.fork(feed.append(bytes("a")))
        yield* Deferred.await(asked)
        yield* feed.close
        yield* expectFailure(Fiber.join(append), { _tag: "FeedClosed" })
      })
  )

  onEachStorage("raises a record that is behind", () =>
    Effect.gen(function* () {
      const feed = yield* Feed.open(yield* keyPair(1))
      yield* feed.appendBatch(someBlocks(5))
      yield* feed.close
      const record = recordOf()
      expect(yield* (yield* open(record)).append(bytes("b"))).toBe(5)
      expect(record).toMatchObject({
        length: 6,
        asked: [
          [5, 6],
          [0, 6]
        ]
      })
    })
  )

  onEachStorage("is refused when the record does not answer, or answers nonsense", () =>
    Effect.gen(function* () {
      let answer: Effect.Effect<number, unknown> = Effect.fail(new Error("no quorum"))
      const feed = yield* open({ compareAndSet: () => answer })
      const unknown = { _tag: "NotWritable", reason: "signed-length-unknown" }
      const error = yield* expectFailure(feed.append(bytes("a")), unknown)
      expect(error.message).toBe("the record of the longest signed log could not be asked: no quorum")
      for (const nonsense of [-1, 0.5, Number.NaN]) {
        answer = Effect.succeed(nonsense)
        yield* expectFailure(feed.append(bytes("a")), unknown)
      }
      answer = Effect.succeed(0)
      expect(yield* feed.append(bytes("a"))).toBe(0)
    })
  )

  inMemory("that always comes too late ends", () =>
    Effect.gen(function* () {
      const feed = yield* Feed.open(yield* keyPair(1))
      yield* feed.appendBatch(someBlocks(50))
      yield* feed.close
      let length = 0
      const again = yield* open({ compareAndSet: () => Effect.sync(() => length++) })
      yield* expectFailure(again.append(bytes("a")), { reason: "signed-length-unknown" })
    })
  )

  inMemory("that fails gives back what it claimed", () =>
    Effect.gen(function* () {
      const storage = yield* Storage
      const full = new StorageError({ reason: "full", operation: "write", file: "signatures" })
      let isFull = false
      const record = recordOf()
      const feed = yield* Effect.provideService(open(record), Storage, {
        ...storage,
        open: (path) =>
          Effect.map(storage.open(path), (files) => ({
            ...files,
            write: (writes) =>
              isFull && writes.some(({ file }) => file === "signatures")
                ? Effect.fail(full)
                : files.write(writes)
          }))
      })
      yield* feed.append(bytes("a"))
      isFull = true
      yield* expectFailure(feed.append(bytes("b")), { _tag: "StorageError" })
      expect(record.length).toBe(1)
      isFull = false
      expect(yield* feed.append(bytes("b"))).toBe(1)
      expect(record.length).toBe(2)
    })
  )
})

describe("two writers with one key and one record", () => {
  inMemory("never sign one length twice, in whatever order they append", () =>
    Effect.gen(function* () {
      const context = yield* Effect.context<Crypto>()
      yield* Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(
            fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 5 })), { maxLength: 20 }),
            (turns) =>
              Effect.gen(function* () {
                const record = recordOf()
                const writers = [
                  yield* Effect.provide(open(record), memory),
                  yield* Effect.provide(open(record), memory)
                ] as const
                let length = 0
                for (const [first, count] of turns) {
                  const writer = writers[first ? 0 : 1]
                  const isLongest = writer.length === length
                  const exit = yield* Effect.exit(writer.appendBatch(someBlocks(count)))
                  expect(Exit.isSuccess(exit)).toBe(isLongest)
                  if (isLongest) length += count
                }
                expect(record.length).toBe(length)
              }).pipe(Effect.scoped, Effect.provide(context), Effect.runPromise)
          ),
          { numRuns: 50 }
        )
      )
    })
  )
})
