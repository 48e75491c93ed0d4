/**
 * Feeds: claims, arguments and options that no caller or peer should give. Each ends in a value or in a typed error, the feed
 * goes on, and every wait ends when it is closed.
 */
import { Effect, Fiber, Option, Stream } from "effect"
import fc from "fast-check"
import { expect } from "vitest"
import { Feed, NetworkMemory, Replication } from "../../src/index.js"
import { quiet } from "../services/harness.js"
import { anyClaim } from "./decoders.js"
import { edge } from "./mutated.js"
import { BLOCKS, blocks, openAuthor, orTyped, run } from "./oracle.js"
import { type AnyTarget, target } from "./Target.js"

/** Every block is as it was, and the feed takes another. */
const expectUnharmed = (feed: Feed.Feed) =>
  Effect.gen(function* () {
    const { invalid } = yield* feed.audit()
    expect(invalid).toBe(0)
    for (let index = 0; index < Math.min(BLOCKS, feed.length); index++) {
      if (yield* feed.has(index)) expect(yield* feed.get(index)).toEqual(blocks[index])
    }
  })

export const number = fc.oneof(
  { weight: 3, arbitrary: edge },
  { weight: 1, arbitrary: fc.nat({ max: BLOCKS + 2 }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      -1,
      0.5,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
      2 ** 60
    )
  }
)
export const someBytes = fc
  .constantFrom(0, 31, 32, 33, 63, 64, 65)
  .map((size) => new Uint8Array(size).fill(3))
const text = fc.oneof(fc.string(), fc.constantFrom("..", "a/../b", "/a", "a//b", "a/b"))

/** What a caller without types may give. */
export const anything = fc.oneof(
  number,
  someBytes,
  fc.anything({ withTypedArray: true, withNullPrototype: true, withBigInt: true, withDate: true }),
  fc.constantFrom(undefined, null, "", "a".repeat(32), Symbol.iterator, () => 1)
)

interface Given {
  readonly isLoose: boolean
  readonly value: unknown
}

