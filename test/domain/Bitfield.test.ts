/** The bitfield against the real peer's, page by page and byte by byte, and against an array of booleans. */
import { describe, expect, it } from "@effect/vitest"
import fc from "fast-check"
import { Bitfield } from "../../src/domain/Bitfield.js"
import * as BitfieldIndex from "../../src/domain/BitfieldIndex.js"
import { BitfieldPages } from "../../src/domain/BitfieldPages.js"
import { toHex } from "../../src/domain/Bytes.js"
import type { Position } from "../../src/domain/FlatTree.js"
import { BitfieldModel } from "../reference/BitfieldModel.js"
import { BytesFile } from "../reference/BytesFile.js"
import { newBitfield, newTreeIndex, type PeerBitfield, type PeerTreeIndex } from "../reference/peer.js"
import * as SlowTree from "../reference/SlowTree.js"
import { pseudoRandomBytes } from "../vectors/dsl.mjs"

type Step =
  | { readonly do: "have"; readonly start: number; readonly length: number; readonly held: boolean }
  | { readonly do: "leaves"; readonly start: number; readonly length: number }
  | { readonly do: "node"; readonly position: number }
  | { readonly do: "reload" }

const BLOCKS_A_PAGE = 8192

/** Blocks on the first three pages and, after a hole, on page 40; often at the edge of a page. */
const farBlock = fc.oneof(
  fc.nat({ max: 300 }),
  fc.nat({ max: 3 * BLOCKS_A_PAGE }),
  fc.integer({ min: BLOCKS_A_PAGE - 40, max: BLOCKS_A_PAGE + 40 }),
  fc.integer({ min: 40 * BLOCKS_A_PAGE - 20, max: 40 * BLOCKS_A_PAGE + 500 })
)
const runLength = fc.oneof(
  fc.integer({ min: 1, max: 3 }),
  fc.integer({ min: 1, max: 200 }),
  fc.constantFrom(64, 2048, 9000)
)

const steps = (block: fc.Arbitrary<number>, length: fc.Arbitrary<number>): fc.Arbitrary<Array<Step>> =>
  fc.array(
    fc.oneof(
      {
        weight: 4,
        arbitrary: fc.record({
          do: fc.constant("have" as const),
          start: block,
          length,
          held: fc.constant(true)
        })
      },
      {
        weight: 3,
        arbitrary: fc.record({ do: fc.constant("have" as const), start: block, length, held: fc.boolean() })
      },
      {
        weight: 3,
        arbitrary: fc.record({ do: fc.constant("leaves" as const), start: block, length })
      },
      {
        weight: 2,
        arbitrary: fc.record({
          do: fc.constant("node" as const),
          position: block.chain((i) => fc.constantFrom(2 * i, 2 * i + 1))
        })
      },
      { weight: 1, arbitrary: fc.constant({ do: "reload" as const }) }
    ),
    { minLength: 1, maxLength: 14 }
  )

/** The peer's bitfield and the file that it stores its updated pages in. */
class Peer {
  readonly file = new BytesFile()
  bitfield: PeerBitfield
  tree: PeerTreeIndex

  constructor(readonly pageSize: number) {
    this.bitfield = newBitfield(pageSize, [])
    this.tree = newTreeIndex(this.bitfield.tree)
  }

  run(step: Step): void {
    if (step.do === "have") {
      for (let i = step.start; i < step.start + step.length; i++) this.bitfield.set(i, step.held)
    } else if (step.do === "leaves") {
      for (let i = step.start; i < step.start + step.length; i++) this.tree.set(2 * i)
    } else if (step.do === "node") {
      this.tree.set(step.position)
    } else {
      const pages: Array<Uint8Array> = []
      for (let at = 0; at < this.file.bytes.length; at += this.pageSize) {
        pages.push(Buffer.from(this.file.read(at, this.pageSize)))
      }
      this.bitfield = newBitfield(this.pageSize, pages)
      this.tree = newTreeIndex(this.bitfield.tree)
    }
  }

  store(): void {
    const { pages } = this.bitfield
    for (let page = pages.lastUpdate(); page !== null; page = pages.lastUpdate()) {
      this.file.write(page.offset, page.buffer)
    }
  }

  page(k: number): Uint8Array {
    return this.bitfield.pages.get(k, true)?.buffer ?? new Uint8Array(this.pageSize)
  }
}

