/**
 * The four formulas of FORMATS, "Hashes". All are BLAKE2b with a 32-byte digest; the first byte
 * keeps a leaf, a parent and a root from ever having the same preimage.
 */
import { empty, writeUint64 } from "./Bytes.js"
import { type MutableNode, HASH_SIZE, type TreeNode } from "./Node.js"
import * as FlatTree from "./FlatTree.js"

/**
 * BLAKE2b-256 of the concatenated parts, optionally keyed. Synchronous, pure, total. A function that can writes the digest to `into` (32 bytes,
 * none of them of a part), where that is given, and answers it; it may as well answer an array of its own, and leave `into` as it is.
 */
export type Blake2b256 = (parts: ReadonlyArray<Uint8Array>, key?: Uint8Array, into?: Uint8Array) => Uint8Array

const LEAF_TYPE = 0
const PARENT_TYPE = 1
const ROOT_TYPE = 2
const PREFIX_SIZE = 9
const PARENT_INPUT_SIZE = PREFIX_SIZE + 2 * HASH_SIZE
const ROOT_ENTRY_SIZE = HASH_SIZE + 16
const DISCOVERY_CONTEXT = new TextEncoder().encode("hypercore")

// Inputs are laid out in these arrays and consumed before the function returns: no allocation a hash.
const leafPrefix = new Uint8Array(PREFIX_SIZE)
const leafParts: [Uint8Array, Uint8Array] = [leafPrefix, empty]
const parentInput = new Uint8Array(PARENT_INPUT_SIZE)
const parentParts = [parentInput]
// A log of 2^53 blocks has at most 53 roots.
const rootInput = new Uint8Array(1 + ROOT_ENTRY_SIZE * 53)
rootInput[0] = ROOT_TYPE
leafPrefix[0] = LEAF_TYPE
parentInput[0] = PARENT_TYPE

/** `00 | u64be(block length) | block` */
export const leafHash = (blake2b: Blake2b256, block: Uint8Array, into?: Uint8Array): Uint8Array => {
  writeUint64(leafPrefix, 1, block.length)
  leafParts[1] = block
  const hash = blake2b(leafParts, undefined, into)
  // A block is not kept from being collected.
  leafParts[1] = empty
  return hash
}

/** What stands before a block in what is hashed: an array of its own. */
export const leafPrefixOf = (block: Uint8Array): Uint8Array => {
  const prefix = new Uint8Array(PREFIX_SIZE)
  writeUint64(prefix, 1, block.length)
  return prefix
}

/** The leaf node of block `index`. */
export const leaf = (blake2b: Blake2b256, index: number, block: Uint8Array): TreeNode => ({
  index: FlatTree.leaf(index),
  hash: leafHash(blake2b, block),
  size: block.length
})

/** Makes `node` the leaf of block `index`. */
export const writeLeaf = (blake2b: Blake2b256, index: number, block: Uint8Array, node: MutableNode): void => {
  setHash(node, leafHash(blake2b, block, node.hash))
  node.index = FlatTree.leaf(index)
  node.size = block.length
}

/** `01 | u64be(left.size + right.size) | left.hash | right.hash`, as a node above `left` and `right`. */
export const parent = (blake2b: Blake2b256, left: TreeNode, right: TreeNode): TreeNode => {
  const size = layParent(left, right)
  return { index: positionAbove(left, right), hash: blake2b(parentParts), size }
}

/** Makes `node`, which may be one of the two, the node above `left` and `right`. */
export const writeParent = (
  blake2b: Blake2b256,
  left: TreeNode,
  right: TreeNode,
  node: MutableNode
): void => {
  const index = positionAbove(left, right)
  node.size = layParent(left, right)
  node.index = index
  setHash(node, blake2b(parentParts, undefined, node.hash))
}

const layParent = (left: TreeNode, right: TreeNode): number => {
  const size = left.size + right.size
  writeUint64(parentInput, 1, size)
  parentInput.set(left.hash, PREFIX_SIZE)
  parentInput.set(right.hash, PREFIX_SIZE + HASH_SIZE)
  return size
}

const positionAbove = (left: TreeNode, right: TreeNode): FlatTree.Position =>
  ((left.index + right.index) / 2) as FlatTree.Position

const setHash = (node: MutableNode, hash: Uint8Array): void => {
  if (hash !== node.hash) node.hash.set(hash)
}

/** `02 | for each root, left to right: hash | u64be(position) | u64be(size)`: what a signature signs. */
export const rootHash = (blake2b: Blake2b256, roots: ReadonlyArray<TreeNode>): Uint8Array => {
  const input = rootInput.subarray(0, 1 + ROOT_ENTRY_SIZE * roots.length)
  let offset = 1
  for (const root of roots) {
    input.set(root.hash, offset)
    writeUint64(input, offset + HASH_SIZE, root.index)
    writeUint64(input, offset + HASH_SIZE + 8, root.size)
    offset += ROOT_ENTRY_SIZE
  }
  return blake2b([input])
}

/** BLAKE2b-256 of the ASCII bytes `hypercore`, keyed with the public key: names a feed without revealing its key. */
export const discoveryKey = (blake2b: Blake2b256, publicKey: Uint8Array): Uint8Array =>
  blake2b([DISCOVERY_CONTEXT], publicKey)
