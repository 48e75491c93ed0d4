/**
 * A reader's key, of which one bit is wrong: opening would find that nothing is signed by it, and forget what is held. It is refused, and
 * nothing touched. What a crash of a reader leaves is never taken for that.
 */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { Crypto, Feed, Storage, StorageMemory, type StorageService } from "../../src/index.js"
import { type Image, crypto, openOn, plant, takeImage } from "./images.js"
import { applyStep, emptyImage, makeRecording } from "./recording.js"

const SEED = new Uint8Array(32).fill(3)
const LENGTH = 21
const blocks = Array.from({ length: LENGTH }, (_, i) => new Uint8Array(i % 5 === 4 ? 0 : i + 1).fill(i))

/** Signed after each of its first blocks, and after all. */
const author = Effect.gen(function* () {
  const feed = yield* openOn(yield* StorageMemory.make, yield* crypto.keyPair(SEED))
  for (const block of blocks.slice(0, 4)) yield* feed.append(block)
  yield* feed.appendBatch(blocks.slice(4))
  return feed
})

const fetch = (from: Feed.Feed, storage: StorageService, indexes: ReadonlyArray<number>) =>
  Effect.gen(function* () {
    const reader = yield* openOn(storage, { key: from.key })
    for (const index of indexes) {
      const proof = yield* from.proof(index, { digest: yield* reader.digest(index) })
      yield* reader.put({ index, block: blocks[index], proof })
    }
    yield* reader.close
  })

const readerOf = (indexes: ReadonlyArray<number>) =>
  Effect.gen(function* () {
    const storage = yield* StorageMemory.make
    yield* fetch(yield* author, storage, indexes)
    return yield* takeImage(storage)
  })

const finalized = Effect.gen(function* () {
  const storage = yield* StorageMemory.make
  const feed = yield* openOn(storage, { static: true })
  yield* feed.appendBatch(blocks)
  yield* feed.finalize
  yield* feed.close
  return yield* takeImage(storage)
})

const subjects = {
  "a whole reader": readerOf([...blocks.keys()]),
  "a sparse reader": readerOf([7, 20]),
  "a reader of one block": readerOf([0]),
  "a static feed": finalized
}

const flipped = (image: Image, bit: number): Image => {
  const key = image.key.slice()
  key[bit >> 3]! ^= 1 << (bit & 7)
  return { ...image, key }
}

const repairOn = (storage: StorageService, key: Uint8Array) =>
  Feed.repair({ key }).pipe(Effect.provideService(Storage, storage), Effect.provideService(Crypto, crypto))

describe("a stored key with one wrong bit", () => {
  for (const [who, make] of Object.entries(subjects)) {
    it.effect(`of ${who} is refused, nothing is touched, and a repair mends it`, () =>
      Effect.gen(function* () {
        const image = yield* make
        const before = yield* Effect.scoped(
          Effect.flatMap(openOn(yield* plant(image)), (feed) => feed.downloaded())
        )
        expect(before).toBeGreaterThan(0)
        for (let bit = 0; bit < 256; bit += 23) {
          const damaged = flipped(image, bit)
          const storage = yield* plant(damaged)
          for (const options of [{}, { readOnly: true }, { sparse: true, durability: "power" }] as const) {
            const error = yield* Effect.flip(Effect.scoped(openOn(storage, options)))
            expect(error).toMatchObject({ _tag: "CorruptStorage", file: "key" })
          }
          expect(yield* takeImage(storage)).toEqual(damaged)
          if (bit > 40) continue
          expect(yield* repairOn(storage, image.key)).toMatchObject({
            files: ["key"],
            blocks: { dropped: 0 }
          })
          const mended = yield* Effect.scoped(Effect.flatMap(openOn(storage), (feed) => feed.downloaded()))
          expect(mended).toBe(before)
        }
      }).pipe(Effect.scoped)
    )
  }
})

describe("a reader that crashed", () => {
  for (const indexes of [[0], [20, 3], [1, 0, 2, 20, 19]]) {
    it.effect(`at any write of its puts of ${indexes.join(", ")} opens without being told the key`, () =>
      Effect.gen(function* () {
        const recording = yield* makeRecording
        yield* fetch(yield* author, recording.storage, indexes)
        let image = emptyImage
        let opened = 0
        for (const step of recording.steps) {
          const size = step._tag === "Write" ? step.bytes.length : 0
          for (const kept of new Set([0, 1, 31, 32, 33, 63, size >> 1, size - 1, size])) {
            const torn = applyStep(image, step, Math.max(0, kept))
            const exit = yield* Effect.either(
              Effect.scoped(openOn(yield* plant(torn), { createIfMissing: false }))
            )
            if (torn.key.length === 32) {
              expect(exit).toMatchObject({ _tag: "Right" })
              opened++
            }
          }
          image = applyStep(image, step)
        }
        expect(opened).toBeGreaterThan(20)
      }).pipe(Effect.scoped)
    )
  }

  it.effect("and whose signature was lost opens where the key is given, and has less", () =>
    Effect.gen(function* () {
      const image = yield* readerOf([0])
      const signatures = image.signatures.slice()
      signatures[signatures.length - 40]! ^= 1
      const storage = yield* plant({ ...image, signatures })
      const feed = yield* openOn(storage, { key: image.key })
      expect(feed.length).toBe(0)
    }).pipe(Effect.scoped)
  )
})
