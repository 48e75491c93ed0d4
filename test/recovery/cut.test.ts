/**
 * A directory in which one file is cut at any byte, or is an older version of itself, opens at a length whose held blocks all
 * read and verify, or is refused as corrupt; and nothing is ever signed twice.
 */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { type Feed, type FileName, StorageMemory } from "../../src/index.js"
import { FILES } from "../../src/domain/Sleep.js"
import {
  type History,
  type Image,
  type Outcome,
  judge,
  openOn,
  plant,
  signaturesIn,
  takeImage
} from "./images.js"

const text = (value: string) => new TextEncoder().encode(value)

/** Singles, batches, empty blocks and clears; an image after each, and how many blocks were acknowledged by then. */
const authored = Effect.gen(function* () {
  const storage = yield* StorageMemory.make
  const feed = yield* openOn(storage)
  const blocks: Array<Uint8Array> = []
  const images: Array<Image> = [yield* takeImage(storage)]
  const append = (batch: ReadonlyArray<Uint8Array>) =>
    Effect.gen(function* () {
      yield* feed.appendBatch(batch)
      blocks.push(...batch)
      images.push(yield* takeImage(storage))
    })
  yield* append([text("one")])
  yield* append([text("two"), text(""), text("four")])
  yield* append([text("")])
  yield* append([text("six, a longer block than the others")])
  yield* append(Array.from({ length: 5 }, (_, i) => text(`batch ${i}`)))
  yield* feed.clear(1, 3)
  images.push(yield* takeImage(storage))
  yield* append([text("twelve")])
  yield* append([text("thirteen"), text("fourteen")])
  yield* feed.close
  const last = images[images.length - 1]!
  return { key: feed.key, images, last, history: { blocks, signatures: signaturesIn(last) } }
}).pipe(Effect.scoped, Effect.orDie)

const cutAt = (image: Image, file: FileName, size: number): Image => ({
  ...image,
  [file]: image[file].slice(0, size)
})

/** Opens the image with each file cut at each byte, as its owner and as one who has no secret key. */
const cutEverywhere = (
  image: Image,
  history: History,
  file: FileName,
  step: number,
  options: Feed.OpenOptions
) =>
  Effect.gen(function* () {
    const outcomes: Array<{ readonly size: number; readonly outcome: Outcome }> = []
    for (let size = 0; size < image[file].length; size += step) {
      outcomes.push({ size, outcome: yield* judge(cutAt(image, file, size), history, options) })
    }
    return outcomes
  })

const lengths = (outcomes: ReadonlyArray<{ readonly outcome: Outcome }>) =>
  new Set(outcomes.map(({ outcome }) => (outcome._tag === "Opened" ? outcome.length : outcome._tag)))

describe("one file cut at any byte, opened by the owner", () => {
  for (const file of FILES) {
    it.effect(file, () =>
      Effect.gen(function* () {
        const { key, last, history } = yield* authored
        // Most of the bitfield is zeros: every seventh byte shows as much as each.
        const outcomes = yield* cutEverywhere(last, history, file, file === "bitfield" ? 7 : 1, { key })
        expect(outcomes.length).toBeGreaterThan(30)
        const whole = history.blocks.length
        switch (file) {
          case "bitfield":
            expect(lengths(outcomes)).toEqual(new Set([whole]))
            for (const { outcome } of outcomes) {
              // Block 2 was cleared, which only its leaf's tree-bit tells: it has no bytes.
              const held = outcome._tag === "Opened" ? outcome.held.filter((block) => block !== 2) : []
              expect(held).toEqual([0, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13])
            }
            break
          case "signatures":
          case "data":
            // The tree and the blocks tell what was signed; missing blocks are missing, the length is not.
            expect(lengths(outcomes)).toEqual(new Set(file === "data" ? [whole] : [whole, "Refused"]))
            break
          case "tree":
            expect(lengths(outcomes)).toContain("Refused")
            break
          case "key":
            expect(lengths(outcomes)).toEqual(new Set([whole]))
            break
          case "secret_key":
            expect(lengths(outcomes)).toEqual(new Set([whole, "Refused"]))
        }
      })
    )
  }
})