/** A whole page, byte by byte. */
const pageOf = (pages: BitfieldPages, k: number): Uint8Array => {
  const whole = { start: 0, size: pages.pageSize }
  return Uint8Array.from({ length: pages.pageSize }, (_, i) => pages.byte(whole, k * pages.pageSize + i))
}

class Ours {
  readonly file = new BytesFile()
  bitfield: Bitfield

  constructor(readonly pageSize: number) {
    this.bitfield = new Bitfield(new BitfieldPages(pageSize))
  }

  run(step: Step): void {
    if (step.do === "have") {
      this.bitfield.setHave(step.start, step.start + step.length, step.held)
    } else if (step.do === "leaves") {
      this.bitfield.setLeaves(step.start, step.start + step.length)
    } else if (step.do === "node") {
      this.bitfield.setNode(step.position as Position)
    } else {
      this.bitfield = new Bitfield(new BitfieldPages(this.pageSize))
      this.bitfield.pages.load(this.file.bytes.slice())
    }
  }

  store(): void {
    const { pages } = this.bitfield
    for (const { bytes, offset } of pages.dirty()) this.file.write(offset, bytes)
    pages.clean()
  }

  page(k: number): Uint8Array {
    return pageOf(this.bitfield.pages, k)
  }
}

/** The parts of a page, so that a difference says where it is. */
const parts = (page: Uint8Array) => ({
  have: toHex(page.subarray(0, 1024)),
  tree: toHex(page.subarray(1024, 3072)),
  index: toHex(page.subarray(3072))
})

const expectSamePage = (k: number, actual: Uint8Array, expected: Uint8Array): void => {
  if (Buffer.compare(actual, expected) === 0) return
  expect({ k, ...parts(actual) }).toEqual({ k, ...parts(expected) })
}

/** What is stored, and how far the index may reach. */
const expectSameFiles = (ours: Ours, peer: Peer): void => {
  expect(ours.bitfield.pages.count).toBe(peer.bitfield.pages.length)
  expect(ours.file.bytes.length).toBe(peer.file.bytes.length)
  if (Buffer.compare(ours.file.bytes, peer.file.bytes) === 0) return
  const { pageSize } = ours
  for (let k = 0; k * pageSize < peer.file.bytes.length; k++) {
    expectSamePage(k, ours.file.read(k * pageSize, pageSize), peer.file.read(k * pageSize, pageSize))
  }
}

const expectSamePages = (ours: Ours, peer: Peer): void => {
  const there = new Set(ours.bitfield.pages.numbers())
  for (let k = 0; k < peer.bitfield.pages.length; k++) {
    expectSamePage(k, there.has(k) ? ours.page(k) : new Uint8Array(ours.pageSize), peer.page(k))
  }
}

const expectSameHistory = (pageSize: number, history: ReadonlyArray<Step>): void => {
  const ours = new Ours(pageSize)
  const peer = new Peer(pageSize)
  for (const step of history) {
    ours.run(step)
    peer.run(step)
    ours.store()
    peer.store()
    expectSameFiles(ours, peer)
  }
  expectSamePages(ours, peer)
}

describe("byte-equal to the peer's pages after any history", () => {
  it.each([3584, 3328])("pages of %i bytes, over many pages", (pageSize) => {
    fc.assert(
      fc.property(steps(farBlock, runLength), (history) => expectSameHistory(pageSize, history)),
      { numRuns: 300 }
    )
  })

  it.each([3584, 3328])("pages of %i bytes, around the first bytes", (pageSize) => {
    const near = steps(fc.nat({ max: 80 }), fc.integer({ min: 1, max: 40 }))
    fc.assert(
      fc.property(near, (history) => expectSameHistory(pageSize, history)),
      { numRuns: 300 }
    )
  })

  it.each([3584, 3328])(
    "pages of %i bytes: page 0, then page 40, then back, then all cleared",
    (pageSize) => {
      const far = 40 * BLOCKS_A_PAGE
      expectSameHistory(pageSize, [
        { do: "have", start: 0, length: 9000, held: true },
        { do: "leaves", start: 0, length: 9000 },
        { do: "have", start: far, length: 70, held: true },
        { do: "reload" },
        { do: "have", start: 3, length: 1, held: false },
        { do: "have", start: far - 1, length: 33, held: true },
        { do: "reload" },
        { do: "have", start: 0, length: far + 100, held: false },
        { do: "have", start: 0, length: 1, held: true }
      ])
    }
  )

  // In old pages the index overflows into pages that may not be there yet: what it says then is out of date, and which of
  // it is brought up to date later depends on every step, bit by bit.
  it("pages of 3328 bytes: a full byte cleared under an index that is out of date", () => {
    expectSameHistory(3328, [
      { do: "have", start: 8152, length: 64, held: true },
      { do: "have", start: 0, length: 64, held: true },
      { do: "node", position: 655_320 },
      { do: "have", start: 8152, length: 64, held: false }
    ])
  })

  it("pages of 3328 bytes: a part of a byte cleared under an index that is out of date", () => {
    expectSameHistory(3328, [
      { do: "have", start: 0, length: 1, held: true },
      { do: "have", start: 8185, length: 8, held: true },
      { do: "have", start: 1, length: 9000, held: false },
      { do: "have", start: 8152, length: 1, held: true }
    ])
  })
})

