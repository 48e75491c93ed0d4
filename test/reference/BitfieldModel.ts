/** What a bitfield means, slow and obvious: one boolean a block, one a node. */
import * as SlowTree from "./SlowTree.js"

export class BitfieldModel {
  readonly blocks: Array<boolean>
  readonly nodes: Array<boolean>

  constructor(readonly size: number) {
    this.blocks = Array.from({ length: size }, () => false)
    this.nodes = Array.from({ length: 2 * size }, () => false)
  }

  setHave(start: number, end: number, held: boolean): boolean {
    let changed = false
    for (let block = start; block < end; block++) {
      changed ||= this.blocks[block] !== held
      this.blocks[block] = held
    }
    return changed
  }

  /** A node, and each parent of two that are held. */
  setNode(position: number): void {
    this.nodes[position] = true
    const sibling = Number(SlowTree.sibling(BigInt(position)))
    const parent = Number(SlowTree.parent(BigInt(position)))
    if (this.nodes[sibling] === true && this.nodes[parent] !== true) this.setNode(parent)
  }

  dropNodesFrom(position: number): void {
    for (let i = position; i < this.nodes.length; i++) this.nodes[i] = false
  }

  dropNodesBeyond(length: number): void {
    for (let i = 0; i < this.nodes.length; i++) {
      if (this.nodes[i] && Number(SlowTree.rightSpan(BigInt(i))) >= 2 * length) this.nodes[i] = false
    }
  }

  count(start: number, end: number): number {
    return this.blocks.slice(start, end).filter((held) => held).length
  }

  /** First block of [start, end) that is `held`; `end` when there is none. */
  next(start: number, end: number, held: boolean): number {
    for (let block = start; block < end; block++) if ((this.blocks[block] ?? false) === held) return block
    return end
  }

  lastHeld(start: number, end: number): number | undefined {
    for (let block = end - 1; block >= start; block--) if (this.blocks[block]) return block
    return undefined
  }

  lastNode(): number | undefined {
    const last = this.nodes.lastIndexOf(true)
    return last < 0 ? undefined : last
  }
}
