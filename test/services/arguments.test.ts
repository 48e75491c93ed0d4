/** Arguments that no caller should give: each is a typed error at once, and the feed goes on. */
import { describe, expect } from "@effect/vitest"
import { type Duration, Effect, Stream } from "effect"
import { type Claim, Feed, MAX_BLOCK_SIZE } from "../../src/index.js"
import {
  atOnce,
  bytes,
  expectFailure,
  failure,
  inMemory,
  keyPair,
  onEachStorage,
  openText,
  someBlocks,
  stored,
  wrongDurations
} from "./harness.js"

const notIndexes: ReadonlyArray<number> = [
  -1,
  0.5,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  2 ** 53,
  // What callers without a type checker may pass.
  "1" as unknown as number,
  {} as unknown as number
]

const notRanges: ReadonlyArray<readonly [number, number]> = [
  [3, 2],
  [-1, 2],
  [0, -1],
  [0.5, 2],
  [0, 2.5],
  [Number.NaN, 2],
  [0, Number.NaN],
  [0, Number.POSITIVE_INFINITY],
  [Number.NEGATIVE_INFINITY, 0]
]

/** Runs each attempt on a feed of five blocks; all fail with BadArgument for `operation`. */
const refusesAll = (
  operation: string,
  attempts: (feed: Feed.Feed) => ReadonlyArray<readonly [string, Effect.Effect<unknown, unknown>]>
) =>
  onEachStorage(operation, () =>
    Effect.gen(function* () {
      const blocks = someBlocks(5)
      const feed = yield* Feed.open(yield* keyPair(1))
      yield* feed.appendBatch(blocks)
      const before = yield* stored()
      const all = attempts(feed)
      expect(all.length).toBeGreaterThan(0)
      for (const [name, attempt] of all) {
        const error = yield* failure(atOnce(attempt))
        expect([name, error]).toMatchObject([name, { _tag: "BadArgument", operation }])
      }
      expect(yield* stored()).toEqual(before)
      expect(yield* feed.append(bytes("next"))).toBe(5)
      expect(yield* feed.getBatch(0, 6)).toEqual([...blocks, bytes("next")])
    })
  )

const indexes = (name: string, run: (index: number) => Effect.Effect<unknown, unknown>) =>
  notIndexes.map((index) => [`${name}(${String(index)})`, run(index)] as const)

const ranges = (name: string, run: (start: number, end: number) => Effect.Effect<unknown, unknown>) =>
  notRanges.map(([start, end]) => [`${name}(${start}, ${end})`, run(start, end)] as const)

const timeouts = (
  run: (timeout: Duration.DurationInput) => Effect.Effect<unknown, unknown>
): ReadonlyArray<readonly [string, Effect.Effect<unknown, unknown>]> =>
  wrongDurations.map(([timeout, says]) => [says, run(timeout)] as const)

describe("bad indexes and ranges", () => {
  refusesAll("get", (feed) => [
    ...indexes("get", (index) => feed.get(index)),
    ...indexes("get without waiting", (index) => feed.get(index, { wait: false }))
  ])
  refusesAll("getBatch", (feed) => ranges("getBatch", (start, end) => feed.getBatch(start, end)))
  refusesAll("has", (feed) => [
    ...indexes("has", (index) => feed.has(index)),
    ...ranges("has", (start, end) => feed.has(start, end))
  ])
  refusesAll("downloaded", (feed) => [
    ...indexes("downloaded", (index) => feed.downloaded(index)),
    ...ranges("downloaded", (start, end) => feed.downloaded(start, end))
  ])
  refusesAll("clear", (feed) => [
    ...indexes("clear", (index) => feed.clear(index)),
    ...ranges("clear", (start, end) => feed.clear(start, end))
  ])
  refusesAll("seek", (feed) => indexes("seek", (offset) => feed.seek(offset)))
  refusesAll("signature", (feed) => indexes("signature", (index) => feed.signature(index)))
  refusesAll("rootHashes", (feed) => [
    ...indexes("rootHashes", (index) => feed.rootHashes(index)),
    ...indexes("verify", (index) => feed.verify(index, new Uint8Array(64)))
  ])
  refusesAll("proof", (feed) => [
    ...indexes("proof", (index) => feed.proof(index)),
    ...indexes("digest", (digest) => feed.proof(0, { digest }))
  ])
  refusesAll("digest", (feed) => indexes("digest", (index) => feed.digest(index)))
  refusesAll("update", (feed) => indexes("update", (length) => feed.update(length)))
  refusesAll("stream", (feed) => [
    ...notIndexes
      .filter((start) => start !== Number.POSITIVE_INFINITY)
      .map((start) => [`start ${String(start)}`, Stream.runDrain(feed.stream({ start }))] as const),
    ...notIndexes
      .filter((end) => end !== Number.POSITIVE_INFINITY)
      .map((end) => [`end ${String(end)}`, Stream.runDrain(feed.stream({ end }))] as const),
    ["end before start", Stream.runDrain(feed.stream({ start: 5, end: 2 }))],
    ["and live", Stream.runDrain(feed.stream({ start: 5, end: 2, live: true }))],
    ["no start at all", Stream.runDrain(feed.stream({ start: Number.POSITIVE_INFINITY, end: 2 }))]
  ])
})

