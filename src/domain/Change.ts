/**
 * A change of a feed, complete and checked: what `commit` applies, and the only thing it applies.
 * Whoever makes one has verified it; `commit` only stores it, in an order that survives a crash anywhere.
 */
import type { Bitfield } from "./Bitfield.js"
import { allocate } from "./Bytes.js"
import type { FeedEvent, Origin } from "./FeedEvent.js"
import type { Position } from "./FlatTree.js"
import { ENTRY_SIZE, type TreeNode, encode } from "./Node.js"
import type { Tip } from "./Merkle.js"
import * as Sleep from "./Sleep.js"

/** The parts, one after the other, into `file` from byte `offset` on. */
export interface Write {
  readonly file: Sleep.FileName
  readonly offset: number
  readonly parts: ReadonlyArray<Uint8Array>
}

/** Bits to set, in this order: the index part of the bitfield depends on it. */
export type BitChange =
  /** have-bits of the blocks [start, end) */
  | { readonly _tag: "Have"; readonly start: number; readonly end: number; readonly held: boolean }
  /** tree-bits of the leaves of the blocks [start, end) and of the parents that they complete */
  | { readonly _tag: "Leaves"; readonly start: number; readonly end: number }
  /** tree-bits of the nodes, and of the parents that they complete */
  | { readonly _tag: "Nodes"; readonly positions: ReadonlyArray<Position> }
  /** every tree-bit at or after a position, forgotten (recovery) */
  | { readonly _tag: "ForgetFrom"; readonly position: Position }
  /** every bit that is not of a log of `length` blocks, forgotten (recovery) */
  | { readonly _tag: "ForgetBeyond"; readonly length: number }
  /** have-bits and tree-bits as `bits` has them, each that is set and each that is not (repair) */
  | { readonly _tag: "Take"; readonly bits: Bitfield }
  /** the index part derived anew (recovery) */
  | { readonly _tag: "Reindex" }

export interface Change {
  /** Bytes past these sizes are the remains of a write that was cut off: dropped first. */
  readonly cut: ReadonlyArray<{ readonly file: Sleep.FileName; readonly size: number }>
  /** Keys and headers, then blocks, then nodes: all that the signature speaks of. */
  readonly writes: ReadonlyArray<Write>
  /** The signature: once it is stored, the change has happened, whatever crashes. */
  readonly signature: Write | undefined
  readonly bits: ReadonlyArray<BitChange>
  /** Byte range of `data` that no held block needs any more: freed last. */
  readonly freed: { readonly offset: number; readonly length: number } | undefined
  /** The log after the change; `undefined` when it is the one before. */
  readonly tip: Tip | undefined
  readonly events: ReadonlyArray<FeedEvent>
  /** What comes with each event, in the same order; `undefined` where nobody wants to know. */
  readonly origins: ReadonlyArray<Origin | undefined> | undefined
}

/** Nothing: what other changes are spread over. */
export const none: Change = {
  cut: [],
  writes: [],
  signature: undefined,
  bits: [],
  freed: undefined,
  tip: undefined,
  events: [],
  origins: undefined
}

export const isNone = (change: Change): boolean =>
  change.cut.length === 0 &&
  change.writes.length === 0 &&
  change.signature === undefined &&
  change.bits.length === 0 &&
  change.freed === undefined

/** The write that stores the signature of the log of `length` blocks. */
export const signatureWrite = (length: number, signature: Uint8Array): Write => ({
  file: "signatures",
  offset: Sleep.signatureOffset(length - 1),
  parts: [signature]
})

/** By their positions; of those that are given twice, the later ones. */
const sortedNodes = (nodes: ReadonlyArray<TreeNode>): ReadonlyArray<TreeNode> => {
  const sorted = [...nodes].sort((a, b) => a.index - b.index)
  let count = 0
  for (const node of sorted) {
    if (count > 0 && sorted[count - 1]!.index === node.index) count--
    sorted[count++] = node
  }
  sorted.length = count
  return sorted
}

/** Entries of `tree` from that of the node at `first` on. */
export interface Run {
  readonly first: Position
  readonly parts: ReadonlyArray<Uint8Array>
}

/** The writes that store `nodes`, and then a run of entries to their right, neighbours together. */
export const nodeWrites = (nodes: ReadonlyArray<TreeNode>, run?: Run): Array<Write> => {
  const sorted = sortedNodes(nodes)
  const writes: Array<Write> = []
  for (let start = 0; start < sorted.length;) {
    let end = start + 1
    while (end < sorted.length && sorted[end]!.index === sorted[end - 1]!.index + 1) end++
    const bytes = allocate(ENTRY_SIZE * (end - start))
    for (let i = start; i < end; i++) encode(sorted[i]!, bytes, ENTRY_SIZE * (i - start))
    const isBesideRun = end === sorted.length && sorted[end - 1]!.index + 1 === run?.first
    const parts = isBesideRun ? [bytes, ...run.parts] : [bytes]
    writes.push({ file: "tree", offset: Sleep.nodeOffset(sorted[start]!.index), parts })
    if (isBesideRun) return writes
    start = end
  }
  if (run !== undefined) writes.push({ file: "tree", offset: Sleep.nodeOffset(run.first), parts: run.parts })
  return writes
}
