/** stream and sink: what is selected, in what chunks, how far ahead, and one feed into another. */
import { describe, expect } from "@effect/vitest"
import { Chunk, Effect, Fiber, Option, Ref, Sink, Stream, TestClock } from "effect"
import { Feed, ValueEncoding } from "../../src/index.js"
import { type Step, withInstrument } from "./InstrumentedStorage.js"
import {
  atOnce,
  bytes,
  ended,
  expectFailure,
  expectWaiting,
  keyPair,
  onEachStorage,
  openText,
  quiet,
  signedIndexes,
  someBlocks,
  source,
  startWaiting,
  stored,
  transfer
} from "./harness.js"

const collect = <A, E>(stream: Stream.Stream<A, E>) =>
  Effect.map(atOnce(Stream.runCollect(stream)), Chunk.toReadonlyArray)

const letters = ["a", "b", "c", "d", "e"]

describe("a stream selects", () => {
  onEachStorage("everything, or from start, before end, and nothing where they leave nothing", () =>
    Effect.gen(function* () {
      const feed = yield* openText()
      yield* feed.appendBatch(letters)
      const select = (options?: Feed.ReadOptions) => collect(feed.stream(options))
      expect(yield* select()).toEqual(letters)
      expect(yield* select({})).toEqual(letters)
      expect(yield* select({ start: 2 })).toEqual(["c", "d", "e"])
      expect(yield* select({ end: 2 })).toEqual(["a", "b"])
      expect(yield* select({ start: 1, end: 3 })).toEqual(["b", "c"])
      expect(yield* select({ start: 3, end: 3 })).toEqual([])
      expect(yield* select({ start: 5 })).toEqual([])
      expect(yield* select({ start: 9 })).toEqual([])
      expect(yield* select({ start: Number.POSITIVE_INFINITY })).toEqual([])
      expect(yield* select({ tail: true })).toEqual([])
      expect(yield* select({ tail: true, start: 1 })).toEqual([])
      expect(yield* select({ tail: true, start: 4, end: 2 })).toEqual([])
    })
  )

  onEachStorage("nothing of an empty feed", () =>
    Effect.gen(function* () {
      const feed = yield* openText()
      expect(yield* collect(feed.stream())).toEqual([])
      expect(yield* collect(feed.stream({ snapshot: false }))).toEqual([])
    })
  )

  onEachStorage("the same again each time it is run, up to the length at that time", () =>
    Effect.gen(function* () {
      const feed = yield* openText()
      const stream = feed.stream()
      yield* feed.append("a")
      expect(yield* collect(stream)).toEqual(["a"])
      yield* feed.append("b")
      expect(yield* collect(stream)).toEqual(["a", "b"])
    })
  )

  /** Takes a chunk, runs `meanwhile`, and takes the rest. */
  const interleaved = <A, E, E2>(stream: Stream.Stream<A, E>, meanwhile: Effect.Effect<unknown, E2>) =>
    Effect.scoped(
      Effect.gen(function* () {
        const pull = yield* Stream.toPull(stream)
        const taken = [...(yield* pull)]
        yield* meanwhile
        for (;;) {
          const chunk = yield* Effect.either(pull)
          if (chunk._tag === "Right") taken.push(...chunk.right)
          else if (Option.isNone(chunk.left)) return taken
          else return yield* Effect.fail(chunk.left.value)
        }
      })
    )

  onEachStorage("with a snapshot what was there when it began; without, also what came meanwhile", () =>
    Effect.gen(function* () {
      const feed = yield* openText()
      yield* feed.appendBatch(letters)
      const append = feed.appendBatch(["f", "g"])
      expect(yield* interleaved(feed.stream(), append)).toEqual(letters)
      expect(yield* interleaved(feed.stream({ snapshot: true }), append)).toEqual([...letters, "f", "g"])
      expect(yield* interleaved(feed.stream({ snapshot: false }), append)).toHaveLength(11)
      expect(yield* interleaved(feed.stream({ snapshot: false, end: 3 }), append)).toEqual(["a", "b", "c"])
    })
  )
})