describe("bad timeouts, whether there is anything to wait for or not", () => {
  refusesAll("get", (feed) => [
    ...timeouts((timeout) => feed.get(0, { timeout })),
    ...timeouts((timeout) => feed.get(7, { timeout, wait: false }))
  ])
  refusesAll("getBatch", (feed) => timeouts((timeout) => feed.getBatch(0, 2, { timeout })))
  refusesAll("head", (feed) => timeouts((timeout) => feed.head({ timeout })))
  refusesAll("seek", (feed) => timeouts((timeout) => feed.seek(0, { timeout })))
  refusesAll("stream", (feed) => timeouts((timeout) => Stream.runDrain(feed.stream({ timeout }))))
  refusesAll("update", (feed) => [
    ...timeouts((timeout) => feed.update(1, { timeout })),
    ...timeouts((timeout) => feed.update(9, { timeout }))
  ])
})

inMemory("head of an empty feed refuses a bad timeout, too; of a closed feed nothing else is said", () =>
  Effect.gen(function* () {
    const feed = yield* Feed.open()
    yield* expectFailure(feed.head({ timeout: -1 }), { _tag: "BadArgument", operation: "head" })
    yield* feed.close
    yield* expectFailure(feed.head({ timeout: -1 }), { _tag: "FeedClosed" })
  })
)

// A loop that gives no turn would hang the test, not fail it.
inMemory("digest of an index whose position is no exact number", () =>
  Effect.gen(function* () {
    const feed = yield* Feed.open()
    for (const index of [2 ** 52, 2 ** 52 + 2 ** 30, 2 ** 53 - 1]) {
      yield* expectFailure(feed.digest(index), { _tag: "BadArgument", operation: "digest" })
    }
    for (const index of [2 ** 46, 2 ** 52 - 1]) expect(yield* feed.digest(index)).toBe(0)
  })
)

describe("bad blocks", () => {
  refusesAll("append", (feed) =>
    [
      "text",
      undefined,
      null,
      1,
      {},
      [1, 2],
      new ArrayBuffer(4),
      new Uint16Array(4),
      new DataView(new ArrayBuffer(4)),
      new Uint8Array(MAX_BLOCK_SIZE + 1)
    ].flatMap((value) => {
      const block = value as Uint8Array
      return [
        [`append(${String(block)})`.slice(0, 40), feed.append(block)],
        ["the last of a batch", feed.appendBatch([bytes("good"), block])],
        ["the first of a batch", feed.appendBatch([block, bytes("good")])],
        ["into the sink", Stream.run(Stream.make(bytes("good"), block), feed.sink)]
      ] as const
    })
  )

  inMemory("the largest block that a peer can carry is taken, a larger one is not", () =>
    Effect.gen(function* () {
      const feed = yield* Feed.open()
      expect(yield* feed.append(new Uint8Array(MAX_BLOCK_SIZE).fill(1))).toBe(0)
      yield* expectFailure(feed.append(new Uint8Array(MAX_BLOCK_SIZE + 1)), { _tag: "BadArgument" })
      expect((yield* feed.get(0)).length).toBe(MAX_BLOCK_SIZE)
      expect(feed.length).toBe(1)
    })
  )

  inMemory("a Buffer and a view into a larger array are blocks", () =>
    Effect.gen(function* () {
      const feed = yield* Feed.open()
      yield* feed.append(Buffer.from("buffer"))
      yield* feed.append(bytes("..view..").subarray(2, 6))
      expect(yield* feed.getBatch(0, 2)).toEqual([bytes("buffer"), bytes("view")])
    })
  )
})

