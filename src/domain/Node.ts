/**
 * A node of the Merkle tree, and its 40-byte entry in the `tree` file:
 *
 *     hash (32) | size u64be        at 32 + 40 * index
 *
 * An entry of zeros means "no node here". A hash is owned by its node: nobody writes to it.
 */
import { isBlank, readUint64, writeUint64 } from "./Bytes.js"
import type { Position } from "./FlatTree.js"

export const HASH_SIZE = 32
export const ENTRY_SIZE = 40

/** `index`: position in the tree; `hash`: 32 bytes; `size`: bytes of all blocks under the node. */
export interface TreeNode {
  readonly index: Position
  readonly hash: Uint8Array
  readonly size: number
}

/** A node whose fields and hash are written over: who makes many has no garbage of those that only their children and the file knew. */
export interface MutableNode {
  index: Position
  readonly hash: Uint8Array
  size: number
}

/** Bytes under `nodes` together. */
export const totalSize = (nodes: ReadonlyArray<TreeNode>): number => {
  let total = 0
  for (const node of nodes) total += node.size
  return total
}

/** Writes the node's entry at `offset` of `into`. */
export const encode = (node: TreeNode, into: Uint8Array, offset: number): void => {
  into.set(node.hash, offset)
  writeUint64(into, offset + HASH_SIZE, node.size)
}

/** The node in the entry at `offset` of `entries`; `undefined` for a blank, short or impossible (size of 2^53 or more) one. */
export const decode = (index: Position, entries: Uint8Array, offset = 0): TreeNode | undefined => {
  if (offset + ENTRY_SIZE > entries.length) return undefined
  const size = readUint64(entries, offset + HASH_SIZE)
  const hash = entries.slice(offset, offset + HASH_SIZE)
  if (Number.isNaN(size) || (size === 0 && isBlank(hash))) return undefined
  return { index, hash, size }
}
