/**
 * Flat in-order numbering of a binary tree (FORMATS, "Tree positions").
 *
 *     3                 block i is the leaf at position 2 i
 *   1   5               a parent sits at an odd position between its children
 *  0 2 4 6              depth = number of trailing one bits of the position
 *
 * A node of depth d and offset o sits at (2 o + 1) 2^d - 1. Positions go up to 2^53, so nothing here shifts, as shifts are
 * 32-bit in JavaScript, but where a position is known to be small: proofs ask for parents and siblings dozens of times a block.
 */
import type { Brand } from "effect"

/** A node's place in the tree. Never a block index: `leaf` is the one way from block to position. */
export type Position = number & Brand.Brand<"Position">

/** The position of block `block`'s leaf. */
export const leaf = (block: number): Position => (2 * block) as Position

/** The block whose leaf is at `position` (which must be a leaf). */
export const block = (position: Position): number => position / 2

export const isLeaf = (position: Position): boolean => position % 2 === 0

/** Height above the leaves: 0 for a leaf. */
export const depth = (position: Position): number => {
  // Trailing ones of p are trailing zeros of p + 1; `| 0` keeps the low 32 bits exactly.
  let rest = position + 1
  let zeros = 0
  while ((rest | 0) === 0) {
    rest /= 0x1_0000_0000
    zeros += 32
  }
  const low = rest | 0
  return zeros + 31 - Math.clz32(low & -low)
}

/** How many nodes of the same depth lie to the left. */
export const offset = (position: Position, atDepth = depth(position)): number =>
  ((position + 1) / 2 ** atDepth - 1) / 2

/** The node of depth `atDepth` with `nodesBefore` nodes of that depth to its left. */
export const at = (atDepth: number, nodesBefore: number): Position =>
  ((2 * nodesBefore + 1) * 2 ** atDepth - 1) as Position

/** Positions below it, their siblings and their parents fit into 32 bits. */
const SMALL = 2 ** 29

export const parent = (position: Position): Position => {
  if (position < SMALL) {
    const next = position + 1
    const width = next & -next
    return ((next & (2 * width)) === 0 ? position + width : position - width) as Position
  }
  const d = depth(position)
  return at(d + 1, Math.floor(offset(position, d) / 2))
}

export const sibling = (position: Position): Position => {
  if (position < SMALL) {
    const next = position + 1
    const distance = 2 * (next & -next)
    return ((next & distance) === 0 ? position + distance : position - distance) as Position
  }
  const d = depth(position)
  const o = offset(position, d)
  return at(d, o % 2 === 0 ? o + 1 : o - 1)
}

/** Left child; the position must not be a leaf. */
export const leftChild = (position: Position): Position => (position - 2 ** (depth(position) - 1)) as Position

/** Right child; the position must not be a leaf. */
export const rightChild = (position: Position): Position =>
  (position + 2 ** (depth(position) - 1)) as Position

/** The leftmost position under `position`, itself when a leaf. */
export const leftSpan = (position: Position): Position => (position - 2 ** depth(position) + 1) as Position

/** The rightmost position under `position`, itself when a leaf. */
export const rightSpan = (position: Position): Position => (position + 2 ** depth(position) - 1) as Position

/** First block under `position`. */
export const firstBlock = (position: Position): number => leftSpan(position) / 2

/** First block after those under `position`. */
export const endBlock = (position: Position): number => rightSpan(position) / 2 + 1

/** The positions of the full subtrees that cover blocks 0 .. blocks - 1, left to right: one per set bit. */
export const fullRoots = (blocks: number): Array<Position> => {
  const roots: Array<Position> = []
  let covered = 0
  let span = 1
  while (span * 2 <= blocks) span *= 2
  for (; covered < blocks; span /= 2) {
    if (covered + span > blocks) continue
    roots.push((2 * covered + span - 1) as Position)
    covered += span
  }
  return roots
}
