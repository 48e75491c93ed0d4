/**
 * The process that writes a static feed ends at any moment: what is left is a feed that is finalized and whole, or one that cannot be
 * opened, or none yet.
 */
import { describe, expect, it } from "@effect/vitest"
import { Effect, FastCheck as fc } from "effect"
import { type Feed, toHex } from "../../src/index.js"
import { share } from "../domain/arbitraries.js"
import { recursiveTree } from "../reference/RecursiveTree.js"
import { type Image, openOn, plant } from "./images.js"
import { applyStep, emptyImage, makeRecording } from "./recording.js"

const batches = fc.array(fc.array(fc.uint8Array({ maxLength: 24 }), { minLength: 1, maxLength: 5 }), {
  minLength: 1,
  maxLength: 6
})

/** Writes a static feed of these batches, one block of which is cleared, and finalizes it. */
const written = (list: ReadonlyArray<ReadonlyArray<Uint8Array>>, cleared: number) =>
  Effect.gen(function* () {
    const recording = yield* makeRecording
    const feed = yield* openOn(recording.storage, { static: true })
    for (const batch of list) yield* feed.appendBatch(batch)
    yield* feed.clear(cleared)
    yield* feed.finalize
    yield* feed.close
    return recording.steps
  }).pipe(Effect.scoped, Effect.orDie)

/** What the image is: `whole`, with every block but the cleared one; `none` yet; or refused, and then by whose file. */
const judge = (image: Image, blocks: ReadonlyArray<Uint8Array>, cleared: number, options: Feed.OpenOptions) =>
  Effect.gen(function* () {
    const opened = yield* Effect.either(openOn(yield* plant(image), options))
    if (opened._tag === "Left")
      return `refused: ${opened.left._tag === "CorruptStorage" ? opened.left.file : ""}`
    const feed = opened.right
    if (feed.length === 0) return "none"
    expect([feed.length, feed.live, feed.writable]).toEqual([blocks.length, false, false])
    expect(toHex(feed.key)).toBe(toHex(recursiveTree(blocks).rootHash))
    const left = blocks.length - (cleared < blocks.length ? 1 : 0)
    expect(yield* feed.audit()).toEqual({ valid: left, invalid: 0 })
    return "whole"
  }).pipe(Effect.scoped, Effect.orDie)

describe("a crash at every write of a static feed", () => {
  it.effect("whose blocks come in any batches", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(batches, fc.nat(12), share, async (list, cleared, kept) => {
          const blocks = list.flat()
          const steps = await Effect.runPromise(written(list, cleared))
          const outcomes: Array<string> = []
          let image = emptyImage
          for (const step of steps) {
            if (step._tag === "Write") {
              const half = applyStep(image, step, Math.floor(step.bytes.length * kept))
              outcomes.push(await Effect.runPromise(judge(half, blocks, cleared, { static: true })))
            }
            image = applyStep(image, step)
            outcomes.push(await Effect.runPromise(judge(image, blocks, cleared, { static: true })))
          }
          // Before the first block; until the key is whole, which is the last thing that is written.
          const begun = outcomes.findIndex((outcome) => outcome !== "none")
          for (const outcome of outcomes.slice(begun, -1)) {
            expect(["refused: key", "refused: data"]).toContain(outcome)
          }
          expect(outcomes.at(-1)).toBe("whole")
          // Who knows the key has it as soon as the bits are stored; and nothing that is not all of it.
          const { rootHash: key } = recursiveTree(blocks)
          expect(
            await Effect.runPromise(judge({ ...image, key: new Uint8Array(0) }, blocks, cleared, { key }))
          ).toBe("whole")
        }),
        { numRuns: 40 }
      )
    )
  )
})
