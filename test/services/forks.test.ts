/** put, when the key has signed two histories: found when their signatures meet, never among honest ones, and shown to anyone. */
import { describe, expect } from "@effect/vitest"
import { Chunk, Effect, Exit, Fiber, Schema, Stream } from "effect"
import fc from "fast-check"
import { Crypto, Feed, ForkDetected, Fork, type FeedEvent } from "../../src/index.js"
import { expectFailure, failure, inMemory, keyPair, onEachStorage, quiet } from "./harness.js"
import { history, put, reading, signing } from "./forks.js"

describe("a reader that meets a second history", () => {
  inMemory("says so, shows it, and keeps what it has", () =>
    Effect.gen(function* () {
      const a = yield* signing(history("a", 5, 9), [4, 7])
      const b = yield* signing(history("b", 5, 12), [6])
      const reader = yield* reading(a)
      const told: Array<FeedEvent> = []
      reader.unsafeListen((event) => told.push(event))
      expect(reader.fork).toBeUndefined()
      const error = yield* failure(put(reader, b, 9))
      expect(error).toBeInstanceOf(ForkDetected)
      expect(reader.fork).toEqual((error as ForkDetected).evidence)
      expect(told).toEqual([{ _tag: "Fork", evidence: reader.fork }])
      expect(yield* Fork.verify(reader.fork!, a.key)).toBe(true)
      expect(reader.length).toBe(9)
      expect(yield* reader.getBatch(0, 9)).toEqual(history("a", 5, 9))
      // The branch that it has goes on, the other does not.
      yield* a.append(new Uint8Array(3))
      yield* put(reader, a, 9)
      expect(reader.length).toBe(10)
      yield* expectFailure(put(reader, b, 10), { _tag: "ForkDetected" })
      expect(told.filter(({ _tag }) => _tag === "Fork")).toHaveLength(1)
    })
  )

  inMemory("has the signed roots of both at one length, where both were signed at one", () =>
    Effect.gen(function* () {
      const a = yield* signing(history("a", 2, 8), [6])
      const b = yield* signing(history("b", 2, 6))
      const reader = yield* reading(a)
      // It had the signature of length 6 only if it was told of it.
      yield* reader.put({ index: 0, block: yield* a.get(0), proof: yield* a.proof(0) })
      const { evidence } = (yield* failure(put(reader, b, 3))) as ForkDetected
      const author = yield* signing(history("a", 2, 8), [6])
      const own = (yield* failure(put(author, b, 3))) as ForkDetected
      expect(evidence.logs.map(({ length }) => length)).toEqual([8, 6])
      expect(own.evidence.logs.map(({ length, path }) => [length, path.length])).toEqual([
        [6, 1],
        [6, 1]
      ])
      expect(yield* Fork.verify(own.evidence, b.key)).toBe(true)
    })
  )

  inMemory("takes nothing that is not shown to continue what it has, once it knows", () =>
    Effect.gen(function* () {
      const a = yield* signing(history("a", 5, 6))
      const b = yield* signing(history("b", 5, 16))
      const reader = yield* reading(a)
      yield* expectFailure(put(reader, b, 6), { _tag: "ForkDetected" })
      // Its proof names no node that is held but the roots of both, and none of these differs.
      yield* expectFailure(put(reader, b, 15), { _tag: "ForkDetected" })
      expect(reader.length).toBe(6)
    })
  )

  inMemory("finds it by a signature that the proof did not need", () =>
    Effect.gen(function* () {
      const a = yield* signing(history("a", 5, 8))
      const b = yield* signing(history("b", 5, 8))
      const reader = yield* reading(a)
      yield* expectFailure(put(reader, b, 0), { _tag: "ForkDetected" })
    })
  )

  inMemory("within one batch of claims, too", () =>
    Effect.gen(function* () {
      const a = yield* signing(history("a", 1, 3))
      const b = yield* signing(history("b", 1, 4))
      const reader = yield* reading(a, 0)
      yield* put(reader, a, 2)
      yield* expectFailure(put(reader, b, 3), { _tag: "ForkDetected" })
    })
  )
})

