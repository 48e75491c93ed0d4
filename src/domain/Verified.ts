/** Claims that were verified together, on their way to one `Change`. */
import * as Change from "./Change.js"
import type { FeedEvent, Origin } from "./FeedEvent.js"
import * as FlatTree from "./FlatTree.js"
import type { Position } from "./FlatTree.js"
import type { Tip } from "./Merkle.js"
import type { TreeNode } from "./Node.js"
import type { Checked, Claim } from "./Proof.js"
import type { HeldNodes } from "./TreeIndex.js"

/** The nodes that the next claim may rely on: those held, and those that claims before it proved. */
export class KnownNodes implements HeldNodes {
  readonly #read = new Map<Position, TreeNode>()
  readonly #proved = new Map<Position, TreeNode>()

  constructor(readonly held: HeldNodes) {}

  /** Past all that a claim may build on: a proof reaches at most one level above what is held. */
  get end(): number {
    return this.held.end
  }

  hasNode(position: Position): boolean {
    return this.held.hasNode(position) || this.#proved.has(position)
  }

  /** A node that was read or proved. */
  get(position: Position): TreeNode | undefined {
    return this.#proved.get(position) ?? this.#read.get(position)
  }

  /** `get`, as a function of its own. */
  readonly read = (position: Position): TreeNode | undefined => this.get(position)

  /** Its size, if a claim proved it: it may not be stored yet. */
  verifiedSize(position: Position): number | undefined {
    return this.#proved.get(position)?.size
  }

  /** Nodes that were read from the storage. */
  note(nodes: ReadonlyArray<TreeNode>): void {
    for (const node of nodes) this.#read.set(node.index, node)
  }

  /** Nodes that a claim proved. */
  add(nodes: ReadonlyArray<TreeNode>): void {
    for (const node of nodes) this.#proved.set(node.index, node)
  }
}

/** A claim that holds: `offset` is where its block goes in `data`; `signed` the longer log that came with it, if one did. */
export interface Held {
  readonly claim: Claim
  readonly checked: Checked
  readonly offset: number
  readonly signed: Tip | undefined
  readonly signature: Uint8Array | undefined
}

export class Batch {
  readonly #held: Array<Held> = []
  #tip: Tip
  #signature: Change.Write | undefined

  /** `tip`: of the log before. */
  constructor(readonly before: Tip) {
    this.#tip = before
  }

  get size(): number {
    return this.#held.length
  }

  /** The longest log that was proved so far. */
  get tip(): Tip {
    return this.#tip
  }

  get signature(): Change.Write | undefined {
    return this.#signature
  }

  /** Where block `index` goes, when it follows the last one. */
  nextOffset(index: number): number | undefined {
    const last = this.#held[this.#held.length - 1]
    if (last?.claim.block === undefined || last.claim.block.length === 0) return undefined
    return last.claim.index + 1 === index ? last.offset + last.claim.block.length : undefined
  }

  add(held: Held): void {
    this.#held.push(held)
    const { signed, signature } = held
    if (signed === undefined) return
    if (signed.length > this.#tip.length) this.#tip = signed
    if (signature !== undefined) this.#signature = Change.signatureWrite(signed.length, signature)
  }

  /**
   * All of it as one change; `holds` tells which blocks were held before, `source` of whom all came, where somebody wants to know.
   */
  change(
    holds: { readonly has: (block: number) => boolean },
    source?: { readonly from: unknown }
  ): Change.Change {
    const grows = this.#tip.length > this.before.length
    const nodes: Array<TreeNode> = []
    const positions: Array<Position> = []
    const events: Array<FeedEvent> = []
    const origins: Array<Origin | undefined> | undefined = source && []
    const told = new Set<number>()
    if (grows) events.push({ _tag: "Append", length: this.#tip.length, byteLength: this.#tip.byteLength })
    for (const { claim, checked } of this.#held) {
      for (const node of checked.nodes) {
        nodes.push(node)
        positions.push(node.index)
      }
      positions.push(FlatTree.leaf(claim.index))
      if (claim.block === undefined || holds.has(claim.index) || told.has(claim.index)) continue
      told.add(claim.index)
      if (origins !== undefined) origins[events.length] = { block: claim.block, from: source?.from }
      events.push({ _tag: "Download", index: claim.index, size: claim.block.length })
    }
    return {
      ...Change.none,
      writes: [...dataWrites(this.#held), ...Change.nodeWrites(nodes)],
      signature: this.#signature,
      bits: [{ _tag: "Nodes", positions }, ...haveBits(this.#held)],
      tip: grows ? this.#tip : undefined,
      events,
      origins
    }
  }
}

/** The blocks' writes; those that follow each other as one. */
const dataWrites = (held: ReadonlyArray<Held>): Array<Change.Write> => {
  const writes: Array<Change.Write & { readonly parts: Array<Uint8Array> }> = []
  let end = -1
  for (const { claim, offset } of held) {
    if (claim.block === undefined || claim.block.length === 0) continue
    if (offset === end) writes[writes.length - 1]!.parts.push(claim.block)
    else writes.push({ file: "data", offset, parts: [claim.block] })
    end = offset + claim.block.length
  }
  return writes
}

const haveBits = (held: ReadonlyArray<Held>): Array<Change.BitChange> => {
  const bits: Array<{ _tag: "Have"; start: number; end: number; held: true }> = []
  for (const { claim } of held) {
    if (claim.block === undefined) continue
    const last = bits[bits.length - 1]
    if (last !== undefined && last.end === claim.index) last.end++
    else bits.push({ _tag: "Have", start: claim.index, end: claim.index + 1, held: true })
  }
  return bits
}
