/**
 * The writer's process ends at any moment: after any prefix of its writes, the last of them torn at any byte. What was
 * acknowledged by then is there, all that is held verifies, and nothing is signed twice.
 */
import { describe, expect, it } from "@effect/vitest"
import { Effect, FastCheck as fc } from "effect"
import { Crypto, Feed, Storage, StorageMemory } from "../../src/index.js"
import {
  type CheckBlock,
  type History,
  type Image,
  crypto,
  judge,
  openOn,
  plant,
  signaturesIn,
  takeImage
} from "./images.js"
import { PAGE_SIZE } from "../../src/domain/BitfieldPages.js"
import { coreOf } from "../../src/services/feed/FeedCore.js"
import { serve } from "../../src/services/feed/serve.js"
import { share } from "../domain/arbitraries.js"
import { type Recording, type Step, applyStep, emptyImage, makeRecording } from "./recording.js"

type Action =
  | { readonly _tag: "Append"; readonly blocks: ReadonlyArray<Uint8Array> }
  | { readonly _tag: "Clear"; readonly start: number; readonly end: number }
  | { readonly _tag: "Reopen" }

const block = fc.oneof(fc.uint8Array({ maxLength: 24 }), fc.constant(new Uint8Array(3)))

const actions: fc.Arbitrary<ReadonlyArray<Action>> = fc.array(
  fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({
        _tag: fc.constant("Append" as const),
        blocks: fc.array(block, { minLength: 1, maxLength: 5 })
      })
    },
    {
      weight: 2,
      arbitrary: fc.record({ _tag: fc.constant("Clear" as const), start: fc.nat(12), end: fc.nat(16) })
    },
    { weight: 1, arbitrary: fc.constant({ _tag: "Reopen" as const }) }
  ),
  { minLength: 1, maxLength: 8 }
)

/** How much of a write a crash lets through, of 1: any part, or the first bytes of a page alone. */
const kept = fc.oneof(
  share,
  fc.nat(63).map((n) => n / PAGE_SIZE)
)

const heldBy = (feed: Feed.Feed) =>
  Effect.gen(function* () {
    const held = new Set<number>()
    for (let i = 0; i < feed.length; i++) if (yield* feed.has(i)) held.add(i)
    return held
  })

const acknowledge = (recording: Recording, feed: Feed.Feed, cleared?: Extract<Action, { _tag: "Clear" }>) =>
  Effect.map(heldBy(feed), (held) => {
    for (let i = cleared?.start ?? 0; i < (cleared?.end ?? 0); i++) held.delete(i)
    recording.steps.push({ _tag: "Acknowledged", length: feed.length, held })
  })

/** Runs the actions on a recording storage; what a clear is about to drop is no longer promised. */
const run = (list: ReadonlyArray<Action>) =>
  Effect.gen(function* () {
    const recording = yield* makeRecording
    const blocks: Array<Uint8Array> = []
    let feed = yield* openOn(recording.storage)
    for (const action of list) {
      if (action._tag === "Append") {
        yield* feed.appendBatch(action.blocks)
        blocks.push(...action.blocks)
      } else if (action._tag === "Clear" && action.start < action.end) {
        yield* acknowledge(recording, feed, action)
        yield* feed.clear(action.start, action.end)
      } else if (action._tag === "Reopen") {
        yield* feed.close
        feed = yield* openOn(recording.storage)
      }
      yield* acknowledge(recording, feed)
    }
    yield* feed.close
    return { steps: recording.steps, blocks, key: feed.key }
  }).pipe(Effect.scoped, Effect.orDie)

const provable: CheckBlock = (feed, index) =>
  Effect.gen(function* () {
    const proof = yield* feed.proof(index)
    const { claims } = yield* serve(coreOf(feed), [{ index, digest: 0, hash: false }], 1)
    expect(claims).toMatchObject([{ index, proof }])
  })

