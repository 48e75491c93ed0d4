/**
 * A reader is an array with holes: whatever it is given, in whatever order (blocks, leaves, kept proofs of shorter logs, from
 * the author or from another reader), it holds those blocks of the author's array and nothing else.
 */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, FastCheck as fc, Layer, Scope, Stream } from "effect"
import { type Claim, type Crypto, Feed, type Storage } from "../../src/index.js"
import { share } from "../domain/arbitraries.js"
import { ArrayFeed } from "../reference/ArrayFeed.js"
import { files, memory } from "./harness.js"

type Step =
  | { readonly _tag: "Grow"; readonly sizes: ReadonlyArray<number> }
  /** The reader asks the author, with its digest. */
  | { readonly _tag: "Fetch"; readonly pick: number }
  | { readonly _tag: "FetchLeaf"; readonly pick: number }
  /** A full proof is kept, and put some time later, when the log may have grown. */
  | { readonly _tag: "Keep"; readonly pick: number }
  | { readonly _tag: "PutKept" }
  /** A second reader asks the first. */
  | { readonly _tag: "Relay"; readonly pick: number }
  | { readonly _tag: "Clear"; readonly start: number; readonly end: number }
  | { readonly _tag: "Forge"; readonly pick: number }
  | { readonly _tag: "Audit" }
  | { readonly _tag: "Reopen" }

const picking = <T extends string>(_tag: T) => share.map((pick) => ({ _tag, pick }))

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 2,
    arbitrary: fc
      .array(fc.nat(30), { minLength: 1, maxLength: 9 })
      .map((sizes) => ({ _tag: "Grow" as const, sizes }))
  },
  { weight: 8, arbitrary: picking("Fetch") },
  { weight: 2, arbitrary: picking("FetchLeaf") },
  { weight: 2, arbitrary: picking("Keep") },
  { weight: 2, arbitrary: fc.constant({ _tag: "PutKept" as const }) },
  { weight: 3, arbitrary: picking("Relay") },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.nat(60), fc.nat(10))
      .map(([start, count]) => ({ _tag: "Clear" as const, start, end: start + count }))
  },
  { weight: 1, arbitrary: picking("Forge") },
  { weight: 1, arbitrary: fc.constant({ _tag: "Audit" as const }) },
  { weight: 1, arbitrary: fc.constant({ _tag: "Reopen" as const }) }
)

/** One reader: its feed, opened anew at times, and what it should hold. */
class Reader {
  readonly model = new ArrayFeed()
  feed!: Feed.Feed
  length = 0
  #scope: Scope.CloseableScope | undefined

  constructor(
    readonly path: string,
    readonly key: Uint8Array
  ) {}

