/** What the feed's tests share: each test on each storage, keys from fixed seeds, the files as stored, typed failures. */
import { expect, it } from "@effect/vitest"
import { Cause, type Duration, Effect, Exit, Fiber, Layer, Option, type Scope } from "effect"
import {
  Crypto,
  Feed,
  type FeedFiles,
  type FileName,
  Storage,
  StorageMemory,
  ValueEncoding,
  toHex
} from "../../src/index.js"
import { CryptoNode, layer as nodeLayer } from "../../src/node.js"
import { temporaryDirectory } from "../temporaryDirectory.js"

export type Services = Crypto | Storage

export const FILES = [
  "key",
  "secret_key",
  "tree",
  "signatures",
  "bitfield",
  "data"
] as const satisfies ReadonlyArray<FileName>

export const memory: Layer.Layer<Services> = Layer.merge(StorageMemory.layer, CryptoNode.layer)

export const files: Layer.Layer<Services> = Layer.unwrapScoped(
  Effect.map(temporaryDirectory, (directory) => nodeLayer({ directory }))
)

const storages = [
  ["memory", memory],
  ["files", files]
] as const

type Body<A, E> = () => Effect.Effect<A, E, Services | Scope.Scope>

/** One test for each storage; the feeds that it opens are closed before the storage goes. */
export const onEachStorage = <A, E>(name: string, body: Body<A, E>): void => {
  for (const [storage, layer] of storages) {
    it.effect(`${name} [${storage}]`, () => Effect.provide(Effect.scoped(body()), layer))
  }
}

/** One test, where the storage makes no difference. */
export const inMemory = <A, E>(name: string, body: Body<A, E>): void =>
  it.effect(name, () => Effect.provide(Effect.scoped(body()), memory))

const durations: ReadonlyArray<readonly [given: unknown, says: string]> = [
  [-5, "timeout -5 is negative"],
  [Number.NEGATIVE_INFINITY, "timeout -Infinity is negative"],
  [Number.NaN, "timeout NaN is no duration"],
  [-1n, "timeout -1 is negative"],
  ["-1 seconds", "timeout -1 seconds is negative"],
  ["-0.5 nanos", "timeout -0.5 nanos is negative"],
  ["nonsense", "timeout nonsense is no duration"],
  ["5", "timeout 5 is no duration"],
  ["", "timeout  is no duration"],
  [true, "timeout true is no duration"],
  [Symbol("soon"), "timeout Symbol(soon) is no duration"],
  [null, "timeout is no duration"],
  [Object.create(null), "timeout is no duration"],
  [[1], "timeout is no duration"],
  [[1, Number.NaN], "timeout is no duration"],
  [[Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY], "timeout is no duration"],
  [[1e308, 0], "timeout is no duration"], // Effect cannot count it
  [[-1, 5], "timeout is negative"]
]

/** What is no `timeout`, whether the type checker would say so or not, and what is said of it. */
export const wrongDurations = durations.map(
  ([given, says]) => [given as Duration.DurationInput, says] as const
)

/** The key pair of a seed of 32 equal bytes. */
export const keyPair = (seed: number) =>
  Effect.flatMap(Crypto, (crypto) => crypto.keyPair(new Uint8Array(32).fill(seed)))

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

/** `count` blocks of different lengths, the empty one among them. */
export const someBlocks = (count: number, salt = ""): Array<Uint8Array> =>
  Array.from({ length: count }, (_, i) => bytes(i % 7 === 3 ? "" : `${salt}${i}.`.repeat((i % 5) + 1)))

/** A feed of text. */
export const openText = (options: Omit<Feed.OpenOptions, "encoding"> = {}) =>
  Feed.open({ ...options, encoding: ValueEncoding.utf8 })

/** An author's feed in a storage of its own: where readers get their blocks and proofs. */
export const source = (blocks: ReadonlyArray<Uint8Array>, seed = 1) =>
  Effect.gen(function* () {
    const feed = yield* Effect.provide(Feed.open(yield* keyPair(seed)), memory)
    if (blocks.length > 0) yield* feed.appendBatch(blocks)
    return feed
  })

