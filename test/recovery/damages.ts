/** Kinds of damage to a feed's files, as functions of images and as arbitraries. */
import * as fc from "fast-check"
import type { FileName } from "../../src/index.js"
import { FILES } from "../../src/domain/Sleep.js"
import type { Image } from "./images.js"

/** Places are fractions of the file, so that one damage means something in any image. */
export type Damage =
  | { readonly kind: "deleted"; readonly file: FileName }
  | { readonly kind: "cut"; readonly file: FileName; readonly at: number }
  | { readonly kind: "zeroed"; readonly file: FileName; readonly at: number; readonly length: number }
  | { readonly kind: "garbage"; readonly file: FileName; readonly at: number; readonly length: number }
  | { readonly kind: "flipped"; readonly file: FileName; readonly bits: ReadonlyArray<number> }
  | { readonly kind: "older"; readonly file: FileName; readonly moment: number }

const place = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true })
const length = fc.oneof(fc.integer({ min: 1, max: 48 }), fc.integer({ min: 49, max: 5000 }))

const onFile = (file: FileName): fc.Arbitrary<Damage> =>
  fc.oneof(
    fc.record({ kind: fc.constant("deleted" as const), file: fc.constant(file) }),
    fc.record({ kind: fc.constant("cut" as const), file: fc.constant(file), at: place }),
    fc.record({ kind: fc.constant("zeroed" as const), file: fc.constant(file), at: place, length }),
    fc.record({ kind: fc.constant("garbage" as const), file: fc.constant(file), at: place, length }),
    fc.record({
      kind: fc.constant("flipped" as const),
      file: fc.constant(file),
      bits: fc.array(place, { minLength: 1, maxLength: 6 })
    }),
    fc.record({ kind: fc.constant("older" as const), file: fc.constant(file), moment: place })
  )

/** Mostly one; at most three at once. */
export const someDamages: fc.Arbitrary<ReadonlyArray<Damage>> = fc.oneof(
  { weight: 3, arbitrary: fc.tuple(fc.constantFrom(...FILES).chain(onFile)) },
  { weight: 1, arbitrary: fc.array(fc.constantFrom(...FILES).chain(onFile), { minLength: 2, maxLength: 3 }) }
)

const flipped = (bytes: Uint8Array, places: ReadonlyArray<number>): Uint8Array => {
  const copy = bytes.slice()
  for (const one of places) {
    const bit = Math.floor(one * 8 * copy.length)
    if (copy.length > 0) copy[bit >> 3]! ^= 128 >> (bit & 7)
  }
  return copy
}

const overwritten = (bytes: Uint8Array, at: number, length: number, byteAt: (i: number) => number) => {
  const start = Math.floor(at * bytes.length)
  return bytes.map((byte, i) => (i >= start && i < start + length ? byteAt(i) : byte))
}

/** `older`: images of earlier moments. */
export const applyDamage = (image: Image, damage: Damage, older: ReadonlyArray<Image>): Image => {
  const bytes = image[damage.file]
  const after = (): Uint8Array => {
    switch (damage.kind) {
      case "deleted":
        return new Uint8Array(0)
      case "cut":
        return bytes.slice(0, Math.floor(damage.at * bytes.length))
      case "zeroed":
        return overwritten(bytes, damage.at, damage.length, () => 0)
      case "garbage":
        return overwritten(bytes, damage.at, damage.length, (i) => (i * 197 + 91) % 256)
      case "flipped":
        return flipped(bytes, damage.bits)
      case "older":
        return older[Math.floor(damage.moment * older.length)]![damage.file]
    }
  }
  return { ...image, [damage.file]: after() }
}
