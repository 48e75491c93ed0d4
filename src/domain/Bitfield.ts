/**
 * What a feed holds: one have-bit a block, one tree-bit a node, numbered from the most significant bit
 * of a byte (FORMATS, "Files"). The one mutable value of a feed; only `commit` and recovery change it.
 *
 * Invariant: a parent's tree-bit is set when both children's are.
 */
import * as BitfieldIndex from "./BitfieldIndex.js"
import { BitfieldPages } from "./BitfieldPages.js"
import * as FlatTree from "./FlatTree.js"
import type { HeldNodes } from "./TreeIndex.js"

export const BLOCKS_A_PAGE = 8192

const ONES_IN_BYTE = Uint8Array.from({ length: 256 }, (_, byte) => {
  let ones = 0
  for (let rest = byte; rest > 0; rest >>= 1) ones += rest & 1
  return ones
})

/** The bits of have-byte `at` that lie in blocks [start, end). */
const maskWithin = (at: number, start: number, end: number): number => {
  const first = Math.max(start - 8 * at, 0)
  const last = Math.min(end - 8 * at, 8)
  return last <= first ? 0 : (0xff >> first) & (0xff << (8 - last)) & 0xff
}

/** Every second bit of a byte, from the most significant on: those of the leaves. */
const LEAVES_IN_BYTE = Uint8Array.from(
  { length: 256 },
  (_, byte) => ((byte >> 4) & 8) | ((byte >> 3) & 4) | ((byte >> 2) & 2) | ((byte >> 1) & 1)
)

/** The bits of the eight leaves among the nodes of two tree-bytes. */
const leavesIn = (first: number, second: number): number =>
  (LEAVES_IN_BYTE[first]! << 4) | LEAVES_IN_BYTE[second]!

const NODES_A_PAGE = 2 * BLOCKS_A_PAGE

/** Whether all bits are set, as those of an author are in nearly all pages. Eight words at once, for the reason given below. */
const areOnes = (words: Uint32Array): boolean => {
  for (let i = 0; i < words.length; i += 8) {
    const all =
      words[i]! &
      words[i + 1]! &
      words[i + 2]! &
      words[i + 3]! &
      words[i + 4]! &
      words[i + 5]! &
      words[i + 6]! &
      words[i + 7]!
    if (all !== -1) return false
  }
  return true
}

/** Whether two of a tree-byte's nodes that are siblings are held, and their parent is not: no bitfield that was written says so. */
const CONTRADICTS_ITSELF = Uint8Array.from({ length: 256 }, (_, byte) => {
  const lacks = (left: number, parent: number, right: number) =>
    (byte & (left | right)) === (left | right) && (byte & parent) === 0
  return Number(lacks(128, 64, 32) || lacks(8, 4, 2) || lacks(64, 16, 4))
})

const contradictsItself = (words: Uint32Array): boolean => {
  for (const word of words) {
    if (word === 0 || word === 0xffffffff) continue
    for (let rest = word; rest !== 0; rest >>>= 8) if (CONTRADICTS_ITSELF[rest & 0xff] === 1) return true
  }
  return false
}

/** The blocks of [start, end) came to be held, or not to be. */
export interface HeldChange {
  readonly start: number
  readonly end: number
  readonly held: boolean
}

/** Bits that are only in the one, or only in the other, of two bitfields. */
export interface BitCounts {
  readonly found: number
  readonly lost: number
}

export class Bitfield implements HeldNodes {
  constructor(readonly pages: BitfieldPages = new BitfieldPages()) {}

  /** Past the highest position that can be held. */
  get end(): number {
    return this.pages.count * NODES_A_PAGE
  }

  /** Is block `block` held? */
  has(block: number): boolean {
    const bit = block % 8
    return (this.pages.byte(this.pages.have, (block - bit) / 8) & (128 >> bit)) !== 0
  }

  /** The have-bits of blocks 8 `at` .. 8 `at` + 7, the first the most significant. */
  haveByte(at: number): number {
    return this.pages.byte(this.pages.have, at)
  }

  /** A copy of have-bytes `at` to `at + count`. */
  haveBytes(at: number, count: number): Uint8Array {
    return this.pages.bytes(this.pages.have, at, count)
  }

