/**
 * Feeds: claims, arguments, options and whole directories that no caller, peer or disk should give. Each ends in a value or in a typed error, the feed
 * goes on, and every wait ends when it is closed.
 */
import { Cause, Effect, Exit, Fiber, Layer, Option, type Scope, Stream, TestContext } from "effect"
import fc from "fast-check"
import { expect } from "vitest"
import { FILES } from "../../src/domain/Sleep.js"
import { CryptoNode } from "../../src/node.js"
import {
  Feed,
  type FileName,
  NetworkMemory,
  Replication,
  Storage,
  StorageMemory,
  type StorageService
} from "../../src/index.js"
import { type Image, openOn, plant, takeImage } from "../recovery/images.js"
import { keyPair, quiet, type Services, someBlocks } from "../services/harness.js"
import { anyClaim } from "./decoders.js"
import { edge, mutated } from "./mutated.js"
import { type AnyTarget, target } from "./Target.js"

const TAGS = [
  "BadArgument",
  "BlockUnavailable",
  "CorruptStorage",
  "EncodingError",
  "FeedClosed",
  "ForkDetected",
  "InvalidProof",
  "InvalidSignature",
  "NotWritable",
  "OpenRefused",
  "ProtocolError",
  "StaleWriter",
  "StorageError"
]

/**
 * A value or a typed error. Who gives a value that the types refuse, `isLoose`, may get what JavaScript throws of it instead, in the fiber that gave it.
 */
const orTyped = <A, E>(about: string, exit: Exit.Exit<A, E>, isLoose = false): A | undefined => {
  if (Exit.isSuccess(exit)) return exit.value
  const defect = Option.getOrUndefined(Cause.dieOption(exit.cause))
  if (defect !== undefined) {
    const isAllowed = isLoose && defect instanceof Error
    expect({ about, isAllowed, cause: isAllowed ? "" : Cause.pretty(exit.cause) }).toEqual({
      about,
      isAllowed: true,
      cause: ""
    })
    return undefined
  }
  const failure = Option.getOrUndefined(Cause.failureOption(exit.cause)) as
    | { readonly _tag?: string }
    | undefined
  expect(TAGS).toContain(failure?._tag)
  return undefined
}

const services = Layer.mergeAll(StorageMemory.layer, CryptoNode.layer, TestContext.TestContext)

const run = <A, E>(body: Effect.Effect<A, E, Services | Scope.Scope>): Promise<A> =>
  Effect.runPromise(Effect.provide(Effect.scoped(body), services))

const BLOCKS = 20
const blocks = someBlocks(BLOCKS)

const openAuthor = Effect.gen(function* () {
  const feed = yield* Feed.open(yield* keyPair(1))
  yield* feed.appendBatch(blocks)
  return feed
})

/** Every block is as it was, and the feed takes another. */
const expectUnharmed = (feed: Feed.Feed) =>
  Effect.gen(function* () {
    const { invalid } = yield* feed.audit()
    expect(invalid).toBe(0)
    for (let index = 0; index < Math.min(BLOCKS, feed.length); index++) {
      if (yield* feed.has(index)) expect(yield* feed.get(index)).toEqual(blocks[index])
    }
  })

const number = fc.oneof(
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
const someBytes = fc.constantFrom(0, 31, 32, 33, 63, 64, 65).map((size) => new Uint8Array(size).fill(3))
const text = fc.oneof(fc.string(), fc.constantFrom("..", "a/../b", "/a", "a//b", "a/b"))

/** What a caller without types may give. */
const anything = fc.oneof(
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

/** A feed's files, once: of an author who has cleared some. */
const images = await run(
  Effect.gen(function* () {
    const feed = yield* openAuthor
    yield* feed.clear(3, 5)
    const author = yield* takeImage(yield* Storage)
    return [author, { ...author, secret_key: new Uint8Array(0) }] as const
  })
)

const directory = fc
  .tuple(fc.nat({ max: 1 }), fc.constantFrom(...FILES), fc.constantFrom(...FILES))
  .chain(([which, first, second]) => {
    const image = images[which]!
    return fc
      .tuple(mutated(fc.constant(image[first])), mutated(fc.constant(image[second])), fc.boolean())
      .map(([one, other, both]): Image => ({ ...image, ...(both ? { [second]: other } : {}), [first]: one }))
  })

/** Counts the bytes that are asked for and given. */
const counting = (storage: StorageService, read: (bytes: number) => void): StorageService => ({
  open: (path) =>
    Effect.map(storage.open(path), (files) => ({
      ...files,
      read: (ranges) =>
        Effect.tap(files.read(ranges), (all) => {
          for (const bytes of all) read(bytes.length)
        })
    }))
})

const sizeOf = (image: Image): number => FILES.reduce((sum, file: FileName) => sum + image[file].length, 0)

const directories = target("files of a feed", 120, directory, (image) =>
  run(
    Effect.gen(function* () {
      let read = 0
      const storage = counting(yield* plant(image), (count) => (read += count))
      const feed = orTyped("open", yield* Effect.exit(openOn(storage)))
      // Looking for what is proven may try again and again, but not without end.
      expect(read).toBeLessThan(200 * (sizeOf(image) + 10_000))
      if (feed === undefined) return
      expect(feed.length).toBeLessThanOrEqual(BLOCKS)
      for (let index = 0; index < feed.length; index++) {
        orTyped("get", yield* Effect.exit(feed.get(index, { wait: false })))
        orTyped("proof", yield* Effect.exit(feed.proof(index)))
      }
      orTyped("seek", yield* Effect.exit(feed.seek(40, { wait: false })))
      orTyped("signature", yield* Effect.exit(feed.signature()))
      orTyped("audit", yield* Effect.exit(feed.audit()))
      // What can be read since then is what was written. (A damaged tree may no longer tell where a block lies, though the block is right.)
      for (let index = 0; index < feed.length; index++) {
        const block = orTyped("get", yield* Effect.exit(feed.get(index, { wait: false })))
        if (block !== undefined) expect(block).toEqual(blocks[index])
      }
      if (feed.writable) orTyped("append", yield* Effect.exit(feed.append(blocks[0]!)))
    })
  )
)

export const feeds: ReadonlyArray<AnyTarget> = [
  openOptions,
  keys,
  calls,
  claims,
  replicateOptions,
  directories
]