  readonly open = Effect.gen(this, function* () {
    const outer = yield* Effect.scope
    if (this.#scope !== undefined) yield* Scope.close(this.#scope, Exit.void)
    this.#scope = yield* Scope.fork(outer, outer.strategy)
    this.feed = yield* Scope.extend(Feed.open({ path: this.path, key: this.key, sparse: true }), this.#scope)
  })

  readonly holds = (index: number) => this.model.held[index] === true

  /** Grows the model to the author's log, holding none of what is new. */
  readonly learn = (author: ArrayFeed) => {
    const { length } = this.model
    this.model.append(author.blocks.slice(length))
    this.model.clear(length, author.length)
  }

  /** The lengths agree with the author's array; a length that was reached is not lost. */
  readonly check = (author: ArrayFeed, lengths: ReadonlySet<number>) => {
    const { length, byteLength } = this.feed
    expect(lengths).toContain(length)
    expect(length).toBeGreaterThanOrEqual(this.length)
    expect(byteLength).toBe(author.blocks.slice(0, length).reduce((sum, block) => sum + block.length, 0))
    this.length = length
  }

  readonly checkAll = (author: ArrayFeed) =>
    Effect.gen(this, function* () {
      const { feed, model } = this
      expect(yield* feed.downloaded(0, author.length)).toBe(model.downloaded(0, author.length))
      for (let index = 0; index < author.length; index++) {
        expect(yield* feed.has(index)).toBe(this.holds(index))
        const got = yield* Effect.either(feed.get(index, { wait: false }))
        if (!this.holds(index)) expect(got).toMatchObject({ left: { _tag: "BlockUnavailable" } })
        else expect(got).toMatchObject({ right: author.blocks[index] })
      }
      expect(yield* feed.audit()).toEqual({ valid: model.downloaded(0, model.length), invalid: 0 })
      if (this.length > 0) {
        const last = yield* feed.signature()
        expect(last.index).toBe(this.length - 1)
        yield* feed.verify(last.index, last.signature)
      }
    })
}

const run = (steps: ReadonlyArray<Step>, path: string) =>
  Effect.gen(function* () {
    const source = yield* Effect.provide(Feed.open(), memory)
    const author = new ArrayFeed()
    const lengths = new Set([0])
    const first = new Reader(`${path}/first`, source.key)
    const second = new Reader(`${path}/second`, source.key)
    yield* first.open
    yield* second.open
    const kept: Array<Claim> = []
    const put = (reader: Reader, claim: Claim) =>
      Effect.gen(function* () {
        yield* reader.feed.put(claim)
        if (claim.block !== undefined) reader.model.held[claim.index] = true
        expect(reader.feed.length).toBeGreaterThan(claim.index)
      })
    for (const action of steps) {
      const index = "pick" in action ? Math.floor(action.pick * author.length) : 0
      if ("pick" in action && author.length === 0) continue
      switch (action._tag) {
        case "Grow": {
          const blocks = action.sizes.map((size, i) => new Uint8Array(size).fill(author.length + i + 1))
          author.append(blocks)
          yield* source.appendBatch(blocks)
          lengths.add(author.length)
          first.learn(author)
          second.learn(author)
          break
        }
        case "Fetch":
        case "FetchLeaf": {
          const hash = action._tag === "FetchLeaf"
          const proof = yield* source.proof(index, { digest: yield* first.feed.digest(index), hash })
          yield* put(first, { index, proof, block: hash ? undefined : author.blocks[index] })
          break
        }
        case "Keep":
          kept.push({ index, proof: yield* source.proof(index), block: author.blocks[index] })
          break
        case "PutKept": {
          const claim = kept.shift()
          if (claim !== undefined) yield* put(first, claim)
          break
        }
        case "Relay": {
          if (!first.holds(index)) break
          const proof = yield* first.feed.proof(index, { digest: yield* second.feed.digest(index) })
          yield* put(second, { index, proof, block: yield* first.feed.get(index) })
          break
        }
        case "Clear":
          yield* first.feed.clear(action.start, action.end)
          first.model.clear(action.start, action.end)
          break
        case "Forge": {
          const proof = yield* source.proof(index, { digest: yield* first.feed.digest(index) })
          const forged = Uint8Array.from([...author.blocks[index]!, 7])
          const error = yield* Effect.flip(first.feed.put({ index, proof, block: forged }))
          expect(error._tag).toMatch(/^Invalid/)
          break
        }
        case "Audit":
          expect((yield* first.feed.audit()).invalid).toBe(0)
          break
        case "Reopen":
          yield* first.open
      }
      first.check(author, lengths)
      second.check(author, lengths)
    }
    for (const reader of [first, second]) {
      yield* reader.checkAll(author)
      yield* reader.open
      reader.check(author, lengths)
      yield* reader.checkAll(author)
    }
    // In the end it can fetch all the rest, in any order.
    if (author.length > 0) {
      for (let i = 0; i < author.length; i++) {
        const index = (i * 7) % author.length
        const target = first.holds(index) ? first.feed.length - 1 : index
        const proof = yield* source.proof(target, { digest: yield* first.feed.digest(target) })
        yield* put(first, { index: target, proof, block: author.blocks[target] })
      }
      for (const index of author.blocks.keys()) {
        if (first.holds(index)) continue
        const proof = yield* source.proof(index, { digest: yield* first.feed.digest(index) })
        yield* put(first, { index, proof, block: author.blocks[index] })
      }
      const all = yield* Stream.runCollect(first.feed.stream({ end: author.length, wait: false }))
      expect([...all]).toEqual(author.blocks)
    }
  }).pipe(Effect.scoped)

const holds = (runs: number, services: Layer.Layer<Crypto | Storage>) =>
  Effect.promise(() => {
    let count = 0
    return fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 50 }), (steps) =>
        Effect.runPromise(Effect.provide(run(steps, `run-${count++}`), services))
      ),
      { numRuns: runs }
    )
  })

describe("a reader is an array with holes", () => {
  it.effect("in memory", () => holds(120, memory))
  it.effect("on files", () => holds(40, files))
})