describe("a bad proof is no fork", () => {
  inMemory("of another key, or with another block", () =>
    Effect.gen(function* () {
      const a = yield* signing(history("a", 5, 8))
      const stranger = yield* Effect.provide(Feed.open(yield* keyPair(2)), yield* Effect.context<Crypto>())
      yield* stranger.appendBatch(history("b", 0, 9))
      const reader = yield* reading(a)
      for (const index of [0, 7, 8]) {
        const claim = { index, block: yield* stranger.get(index), proof: yield* stranger.proof(index) }
        const error = yield* failure(reader.put(claim))
        expect(["InvalidProof", "InvalidSignature"]).toContain((error as { _tag: string })._tag)
      }
      yield* expectFailure(reader.put({ index: 3, block: new Uint8Array(1), proof: yield* a.proof(3) }), {
        _tag: "InvalidProof"
      })
      expect(reader.fork).toBeUndefined()
    })
  )

  inMemory("nor is one whose sizes were misstated by who passed it on", () =>
    Effect.gen(function* () {
      const a = yield* signing(history("a", 9, 4))
      const longer = yield* signing(history("a", 9, 9))
      const reader = yield* reading(a)
      const { nodes, signature } = yield* longer.proof(4, { hash: true })
      const [leaf, sibling, ...rest] = nodes
      const misstated = [
        { ...leaf!, size: leaf!.size + 1 },
        { ...sibling!, size: sibling!.size - 1 },
        ...rest
      ]
      yield* reader.put({ index: 4, proof: { nodes: misstated, signature } })
      const again = yield* longer.proof(5, { hash: true })
      yield* Effect.exit(reader.put({ index: 5, proof: again }))
      expect(reader.fork).toBeUndefined()
    })
  )
})

describe("an author that meets a second history", () => {
  onEachStorage("signs no more", () =>
    Effect.gen(function* () {
      const feed = yield* Feed.open(yield* keyPair(1))
      yield* feed.appendBatch(history("a", 3, 5))
      const b = yield* signing(history("b", 3, 7))
      const heard = yield* Effect.fork(Stream.runCollect(feed.events))
      yield* quiet
      yield* expectFailure(put(feed, b, 5), { _tag: "ForkDetected" })
      expect(feed.writable).toBe(false)
      yield* expectFailure(feed.append(new Uint8Array(1)), { _tag: "ForkDetected" })
      expect(yield* feed.getBatch(0, 5)).toEqual(history("a", 3, 5))
      const evidence = feed.fork
      yield* feed.close
      const events = Chunk.toReadonlyArray(yield* Fiber.join(heard))
      expect(events).toEqual([{ _tag: "Fork", evidence }, { _tag: "Close" }])
    })
  )
})

describe("an author that is given a longer log of its own", () => {
  onEachStorage("appends once it has all of it, and says until then what is missing", () =>
    Effect.gen(function* () {
      const feed = yield* Feed.open(yield* keyPair(1))
      yield* feed.appendBatch(history("a", 99, 5))
      const longer = yield* signing(history("a", 99, 12))
      // What does not show that it continues the log is not taken; but the key has signed it.
      yield* expectFailure(put(feed, longer, 7), { _tag: "InvalidProof", reason: "incomplete" })
      expect([feed.length, feed.signedLength, feed.writable]).toEqual([5, 12, false])
      for (let index = 5; index < 12; index++) {
        yield* put(feed, longer, index)
        expect([feed.length, feed.signedLength, feed.writable]).toEqual([12, 12, index === 11])
        if (index === 11) break
        const error = yield* expectFailure(feed.append(new Uint8Array(1)), { _tag: "StaleWriter" })
        expect(error).toMatchObject({ length: 12, signedLength: 12 })
      }
      expect(yield* feed.append(new Uint8Array(1))).toBe(12)
    })
  )

  onEachStorage("can be opened when that was cut short, appended to, and completed", () =>
    Effect.gen(function* () {
      const feed = yield* Feed.open(yield* keyPair(1))
      yield* feed.appendBatch(history("a", 99, 5))
      const longer = yield* signing(history("a", 99, 12))
      yield* put(feed, longer, 5)
      yield* feed.close
      const again = yield* Feed.open()
      expect([again.length, yield* again.downloaded()]).toEqual([12, 6])
      expect(yield* again.append(new Uint8Array(1))).toBe(12)
      for (let index = 6; index < 12; index++) yield* put(again, longer, index)
      yield* again.close
      const whole = yield* Feed.open()
      expect(yield* whole.audit()).toEqual({ valid: 13, invalid: 0 })
      expect(yield* whole.getBatch(0, 12)).toEqual(history("a", 99, 12))
    })
  )
})

