/**
 * The plan of an append: what the log is after some blocks, and the bytes that make it so.
 *
 * The new leaves and the parents between them go to `tree` as one run of 2 n - 1 entries (a parent not yet
 * complete is blank in it); a parent left of the run is written by itself. The peer writes the same.
 */
import { arrays } from "./ArrayPool.js"
import { allocate } from "./Bytes.js"
import * as Change from "./Change.js"
import * as FlatTree from "./FlatTree.js"
import * as Hash from "./Hash.js"
import * as Merkle from "./Merkle.js"
import { ENTRY_SIZE, type MutableNode, HASH_SIZE, type TreeNode, encode } from "./Node.js"

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

const PART_ENTRIES = 16_384

/** What planning a block costs beside its bytes: as much as so many bytes more. */
const BLOCK_BYTES = 512

/**
 * Plans to add `blocks` (at least one) to the log at `tip`, some at a time: hashing a large batch takes longer than others may wait. The
 * blocks become part of the plan: leave them as they are. When `indexing` their bytes are stored already.
 */
export class Planning {
  readonly #first: FlatTree.Position
  /** The entries from `first` on, `PART_ENTRIES` an array: fresh memory costs when it is first touched. */
  readonly #run: Array<Uint8Array> = []
  readonly #roots: Array<TreeNode>
  readonly #completed: Array<TreeNode> = []
  /** Nodes that were roots and are none any more: the next are written over them. */
  readonly #spare: Array<MutableNode> = []
  #added = 0
  #bytes = 0

  constructor(
    readonly blake2b: Hash.Blake2b256,
    readonly tip: Merkle.Tip,
    readonly blocks: ReadonlyArray<Uint8Array>,
    readonly indexing = false
  ) {
    this.#first = FlatTree.leaf(tip.length)
    this.#roots = [...tip.roots]
  }

  /** Adds blocks until they cost `most` bytes or all are added; answers whether they are. */
  proceed(most: number): boolean {
    const { blake2b, blocks, tip } = this
    for (let cost = 0; this.#added < blocks.length && cost < most; this.#added++) {
      const block = blocks[this.#added]!
      const leaf = this.#spare.pop() ?? { index: this.#first, hash: allocate(HASH_SIZE), size: 0 }
      Hash.writeLeaf(blake2b, tip.length + this.#added, block, leaf)
      Merkle.addLeaf(this.#parentOf, this.#roots, leaf, this.#created)
      this.#bytes += block.length
      cost += BLOCK_BYTES + block.length
    }
    return this.#added === blocks.length
  }

  /** The plan, once all are added. */
  get plan(): Plan {
    const { blake2b, blocks, indexing, tip } = this
    const roots = this.#roots
    return {
      start: tip.length,
      tip: { length: tip.length + blocks.length, byteLength: tip.byteLength + this.#bytes, roots },
      rootHash: Hash.rootHash(blake2b, roots),
      writes: [
        ...(indexing ? [] : [{ file: "data" as const, offset: tip.byteLength, parts: blocks }]),
        ...Change.nodeWrites(this.#completed, { first: this.#first, parts: this.#run })
      ]
    }
  }

  /** Gives back the memory of `plan.writes`: once they are stored. */
  release(): void {
    for (const part of this.#run) arrays.giveWhole(part)
  }

  readonly #parentOf = (left: TreeNode, right: MutableNode): MutableNode => {
    Hash.writeParent(this.blake2b, left, right, right)
    // Made here, and not of the log before, which stays as it is.
    if (left.index >= this.#first) this.#spare.push(left)
    return right
  }

  readonly #created = (node: MutableNode): void => {
    const entry = node.index - this.#first
    if (entry < 0) this.#completed.push({ ...node, hash: node.hash.slice() })
    else encode(node, this.#partOf(entry), ENTRY_SIZE * (entry % PART_ENTRIES))
  }

  #partOf(entry: number): Uint8Array {
    const part = Math.floor(entry / PART_ENTRIES)
    while (this.#run.length <= part) {
      const left = 2 * this.blocks.length - 1 - PART_ENTRIES * this.#run.length
      this.#run.push(arrays.take(ENTRY_SIZE * Math.min(left, PART_ENTRIES)).fill(0))
    }
    return this.#run[part]!
  }
}

/** The plan of all at once. */
export const plan = (
  blake2b: Hash.Blake2b256,
  tip: Merkle.Tip,
  blocks: ReadonlyArray<Uint8Array>,
  indexing = false
): Plan => {
  const planning = new Planning(blake2b, tip, blocks, indexing)
  planning.proceed(Number.POSITIVE_INFINITY)
  return planning.plan
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
