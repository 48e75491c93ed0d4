/**
 * The index part of a bitfield: have-bits summarised two bits a byte, in an in-order tree of bytes.
 *
 *     pair = 11 all ones, 00 all zeros, 01 mixed
 *     the index byte at leaf position 2 i = the pairs of have-bytes 4 i .. 4 i + 3
 *     a parent's high nibble = the two nibbles of its left child, each as a pair; low nibble: the right child
 *
 * Readers of ours never trust it. It is kept because the peer's files must come out byte-equal, and the
 * peer's values depend on history: a change climbs only until a byte stays as it was, and only below
 * the end of the pages that existed at that moment.
 */
import { BitfieldPages, PAGE_SIZE } from "./BitfieldPages.js"
import * as FlatTree from "./FlatTree.js"

const MIXED = 1
const FULL = 3

const pairOfByte = (byte: number): number => (byte === 255 ? FULL : byte === 0 ? 0 : MIXED)
const pairOfNibble = (nibble: number): number => (nibble === 15 ? FULL : nibble === 0 ? 0 : MIXED)
const summary = (byte: number): number => (pairOfNibble(byte >> 4) << 2) | pairOfNibble(byte & 15)

/** Brings the index up to date after have-byte `at` became `value`. */
export const update = (pages: BitfieldPages, at: number, value: number): void => {
  const end = pages.count * pages.index.size
  const inByte = at % 4
  const shift = 6 - 2 * inByte
  let position = FlatTree.leaf((at - inByte) / 4)
  let byte = (pages.byte(pages.index, position) & ~(3 << shift)) | (pairOfByte(value) << shift)
  while (position < end && pages.setByte(pages.index, position, byte)) {
    const sibling = FlatTree.sibling(position)
    const other = summary(pages.byte(pages.index, sibling))
    byte = position < sibling ? (summary(byte) << 4) | other : (other << 4) | summary(byte)
    position = FlatTree.parent(position)
  }
}

/** Derives the whole index anew from the have-bits: for a file whose pages were torn. */
export const rebuild = (pages: BitfieldPages): void => {
  for (const k of pages.numbers()) {
    for (let i = 0; i < pages.index.size; i++) pages.setByte(pages.index, k * pages.index.size + i, 0)
  }
  for (const k of pages.numbers()) {
    for (let i = k * pages.have.size; i < (k + 1) * pages.have.size; i++) {
      const value = pages.byte(pages.have, i)
      if (value !== 0) update(pages, i, value)
    }
  }
}

/** Old pages have half the index that they need, which says nothing. */
const isWhole = (pages: BitfieldPages): boolean => pages.pageSize === PAGE_SIZE

/**
 * Whether the index's byte for the have-bytes around `at` says what they are: where it does not, one of the two is damaged. Says nothing
 * of old pages.
 */
export const agrees = (pages: BitfieldPages, at: number): boolean => {
  if (!isWhole(pages)) return true
  const first = at - (at % 4)
  let byte = 0
  for (let i = 0; i < 4; i++) byte = (byte << 2) | pairOfByte(pages.byte(pages.have, first + i))
  return byte === pages.byte(pages.index, FlatTree.leaf(first / 4))
}

/** Whether the whole index is what the have-bits make it. Says nothing of old pages. */
export const isSound = (pages: BitfieldPages): boolean => {
  if (!isWhole(pages)) return true
  const derived = new BitfieldPages(pages.pageSize)
  if (pages.count > 0) derived.touch(pages.count - 1)
  for (const k of pages.numbers()) {
    for (let at = k * pages.have.size; at < (k + 1) * pages.have.size; at++) {
      const value = pages.byte(pages.have, at)
      if (value !== 0) derived.setByte(derived.have, at, value)
    }
  }
  rebuild(derived)
  const numbers = new Set([...pages.numbers(), ...derived.numbers()])
  for (const k of numbers) {
    for (let at = k * pages.index.size; at < (k + 1) * pages.index.size; at++) {
      if (pages.byte(pages.index, at) !== derived.byte(derived.index, at)) return false
    }
  }
  return true
}
