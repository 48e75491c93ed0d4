/**
 * Questions to the tree-bits alone: how long the log is, which nodes prove a block, and the digest by which a
 * requester says what it has already (FORMATS, "Wire", `Request.nodes`).
 */
import * as FlatTree from "./FlatTree.js"
import type { Position } from "./FlatTree.js"

/** Which nodes are held. `Bitfield` is one; `end` is past the highest position that may be. */
export interface HeldNodes {
  readonly hasNode: (position: Position) => boolean
  readonly end: number
}

/** Length, in blocks, of the longest log whose roots are all held, as far as the bits know. */
export const length = (held: HeldNodes): number => {
  let top = 0 as Position
  for (let spine = top; FlatTree.rightSpan(spine) < held.end;) {
    spine = FlatTree.parent(spine)
    if (held.hasNode(spine)) top = spine
  }
  return held.hasNode(top) ? lengthAround(held, top) : 0
}

/** Length of the log of which the held node at `position` is a part: its root, and the roots to the right of it. */
export const lengthAround = (held: HeldNodes, position: Position): number => {
  let root = position
  while (held.hasNode(FlatTree.parent(root)) && held.hasNode(FlatTree.sibling(root))) {
    root = FlatTree.parent(root)
  }
  let blocks = FlatTree.endBlock(root)
  for (let depth = FlatTree.depth(root) - 1; depth >= 0; depth--) {
    const candidate = FlatTree.at(depth, blocks / 2 ** depth)
    if (held.hasNode(candidate)) blocks += 2 ** depth
  }
  return blocks
}

/** A growing set of nodes in which two siblings imply their parent. Few: a hash table would cost more than to look through all. */
class NodeSet {
  readonly #positions: Array<Position> = []

  has(position: Position): boolean {
    return this.#positions.includes(position)
  }

  add(position: Position): void {
    for (let node = position; !this.has(node); node = FlatTree.parent(node)) {
      this.#positions.push(node)
      if (!this.has(FlatTree.sibling(node))) return
    }
  }
}

/** What a proof consists of: `nodes` in order; `verifiedBy`: length, in blocks, of the log whose signature it needs, 0 for none. */
export interface ProofPlan {
  readonly nodes: ReadonlyArray<Position>
  readonly verifiedBy: number
}

/**
 * The nodes that prove the leaf of block `index` to someone with `digest`; with `hash`, that leaf itself comes first.
 * `undefined` when the leaf is not held.
 */
export const proofPlan = (
  held: HeldNodes,
  index: number,
  options: { readonly digest?: number; readonly hash?: boolean } = {}
): ProofPlan | undefined => {
  const leaf = FlatTree.leaf(index)
  const digest = options.digest ?? 0
  if (!held.hasNode(leaf)) return undefined
  const nodes: Array<Position> = options.hash === true ? [leaf] : []
  if (digest === 1) return { nodes, verifiedBy: 0 }
  const { addLeftRoots, theirs } = decodeDigest(held, leaf, digest)
  let next = leaf
  while (!theirs.has(next)) {
    const sibling = FlatTree.sibling(next)
    if (!held.hasNode(sibling)) {
      addLeftRoots()
      const verifiedBy = lengthAround(held, next)
      for (const root of FlatTree.fullRoots(verifiedBy)) {
        if (root !== next && !theirs.has(root)) nodes.push(root)
      }
      return { nodes, verifiedBy }
    }
    if (!theirs.has(sibling)) nodes.push(sibling)
    next = FlatTree.parent(next)
  }
  return { nodes, verifiedBy: 0 }
}

const half = (n: number): number => Math.floor(n / 2)

interface Theirs {
  readonly theirs: NodeSet
  /** Adds what is not on the way up to a root of theirs, which is in the set. */
  readonly addLeftRoots: () => void
}

const nothing = (): void => {}

/** The nodes of ours that the digest says the other side has too. */
const decodeDigest = (held: HeldNodes, leaf: Position, digest: number): Theirs => {
  const theirs = new NodeSet()
  const addIfHeld = (position: Position) => {
    if (held.hasNode(position)) theirs.add(position)
  }
  const hasRoot = digest % 2 === 1
  let next = leaf
  for (let bits = half(digest); bits > 0; bits = half(bits)) {
    if (bits === 1 && hasRoot) {
      const root = next
      // Who has a root has the roots to its left.
      const addLeftRoots = (): void => {
        const leftmost = Math.min(root, FlatTree.sibling(root)) as Position
        for (const other of FlatTree.fullRoots(FlatTree.endBlock(leftmost))) addIfHeld(other)
      }
      if (held.hasNode(root)) {
        theirs.add(root)
        return { theirs, addLeftRoots }
      }
      addLeftRoots()
      break
    }
    if (bits % 2 === 1) addIfHeld(FlatTree.sibling(next))
    next = FlatTree.parent(next)
  }
  return { theirs, addLeftRoots: nothing }
}

/** What we have on the path of block `index`, as a requester says it: bit 0 a root, then a bit a level, then a marker; 1 = all. */
export const digest = (held: HeldNodes, index: number): number => {
  const leaf = FlatTree.leaf(index)
  if (held.hasNode(leaf)) return 1
  let bits = 0
  let bit = 2
  let next = FlatTree.sibling(leaf)
  let parent = FlatTree.parent(next)
  const end = Math.max(next + 2, held.end)
  while (FlatTree.rightSpan(next) < end || FlatTree.leftSpan(parent) > 0) {
    if (held.hasNode(next)) bits += bit
    if (held.hasNode(parent)) {
      bits += 2 * bit
      if (bits % 2 === 0) bits += 1
      return bits + 1 === 4 * bit ? 1 : bits
    }
    next = FlatTree.sibling(parent)
    parent = FlatTree.parent(next)
    bit *= 2
  }
  return bits
}