/** Options of the types that are declared, with any values; or of any. */
const givenOptions = (declared: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<Given> => {
  const loose = Object.fromEntries(Object.keys(declared).map((name) => [name, anything]))
  return fc.oneof(
    {
      weight: 2,
      arbitrary: fc.record(declared, { requiredKeys: [] }).map((value) => ({ isLoose: false, value }))
    },
    {
      weight: 1,
      arbitrary: fc
        .oneof(fc.record(loose, { requiredKeys: [] }), anything)
        .map((value) => ({ isLoose: true, value }))
    }
  )
}

const openOptions = target(
  "options of Feed.open",
  150,
  givenOptions({
    path: text,
    key: someBytes,
    secretKey: someBytes,
    createIfMissing: fc.boolean(),
    openExisting: fc.boolean(),
    overwrite: fc.boolean(),
    storeSecretKey: fc.boolean(),
    static: fc.boolean(),
    indexing: fc.boolean(),
    sparse: fc.boolean(),
    readOnly: fc.boolean(),
    durability: fc.constantFrom("process", "power")
  }),
  ({ isLoose, value }) =>
    run(
      Effect.gen(function* () {
        const exit = yield* Effect.exit(Effect.suspend(() => Feed.open(value as Feed.OpenOptions)))
        const feed = orTyped("open", exit, isLoose)
        if (feed === undefined) return
        expect([0, 32]).toContain(feed.key.length)
        if (feed.writable) expect(yield* feed.append(blocks[0]!)).toBe(0)
      })
    )
)

/** Keys are not left to chance: what is none is refused, whatever it is. */
const keys = target("keys that are none", 100, fc.tuple(anything, anything), ([key, secretKey]) =>
  run(
    Effect.gen(function* () {
      const options = { key, secretKey } as Feed.OpenOptions
      const feed = orTyped("open", yield* Effect.exit(Feed.open(options)))
      if (feed !== undefined) expect([undefined, 32]).toContain(options.key?.length)
    })
  )
)

type Call = (feed: Feed.Feed, a: never, b: never, c: never) => Effect.Effect<unknown, unknown>

const CALLS: Record<string, Call> = {
  append: (feed, a) => feed.append(a),
  appendBatch: (feed, a) => feed.appendBatch(a),
  get: (feed, a, b) => feed.get(a, b),
  getBatch: (feed, a, b, c) => feed.getBatch(a, b, c),
  head: (feed, a) => feed.head(a),
  stream: (feed, a) => Stream.runDrain(feed.stream(a)),
  has: (feed, a, b) => feed.has(a, b),
  downloaded: (feed, a, b) => feed.downloaded(a, b),
  download: (feed, a) => feed.download(a),
  clear: (feed, a, b, c) => feed.clear(a, b, c),
  seek: (feed, a, b) => feed.seek(a, b),
  signature: (feed, a) => feed.signature(a),
  verify: (feed, a, b) => feed.verify(a, b),
  rootHashes: (feed, a) => feed.rootHashes(a),
  proof: (feed, a, b) => feed.proof(a, b),
  digest: (feed, a) => feed.digest(a),
  put: (feed, a) => feed.put(a),
  update: (feed, a, b) => feed.update(a, b),
  audit: (feed, a) => feed.audit(a)
}

const callOptions = {
  wait: fc.boolean(),
  timeout: number,
  start: number,
  end: number,
  linear: fc.boolean(),
  live: fc.boolean(),
  snapshot: fc.boolean(),
  digest: number,
  hash: fc.boolean(),
  ifAvailable: fc.boolean()
}

/** Which arguments a call takes, and of what types. */
const TAKES: Record<string, ReadonlyArray<fc.Arbitrary<unknown>>> = {
  append: [someBytes],
  appendBatch: [fc.array(someBytes, { maxLength: 3 })],
  verify: [number, someBytes],
  put: [anyClaim],
  has: [number, number],
  downloaded: [number, number],
  clear: [number, number],
  getBatch: [number, number, fc.record(callOptions, { requiredKeys: [] })]
}
const usual = [number, fc.record(callOptions, { requiredKeys: [] })]
const optionsFirst = new Set(["head", "stream", "download", "audit"])

const declaredCall = (name: string) => {
  const takes = TAKES[name] ?? (optionsFirst.has(name) ? usual.slice(1) : usual)
  return fc
    .tuple(...takes.map((one) => fc.option(one, { nil: undefined, freq: 8 })))
    .map((given) => ({ isLoose: false, name, given }))
}

const looseCall = (name: string) =>
  fc.array(anything, { minLength: 3, maxLength: 3 }).map((given) => ({ isLoose: true, name, given }))

const anyCall = fc
  .constantFrom(...Object.keys(CALLS))
  .chain((name) =>
    fc.oneof({ weight: 2, arbitrary: declaredCall(name) }, { weight: 1, arbitrary: looseCall(name) })
  )

const calls = target("arguments of a feed", 150, fc.array(anyCall, { minLength: 1, maxLength: 8 }), (all) =>
  run(
    Effect.gen(function* () {
      const feed = yield* openAuthor
      const fibers: Array<readonly [string, boolean, Fiber.RuntimeFiber<unknown, unknown>]> = []
      for (const { given, isLoose, name } of all) {
        const [a, b, c] = given
        const call = Effect.suspend(() => CALLS[name]!(feed, a as never, b as never, c as never))
        // What was not given is no number where one is needed.
        const isLess = given.includes(undefined)
        fibers.push([name, isLoose || isLess, yield* Effect.fork(call)])
        yield* quiet
      }
      const after = feed.length
      yield* expectUnharmed(feed)
      expect(yield* feed.append(blocks[0]!)).toBe(after)
      yield* feed.close
      for (const [name, isLoose, fiber] of fibers) orTyped(name, yield* Fiber.await(fiber), isLoose)
    })
  )
)

const claims = target("claims that a feed is to store", 80, fc.oneof(anyClaim, anything), (claim) =>
  run(
    Effect.gen(function* () {
      const author = yield* openAuthor
      const reader = yield* Feed.open({ path: "reader", key: author.key })
      for (const feed of [author, reader]) {
        orTyped("put", yield* Effect.exit(Effect.suspend(() => feed.put(claim as never))))
        yield* expectUnharmed(feed)
      }
      expect([author.length, reader.length]).toEqual([BLOCKS, 0])
    })
  )
)

const replicateOptions = target(
  "options of replication",
  60,
  givenOptions({
    live: fc.boolean(),
    download: fc.boolean(),
    upload: fc.boolean(),
    allowPush: fc.boolean(),
    maxRequests: number,
    encrypt: fc.boolean(),
    ack: fc.boolean(),
    timeout: number,
    id: someBytes,
    userData: someBytes,
    extensions: fc.array(fc.string({ maxLength: 300 }), { maxLength: 300 }),
    expectedFeeds: number
  }),
  ({ isLoose, value }) =>
    run(
      Effect.gen(function* () {
        const feed = yield* openAuthor
        const [ours] = yield* NetworkMemory.pair()
        const fiber = yield* Effect.fork(
          Effect.suspend(() => Replication.replicate(feed, ours, value as Replication.Options))
        )
        yield* quiet
        const ended = yield* Fiber.poll(fiber)
        if (Option.isSome(ended)) orTyped("replicate", ended.value, isLoose)
        yield* Fiber.interrupt(fiber)
        yield* expectUnharmed(feed)
      })
    )
)

export const feeds: ReadonlyArray<AnyTarget> = [openOptions, keys, calls, claims, replicateOptions]
