/** A node whose size is wrong leads to other bytes than a block's: an audit finds it, though block and leaf match, and a repair mends it. */
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { Crypto, Feed, Storage, StorageMemory } from "../../src/index.js"
import { nodeOffset } from "../../src/domain/Sleep.js"
import type { Position } from "../../src/domain/FlatTree.js"
import { crypto, openOn, plant, takeImage } from "./images.js"

const block = (index: number) => new Uint8Array(index + 1).fill(index)

/** The blocks that are read from another place. */
for (const [length, position, first, end] of [
  [20, 25, 14, 16],
  [80, 31, 32, 64]
] as const) {
  it.scoped(`of ${length} blocks, node ${position}`, () =>
    Effect.gen(function* () {
      const written = yield* StorageMemory.make
      const feed = yield* openOn(written)
      yield* feed.appendBatch(Array.from({ length }, (_, i) => block(i)))
      yield* feed.close
      const image = yield* takeImage(written)
      const tree = image.tree.slice()
      tree[nodeOffset(position as Position) + 39]! ^= 1
      const storage = yield* plant({ ...image, tree })
      yield* Effect.scoped(
        Effect.gen(function* () {
          const damaged = yield* openOn(storage)
          const misread: Array<number> = []
          for (let index = 0; index < length; index++) {
            const read = yield* Effect.option(damaged.get(index, { wait: false }))
            if (read._tag === "None" || Buffer.compare(read.value, block(index)) !== 0) misread.push(index)
          }
          expect(misread).toEqual(Array.from({ length: end - first }, (_, i) => first + i))
          // What is fetched again would be stored in the wrong place: they stay marked as held.
          const report = { valid: length - misread.length, invalid: misread.length }
          expect([yield* damaged.audit(), yield* damaged.audit()]).toEqual([report, report])
        })
      )
      yield* Feed.repair().pipe(
        Effect.provideService(Storage, storage),
        Effect.provideService(Crypto, crypto)
      )
      const mended = yield* openOn(storage)
      expect(yield* mended.audit()).toEqual({ valid: length, invalid: 0 })
      expect(yield* mended.getBatch(0, length)).toEqual(Array.from({ length }, (_, i) => block(i)))
    })
  )
}
