/**
 * Mending a damaged tree: which stored entries of a subtree belong to it, and what those that do not must have been.
 *
 *     guess     upwards, what a node most likely was: as stored, where its children or its parent agree; else derived from its children
 *     resolve   downwards, from a node that is trusted: two children that hash to it, as stored or as guessed, are trusted
 *     mendPair  two leaves of which one is damaged: from the bytes of their blocks, in `data`
 *
 * A guess is worth nothing by itself: it becomes part of the log only where it hashes to what a signature vouches for. The
 * program is `services/feed/repair`.
 */
import { equals, isBlank } from "./Bytes.js"
import * as FlatTree from "./FlatTree.js"
import type { Position } from "./FlatTree.js"
import * as Hash from "./Hash.js"
import { ENTRY_SIZE, type TreeNode, decode } from "./Node.js"
import type { LocatedLeaf } from "./Recovery.js"

export const sameNode = (a: TreeNode | undefined, b: TreeNode | undefined): boolean =>
  a !== undefined && b !== undefined && a.size === b.size && equals(a.hash, b.hash)

/** Two children of `parent` that hash to it; of each there may be several to choose from. */
export const chooseChildren = (
  blake2b: Hash.Blake2b256,
  parent: TreeNode,
  lefts: ReadonlyArray<TreeNode | undefined>,
  rights: ReadonlyArray<TreeNode | undefined>
): readonly [TreeNode, TreeNode] | undefined => {
  for (const left of lefts) {
    for (const right of rights) {
      if (left === undefined || right === undefined || left.size + right.size !== parent.size) continue
      if (sameNode(Hash.parent(blake2b, left, right), parent)) return [left, right]
    }
  }
  return undefined
}

/** A trusted parent of two leaves of which at least one is damaged; the first one's block starts at byte `offset` of `data`. */
export interface DamagedPair {
  readonly parent: TreeNode
  readonly offset: number
}

/** What a subtree turned out to be. */
export interface Resolved {
  /** Those that lead to its root, which is one of them; `isMended`: it is not what is stored. */
  readonly nodes: Array<{ readonly node: TreeNode; readonly isMended: boolean }>
  readonly leaves: Array<LocatedLeaf>
  readonly pairs: Array<DamagedPair>
}

/** The subtree under `root`, by its entries from the leftmost leaf to the rightmost (short where the file ends). */
export class DamagedSubtree {
  readonly #first: Position
  /** By place in `entries`; `null` where there is none. */
  readonly #stored: Array<TreeNode | null | undefined> = []
  readonly #agreeing: Array<boolean | undefined> = []
  readonly #guesses = new Map<Position, TreeNode | undefined>()

  constructor(
    readonly blake2b: Hash.Blake2b256,
    readonly root: Position,
    readonly entries: Uint8Array
  ) {
    this.#first = FlatTree.leftSpan(root)
  }

  /** Takes `node` for what is stored at its place. */
  assume(node: TreeNode): void {
    this.#stored[node.index - this.#first] = node
  }

  stored(position: Position): TreeNode | undefined {
    const place = position - this.#first
    let node = this.#stored[place]
    if (node === undefined) {
      const start = ENTRY_SIZE * place
      node = decode(position, this.entries, start) ?? null
      this.#stored[place] = node
    }
    return node ?? undefined
  }

