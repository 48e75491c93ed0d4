/**
 * The nodes that a peer's answers under way will prove: who asks for the next block counts them as held, so that they are not
 * sent with each of a hundred blocks that were asked for at once. (A digest of what is held alone would bring all the nodes
 * between the block and what was known when the first of them was asked for.)
 *
 * Right as long as answers come in the order of the requests, which a peer of ours promises in its handshake. When one does not come, or out of turn, those after it may not be
 * proved: they are asked for again, and the peer is no longer trusted to keep the order.
 */
import * as FlatTree from "./FlatTree.js"
import type { Position } from "./FlatTree.js"
import type { HeldNodes } from "./TreeIndex.js"

export class Expected implements HeldNodes {
  readonly #nodes = new Set<Position>()
  readonly #ofBlock = new Map<number, ReadonlyArray<Position>>()

  constructor(readonly held: HeldNodes) {}

  get end(): number {
    return this.held.end
  }

  hasNode(position: Position): boolean {
    return this.#nodes.has(position) || this.held.hasNode(position)
  }

  /** The answer for block `index` is under way. The block must lie below a node that is held. */
  add(index: number): void {
    const nodes: Array<Position> = []
    for (let node = FlatTree.leaf(index); !this.hasNode(node); node = FlatTree.parent(node)) {
      this.#note(node, nodes)
      const sibling = FlatTree.sibling(node)
      if (!this.hasNode(sibling)) this.#note(sibling, nodes)
    }
    if (nodes.length > 0) this.#ofBlock.set(index, nodes)
  }

  /** The answer has come and is stored, or will not come. */
  remove(index: number): void {
    const nodes = this.#ofBlock.get(index)
    if (nodes === undefined) return
    this.#ofBlock.delete(index)
    for (const node of nodes) this.#nodes.delete(node)
  }

  #note(node: Position, nodes: Array<Position>): void {
    this.#nodes.add(node)
    nodes.push(node)
  }
}