describe("signatures and bitfield both gone", () => {
  it.effect("an owner is refused, again and again, and nothing is touched; who reads only opens it", () =>
    Effect.gen(function* () {
      const { key, last } = yield* authored
      const image = { ...last, signatures: new Uint8Array(0), bitfield: new Uint8Array(0) }
      const storage = yield* plant(image)
      for (const options of [{ key }, {}]) {
        const error = yield* Effect.flip(openOn(storage, options))
        expect(error).toMatchObject({ _tag: "CorruptStorage", file: "signatures" })
      }
      expect(yield* takeImage(storage)).toEqual(image)
      const reader = yield* openOn(storage, { readOnly: true })
      expect([reader.length, reader.writable]).toEqual([0, false])
    }).pipe(Effect.scoped)
  )
})

describe("one file cut at any byte, opened by a reader", () => {
  for (const file of ["tree", "signatures", "bitfield", "data"] as const) {
    it.effect(file, () =>
      Effect.gen(function* () {
        const { key, last, history } = yield* authored
        const image = { ...last, secret_key: new Uint8Array(0) }
        const step = file === "bitfield" ? 7 : 1
        const outcomes = yield* cutEverywhere(image, history, file, step, { key })
        expect(lengths(outcomes)).not.toContain("Refused")
        if (file === "bitfield" || file === "data")
          expect(lengths(outcomes)).toEqual(new Set([history.blocks.length]))
      })
    )
  }
})

describe("one file older than the others", () => {
  for (const file of ["tree", "signatures", "bitfield", "data"] as const) {
    it.effect(`${file} of every earlier moment, at every later one`, () =>
      Effect.gen(function* () {
        const { images, history } = yield* authored
        for (let now = 1; now < images.length; now++) {
          for (let then = 0; then < now; then++) {
            // A bitfield from before a clear claims blocks that were freed: see the test below.
            if (file === "bitfield" && then < 6 && now >= 6) continue
            const mixed = { ...images[now]!, [file]: images[then]![file] }
            const signatures = signaturesIn(images[now]!)
            const outcome = yield* judge(mixed, { ...history, signatures })
            const length = Math.max(...signatures.keys())
            if (file === "bitfield" || file === "data") expect(outcome).toMatchObject({ length })
          }
        }
      })
    )
  }

  it.effect(
    "blocks whose bytes are lost are told of by an audit: by each of who only reads, and by the owner's first",
    () =>
      Effect.gen(function* () {
        const { history, last } = yield* authored
        const held = history.blocks.length - 2
        const storage = yield* plant(cutAt(last, "data", last.data.length - 1))
        const reader = yield* openOn(storage, { readOnly: true })
        for (let i = 0; i < 2; i++) expect(yield* reader.audit()).toEqual({ valid: held - 1, invalid: 1 })
        const owner = yield* openOn(storage)
        expect(yield* owner.audit()).toEqual({ valid: held - 1, invalid: 1 })
        expect(yield* owner.audit()).toEqual({ valid: held - 1, invalid: 0 })
      }).pipe(Effect.scoped)
  )

  it.effect("but not of those that have come again", () =>
    Effect.gen(function* () {
      const { history, key, last } = yield* authored
      const held = history.blocks.length - 2
      const whole = yield* openOn(yield* plant(last))
      const noSecretKey = { ...last, secret_key: new Uint8Array(0) }
      const reader = yield* openOn(yield* plant(cutAt(noSecretKey, "data", last.data.length - 1)), { key })
      const index = history.blocks.length - 1
      yield* reader.put({ index, block: yield* whole.get(index), proof: yield* whole.proof(index) })
      expect(yield* reader.audit()).toEqual({ valid: held, invalid: 0 })
    }).pipe(Effect.scoped)
  )

  it.effect("a bitfield from before a clear: the freed blocks fail typed, and an audit drops them", () =>
    Effect.gen(function* () {
      const { images, history } = yield* authored
      const mixed = { ...images[6]!, bitfield: images[5]!.bitfield }
      const storage = yield* plant(mixed)
      const feed = yield* openOn(storage)
      const error = yield* Effect.flip(feed.get(1))
      expect(error._tag).toBe("CorruptStorage")
      // Block 2 is empty: it lost nothing.
      expect(yield* feed.audit()).toEqual({ valid: history.blocks.length - 4, invalid: 1 })
    }).pipe(Effect.scoped)
  )
})