describe("evidence of an earlier time", () => {
  onEachStorage("is known from the opening on; what is none is refused", () =>
    Effect.gen(function* () {
      const a = yield* signing(history("a", 5, 9))
      const b = yield* signing(history("b", 5, 12))
      const { evidence } = (yield* failure(put(yield* reading(a), b, 9))) as ForkDetected
      const feed = yield* Feed.open({ ...(yield* keyPair(1)), fork: evidence })
      expect([feed.fork, feed.writable]).toEqual([evidence, false])
      yield* expectFailure(feed.append(new Uint8Array(1)), { _tag: "ForkDetected" })
      const other = Feed.open({ ...(yield* keyPair(2)), path: "other", fork: evidence })
      yield* expectFailure(other, { _tag: "OpenRefused", reason: "bad-evidence" })
    })
  )
})

/** Two histories that part at block `forkAt`, or do not (`forkAt` past both). */
const forks = fc.record({
  a: fc.integer({ min: 1, max: 40 }),
  b: fc.integer({ min: 1, max: 40 }),
  forkAt: fc.nat({ max: 40 }),
  index: fc.nat({ max: 39 }),
  batches: fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 4 })
})

describe("any two histories", () => {
  inMemory(
    "a fork is found exactly when two signed logs differ in what both show, and then shown to anyone",
    () =>
      Effect.gen(function* () {
        const context = yield* Effect.context<Crypto>()
        yield* Effect.promise(() =>
          fc.assert(
            fc.asyncProperty(forks, ({ a: lengthA, b: lengthB, batches, forkAt, index }) =>
              Effect.gen(function* () {
                const sorted = [...batches].sort((x, y) => x - y)
                const within = (length: number) => sorted.filter((end) => end < length)
                const a = yield* signing(history("a", forkAt, lengthA), within(lengthA))
                const b = yield* signing(history("b", forkAt, lengthB), within(lengthB))
                const reader = yield* reading(a)
                const at = index % lengthB
                const result = yield* Effect.exit(put(reader, b, at))
                const differ = forkAt < Math.min(lengthA, lengthB)
                // Of a longer log, only the proof of the first block past what is held names all roots of that.
                const isShown = lengthB <= lengthA || at === lengthA
                if (!differ) expect(Exit.isSuccess(result)).toBe(true)
                if (differ && isShown) expect(reader.fork).toBeDefined()
                if (reader.fork === undefined) return
                expect(differ).toBe(true)
                expect(yield* expectFork(result)).toEqual(reader.fork)
                expect(yield* Fork.verify(reader.fork, a.key)).toBe(true)
                const decoded = Fork.decode(Fork.encode(reader.fork))
                expect(decoded).toMatchObject({ _tag: "Right", right: reader.fork })
                expect(yield* reader.getBatch(0, lengthA)).toEqual(history("a", forkAt, lengthA))
              }).pipe(Effect.scoped, Effect.provide(context), Effect.runPromise)
            ),
            { numRuns: 150 }
          )
        )
      })
  )
})

const expectFork = (exit: Exit.Exit<void, unknown>) =>
  Effect.map(Effect.flip(exit as Exit.Exit<void, ForkDetected>), (error) => {
    expect(error).toBeInstanceOf(ForkDetected)
    const json = Schema.encodeSync(ForkDetected)(error)
    expect(Schema.decodeSync(ForkDetected)(JSON.parse(JSON.stringify(json))).evidence).toEqual(error.evidence)
    return error.evidence
  })
