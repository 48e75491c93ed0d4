/** A set of blocks against a Set of numbers; what it says of ranges that no Set could hold. */
import { describe, expect, it } from "@effect/vitest"
import fc from "fast-check"
import { BlockSet, PAGE_BLOCKS } from "../../src/domain/BlockSet.js"

const GROUP = 128 * PAGE_BLOCKS

/** Block numbers near the borders of bytes, pages and groups, from some place on. */
const near = fc
  .tuple(
    fc.constantFrom(0, 8, PAGE_BLOCKS, 2 * PAGE_BLOCKS, GROUP, GROUP + PAGE_BLOCKS),
    fc.integer({ min: -17, max: 17 })
  )
  .map(([border, more]) => Math.max(0, border + more))

const step = fc.oneof(
  fc.record({ start: near, length: fc.nat({ max: 40 }), held: fc.boolean() }),
  fc.record({ start: near, length: fc.constantFrom(PAGE_BLOCKS, GROUP), held: fc.boolean() }),
  fc.record({ start: near.map((block) => block - (block % 8)), bytes: fc.uint8Array({ maxLength: 6 }) })
)

/** A feed of so many blocks is looked at. */
const END = 2 * GROUP + 3 * PAGE_BLOCKS
const places = [0, 8, PAGE_BLOCKS, 2 * PAGE_BLOCKS, GROUP, GROUP + PAGE_BLOCKS, 2 * GROUP, END - 100].flatMap(
  (border) => Array.from({ length: 60 }, (_, i) => border - 20 + i)
)

const next = (bits: Uint8Array, at: number): number => {
  const found = bits.findIndex((byte, i) => i >= at && byte !== 0)
  return found < 0 ? END / 8 : found
}

describe("a set of blocks", () => {
  it("is a bit a block", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 8 }), (steps) => {
        const set = new BlockSet()
        const bits = new Uint8Array(END / 8)
        for (const one of steps) {
          if ("bytes" in one) {
            set.write(one.start / 8, one.bytes)
            bits.set(one.bytes, one.start / 8)
            continue
          }
          set.set(one.start, one.start + one.length, one.held)
          for (let block = one.start; block < one.start + one.length; block++) {
            const mask = 128 >> (block % 8)
            const at = (block - (block % 8)) / 8
            bits[at] = one.held ? bits[at]! | mask : bits[at]! & ~mask
          }
        }
        for (const block of places) {
          if (block < 0) continue
          const at = Math.floor(block / 8)
          expect([block, set.byte(at)]).toEqual([block, bits[at] ?? 0])
          expect(set.has(block)).toBe((set.byte(at) & (128 >> (block % 8))) !== 0)
        }
        for (const at of [0, 1, 1024, 16 * 1024, GROUP / 8 - 2, GROUP / 8, END / 8 - 1]) {
          expect([at, set.nextHeldByte(at, END / 8)]).toEqual([at, next(bits, at)])
        }
      }),
      { numRuns: 60 }
    )
  })

  it("a whole page that is written into is its own", () => {
    const [one, other] = [new BlockSet(), new BlockSet()]
    one.set(0, GROUP, true)
    other.set(0, GROUP, true)
    one.set(5, 6, false)
    expect([one.byte(0), one.byte(1024), other.byte(0)]).toEqual([0xfb, 0xff, 0xff])
    one.set(0, GROUP, false)
    expect(one.nextHeldByte(0, GROUP)).toBe(GROUP)
  })

  it("skips what is not there, 2^46 blocks at once", () => {
    const set = new BlockSet()
    set.set(2 ** 46 - 8, 2 ** 46, true)
    expect(set.nextHeldByte(0, 2 ** 43)).toBe(2 ** 43 - 1)
    expect(set.nextHeldByte(0, 2 ** 43 - 1)).toBe(2 ** 43 - 1)
    expect(new BlockSet().nextHeldByte(0, 2 ** 43)).toBe(2 ** 43)
  })
})