describe("a model of one boolean a block and a node", () => {
  const SIZE = 400
  const block = fc.nat({ max: SIZE })
  const range = fc.tuple(block, block).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const)
  const modelStep = fc.oneof(
    fc.record({ do: fc.constant("have" as const), range, held: fc.boolean() }),
    fc.record({ do: fc.constant("node" as const), position: fc.nat({ max: 2 * SIZE - 1 }) }),
    fc.record({ do: fc.constant("leaves" as const), range }),
    fc.record({ do: fc.constant("dropFrom" as const), position: fc.nat({ max: 2 * SIZE }) }),
    fc.record({ do: fc.constant("dropBeyond" as const), length: block })
  )

  /** The model's blocks 0 .. 399 lie here in the bitfield: within a page, or over the edge of one. */
  const shifts = fc.constantFrom(0, BLOCKS_A_PAGE - 200, 3 * BLOCKS_A_PAGE - 8)

  it("has, count, nextHeld, nextMissing, lastHeld, setHave's answer", () => {
    const haves = fc.array(fc.tuple(range, fc.boolean()), { minLength: 1, maxLength: 8 })
    fc.assert(
      fc.property(shifts, haves, fc.array(range, { minLength: 1, maxLength: 10 }), (shift, sets, asked) => {
        const model = new BitfieldModel(SIZE)
        const bitfield = new Bitfield()
        for (const [[start, end], held] of sets) {
          expect(bitfield.setHave(shift + start, shift + end, held)).toBe(model.setHave(start, end, held))
        }
        const got = model.blocks.map((_, i) => bitfield.has(shift + i))
        expect(got).toEqual(model.blocks)
        for (const [start, end] of asked) {
          const from = shift + start
          const to = shift + end
          expect(bitfield.count(from, to)).toBe(model.count(start, end))
          expect(bitfield.nextHeld(from, to)).toBe(shift + model.next(start, end, true))
          expect(bitfield.nextMissing(from, to)).toBe(shift + model.next(start, end, false))
          const last = model.lastHeld(start, end)
          expect(bitfield.lastHeld(from, to)).toBe(last === undefined ? undefined : shift + last)
        }
      }),
      { numRuns: 400 }
    )
  })

  it("hasNode, setNode, lastNode, dropNodesFrom, dropNodesBeyond", () => {
    fc.assert(
      fc.property(fc.array(modelStep, { minLength: 1, maxLength: 12 }), (history) => {
        const model = new BitfieldModel(SIZE)
        const bitfield = new Bitfield()
        for (const step of history) {
          if (step.do === "have") {
            model.setHave(...step.range, step.held)
            bitfield.setHave(...step.range, step.held)
          } else if (step.do === "node") {
            model.setNode(step.position)
            bitfield.setNode(step.position as Position)
          } else if (step.do === "leaves") {
            for (let i = step.range[0]; i < step.range[1]; i++) model.setNode(2 * i)
            bitfield.setLeaves(...step.range)
          } else if (step.do === "dropFrom") {
            model.dropNodesFrom(step.position)
            bitfield.dropNodesFrom(step.position as Position)
          } else {
            model.dropNodesBeyond(step.length)
            bitfield.dropNodesBeyond(step.length)
          }
        }
        const positions = Array.from({ length: 2 * SIZE + 200 }, (_, i) => i)
        const held = positions.filter((i) => bitfield.hasNode(i as Position))
        expect(held).toEqual(positions.filter((i) => model.nodes[i] === true))
        expect(bitfield.lastNode()).toBe(model.lastNode())
        expect(positions.filter((i) => bitfield.has(i))).toEqual(positions.filter((i) => model.blocks[i]))
      }),
      { numRuns: 200 }
    )
  })

  it("dropNodesBeyond over several pages", () => {
    const bitfield = new Bitfield()
    for (let i = 0; i < 20_000; i++) bitfield.setNode((2 * i) as Position)
    for (const length of [16_385, 16_384, 10_000, 8192, 1, 0]) {
      bitfield.dropNodesBeyond(length)
      const fresh = new Bitfield()
      for (let i = 0; i < length; i++) fresh.setNode((2 * i) as Position)
      for (let position = 0 as Position; position < 40_000; position++) {
        if (bitfield.hasNode(position) !== fresh.hasNode(position)) {
          expect({ length, position, held: bitfield.hasNode(position) }).toEqual({
            length,
            position,
            held: fresh.hasNode(position)
          })
        }
      }
      expect(bitfield.lastNode()).toBe(fresh.lastNode())
    }
  })

  it("blocks 2^50 apart cost nothing to ask about", () => {
    const bitfield = new Bitfield()
    const far = 2 ** 50
    bitfield.setHave(5, 7, true)
    bitfield.setHave(far, far + 3, true)
    expect(bitfield.has(far + 2)).toBe(true)
    expect(bitfield.has(far + 3)).toBe(false)
    expect(bitfield.count(0, far + 10)).toBe(5)
    expect(bitfield.nextHeld(7, far + 10)).toBe(far)
    expect(bitfield.nextHeld(far + 3, 2 ** 52)).toBe(2 ** 52)
    expect(bitfield.nextMissing(5, far)).toBe(7)
    expect(bitfield.lastHeld(0, far)).toBe(6)
    expect(bitfield.lastHeld(0, far + 2)).toBe(far + 1)
    expect(bitfield.setHave(0, far + 3, false)).toBe(true)
    expect(bitfield.setHave(0, far + 3, false)).toBe(false)
    expect(bitfield.count(0, far + 10)).toBe(0)
  })
})