  /** Whether the stored node is the parent of its stored children. */
  #agrees(position: Position): boolean {
    let agrees = this.#agreeing[position - this.#first]
    if (agrees === undefined) {
      const node = this.stored(position)
      const left = node && this.stored(FlatTree.leftChild(position))
      const right = left && this.stored(FlatTree.rightChild(position))
      agrees = right !== undefined && sameNode(sumOf(this.blake2b, left!, right), node)
      this.#agreeing[position - this.#first] = agrees
    }
    return agrees
  }

  /** What the node most likely was. */
  guess(position: Position): TreeNode | undefined {
    if (!this.#guesses.has(position)) this.#guesses.set(position, this.#guess(position))
    return this.#guesses.get(position)
  }

  #guess(position: Position): TreeNode | undefined {
    const stored = this.stored(position)
    if (FlatTree.isLeaf(position) || this.#agrees(position)) return stored
    const isBelowRoot = position !== this.root
    if (stored !== undefined && isBelowRoot && this.#agrees(FlatTree.parent(position))) return stored
    return this.derived(position) ?? stored
  }

  /** The node as its children say, as far as these are known. */
  derived(position: Position): TreeNode | undefined {
    if (FlatTree.isLeaf(position)) return this.stored(position)
    const left = this.guess(FlatTree.leftChild(position))
    const right = left && this.guess(FlatTree.rightChild(position))
    return right && sumOf(this.blake2b, left, right)
  }

  /** All that leads to `root`, which is trusted and whose blocks start at byte `offset`. */
  resolve(root: TreeNode, offset: number): Resolved {
    const found: Resolved = { nodes: [], leaves: [], pairs: [] }
    this.#resolve(root, offset, found)
    return found
  }

  #resolve(node: TreeNode, offset: number, found: Resolved): void {
    found.nodes.push({ node, isMended: !sameNode(this.stored(node.index), node) })
    if (FlatTree.isLeaf(node.index)) {
      found.leaves.push({ leaf: node, offset })
      return
    }
    const children = this.#childrenOf(node)
    if (children !== undefined) {
      this.#resolve(children[0], offset, found)
      this.#resolve(children[1], offset + children[0].size, found)
    } else if (FlatTree.depth(node.index) === 1) found.pairs.push({ parent: node, offset })
  }

  #childrenOf(node: TreeNode): readonly [TreeNode, TreeNode] | undefined {
    const left = FlatTree.leftChild(node.index)
    const right = FlatTree.rightChild(node.index)
    // Mostly the tree is sound, and has been gone through once already when something asks for more.
    if (this.#agrees(node.index) && sameNode(this.stored(node.index), node)) {
      return [this.stored(left)!, this.stored(right)!]
    }
    const candidates = (position: Position) => [
      this.stored(position),
      this.guess(position),
      this.derived(position)
    ]
    return chooseChildren(this.blake2b, node, candidates(left), candidates(right))
  }
}

/** The parent of two nodes; `undefined` where their sizes add up to no size. */
const sumOf = (blake2b: Hash.Blake2b256, left: TreeNode, right: TreeNode): TreeNode | undefined =>
  Number.isSafeInteger(left.size + right.size) ? Hash.parent(blake2b, left, right) : undefined

/**
 * The two leaves under `parent`, which is trusted: each as stored, or by the bytes of its block, where `data` has those of both blocks; a
 * size by what is stored of it, or by what the other's leaves of their sum.
 */
export const mendPair = (
  blake2b: Hash.Blake2b256,
  parent: TreeNode,
  left: TreeNode | undefined,
  right: TreeNode | undefined,
  data: Uint8Array
): readonly [TreeNode, TreeNode] | undefined => {
  const leftIndex = FlatTree.leftChild(parent.index)
  const rightIndex = FlatTree.rightChild(parent.index)
  for (const size of new Set([left?.size, right && parent.size - right.size])) {
    if (size === undefined || !(size >= 0 && size <= parent.size)) continue
    const chosen = chooseChildren(
      blake2b,
      parent,
      leavesOf(blake2b, leftIndex, left, size, data.subarray(0, size)),
      leavesOf(blake2b, rightIndex, right, parent.size - size, data.subarray(size, parent.size))
    )
    if (chosen !== undefined) return chosen
  }
  return undefined
}

/** What a leaf of this size may be. */
const leavesOf = (
  blake2b: Hash.Blake2b256,
  index: Position,
  stored: TreeNode | undefined,
  size: number,
  block: Uint8Array
): ReadonlyArray<TreeNode> => {
  const leaves: Array<TreeNode> = []
  if (stored !== undefined && !isBlank(stored.hash)) leaves.push({ index, hash: stored.hash, size })
  if (block.length === size) leaves.push({ index, hash: Hash.leafHash(blake2b, block), size })
  return leaves
}