/** Fetches block `index` from one feed into another, as replication does. */
export const transfer = <A, E>(from: Feed.Feed, to: Feed.Feed<A, E>, index: number) =>
  Effect.gen(function* () {
    const proof = yield* from.proof(index, { digest: yield* to.digest(index) })
    yield* to.put({ index, proof, block: yield* from.get(index) })
  })

/** The bytes of each file of the feed at `path`, in hexadecimal; it takes no lock. */
export const stored = (path = ""): Effect.Effect<Record<FileName, string>, unknown, Storage> =>
  Effect.scoped(
    Effect.gen(function* () {
      const opened = yield* Effect.flatMap(Storage, (storage) => storage.open(path))
      const content: Partial<Record<FileName, string>> = {}
      for (const file of FILES) {
        const length = yield* opened.size(file)
        const [read] = yield* opened.read([{ file, offset: 0, length }])
        content[file] = toHex(read!)
      }
      return content as Record<FileName, string>
    })
  )

const withFiles = <A, E>(use: (files: FeedFiles) => Effect.Effect<A, E>) =>
  Effect.scoped(
    Effect.flatMap(
      Effect.flatMap(Storage, (storage) => storage.open("")),
      use
    )
  )

/** Damages a file of a closed feed: these bytes from `offset` on. */
export const overwriteFile = (file: FileName, content: Uint8Array, offset = 0) =>
  withFiles((opened) => opened.write([{ file, offset, parts: [content] }]))

/** Damages a file of a closed feed: its end is lost. */
export const cutFile = (file: FileName, size: number) => withFiles((opened) => opened.truncate(file, size))

/** The indexes of the entries that are not blank in a stored `signatures` file. */
export const signedIndexes = (signatures: string): Array<number> => {
  const entries = signatures.slice(64).match(/.{128}/g) ?? []
  return entries.flatMap((entry, index) => (/^0*$/.test(entry) ? [] : [index]))
}

/** Lets every fiber that can go on do so. */
export const quiet: Effect.Effect<void> = Effect.repeatN(Effect.yieldNow(), 100)

/** Starts `effect` and makes sure that it waits. */
export const startWaiting = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(effect)
    yield* quiet
    yield* expectWaiting(fiber)
    return fiber
  })

/** The fiber has not ended, whatever could run has run. */
export const expectWaiting = <A, E>(fiber: Fiber.RuntimeFiber<A, E>) =>
  Effect.gen(function* () {
    yield* quiet
    const ended = yield* Fiber.poll(fiber)
    if (Option.isSome(ended)) expect.fail(`it did not wait: ${describe(ended.value)}`)
  })

/** What a fiber that must not wait any more ends with: a wait that goes on fails the test instead of hanging it. */
export const ended = <A, E>(fiber: Fiber.RuntimeFiber<A, E>): Effect.Effect<A, E> =>
  Effect.gen(function* () {
    for (let turns = 0; turns < 20; turns++) {
      const exit = yield* Fiber.poll(fiber)
      if (Option.isSome(exit)) return yield* exit.value
      yield* quiet
    }
    return expect.fail("it still waits")
  })

/** Runs `effect`, which must not wait for anything but other fibers. */
export const atOnce = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(Effect.fork(effect), ended)

const describe = (exit: Exit.Exit<unknown, unknown>): string =>
  Exit.isSuccess(exit) ? `it succeeded with ${String(exit.value)}` : Cause.pretty(exit.cause)

/** The failure of `effect` as plain data, so that its tag and fields can be compared; a success or a defect fails the test. */
export const failure = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<E, never, R> =>
  Effect.map(Effect.exit(effect), (exit) => {
    const error = Exit.isFailure(exit) ? Cause.failureOption(exit.cause) : Option.none()
    return Option.isSome(error) ? error.value : expect.fail(`expected a failure, but ${describe(exit)}`)
  })

/** `effect` fails with an error that has these fields, of which `_tag` is one. */
export const expectFailure = <A, E, R>(effect: Effect.Effect<A, E, R>, fields: Record<string, unknown>) =>
  Effect.map(failure(effect), (error) => {
    expect(error).toMatchObject(fields)
    return error
  })