describe("pages", () => {
  it("a torn last page is padded with zeros", () => {
    const whole = new Ours(3584)
    whole.run({ do: "have", start: 0, length: 10_000, held: true })
    whole.store()
    const torn = new BitfieldPages(3584)
    torn.load(whole.file.bytes.subarray(0, 3584 + 10))
    expect(torn.count).toBe(2)
    const bitfield = new Bitfield(torn)
    expect(bitfield.count(0, 20_000)).toBe(8192 + 80)
    bitfield.setHave(16_000, 16_001, true)
    expect(torn.dirty().map(({ bytes }) => bytes.length)).toEqual([3584, 3584])
  })

  it("only changed pages are dirty, until they are clean", () => {
    const bitfield = new Bitfield()
    bitfield.setNode(0 as Position)
    bitfield.setNode((6 * BLOCKS_A_PAGE) as Position)
    const { pages } = bitfield
    expect(
      pages
        .dirty()
        .map(({ offset }) => offset)
        .sort((a, b) => a - b)
    ).toEqual([0, 3 * 3584])
    pages.clean()
    expect(pages.dirty()).toEqual([])
    bitfield.setNode(0 as Position)
    expect(pages.dirty()).toEqual([])
    bitfield.setNode(2 as Position)
    expect(pages.dirty().map(({ offset }) => offset)).toEqual([0])
  })

  /** The index by its definition, over as many pages as there are. */
  const indexByte = (have: Uint8Array, position: bigint): number => {
    if (position >= have.length / 2) return 0
    if (position % 2n === 0n) {
      const pairs = [...have.subarray(Number(position) * 2, Number(position) * 2 + 4)].map((byte) =>
        byte === 0xff ? 3 : byte === 0 ? 0 : 1
      )
      return (pairs[0]! << 6) | (pairs[1]! << 4) | (pairs[2]! << 2) | pairs[3]!
    }
    const nibbles = [SlowTree.leftChild(position), SlowTree.rightChild(position)].flatMap((child) => {
      const byte = indexByte(have, child)
      return [byte >> 4, byte & 15]
    })
    return nibbles.reduce((sum, nibble) => (sum << 2) | (nibble === 15 ? 3 : nibble === 0 ? 0 : 1), 0)
  }

  it("an index that is rebuilt is what its definition says, whatever it was", () => {
    const near = fc.nat({ max: 3 * BLOCKS_A_PAGE })
    const haves = fc.array(fc.tuple(near, runLength), { minLength: 1, maxLength: 5 })
    const everything = { start: 0, size: 3584 }
    fc.assert(
      fc.property(haves, fc.integer(), (runs, seed) => {
        const { bitfield } = new Ours(3584)
        const { pages } = bitfield
        for (const [start, length] of runs) bitfield.setHave(start, start + length, true)
        const have = new Uint8Array(1024 * pages.count)
        for (let k = 0; k < pages.count; k++) {
          have.set(pageOf(pages, k).subarray(0, 1024), 1024 * k)
          const rubbish = pseudoRandomBytes(512, seed + k)
          rubbish.forEach((byte, i) => pages.setByte(everything, 3584 * k + 3072 + i, byte))
        }
        BitfieldIndex.rebuild(pages)
        for (let k = 0; k < pages.count; k++) {
          const index = Uint8Array.from({ length: 512 }, (_, i) => indexByte(have, BigInt(512 * k + i)))
          expect(toHex(pageOf(pages, k).subarray(3072))).toBe(toHex(index))
          expect(toHex(pageOf(pages, k).subarray(0, 1024))).toBe(
            toHex(have.subarray(1024 * k, 1024 * k + 1024))
          )
        }
      }),
      { numRuns: 20 }
    )
  })
})

