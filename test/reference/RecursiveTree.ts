/**
 * A Merkle tree, slow and obvious: built from all blocks at once, by recursion, with the real peer's own hash functions.
 *
 *     the roots over n blocks = the largest full subtree that fits, then the roots over the rest
 *     a full subtree over one block = its leaf; over more = the parent of the subtrees over its halves
 */
import { crypto, type PeerNode } from "./peer.js"

const HEADER_SIZE = 32
const ENTRY_SIZE = 40
const TREE_HEADER = Uint8Array.of(5, 2, 0x57, 2, 0, 0, 40, 7, ...new TextEncoder().encode("BLAKE2b"))

export interface RecursiveTree {
  /** Left to right. */
  readonly roots: ReadonlyArray<PeerNode>
  /** Every node, by position. */
  readonly nodes: ReadonlyMap<number, PeerNode>
  readonly rootHash: Uint8Array
}

export const recursiveTree = (blocks: ReadonlyArray<Uint8Array>): RecursiveTree => {
  const nodes = new Map<number, PeerNode>()
  const subtree = (first: number, end: number): PeerNode => {
    const node = end - first === 1 ? leafNode(first) : parentNode(first, end)
    nodes.set(node.index, node)
    return node
  }
  const leafNode = (block: number): PeerNode => ({
    index: 2 * block,
    hash: crypto.data(Buffer.from(blocks[block]!)),
    size: blocks[block]!.length
  })
  const parentNode = (first: number, end: number): PeerNode => {
    const middle = (first + end) / 2
    const left = subtree(first, middle)
    const right = subtree(middle, end)
    // Half of the positions under it, 2 first .. 2 end - 2, lie on either side.
    return { index: first + end - 1, hash: crypto.parent(left, right), size: left.size + right.size }
  }
  const rootsFrom = (first: number): Array<PeerNode> => {
    if (first === blocks.length) return []
    let span = 1
    while (first + 2 * span <= blocks.length) span *= 2
    return [subtree(first, first + span), ...rootsFrom(first + span)]
  }
  const roots = rootsFrom(0)
  return { roots, nodes, rootHash: crypto.tree(roots) }
}

/** The `tree` file of a log of `length` blocks whose every node is stored. */
export const treeFile = (tree: RecursiveTree, length: number): Uint8Array => {
  const bytes = new Uint8Array(HEADER_SIZE + (length === 0 ? 0 : ENTRY_SIZE * (2 * length - 1)))
  bytes.set(TREE_HEADER)
  const view = new DataView(bytes.buffer)
  for (const node of tree.nodes.values()) {
    bytes.set(node.hash, HEADER_SIZE + ENTRY_SIZE * node.index)
    view.setBigUint64(HEADER_SIZE + ENTRY_SIZE * node.index + 32, BigInt(node.size))
  }
  return bytes
}