describe("a live stream", () => {
  onEachStorage("gives what there is, then each block when it is appended, without end", () =>
    Effect.gen(function* () {
      const feed = yield* openText()
      yield* feed.appendBatch(["a", "b"])
      const seen: Array<string> = []
      const reading = yield* startWaiting(
        Stream.runForEach(feed.stream({ live: true }), (text) => Effect.sync(() => seen.push(text)))
      )
      expect(seen).toEqual(["a", "b"])
      yield* feed.append("c")
      yield* quiet
      expect(seen).toEqual(["a", "b", "c"])
      yield* feed.appendBatch(["d", "e"])
      yield* expectWaiting(reading)
      expect(seen).toEqual(letters)
      yield* Fiber.interrupt(reading)
      yield* feed.append("f")
      yield* quiet
      expect(seen).toEqual(letters)
    })
  )

  onEachStorage("with tail gives only what comes after it began", () =>
    Effect.gen(function* () {
      const feed = yield* openText()
      const stream = feed.stream({ live: true, tail: true, start: 0 })
      yield* feed.appendBatch(["a", "b"])
      const reading = yield* startWaiting(Stream.runCollect(Stream.take(stream, 2)))
      yield* feed.append("c")
      yield* expectWaiting(reading)
      yield* feed.append("d")
      expect(Chunk.toReadonlyArray(yield* ended(reading))).toEqual(["c", "d"])
    })
  )

  onEachStorage("with an end ends there", () =>
    Effect.gen(function* () {
      const feed = yield* openText()
      yield* feed.append("a")
      const reading = yield* startWaiting(Stream.runCollect(feed.stream({ live: true, end: 3 })))
      yield* feed.appendBatch(["b", "c", "d"])
      expect(Chunk.toReadonlyArray(yield* ended(reading))).toEqual(["a", "b", "c"])
    })
  )

  onEachStorage("follows a thousand appends of others, missing none", () =>
    Effect.gen(function* () {
      const feed = yield* openText()
      const reading = yield* Effect.fork(Stream.runCollect(Stream.take(feed.stream({ live: true }), 1000)))
      const texts = Array.from({ length: 1000 }, (_, i) => `${i}`)
      yield* Effect.forEach(texts, (text) => feed.append(text), { concurrency: 16 })
      const read = Chunk.toReadonlyArray(yield* ended(reading))
      expect(read).toEqual(yield* feed.getBatch(0, 1000))
      expect(new Set(read).size).toBe(1000)
    })
  )

  onEachStorage("can be many at once", () =>
    Effect.gen(function* () {
      const feed = yield* openText()
      const readings = yield* Effect.forEach([0, 1, 2, 3], (start) =>
        Effect.fork(Stream.runCollect(feed.stream({ live: true, start, end: 5 })))
      )
      yield* Effect.forEach(letters, (text) => feed.append(text))
      const read = yield* Effect.forEach(readings, ended)
      expect(read.map(Chunk.toReadonlyArray)).toEqual([0, 1, 2, 3].map((start) => letters.slice(start)))
    })
  )
})