interface Promised {
  readonly length: number
  readonly held: ReadonlySet<number>
}

const keepsPromise = (
  image: Image,
  blocks: ReadonlyArray<Uint8Array>,
  promised: Promised,
  options: Feed.OpenOptions
) =>
  Effect.gen(function* () {
    const history: History = { blocks, signatures: signaturesIn(image) }
    const outcome = yield* judge(image, history, options, provable)
    if (outcome._tag === "Refused") return yield* Effect.die(outcome.error)
    expect(outcome.length).toBeGreaterThanOrEqual(promised.length)
    for (const index of promised.held) expect(outcome.held).toContain(index)
  })

const isRefused = (image: Image, options: Feed.OpenOptions) =>
  Effect.gen(function* () {
    const storage = yield* plant(image)
    expect(yield* Effect.flip(openOn(storage, options))).toMatchObject({ file: "secret_key" })
    expect(yield* takeImage(storage)).toEqual(image)
  }).pipe(Effect.scoped)

/** Judges the files as of each step, and with each write torn at `torn` of its bytes. */
const crashEverywhere = (
  steps: ReadonlyArray<Step>,
  blocks: ReadonlyArray<Uint8Array>,
  torn: (bytes: number) => number,
  options: Feed.OpenOptions = {}
) =>
  Effect.gen(function* () {
    let image = emptyImage
    let promised: Promised = { length: 0, held: new Set() }
    let crashes = 0
    for (const step of steps) {
      if (step._tag === "Acknowledged") {
        promised = step
        continue
      }
      if (step._tag === "Write") {
        const half = applyStep(image, step, torn(step.bytes.length))
        // Half a secret key may be a stranger's file. Nothing was acknowledged yet.
        if (step.file === "secret_key" && half.secret_key.length > 0) yield* isRefused(half, options)
        else yield* keepsPromise(half, blocks, promised, options)
        crashes++
      }
      image = applyStep(image, step)
      yield* keepsPromise(image, blocks, promised, options)
      crashes++
    }
    return crashes
  })

describe("a crash at every write of a random history", () => {
  it.effect("of an author", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(actions, kept, async (list, kept) => {
          await Effect.runPromise(
            Effect.gen(function* () {
              const { steps, blocks } = yield* run(list)
              const crashes = yield* crashEverywhere(steps, blocks, (bytes) => Math.floor(bytes * kept))
              expect(crashes).toBeGreaterThanOrEqual(8)
            })
          )
        }),
        { numRuns: 40 }
      )
    )
  )

  it.effect("of a reader, put by put", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(
          fc.array(block, { minLength: 1, maxLength: 20 }),
          fc.array(fc.nat(19), { minLength: 1, maxLength: 8 }),
          kept,
          async (blocks, indexes, kept) => {
            await Effect.runPromise(
              Effect.gen(function* () {
                const { steps, key } = yield* download(
                  blocks,
                  indexes.filter((index) => index < blocks.length)
                )
                yield* crashEverywhere(steps, blocks, (bytes) => Math.floor(bytes * kept), { key })
              })
            )
          }
        ),
        { numRuns: 40 }
      )
    )
  )
})

