/** Where a block's bytes lie, against the plain sums of the sizes before it. */
import { describe, expect, it } from "@effect/vitest"
import fc from "fast-check"
import * as FlatTree from "../../src/domain/FlatTree.js"
import type { Position } from "../../src/domain/FlatTree.js"
import { type Extent, type KnownSizes, Offsets } from "../../src/domain/Offsets.js"
import { REGION_BLOCKS, RegionCache } from "../../src/domain/RegionCache.js"
import * as Sleep from "../../src/domain/Sleep.js"
import type { HeldNodes } from "../../src/domain/TreeIndex.js"
import { BytesFile } from "../reference/BytesFile.js"

/** As if every node were held: what is not in the file is not there. */
const all: HeldNodes = { hasNode: () => true, end: Number.POSITIVE_INFINITY }

/** A `tree` file over blocks of these sizes, every node stored. A hash is not checked here: one byte says "stored". */
const treeOf = (sizes: ReadonlyArray<number>): BytesFile => {
  const file = new BytesFile()
  file.write(Sleep.nodeOffset((2 * sizes.length) as Position) - 1, Uint8Array.of(0))
  const view = new DataView(file.bytes.buffer)
  const store = (position: Position): number => {
    const size = FlatTree.isLeaf(position)
      ? sizes[FlatTree.block(position)]!
      : store(FlatTree.leftChild(position)) + store(FlatTree.rightChild(position))
    file.bytes[Sleep.nodeOffset(position)] = 1
    view.setBigUint64(Sleep.nodeOffset(position) + 32, BigInt(size))
    return size
  }
  for (const root of FlatTree.fullRoots(sizes.length)) store(root)
  return file
}

const extentOf = (
  offsets: Offsets,
  file: BytesFile,
  block: number,
  known?: KnownSizes
): Extent | undefined => {
  const plan = offsets.plan(block, known)
  return offsets.finish(
    plan,
    plan.ranges.map(({ length, offset }) => file.read(offset, length)),
    known
  )
}

/** Every extent, by adding up. */
const prefixSums = (sizes: ReadonlyArray<number>): ReadonlyArray<Extent> => {
  let offset = 0
  return sizes.map((size) => {
    const extent = { offset, size }
    offset += size
    return extent
  })
}

const blockSizes = fc.array(
  fc.oneof({ weight: 3, arbitrary: fc.nat({ max: 1000 }) }, { weight: 1, arbitrary: fc.constant(0) }),
  { minLength: 1, maxLength: 2000, size: "max" }
)

describe("agrees with prefix sums", () => {
  it("for every block of a dense tree, in any order, with one memory", () => {
    fc.assert(
      fc.property(blockSizes, fc.array(fc.nat(), { maxLength: 100 }), (sizes, some) => {
        const file = treeOf(sizes)
        const expected = prefixSums(sizes)
        const offsets = new Offsets(all)
        for (const n of some) {
          const block = n % sizes.length
          expect(extentOf(offsets, file, block)).toEqual(expected[block])
        }
        for (let block = 0; block < sizes.length; block++) {
          expect(extentOf(offsets, file, block)).toEqual(expected[block])
        }
        // What is answered without reading is the same; every region that is whole is.
        for (let block = 0; block < sizes.length; block++) {
          const whole = block < sizes.length - (sizes.length % REGION_BLOCKS)
          expect(offsets.cached(block)).toEqual(whole ? expected[block] : undefined)
        }
      }),
      { numRuns: 25 }
    )
  })

  it("2000 blocks, every third empty, each with a memory of its own", () => {
    const sizes = Array.from({ length: 2000 }, (_, i) => (i % 3 === 0 ? 0 : i % 251))
    const file = treeOf(sizes)
    const expected = prefixSums(sizes)
    sizes.forEach((_, block) => expect(extentOf(new Offsets(all), file, block)).toEqual(expected[block]))
  })

  it("the block after the last has an offset, and no size", () => {
    for (const length of [0, 1, 63, 64, 65, 127, 128, 200]) {
      const sizes = Array.from({ length }, (_, i) => i)
      const total = sizes.reduce((sum, size) => sum + size, 0)
      expect(extentOf(new Offsets(all), treeOf(sizes), length)).toEqual({ offset: total, size: undefined })
    }
  })

  it("sizes add up beyond 2^32", () => {
    const sizes = Array.from({ length: 100 }, (_, i) => 2 ** 40 + i)
    const file = treeOf(sizes)
    const expected = prefixSums(sizes)
    sizes.forEach((_, block) => expect(extentOf(new Offsets(all), file, block)).toEqual(expected[block]))
  })
})