describe("pages that are full", () => {
  const FULL = 9
  const ofAuthor = (blocks: number): Bitfield => {
    const bitfield = new Bitfield()
    bitfield.setHave(0, blocks, true)
    bitfield.setLeaves(0, blocks)
    return bitfield
  }
  const bytesOf = (bitfield: Bitfield): ReadonlyArray<string> =>
    bitfield.pages.numbers().map((k) => toHex(pageOf(bitfield.pages, k)))
  const arrays = ({ pages }: Bitfield): number =>
    new Set(pages.numbers().map((k) => pages.words(pages.have, k)!.buffer)).size

  it("share their bytes once they are stored, and when they are loaded", () => {
    const bitfield = ofAuthor(FULL * BLOCKS_A_PAGE + 100)
    const before = bytesOf(bitfield)
    const pieces = bitfield.pages.dirty()
    const file = new Uint8Array(pieces.length * 3584)
    for (const { bytes, offset } of pieces) file.set(bytes, offset)
    bitfield.pages.clean()
    const loaded = new Bitfield()
    loaded.pages.load(file)
    for (const one of [bitfield, loaded]) {
      expect(bytesOf(one)).toEqual(before)
      expect(arrays(one)).toBeLessThan(6)
      expect(one.flaws()).toEqual({ garbled: Infinity, withoutLeaf: Infinity })
    }
  })

  it("are told apart as soon as one is changed", () =>
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            block: fc.nat({ max: FULL * BLOCKS_A_PAGE }),
            count: fc.constantFrom(1, 8, 5000),
            held: fc.boolean()
          }),
          { maxLength: 6 }
        ),
        (changes) => {
          const shared = ofAuthor(FULL * BLOCKS_A_PAGE)
          const apart = ofAuthor(FULL * BLOCKS_A_PAGE)
          for (const { block, count, held } of changes) {
            shared.pages.clean()
            for (const one of [shared, apart]) {
              one.setHave(block, block + count, held)
              one.setNode((2 * block) as Position)
              if (!held) one.dropNodesFrom((2 * (block + count)) as Position)
            }
          }
          expect(bytesOf(shared)).toEqual(bytesOf(apart))
          expect(shared.flaws()).toEqual(apart.flaws())
        }
      ),
      { numRuns: 15 }
    ))
})

describe("nextWithoutLeaf", () => {
  it("is the first held block whose leaf is not", () =>
    fc.assert(
      fc.property(
        fc.array(farBlock, { maxLength: 20 }),
        fc.array(farBlock, { maxLength: 20 }),
        farBlock,
        farBlock,
        (blocks, leaves, start, end) => {
          const bitfield = new Bitfield()
          for (const block of blocks) bitfield.setHave(block, block + 1, true)
          for (const block of [...leaves, ...blocks.slice(1)]) bitfield.setNode((2 * block) as Position)
          const expected = blocks.filter(
            (block) => block >= start && block < end && !bitfield.hasNode((2 * block) as Position)
          )
          expect(bitfield.nextWithoutLeaf(start, end)).toBe(Math.min(end, ...expected))
        }
      )
    ))
})
