/** Any sequence of operations on a feed does what it does on an array, in memory and on files, through reopenings. */
import { describe, expect, it } from "@effect/vitest"
import { Chunk, Effect, Exit, FastCheck as fc, Layer, Scope, Stream } from "effect"
import { type Crypto, Feed, type Storage, StorageMemory } from "../../src/index.js"
import { CryptoNode, layer } from "../../src/node.js"
import { ArrayFeed } from "../reference/ArrayFeed.js"
import { temporaryDirectory } from "../temporaryDirectory.js"

type Services = Layer.Layer<Crypto | Storage>

/** The open feed under test, which a step may close and open again. */
interface Subject {
  feed: Feed.Feed
  reopen: Effect.Effect<Feed.Feed, Feed.OpenError>
}

type Step =
  | { readonly _tag: "Append"; readonly blocks: ReadonlyArray<Uint8Array> }
  | { readonly _tag: "Get"; readonly index: number }
  | { readonly _tag: "Range"; readonly start: number; readonly end: number }
  | { readonly _tag: "Clear"; readonly start: number; readonly end: number }
  | { readonly _tag: "Seek"; readonly offset: number }
  | { readonly _tag: "Audit" }
  | { readonly _tag: "Reopen" }

const block = fc.oneof(
  { weight: 8, arbitrary: fc.uint8Array({ maxLength: 40 }) },
  { weight: 1, arbitrary: fc.constant(new Uint8Array(0)) },
  { weight: 1, arbitrary: fc.constant(new Uint8Array(70_000).fill(5)) }
)
const range = fc
  .tuple(fc.nat(80), fc.nat(80))
  .map(([a, b]) => ({ start: Math.min(a, b), end: Math.max(a, b) }))

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ _tag: fc.constant("Append" as const), blocks: fc.array(block, { maxLength: 12 }) })
  },
  { weight: 4, arbitrary: fc.nat(80).map((index) => ({ _tag: "Get" as const, index })) },
  { weight: 3, arbitrary: range.map((r) => ({ _tag: "Range" as const, ...r })) },
  { weight: 2, arbitrary: range.map((r) => ({ _tag: "Clear" as const, ...r })) },
  { weight: 3, arbitrary: fc.nat(1500).map((offset) => ({ _tag: "Seek" as const, offset })) },
  { weight: 1, arbitrary: fc.constant({ _tag: "Audit" as const }) },
  { weight: 1, arbitrary: fc.constant({ _tag: "Reopen" as const }) }
)

// As strings: a deep comparison of large byte arrays takes a hundred times as long.
const hex = (bytes: Uint8Array | undefined) =>
  bytes === undefined ? undefined : Buffer.from(bytes).toString("hex")

const same = (ours: ReadonlyArray<Uint8Array>, model: ReadonlyArray<Uint8Array | undefined>) =>
  expect(ours.map(hex)).toEqual(model.map(hex))

const checkRange = (feed: Feed.Feed, model: ArrayFeed, start: number, end: number) =>
  Effect.gen(function* () {
    expect(yield* feed.has(start, end)).toBe(model.has(start, end))
    expect(yield* feed.downloaded(start, end)).toBe(model.downloaded(start, end))
    const batch = yield* Effect.either(feed.getBatch(start, end, { wait: false }))
    const streamed = yield* Effect.either(Stream.runCollect(feed.stream({ start, end, wait: false })))
    if (model.has(start, end)) {
      const expected = model.blocks.slice(start, end)
      same(batch._tag === "Right" ? batch.right : [], expected)
      same(streamed._tag === "Right" ? Chunk.toReadonlyArray(streamed.right) : [], expected)
    } else {
      expect([batch, streamed]).toMatchObject([
        { left: { _tag: "BlockUnavailable", reason: "not-held" } },
        { left: { _tag: "BlockUnavailable", reason: "not-held" } }
      ])
    }
  })

const take = (subject: Subject, model: ArrayFeed, action: Step) =>
  Effect.gen(function* () {
    const { feed } = subject
    switch (action._tag) {
      case "Append":
        expect(yield* feed.appendBatch(action.blocks)).toBe(model.append(action.blocks))
        break
      case "Get": {
        const got = yield* Effect.either(feed.get(action.index, { wait: false }))
        const expected = model.get(action.index)
        if (expected === undefined) expect(got).toMatchObject({ left: { _tag: "BlockUnavailable" } })
        else same(got._tag === "Right" ? [got.right] : [], [expected])
        break
      }
      case "Range":
        yield* checkRange(feed, model, action.start, action.end)
        break
      case "Clear":
        yield* feed.clear(action.start, action.end)
        model.clear(action.start, action.end)
        break
      case "Seek": {
        const found = yield* Effect.either(feed.seek(action.offset, { wait: false }))
        const expected = model.seek(action.offset)
        if (expected === undefined) expect(found).toMatchObject({ left: { reason: "out-of-range" } })
        else expect(found).toMatchObject({ right: expected })
        break
      }
      case "Audit":
        expect(yield* feed.audit()).toEqual({ valid: model.downloaded(0, model.length), invalid: 0 })
        break
      case "Reopen":
        subject.feed = yield* subject.reopen
    }
    expect([subject.feed.length, subject.feed.byteLength]).toEqual([model.length, model.byteLength])
  })

const makeSubject = (services: Services) =>
  Effect.gen(function* () {
    const built = yield* Layer.build(services)
    const outer = yield* Effect.scope
    let current: Scope.CloseableScope | undefined
    const open = Effect.gen(function* () {
      if (current !== undefined) yield* Scope.close(current, Exit.void)
      current = yield* Scope.fork(outer, outer.strategy)
      return yield* Feed.open().pipe(Effect.provide(built), Scope.extend(current))
    })
    const subject: Subject = { feed: yield* open, reopen: open }
    return subject
  })

const agree = (steps: ReadonlyArray<Step>, services: Services) =>
  Effect.gen(function* () {
    const subject = yield* makeSubject(services)
    const model = new ArrayFeed()
    for (const action of steps) yield* take(subject, model, action)
    yield* take(subject, model, { _tag: "Reopen" })
    yield* take(subject, model, { _tag: "Audit" })
    yield* checkRange(subject.feed, model, 0, model.length)
    if (model.length > 0) {
      const { index, signature } = yield* subject.feed.signature()
      yield* subject.feed.verify(index, signature)
    }
  }).pipe(Effect.scoped)

const holds = (runs: number, services: Effect.Effect<Services, never, Scope.Scope>) =>
  Effect.promise(() =>
    fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40 }), (steps) =>
        Effect.runPromise(Effect.scoped(Effect.flatMap(services, (layers) => agree(steps, layers))))
      ),
      { numRuns: runs }
    )
  )

describe("a feed is an array", () => {
  it.effect("in memory", () => holds(150, Effect.succeed(Layer.merge(StorageMemory.layer, CryptoNode.layer))))
  it.effect("on files", () =>
    holds(
      60,
      Effect.map(temporaryDirectory, (directory) => layer({ directory }))
    )
  )
})
