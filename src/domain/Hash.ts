/**
 * The four formulas of FORMATS, "Hashes". All are BLAKE2b with a 32-byte digest; the first byte
 * keeps a leaf, a parent and a root from ever having the same preimage.
 */
import { writeUint64 } from "./Bytes.js"
import { HASH_SIZE, type TreeNode } from "./Node.js"
import * as FlatTree from "./FlatTree.js"

/** BLAKE2b-256 of the concatenated parts, optionally keyed. Synchronous, pure, total. */
export type Blake2b256 = (parts: ReadonlyArray<Uint8Array>, key?: Uint8Array) => Uint8Array

const LEAF_TYPE = 0
const PARENT_TYPE = 1
const ROOT_TYPE = 2
const PREFIX_SIZE = 9
const PARENT_INPUT_SIZE = PREFIX_SIZE + 2 * HASH_SIZE
const ROOT_ENTRY_SIZE = HASH_SIZE + 16
const DISCOVERY_CONTEXT = new TextEncoder().encode("hypercore")

const prefix = (type: number, size: number, length = PREFIX_SIZE): Uint8Array => {
  const bytes = new Uint8Array(length)
  bytes[0] = type
  writeUint64(bytes, 1, size)
  return bytes
}

/** `00 | u64be(block length) | block` */
export const leafHash = (blake2b: Blake2b256, block: Uint8Array): Uint8Array =>
  blake2b([prefix(LEAF_TYPE, block.length), block])

/** The leaf node of block `index`. */
export const leaf = (blake2b: Blake2b256, index: number, block: Uint8Array): TreeNode => ({
  index: FlatTree.leaf(index),
  hash: leafHash(blake2b, block),
  size: block.length
})

/** `01 | u64be(left.size + right.size) | left.hash | right.hash`, as a node above `left` and `right`. */
export const parent = (blake2b: Blake2b256, left: TreeNode, right: TreeNode): TreeNode => {
  const size = left.size + right.size
  const input = prefix(PARENT_TYPE, size, PARENT_INPUT_SIZE)
  input.set(left.hash, PREFIX_SIZE)
  input.set(right.hash, PREFIX_SIZE + HASH_SIZE)
  return { index: ((left.index + right.index) / 2) as FlatTree.Position, hash: blake2b([input]), size }
}

/** `02 | for each root, left to right: hash | u64be(position) | u64be(size)`: what a signature signs. */
export const rootHash = (blake2b: Blake2b256, roots: ReadonlyArray<TreeNode>): Uint8Array => {
  const input = new Uint8Array(1 + ROOT_ENTRY_SIZE * roots.length)
  input[0] = ROOT_TYPE
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