/** A page of the bitfield is three parts: a crash may let the have-bits through without the tree-bits, and half of these. */
describe("the bitfield's pages, of which any part is stored", () => {
  const single = (value: number) => new Uint8Array([value + 1])

  /** The images with the bitfield's last writes cut off at each of `cuts` bytes, over all of them. */
  const tornEnds = (steps: ReadonlyArray<Step>, cuts: (bytes: number) => ReadonlyArray<number>) => {
    const last = steps.findLastIndex(({ _tag }) => _tag === "Acknowledged")
    const before = steps.findLastIndex(({ _tag }, i) => _tag === "Acknowledged" && i < last)
    const image = steps.slice(0, before).reduce((image, step) => applyStep(image, step), emptyImage)
    const writes = steps
      .slice(before, last)
      .filter((step): step is Extract<Step, { _tag: "Write" }> => step._tag === "Write")
    const [pages, others] = [
      writes.filter(({ file }) => file === "bitfield"),
      writes.filter(({ file }) => file !== "bitfield")
    ]
    expect(pages.length).toBeGreaterThan(0)
    const rest = others.reduce((image, step) => applyStep(image, step), image)
    return cuts(pages.reduce((sum, { bytes }) => sum + bytes.length, 0)).map((cut) => {
      let left = cut
      return pages.reduce((image, step) => {
        const torn = applyStep(image, step, Math.max(0, left))
        left -= step.bytes.length
        return torn
      }, rest)
    })
  }

  const everywhere = (bytes: number) =>
    Array.from({ length: bytes }, (_, at) => at).filter((at) => at % 61 === 0 || at % 1024 < 16)

  const author = (before: number, batch: number) =>
    run([
      { _tag: "Append", blocks: Array.from({ length: before }, (_, i) => single(i)) },
      { _tag: "Append", blocks: Array.from({ length: batch }, (_, i) => single(before + i)) }
    ])

  it.effect("of a batch: an author has it all", () =>
    Effect.gen(function* () {
      const { blocks, steps } = yield* author(8, 24)
      for (const image of tornEnds(steps, everywhere)) {
        const outcome = yield* judge(image, { blocks, signatures: signaturesIn(image) }, {}, provable)
        expect(outcome).toEqual({ _tag: "Opened", length: 32, held: blocks.map((_, i) => i) })
      }
    })
  )

  it.effect("of a batch whose root is a page before its blocks", () =>
    Effect.gen(function* () {
      const { blocks, steps } = yield* author(16_360, 24)
      const parts = (bytes: number) => [
        0,
        1020,
        1024,
        2047,
        2048,
        2049,
        3584,
        4000,
        4607,
        4608,
        5000,
        bytes - 514,
        bytes - 1
      ]
      for (const image of tornEnds(steps, parts)) {
        const feed = yield* openOn(yield* plant(image))
        expect(feed.length).toBe(blocks.length)
        for (let index = 16_350; index < feed.length; index++) {
          expect(yield* feed.has(index)).toBe(true)
          expect(yield* feed.get(index)).toEqual(blocks[index])
          yield* provable(feed, index)
        }
        expect(yield* feed.audit()).toEqual({ valid: blocks.length, invalid: 0 })
        yield* feed.close
      }
    }).pipe(Effect.scoped)
  )

  it.effect("of a put of an older block: a reader has it, or has not", () =>
    Effect.gen(function* () {
      const blocks = Array.from({ length: 100 }, (_, i) => single(i))
      for (const older of [0, 3, 40, 97]) {
        const { key, steps } = yield* download(blocks, [99, 50, older])
        for (const image of tornEnds(steps, everywhere)) {
          yield* keepsPromise(image, blocks, { length: 100, held: new Set([99, 50]) }, { key })
        }
      }
    })
  )
})

/** A reader's recording: it puts the blocks of `indexes`, in that order, with proofs from a source of all blocks. */
const download = (blocks: ReadonlyArray<Uint8Array>, indexes: ReadonlyArray<number>) =>
  Effect.gen(function* () {
    const memory = yield* StorageMemory.make
    const source = yield* Feed.open().pipe(
      Effect.provideService(Storage, memory),
      Effect.provideService(Crypto, crypto)
    )
    yield* source.appendBatch(blocks)
    const recording = yield* makeRecording
    const reader = yield* openOn(recording.storage, { key: source.key })
    for (const index of indexes) {
      const proof = yield* source.proof(index, { digest: yield* reader.digest(index) })
      yield* reader.put({ index, block: blocks[index], proof })
      yield* acknowledge(recording, reader)
    }
    yield* reader.close
    return { steps: recording.steps, key: source.key }
  }).pipe(Effect.scoped, Effect.orDie)
