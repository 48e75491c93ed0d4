/** How replication ends with a sparse reader, and with sides that download nothing. */
import { describe, expect } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { Feed, NetworkMemory, Replication } from "../../src/index.js"
import {
  atOnce,
  ended,
  expectFailure,
  expectWaiting,
  failure,
  inMemory,
  onEachStorage,
  quiet,
  someBlocks,
  source,
  wrongDurations
} from "../services/harness.js"

/** Replicates both over a pair; the fibers of each side. */
const between = (a: Feed.Feed, aOptions: Replication.Options, b: Feed.Feed, bOptions: Replication.Options) =>
  Effect.gen(function* () {
    const [left, right] = yield* NetworkMemory.pair()
    const first = yield* Effect.fork(Replication.replicate(a, left, aOptions))
    const second = yield* Effect.fork(Replication.replicate(b, right, bOptions))
    yield* quiet
    return [first, second] as const
  })

/** A whole copy of a feed of ten blocks. */
const copied = Effect.gen(function* () {
  const from = yield* source(someBlocks(10))
  const copy = yield* Feed.open({ path: "copy", key: from.key })
  const [one, other] = yield* between(from, {}, copy, {})
  yield* ended(one)
  yield* ended(other)
  return copy
})

describe("a sparse reader of a complete copy", () => {
  for (const live of [false, true]) {
    onEachStorage(`${live ? "live" : "not live"}: goes on, and gets what it asks for`, () =>
      Effect.gen(function* () {
        const copy = yield* copied
        const sparse = yield* Feed.open({ path: "sparse", key: copy.key, sparse: true })
        const [giving, taking] = yield* between(copy, {}, sparse, { live })
        yield* expectWaiting(taking)
        expect(yield* sparse.get(5)).toEqual(someBlocks(10)[5])
        yield* quiet
        expect(yield* sparse.get(7)).toEqual(someBlocks(10)[7])
        expect(yield* sparse.downloaded()).toBe(2)
        yield* Fiber.interruptAll([giving, taking])
      })
    )
  }
})

describe("sides of which neither downloads", () => {
  onEachStorage("end", () =>
    Effect.gen(function* () {
      const copy = yield* copied
      const from = yield* source(someBlocks(10))
      const [one, other] = yield* between(from, {}, copy, { download: false })
      yield* ended(one)
      yield* ended(other)
    })
  )
})

describe("a side that gives nothing", () => {
  onEachStorage("is told of at once: nobody waits for it", () =>
    Effect.gen(function* () {
      const from = yield* source(someBlocks(10))
      const copy = yield* Feed.open({ path: "copy", key: from.key })
      const [one, other] = yield* between(from, { upload: false }, copy, {})
      yield* ended(one)
      yield* ended(other)
      expect(copy.length).toBe(0)
    })
  )
})

describe("a side that fails", () => {
  onEachStorage("is heard of at once, not by its silence", () =>
    Effect.gen(function* () {
      const copy = yield* copied
      const other = yield* source(someBlocks(3), 2)
      const [one, two] = yield* between(copy, {}, other, {})
      expect((yield* failure(ended(one)))._tag).toBe("ProtocolError")
      expect((yield* failure(ended(two)))._tag).toBe("ProtocolError")
    })
  )

  inMemory("is refused with options that cannot be", () =>
    Effect.gen(function* () {
      const from = yield* source(someBlocks(1))
      const [left] = yield* NetworkMemory.pair()
      const wrong: ReadonlyArray<Replication.Options> = [
        { maxRequests: 0 },
        { maxRequests: Number.NaN },
        { id: new Uint8Array(5) },
        { expectedFeeds: -1 },
        { timeout: Infinity },
        ...wrongDurations.map(([timeout]) => ({ timeout })),
        { userData: new Uint8Array(1024 * 1024 + 1) },
        { extensions: ["x".repeat(256)] }
      ]
      const refusal = { _tag: "BadArgument", operation: "replicate" }
      for (const options of wrong) {
        yield* expectFailure(atOnce(Replication.replicate(from, left, options)), refusal)
        yield* expectFailure(Replication.connect(left, options), refusal)
      }
    })
  )
})