describe("nodes that are not there", () => {
  const holes = fc.record({
    sizes: blockSizes,
    blanks: fc.array(fc.nat(), { minLength: 1, maxLength: 20 })
  })

  it("an offset is undefined when a root before the block is blank, a size when its leaf is", () => {
    fc.assert(
      fc.property(holes, ({ blanks, sizes }) => {
        const file = treeOf(sizes)
        const expected = prefixSums(sizes)
        const blank = new Set(blanks.map((n) => n % (2 * sizes.length)))
        for (const position of blank) {
          file.write(Sleep.nodeOffset(position as Position), new Uint8Array(40))
        }
        for (let block = 0; block < sizes.length; block += 7) {
          const extent = extentOf(new Offsets(all), file, block)
          if (FlatTree.fullRoots(block).some((root) => blank.has(root))) expect(extent).toBeUndefined()
          else {
            const size = blank.has(FlatTree.leaf(block)) ? undefined : expected[block]!.size
            expect(extent).toEqual({ offset: expected[block]!.offset, size })
          }
        }
      }),
      { numRuns: 25 }
    )
  })

  it("a file that ends too soon has no node there", () => {
    const sizes = Array.from({ length: 300 }, (_, i) => i + 1)
    const whole = treeOf(sizes)
    const expected = prefixSums(sizes)
    for (const end of [0, 1, 62, 63, 64, 127, 255, 256, 300, 500]) {
      const file = new BytesFile()
      file.write(0, whole.read(0, Sleep.nodeOffset(end as Position) + 39))
      for (let block = 0; block < 300; block++) {
        const extent = extentOf(new Offsets(all), file, block)
        if (FlatTree.fullRoots(block).some((root) => root >= end)) expect(extent).toBeUndefined()
        else {
          const size = FlatTree.leaf(block) >= end ? undefined : expected[block]!.size
          expect(extent).toEqual({ offset: expected[block]!.offset, size })
        }
      }
    }
  })

  it("an impossible size is no size", () => {
    for (const position of [63, 64 * 2, 127] as Array<Position>) {
      const file = treeOf(Array.from({ length: 200 }, () => 1))
      file.write(Sleep.nodeOffset(position) + 32, new Uint8Array(8).fill(0xff))
      const blocks = Array.from({ length: 200 }, (_, block) => block)
      const affected = blocks.filter((block) => FlatTree.fullRoots(block).includes(position))
      expect(affected.length).toBeGreaterThan(0)
      for (const block of affected) expect(extentOf(new Offsets(all), file, block)).toBeUndefined()
    }
  })

  it("sizes known from elsewhere stand in for nodes that are blank, and come first", () => {
    fc.assert(
      fc.property(blockSizes, fc.nat(), (sizes, n) => {
        const block = n % sizes.length
        const dense = treeOf(sizes)
        const known = (position: Position): number | undefined => {
          const entry = dense.read(Sleep.nodeOffset(position), 40)
          if (entry.length < 40) return undefined
          return Number(new DataView(entry.buffer).getBigUint64(32))
        }
        const expected = prefixSums(sizes)[block]
        expect(extentOf(new Offsets(all), new BytesFile(), block, known)).toEqual(expected)
        const wrong = treeOf(sizes.map(() => 12_345))
        expect(extentOf(new Offsets(all), wrong, block, known)).toEqual(expected)
      }),
      { numRuns: 30 }
    )
  })
})

describe("nodes that are not held", () => {
  it("count as not there, whatever a crash left in the file", () => {
    fc.assert(
      fc.property(blockSizes, fc.array(fc.nat(), { maxLength: 40 }), (sizes, losses) => {
        const file = treeOf(sizes)
        const expected = prefixSums(sizes)
        const lost = new Set(losses.map((n) => n % (2 * sizes.length)))
        const held: HeldNodes = { hasNode: (position) => !lost.has(position), end: 2 * sizes.length }
        for (let block = 0; block < sizes.length; block += 5) {
          const extent = extentOf(new Offsets(held), file, block)
          if (FlatTree.fullRoots(block).some((root) => lost.has(root))) expect(extent).toBeUndefined()
          else {
            const size = lost.has(FlatTree.leaf(block)) ? undefined : expected[block]!.size
            expect(extent).toEqual({ offset: expected[block]!.offset, size })
          }
        }
      }),
      { numRuns: 25 }
    )
  })
})

/** The position of upper node `upper`: above a region of blocks each. */
const upperPosition = (upper: number) => ((upper + 1) * REGION_BLOCKS - 1) as Position

