/**
 * The writer's process ends at any moment: after any prefix of its writes, the last of them torn at any byte. What was
 * acknowledged by then is there, all that is held verifies, and nothing is signed twice.
 */
import { describe, expect, it } from "@effect/vitest"
import { Effect, FastCheck as fc } from "effect"
import { Crypto, Feed, Storage, StorageMemory } from "../../src/index.js"
import { type History, type Image, crypto, judge, openOn, plant, signaturesIn, takeImage } from "./images.js"
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
    const outcome = yield* judge(image, history, options)
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
        fc.asyncProperty(actions, fc.double({ min: 0, max: 0.999, noNaN: true }), async (list, share) => {
          await Effect.runPromise(
            Effect.gen(function* () {
              const { steps, blocks } = yield* run(list)
              const crashes = yield* crashEverywhere(steps, blocks, (bytes) => Math.floor(bytes * share))
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
          fc.double({ min: 0, max: 0.999, noNaN: true }),
          async (blocks, indexes, share) => {
            await Effect.runPromise(
              Effect.gen(function* () {
                const { steps, key } = yield* download(
                  blocks,
                  indexes.filter((index) => index < blocks.length)
                )
                yield* crashEverywhere(steps, blocks, (bytes) => Math.floor(bytes * share), { key })
              })
            )
          }
        ),
        { numRuns: 40 }
      )
    )
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