describe("batches that are none", () => {
  const thrower = {
    *[Symbol.iterator]() {
      yield "a"
      throw new Error("out of values")
    }
  }
  const batches = ["oops", undefined, null, 5, {}, thrower]

  onEachStorage("are BadArgument, and nothing of them is appended", () =>
    Effect.gen(function* () {
      const feed = yield* openText()
      for (const batch of batches) {
        yield* expectFailure(feed.appendBatch(batch as Array<string>), {
          _tag: "BadArgument",
          operation: "appendBatch"
        })
      }
      const error = yield* failure(feed.appendBatch(thrower))
      expect(error.message).toContain("out of values")
      expect(feed.length).toBe(0)
      expect(yield* feed.appendBatch(new Set(["a", "b"]))).toBe(0)
      expect(yield* feed.getBatch(0, 2)).toEqual(["a", "b"])
    })
  )
})

describe("claims that are none", () => {
  const node = { index: 1, hash: new Uint8Array(32), size: 1 }
  const block = bytes("x")
  const claims: ReadonlyArray<unknown> = [
    undefined,
    null,
    5,
    "claim",
    {},
    { index: 0 },
    { index: "0", block, proof: { nodes: [] } },
    { index: 0, block: "x", proof: { nodes: [] } },
    { index: 0, block, proof: null },
    { index: 0, block, proof: {} },
    { index: 0, block, proof: { nodes: {} } },
    { index: 0, block, proof: { nodes: [null] } },
    { index: 0, block, proof: { nodes: [{ ...node, hash: "00" }] } },
    { index: 0, block, proof: { nodes: [{ ...node, size: "1" }] } },
    { index: 0, block, proof: { nodes: [{ ...node, index: undefined }] } },
    { index: 0, block, proof: { nodes: [node], signature: "signed" } }
  ]

  refusesAll("put", (feed) =>
    claims.map((claim) => [JSON.stringify(claim) ?? "undefined", feed.put(claim as Claim)] as const)
  )
})

describe("arguments that are no mistakes", () => {
  onEachStorage("empty ranges are fine anywhere", () =>
    Effect.gen(function* () {
      const feed = yield* Feed.open()
      yield* feed.appendBatch(someBlocks(3))
      for (const at of [0, 2, 3, 4, 1000]) {
        expect(yield* feed.getBatch(at, at)).toEqual([])
        expect(yield* feed.has(at, at)).toBe(true)
        expect(yield* feed.downloaded(at, at)).toBe(0)
        yield* feed.clear(at, at)
      }
      expect(yield* feed.downloaded()).toBe(3)
    })
  )

  onEachStorage("ranges past the end are answered for what is there", () =>
    Effect.gen(function* () {
      const feed = yield* Feed.open()
      yield* feed.appendBatch(someBlocks(3))
      const far = Number.MAX_SAFE_INTEGER - 1
      expect(yield* feed.has(0, far)).toBe(false)
      expect(yield* feed.has(far)).toBe(false)
      expect(yield* feed.downloaded(0, far)).toBe(3)
      expect(yield* feed.downloaded(2)).toBe(1)
      expect(yield* feed.downloaded(far)).toBe(0)
      const unavailable = { _tag: "BlockUnavailable" }
      yield* expectFailure(feed.get(far, { wait: false }), { ...unavailable, index: far })
      yield* expectFailure(feed.getBatch(1, 5, { wait: false }), { ...unavailable, index: 3 })
      yield* expectFailure(feed.signature(far), { ...unavailable, reason: "out-of-range" })
      yield* expectFailure(feed.rootHashes(far), { ...unavailable, reason: "out-of-range" })
      yield* expectFailure(feed.verify(3, new Uint8Array(64)), { ...unavailable, reason: "out-of-range" })
      yield* expectFailure(feed.proof(far), unavailable)
      yield* expectFailure(feed.seek(far, { wait: false }), { ...unavailable, reason: "out-of-range" })
      expect(yield* feed.digest(2 ** 51)).toBe(0)
      yield* feed.clear(1, far)
      expect(yield* feed.downloaded()).toBe(1)
      yield* feed.clear(far - 1, far)
      expect(yield* feed.downloaded()).toBe(1)
    })
  )

  onEachStorage("a range of many missing blocks fails without waiting about as fast as one block does", () =>
    Effect.gen(function* () {
      const feed = yield* Feed.open()
      yield* feed.append(bytes("x"))
      const started = process.hrtime.bigint()
      yield* expectFailure(feed.getBatch(0, 20_000, { wait: false }), {
        _tag: "BlockUnavailable",
        index: 1,
        reason: "not-held"
      })
      expect(Number(process.hrtime.bigint() - started) / 1e6).toBeLessThan(200)
    })
  )
})