describe("memory", () => {
  const CHUNK = 512
  const MAX_CHUNKS = 512
  const noEntries = new Uint8Array(0)

  it("what was read once is not asked for again", () => {
    const sizes = Array.from({ length: 1500 }, (_, i) => i)
    const file = treeOf(sizes)
    const offsets = new Offsets(all)
    expect(offsets.plan(1499).missing.length).toBeGreaterThan(0)
    extentOf(offsets, file, 1499)
    const again = offsets.plan(1499)
    expect(again.missing).toEqual([])
    expect(again.ranges).toHaveLength(1)
    expect(again.ranges[0]!.length).toBeLessThanOrEqual(40 * (2 * REGION_BLOCKS - 1))
  })

  it("what a verified proof taught is not asked for", () => {
    const offsets = new Offsets(all)
    expect(offsets.plan(REGION_BLOCKS).missing).toEqual([upperPosition(0)])
    offsets.remember(upperPosition(0), 77)
    expect(offsets.plan(REGION_BLOCKS).missing).toEqual([])
    // Leaves and low nodes are not remembered, nor do they harm.
    offsets.remember(0 as Position, 5)
    offsets.remember((REGION_BLOCKS / 2 - 1) as Position, 5)
    const extent = extentOf(offsets, new BytesFile(), REGION_BLOCKS)
    expect(extent).toEqual({ offset: 77, size: undefined })
  })

  it("is bounded: the oldest chunk of sizes is forgotten, and read again", () => {
    const offsets = new Offsets(all)
    offsets.remember(upperPosition(0), REGION_BLOCKS)
    for (let chunk = 1; chunk < MAX_CHUNKS; chunk++) offsets.remember(upperPosition(CHUNK * chunk), 1)
    expect(offsets.plan(REGION_BLOCKS).missing).toEqual([])
    offsets.remember(upperPosition(CHUNK * MAX_CHUNKS), 1)
    expect(offsets.plan(REGION_BLOCKS).missing).toEqual([upperPosition(0)])
    const file = treeOf(Array.from({ length: REGION_BLOCKS + 1 }, () => 1))
    expect(extentOf(offsets, file, REGION_BLOCKS)).toEqual({ offset: REGION_BLOCKS, size: 1 })
  })

  it("learning what a plan misses does not forget what it counted on", () => {
    // 1025 regions: upper node 1023 is remembered, 2048 is not; learning the second pushes out the first.
    const offsets = new Offsets(all)
    expect(FlatTree.fullRoots(1025)).toEqual([1023, 2048])
    offsets.remember(upperPosition(1023), 100_000)
    for (let chunk = 1000; chunk < 1000 + MAX_CHUNKS - 1; chunk++) {
      offsets.remember(upperPosition(CHUNK * chunk), 1)
    }
    const plan = offsets.plan(REGION_BLOCKS * 1025)
    expect(plan.missing).toEqual([upperPosition(2048)])
    const entry = new Uint8Array(40)
    entry[0] = 1
    new DataView(entry.buffer).setBigUint64(32, 64n)
    expect(offsets.finish(plan, [entry, noEntries])).toEqual({ offset: 100_064, size: undefined })
  })

  it("what others learn between a plan and its finish does not forget what it counted on", () => {
    const offsets = new Offsets(all)
    offsets.remember(upperPosition(0), 64)
    for (let chunk = 1; chunk < MAX_CHUNKS; chunk++) offsets.remember(upperPosition(CHUNK * chunk), 1)
    const plan = offsets.plan(REGION_BLOCKS)
    expect(plan.missing).toEqual([])
    offsets.remember(upperPosition(CHUNK * (MAX_CHUNKS + 100)), 1)
    expect(offsets.finish(plan, [noEntries])).toEqual({ offset: 64, size: undefined })
  })

  it("a region of blocks larger than any frame is not remembered, and is still right", () => {
    const sizes = Array.from({ length: REGION_BLOCKS }, () => 2 ** 30)
    const file = treeOf(sizes)
    const offsets = new Offsets(all)
    const expected = prefixSums(sizes)
    sizes.forEach((_, block) => expect(extentOf(offsets, file, block)).toEqual(expected[block]))
    expect(offsets.cached(3)).toBeUndefined()
  })
})

describe("RegionCache", () => {
  it("finds what was added last, or nothing, and never another region's block", () => {
    const regions = fc.array(fc.tuple(fc.nat({ max: 20_000 }), fc.nat({ max: 2 ** 40 })), { maxLength: 300 })
    fc.assert(
      fc.property(regions, (added) => {
        const cache = new RegionCache()
        const bases = new Map<number, number>()
        expect(cache.find(0)).toBeUndefined()
        for (const [region, base] of added) {
          cache.add(
            region,
            base,
            Array.from({ length: REGION_BLOCKS }, (_, i) => (region + i) % 100)
          )
          bases.set(region, base)
          expect(cache.find(region * REGION_BLOCKS)).toEqual({ offset: base, size: region % 100 })
        }
        for (let region = 0; region < 20_000; region += 13) {
          if (!bases.has(region)) expect(cache.find(region * REGION_BLOCKS + 5)).toBeUndefined()
        }
        for (const [region, base] of bases) {
          let offset = base
          for (let i = 0; i < REGION_BLOCKS; i++) {
            const size = (region + i) % 100
            const found = cache.find(region * REGION_BLOCKS + i)
            if (found !== undefined) expect(found).toEqual({ offset, size })
            offset += size
          }
        }
      }),
      { numRuns: 30 }
    )
  })
})