  /** How many blocks of [start, end) are held. */
  count(start: number, end: number): number {
    let total = 0
    this.#eachHeldPage(start, end, (from, to) => {
      for (let at = Math.floor(from / 8); 8 * at < to; at++) {
        total += ONES_IN_BYTE[this.pages.byte(this.pages.have, at) & maskWithin(at, from, to)]!
      }
    })
    return total
  }

  /** First held block in [start, end); `end` when there is none. */
  nextHeld(start: number, end: number): number {
    // A single block is not worth a look at the list of all pages.
    if (end - start <= BLOCKS_A_PAGE) return this.#scan(start, end, true) ?? end
    let found = end
    this.#eachHeldPage(start, end, (from, to) => {
      if (found === end) found = this.#scan(from, to, true) ?? end
    })
    return found
  }

  /** First block of [start, end) that is not held; `end` when all are. */
  nextMissing(start: number, end: number): number {
    return this.#scan(start, end, false) ?? end
  }

  /** First held block in [start, end) whose leaf is not, which only a crash leaves; `end` when there is none. */
  nextWithoutLeaf(start: number, end: number): number {
    const { have, tree } = this.pages
    for (const k of this.pages.numbers()) {
      const first = k * BLOCKS_A_PAGE
      if (first + BLOCKS_A_PAGE <= start || first >= end) continue
      const haveWords = this.pages.words(have, k)!
      const treeWords = this.pages.words(tree, k)!
      // Four bytes at once: a program that opens a feed has not run this often enough for it to be fast code.
      const last = Math.min(haveWords.length, Math.ceil((end - first) / 32))
      for (let word = Math.max(0, Math.floor((start - first) / 32)); word < last; word++) {
        const held = haveWords[word]!
        if (held === 0) continue
        if ((treeWords[2 * word]! & treeWords[2 * word + 1]!) >>> 0 === 0xffffffff) continue
        const found = this.#firstWithoutLeaf(first + 32 * word, start, end)
        if (found !== undefined) return found
      }
    }
    return end
  }

  /**
   * Where what a loss of power left begins: `garbled`, the first block of the first page whose tree-bits contradict each other, as what a file shows
   * where it was to grow may do; `withoutLeaf`, the first held block whose leaf is not (before `garbled`). Infinity where there is none.
   */
  flaws(): { readonly garbled: number; readonly withoutLeaf: number } {
    let withoutLeaf = Number.POSITIVE_INFINITY
    // Pages alike have the same flaws.
    for (const k of this.pages.distinct()) {
      const tree = this.pages.words(this.pages.tree, k)!
      if (areOnes(tree)) continue
      const first = k * BLOCKS_A_PAGE
      if (contradictsItself(tree)) return { garbled: first, withoutLeaf }
      if (withoutLeaf < first) continue
      const found = this.nextWithoutLeaf(first, first + BLOCKS_A_PAGE)
      if (found < first + BLOCKS_A_PAGE) withoutLeaf = found
    }
    return { garbled: Number.POSITIVE_INFINITY, withoutLeaf }
  }

  /** The first of 32 blocks that is one. */
  #firstWithoutLeaf(first: number, start: number, end: number): number | undefined {
    for (let at = first / 8; at < first / 8 + 4; at++) {
      const treeByte = (byte: number) => this.pages.byte(this.pages.tree, byte)
      const missing = this.haveByte(at) & ~leavesIn(treeByte(2 * at), treeByte(2 * at + 1))
      const within = missing & maskWithin(at, start, end)
      if (within !== 0) return 8 * at + Math.clz32(within) - 24
    }
    return undefined
  }

  /** Last held block in [start, end); `undefined` when none is. */
  lastHeld(start: number, end: number): number | undefined {
    const numbers = this.pages.numbers()
    for (let n = numbers.length - 1; n >= 0; n--) {
      const from = Math.max(start, numbers[n]! * BLOCKS_A_PAGE)
      const to = Math.min(end, (numbers[n]! + 1) * BLOCKS_A_PAGE)
      for (let at = Math.floor((to - 1) / 8); 8 * at + 7 >= from; at--) {
        const byte = this.pages.byte(this.pages.have, at) & maskWithin(at, from, to)
        if (byte !== 0) return 8 * at + 7 - Math.log2(byte & -byte)
      }
    }
    return undefined
  }

  /** Sets or clears the have-bits of [start, end); answers whether any bit changed. */
  setHave(start: number, end: number, held: boolean): boolean {
    if (held) return this.#setHaveBytes(start, end, true)
    let changed = false
    this.#eachHeldPage(start, end, (from, to) => {
      changed = this.#setHaveBytes(from, to, false) || changed
    })
    if (start < end) this.pages.touch(Math.floor((end - 1) / BLOCKS_A_PAGE))
    return changed
  }

  #setHaveBytes(start: number, end: number, held: boolean): boolean {
    let changed = false
    for (let at = Math.floor(start / 8); 8 * at < end; at++) {
      const mask = maskWithin(at, start, end)
      const before = this.pages.byte(this.pages.have, at)
      const after = held ? before | mask : before & ~mask
      if (!this.pages.setByte(this.pages.have, at, after)) continue
      changed = true
      // The peer goes bit by bit. With old pages, whose index can be out of date, what the first bit's update sets right
      // matters; those between it and the last say the same as it.
      const difference = before ^ after
      const first = 1 << (31 - Math.clz32(difference))
      if (first !== difference) BitfieldIndex.update(this.pages, at, before ^ first)
      BitfieldIndex.update(this.pages, at, after)
    }
    return changed
  }

  /** Is the tree node at `position` held? */
  hasNode(position: FlatTree.Position): boolean {
    const bit = position % 8
    return (this.pages.byte(this.pages.tree, (position - bit) / 8) & (128 >> bit)) !== 0
  }

  /** Sets a tree-bit, and those of the parents that this completes. */
  setNode(position: FlatTree.Position): void {
    for (let node = position; this.#writeNodeBit(node, true); node = FlatTree.parent(node)) {
      if (!this.hasNode(FlatTree.sibling(node))) return
    }
  }

  /** Sets the tree-bits of the leaves of the blocks [start, end), and those of the parents that they complete. */
  setLeaves(start: number, end: number): void {
    for (let block = start; block < end;) {
      if (block % 4 === 0 && block + 4 <= end) {
        this.#setFourLeaves(block / 4)
        block += 4
      } else this.setNode(FlatTree.leaf(block++))
    }
  }

  /** The seven nodes of four blocks are all of a tree-byte but its last bit. */
  #setFourLeaves(at: number): void {
    const before = this.pages.byte(this.pages.tree, at)
    if (!this.pages.setByte(this.pages.tree, at, before | 0xfe)) return
    const top = (8 * at + 3) as FlatTree.Position
    if (this.hasNode(FlatTree.sibling(top))) this.setNode(FlatTree.parent(top))
  }

  /** The highest node that is held; `undefined` when none is. */
  lastNode(): FlatTree.Position | undefined {
    const at = this.pages.lastByte(this.pages.tree)
    if (at < 0) return undefined
    const byte = this.pages.byte(this.pages.tree, at)
    return (8 * at + 7 - Math.log2(byte & -byte)) as FlatTree.Position
  }

  /** Forgets every node at or after `position`. */
  dropNodesFrom(position: FlatTree.Position): void {
    for (const k of this.pages.numbers()) {
      const first = k * this.pages.tree.size
      for (let at = Math.max(first, Math.floor(position / 8)); at < first + this.pages.tree.size; at++) {
        const kept = 8 * at >= position ? 0 : (0xff << (8 - (position % 8))) & 0xff
        this.pages.setByte(this.pages.tree, at, this.pages.byte(this.pages.tree, at) & kept)
      }
    }
  }

  /** Forgets every node that is not part of a log of `length` blocks, also those that reach beyond it. */
  dropNodesBeyond(length: number): void {
    this.dropNodesFrom(FlatTree.leaf(length))
    // What is left of block `length` but reaches over it is above it.
    let above = FlatTree.leaf(length)
    while (FlatTree.leftSpan(above) > 0 || FlatTree.rightSpan(above) < this.end) {
      above = FlatTree.parent(above)
      if (this.hasNode(above)) this.#writeNodeBit(above, false)
    }
  }

  /** The runs of blocks that `other` holds and this one does not, and the other way round. */
  changesTo(other: Bitfield): ReadonlyArray<HeldChange> {
    const changes: Array<HeldChange & { end: number }> = []
    const numbers = new Set([...this.pages.numbers(), ...other.pages.numbers()])
    for (const k of [...numbers].sort((a, b) => a - b)) {
      for (let at = k * (BLOCKS_A_PAGE / 8); at < (k + 1) * (BLOCKS_A_PAGE / 8); at++) {
        const after = other.haveByte(at)
        const different = this.haveByte(at) ^ after
        for (let bit = different === 0 ? 8 : 0; bit < 8; bit++) {
          const mask = 128 >> bit
          if ((different & mask) === 0) continue
          const block = 8 * at + bit
          const held = (after & mask) !== 0
          const last = changes[changes.length - 1]
          if (last?.held === held && last.end === block) last.end++
          else changes.push({ start: block, end: block + 1, held })
        }
      }
    }
    return changes
  }

  /** How many have-bits (`blocks`) and tree-bits (`nodes`) are only in `other` (`found`), or only in this one (`lost`). */
  differences(other: Bitfield): { readonly blocks: BitCounts; readonly nodes: BitCounts } {
    const blocks = { found: 0, lost: 0 }
    const nodes = { found: 0, lost: 0 }
    this.#eachByte(other, (section, _at, before, after) => {
      const counts = section === this.pages.have ? blocks : nodes
      counts.found += ONES_IN_BYTE[after & ~before]!
      counts.lost += ONES_IN_BYTE[before & ~after]!
    })
    return { blocks, nodes }
  }

  /** Makes each have-bit and tree-bit what it is in `other`. Leaves the index as it is. */
  take(other: Bitfield): void {
    this.#eachByte(other, (section, at, _before, after) => void this.pages.setByte(section, at, after))
  }

  /** Copies from `other` what is not of a log of `length` blocks: have-bits, and nodes, also those that reach beyond it. */
  copyBeyond(other: Bitfield, length: number): void {
    const { have, tree } = this.pages
    new Bitfield().#eachByte(other, ({ start }, at, _before, after) => {
      if (start === have.start) {
        const copied = after & ~maskWithin(at, 0, length)
        if (copied !== 0) this.pages.setByte(have, at, this.pages.byte(have, at) | copied)
        return
      }
      let copied = 0
      for (let bit = 0; bit < 8; bit++) {
        if (FlatTree.endBlock((8 * at + bit) as FlatTree.Position) > length) copied |= after & (128 >> bit)
      }
      if (copied !== 0) this.pages.setByte(tree, at, this.pages.byte(tree, at) | copied)
    })
  }

  /** Calls `visit` with each byte of have-bits and tree-bits that differs from `other`'s. */
  #eachByte(
    other: Bitfield,
    visit: (section: BitfieldPages["have"], at: number, before: number, after: number) => void
  ): void {
    const numbers = new Set([...this.pages.numbers(), ...other.pages.numbers()])
    for (const k of [...numbers].sort((a, b) => a - b)) {
      for (const name of ["have", "tree"] as const) {
        const section = this.pages[name]
        for (let at = k * section.size; at < (k + 1) * section.size; at++) {
          const before = this.pages.byte(section, at)
          const after = other.pages.byte(section, at)
          if (before !== after) visit(section, at, before, after)
        }
      }
    }
  }

  /** Takes over the bits of `other`, which is not used any more. */
  become(other: Bitfield): void {
    this.pages.replace(other.pages)
  }

  /** First block of [start, end) whose have-bit is `held`. */
  #scan(start: number, end: number, held: boolean): number | undefined {
    const skipped = held ? 0 : 0xff
    for (let block = start; block < end;) {
      if (block % 8 === 0 && this.pages.byte(this.pages.have, block / 8) === skipped) block += 8
      else if (this.has(block) === held) return block
      else block++
    }
    return undefined
  }

  #writeNodeBit(position: FlatTree.Position, held: boolean): boolean {
    const bit = 128 >> (position % 8)
    const at = Math.floor(position / 8)
    const before = this.pages.byte(this.pages.tree, at)
    return this.pages.setByte(this.pages.tree, at, held ? before | bit : before & ~bit)
  }

  /** Calls `visit` with the part of [start, end) on each page that exists: a hole of 2^50 blocks costs nothing. */
  #eachHeldPage(start: number, end: number, visit: (from: number, to: number) => void): void {
    for (const k of this.pages.numbers()) {
      const from = Math.max(start, k * BLOCKS_A_PAGE)
      const to = Math.min(end, (k + 1) * BLOCKS_A_PAGE)
      if (from < to) visit(from, to)
    }
  }
}
