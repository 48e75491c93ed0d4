/**
 * What a feed's files say when they are opened, and what can be concluded where they disagree.
 *
 * The log is as long as the last signature that its roots satisfy. After a clean end that is also what the bitfield says, and
 * nothing is to be done. After a crash one file lags the others: below `claims` says what each file claims, `subtree`
 * verifies nodes downwards from roots that are signed. The program is `services/feed/recover`.
 */
import { equals } from "./Bytes.js"
import type { Bitfield } from "./Bitfield.js"
import * as FlatTree from "./FlatTree.js"
import type { Position } from "./FlatTree.js"
import * as Hash from "./Hash.js"
import { ENTRY_SIZE, type TreeNode } from "./Node.js"
import * as Sleep from "./Sleep.js"
import * as TreeIndex from "./TreeIndex.js"

/** Sizes in bytes of the files that grow. */
export interface FileSizes {
  readonly tree: number
  readonly signatures: number
  readonly bitfield: number
  readonly data: number
}

/** What each file claims, in blocks, before anything is verified. */
export interface Claims {
  /** The tree-bits know the roots of a log of this length. */
  readonly bits: number
  /** There is an entry for the signature of this length, and none after it. */
  readonly signatures: number
  /** Before this block no have-bit can have been cut off with the bitfield's end. */
  readonly wholeBits: number
  /** The `tree` file ends before this position. */
  readonly treeEnd: Position
}

export const claims = (bitfield: Bitfield, pageSize: number, sizes: FileSizes): Claims => {
  const pageBytes = Math.max(0, sizes.bitfield - Sleep.HEADER_SIZE)
  const torn = pageBytes % pageSize !== 0
  return {
    bits: TreeIndex.length(bitfield),
    signatures: Sleep.signatureCount(sizes.signatures),
    wholeBits: torn ? 8192 * Math.floor(pageBytes / pageSize) : Number.POSITIVE_INFINITY,
    treeEnd: Math.max(0, Math.floor((sizes.tree - Sleep.HEADER_SIZE) / ENTRY_SIZE)) as Position
  }
}

/**
 * Whether the files that say how long the log is are gone, while nodes of it are there. No crash leaves that: their headers are stored
 * before any node is.
 */
export const isLengthLost = (sizes: FileSizes): boolean =>
  sizes.tree > Sleep.HEADER_SIZE && sizes.signatures < Sleep.HEADER_SIZE && sizes.bitfield < Sleep.HEADER_SIZE

/** Whether every root of the log of `length` blocks lies before the end of the `tree` file. */
export const rootsFit = (length: number, treeEnd: Position): boolean => {
  const roots = FlatTree.fullRoots(length)
  return roots.length > 0 && roots[roots.length - 1]! < treeEnd
}

/** A subtree of this many blocks is read in one piece (320 KB of `tree`). */
export const PIECE_BLOCKS = 4096

/** A verified leaf and where its block starts in `data`. */
export interface LocatedLeaf {
  readonly leaf: TreeNode
  readonly offset: number
}

/** Nodes that lead up to the root they were verified from, and the leaves among them, left to right. */
export interface Verified {
  readonly positions: Array<Position>
  readonly leaves: Array<LocatedLeaf>
}

/**
 * Verifies the subtree under `root`, which is trusted and whose blocks start at byte `offset`: two stored children that hash
 * to a trusted parent are trusted. Adds what it finds to `found`.
 */
export const subtree = (
  blake2b: Hash.Blake2b256,
  root: TreeNode,
  offset: number,
  stored: (position: Position) => TreeNode | undefined,
  found: Verified
): void => {
  found.positions.push(root.index)
  if (FlatTree.isLeaf(root.index)) {
    found.leaves.push({ leaf: root, offset })
    return
  }
  const children = trustedChildren(blake2b, root, stored)
  if (children === undefined) return
  subtree(blake2b, children[0], offset, stored, found)
  subtree(blake2b, children[1], offset + children[0].size, stored, found)
}

/** The stored children of a trusted node, when they hash to it. */
export const trustedChildren = (
  blake2b: Hash.Blake2b256,
  root: TreeNode,
  stored: (position: Position) => TreeNode | undefined
): readonly [TreeNode, TreeNode] | undefined => {
  const left = stored(FlatTree.leftChild(root.index))
  const right = stored(FlatTree.rightChild(root.index))
  if (left === undefined || right === undefined) return undefined
  const parent = Hash.parent(blake2b, left, right)
  return parent.size === root.size && equals(parent.hash, root.hash) ? [left, right] : undefined
}