describe("a stream over blocks that are not held", () => {
  onEachStorage(
    "waits again for a block that is cleared before it could be read, and disturbs no other read",
    () =>
      Effect.gen(function* () {
        const blocks = Array.from({ length: 32 }, (_, i) => bytes(`block ${i}: `.repeat(20)))
        const from = yield* source(blocks)
        const feed = yield* Feed.open({ key: from.key })
        for (const index of blocks.keys()) yield* transfer(from, feed, index)
        yield* feed.clear(2)
        const reading = yield* startWaiting(Stream.runHead(feed.stream({ start: 2 })))
        yield* transfer(from, feed, 2)
        yield* feed.clear(2)
        const kept = yield* feed.get(0)
        yield* expectWaiting(reading)
        yield* feed.get(1)
        expect(kept).toEqual(blocks[0])
        yield* transfer(from, feed, 2)
        expect(yield* ended(reading)).toEqual(Option.some(blocks[2]))
      })
  )

  const reader = Effect.gen(function* () {
    const blocks = someBlocks(6)
    const from = yield* source(blocks)
    const feed = yield* Feed.open({ key: from.key, sparse: true })
    for (const index of [0, 1, 3]) yield* transfer(from, feed, index)
    return { blocks, from, feed }
  })

  onEachStorage("waits at each until it comes", () =>
    Effect.gen(function* () {
      const { blocks, from, feed } = yield* reader
      const count = yield* Ref.make(0)
      const reading = yield* startWaiting(
        Stream.runCollect(Stream.tap(feed.stream(), () => Ref.update(count, (n) => n + 1)))
      )
      expect(yield* Ref.get(count)).toBe(2)
      yield* transfer(from, feed, 5)
      yield* transfer(from, feed, 2)
      yield* expectWaiting(reading)
      expect(yield* Ref.get(count)).toBe(4)
      yield* transfer(from, feed, 4)
      expect(Chunk.toReadonlyArray(yield* ended(reading))).toEqual(blocks)
    })
  )

  onEachStorage("with wait false gives what comes before the first of them, then fails", () =>
    Effect.gen(function* () {
      const { blocks, feed } = yield* reader
      const seen: Array<Uint8Array> = []
      const run = Stream.runForEach(feed.stream({ wait: false }), (block) =>
        Effect.sync(() => seen.push(block))
      )
      yield* expectFailure(atOnce(run), { _tag: "BlockUnavailable", index: 2, reason: "not-held" })
      expect(seen).toEqual(blocks.slice(0, 2))
    })
  )

  onEachStorage("has a timeout for each of them anew", () =>
    Effect.gen(function* () {
      const { from, feed } = yield* reader
      const reading = yield* startWaiting(Stream.runDrain(feed.stream({ timeout: "10 seconds" })))
      yield* TestClock.adjust("9 seconds")
      yield* transfer(from, feed, 2)
      yield* TestClock.adjust("9 seconds")
      yield* expectWaiting(reading)
      yield* TestClock.adjust("1 seconds")
      yield* expectFailure(ended(reading), { _tag: "BlockUnavailable", index: 4, reason: "timeout" })
    })
  )

  onEachStorage("past the end waits for the log to grow", () =>
    Effect.gen(function* () {
      const feed = yield* openText()
      yield* feed.append("a")
      const reading = yield* startWaiting(Stream.runCollect(feed.stream({ end: 2 })))
      yield* feed.append("b")
      expect(Chunk.toReadonlyArray(yield* ended(reading))).toEqual(["a", "b"])
    })
  )

  onEachStorage("ends with FeedClosed when the feed is closed between two chunks", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const feed = yield* Feed.open()
        yield* feed.appendBatch(Array.from({ length: 3000 }, () => bytes("x")))
        const pull = yield* Stream.toPull(feed.stream())
        expect(Chunk.size(yield* pull)).toBeGreaterThan(0)
        yield* feed.close
        yield* expectFailure(pull, { _tag: "Some", value: { _tag: "FeedClosed" } })
      })
    )
  )
})

describe("chunks and back-pressure", () => {
  onEachStorage("blocks come in chunks, never one by one, and never more than some megabytes", () =>
    Effect.gen(function* () {
      const feed = yield* Feed.open()
      yield* feed.appendBatch(Array.from({ length: 5000 }, (_, i) => bytes(`${i}`)))
      yield* feed.appendBatch(Array.from({ length: 12 }, () => new Uint8Array(400_000).fill(1)))
      const sizes: Array<readonly [number, number]> = []
      yield* Stream.runForEachChunk(feed.stream(), (chunk) =>
        Effect.sync(() => {
          let total = 0
          for (const block of chunk) total += block.length
          sizes.push([Chunk.size(chunk), total])
        })
      )
      expect(sizes.reduce((sum, [blocks]) => sum + blocks, 0)).toBe(5012)
      expect(sizes.length).toBeLessThan(20)
      for (const [blocks, total] of sizes) {
        expect(blocks).toBeGreaterThan(0)
        expect(total).toBeLessThanOrEqual(4_000_000)
      }
    })
  )

  onEachStorage("a slow consumer is not read ahead of: one read of data for each chunk it takes", () =>
    Effect.gen(function* () {
      const reads: Array<Step> = []
      const feed = yield* withInstrument((step) => {
        if (step.operation === "read" && step.file === "data") reads.push(step)
        return undefined
      })(Feed.open())
      yield* feed.appendBatch(Array.from({ length: 10_000 }, (_, i) => bytes(`${i}`.padStart(10))))
      reads.length = 0
      yield* Effect.scoped(
        Effect.gen(function* () {
          const pull = yield* Stream.toPull(feed.stream())
          yield* quiet
          expect(reads).toHaveLength(0)
          let taken = 0
          for (let chunks = 1; chunks <= 5; chunks++) {
            taken += Chunk.size(yield* pull)
            yield* quiet
            expect(reads).toHaveLength(chunks)
            expect(reads.reduce((sum, { length }) => sum + length, 0)).toBe(10 * taken)
          }
          expect(taken).toBeLessThan(10_000)
        })
      )
      yield* quiet
      expect(reads).toHaveLength(5)
    })
  )

  onEachStorage("taking a few blocks reads one chunk", () =>
    Effect.gen(function* () {
      let reads = 0
      const feed = yield* withInstrument((step) => {
        if (step.operation === "read" && step.file === "data") reads++
        return undefined
      })(Feed.open())
      yield* feed.appendBatch(Array.from({ length: 10_000 }, (_, i) => bytes(`${i}`)))
      reads = 0
      const read = yield* Stream.runCollect(Stream.take(feed.stream(), 3))
      expect([Chunk.toReadonlyArray(read), reads]).toEqual([["0", "1", "2"].map(bytes), 1])
    })
  )

  onEachStorage("a waiting live stream reads nothing until there is something", () =>
    Effect.gen(function* () {
      let steps = 0
      const feed = yield* withInstrument((step) => {
        if (step.operation === "read") steps++
        return undefined
      })(openText())
      yield* feed.append("a")
      const reading = yield* startWaiting(Stream.runDrain(feed.stream({ live: true })))
      steps = 0
      yield* Effect.repeatN(quiet, 10)
      expect(steps).toBe(0)
      yield* expectWaiting(reading)
    })
  )
})

