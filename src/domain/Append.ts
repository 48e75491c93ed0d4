/**
 * The plan of an append: what the log is after some blocks, and the bytes that make it so.
 *
 * The new leaves and the parents between them go to `tree` as one run of 2 n - 1 entries (a parent not yet
 * complete is blank in it); a parent left of the run is written by itself. The peer writes the same.
 */
import { allocate, totalLength } from "./Bytes.js"
import * as Change from "./Change.js"
import * as FlatTree from "./FlatTree.js"
import * as Hash from "./Hash.js"
import * as Merkle from "./Merkle.js"
import { ENTRY_SIZE, type TreeNode, encode } from "./Node.js"
import * as Sleep from "./Sleep.js"

/**
 * The largest block, in bytes, that a peer can carry. A frame is at most 8,388,608 bytes (FORMATS, "Wire"), and the
 * block shares it with a proof: 4096 bytes hold the nodes of any log of fewer than 2^32 blocks and the signature.
 */
export const MAX_BLOCK_SIZE = 8_388_608 - 4096

/** An append, lacking only its signature. */
export interface Plan {
  readonly start: number
  readonly tip: Merkle.Tip
  /** What the owner signs. */
  readonly rootHash: Uint8Array
  readonly writes: ReadonlyArray<Change.Write>
}

/**
 * Plans to add `blocks` (at least one) to the log at `tip`. The blocks become part of the plan: leave them as they are. When `indexing`
 * their bytes are stored already.
 */
export const plan = (
  blake2b: Hash.Blake2b256,
  tip: Merkle.Tip,
  blocks: ReadonlyArray<Uint8Array>,
  indexing = false
): Plan => {
  const start = tip.length
  const first = FlatTree.leaf(start)
  const run = allocate(ENTRY_SIZE * (2 * blocks.length - 1))
  const roots = [...tip.roots]
  const completed: Array<TreeNode> = []
  const created = (node: TreeNode) => {
    if (node.index >= first) encode(node, run, ENTRY_SIZE * (node.index - first))
    else completed.push(node)
  }
  for (let i = 0; i < blocks.length; i++) {
    Merkle.addLeaf(blake2b, roots, Hash.leaf(blake2b, start + i, blocks[i]!), created)
  }
  return {
    start,
    tip: {
      length: start + blocks.length,
      byteLength: tip.byteLength + totalLength(blocks),
      roots
    },
    rootHash: Hash.rootHash(blake2b, roots),
    writes: [
      ...(indexing ? [] : [{ file: "data" as const, offset: tip.byteLength, parts: blocks }]),
      ...Change.nodeWrites(completed),
      { file: "tree", offset: Sleep.nodeOffset(first), parts: [run] }
    ]
  }
}

/** The signed plan as a change; nothing is signed in a static feed. */
export const change = (plan: Plan, signature: Uint8Array | undefined): Change.Change => ({
  ...Change.none,
  writes: plan.writes,
  signature: signature && Change.signatureWrite(plan.tip.length, signature),
  bits: [
    { _tag: "Have", start: plan.start, end: plan.tip.length, held: true },
    { _tag: "Leaves", start: plan.start, end: plan.tip.length }
  ],
  tip: plan.tip,
  events: [{ _tag: "Append", length: plan.tip.length, byteLength: plan.tip.byteLength }]
})