describe("the sink", () => {
  onEachStorage("appends all it is given and answers how many; each chunk is a batch", () =>
    Effect.gen(function* () {
      const feed = yield* openText()
      const input = Stream.fromChunks(Chunk.make("a", "b"), Chunk.empty<string>(), Chunk.make("c", "d", "e"))
      expect(yield* Stream.run(input, feed.sink)).toBe(5)
      expect(yield* feed.getBatch(0, 5)).toEqual(letters)
      expect(signedIndexes((yield* stored()).signatures)).toEqual([1, 4])
    })
  )

  onEachStorage("of nothing appends nothing", () =>
    Effect.gen(function* () {
      const feed = yield* openText()
      const before = yield* stored()
      expect(yield* Stream.run(Stream.empty, feed.sink)).toBe(0)
      expect(yield* stored()).toEqual(before)
    })
  )

  onEachStorage("can be run again, and counts anew", () =>
    Effect.gen(function* () {
      const feed = yield* openText()
      expect(yield* Stream.run(Stream.make("a", "b"), feed.sink)).toBe(2)
      expect(yield* Stream.run(Stream.make("c"), feed.sink)).toBe(1)
      expect(feed.length).toBe(3)
    })
  )

  onEachStorage("takes one feed's stream into another", () =>
    Effect.gen(function* () {
      const blocks = someBlocks(3000)
      const from = yield* Feed.open({ path: "from" })
      yield* from.appendBatch(blocks)
      const to = yield* Feed.open({ path: "to" })
      expect(yield* Stream.run(from.stream(), to.sink)).toBe(3000)
      expect(yield* to.getBatch(0, 3000)).toEqual(blocks)
      const roots = (feed: Feed.Feed) => feed.rootHashes(2999)
      expect(yield* roots(to)).toEqual(yield* roots(from))
    })
  )

  onEachStorage("takes a feed's own stream into it, up to the length at the start", () =>
    Effect.gen(function* () {
      const feed = yield* openText()
      yield* feed.appendBatch(letters)
      expect(yield* atOnce(Stream.run(feed.stream(), feed.sink))).toBe(5)
      expect(yield* feed.getBatch(0, 10)).toEqual([...letters, ...letters])
    })
  )

  onEachStorage("passes a failure of the stream on; what came before it is appended", () =>
    Effect.gen(function* () {
      const feed = yield* openText()
      const input = Stream.concat(Stream.make("a", "b"), Stream.fail("broken" as const))
      const error = yield* Effect.flip(Stream.run(input, feed.sink))
      expect(error).toBe("broken")
      expect(yield* feed.getBatch(0, feed.length)).toEqual(["a", "b"])
    })
  )

  onEachStorage("stops the stream when an append fails", () =>
    Effect.gen(function* () {
      const { publicKey } = yield* keyPair(1)
      const feed = yield* Feed.open({ key: publicKey, encoding: ValueEncoding.utf8 })
      let pulled = 0
      const next = Effect.sync(() => `${pulled++}`)
      const input = Stream.take(Stream.repeatEffect(next), 100)
      yield* expectFailure(Stream.run(input, feed.sink), { _tag: "NotWritable", reason: "no-secret-key" })
      expect(pulled).toBe(1)
    })
  )

  onEachStorage("works with the combinators of Sink", () =>
    Effect.gen(function* () {
      const feed = yield* openText()
      const numbers = feed.sink.pipe(
        Sink.mapInput((n: number) => `${n}`),
        Sink.map((count) => ({ count }))
      )
      expect(yield* Stream.run(Stream.make(1, 2, 3), numbers)).toEqual({ count: 3 })
      expect(yield* feed.head()).toBe("3")
    })
  )
})
