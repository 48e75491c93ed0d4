/**
 * The growing edge of the tree: the roots of a log, and what one more leaf completes.
 *
 * Invariant: `roots` are the nodes at `fullRoots(length)`, left to right.
 */
import { equals } from "./Bytes.js"
import * as FlatTree from "./FlatTree.js"
import type { TreeNode } from "./Node.js"

/** What a log is known by: its `length` in blocks, its `byteLength`, its `roots`. */
export interface Tip {
  readonly length: number
  readonly byteLength: number
  readonly roots: ReadonlyArray<TreeNode>
}

export const emptyTip: Tip = { length: 0, byteLength: 0, roots: [] }

/** The tip over `roots`, which must be the full roots of some log. */
export const tip = (roots: ReadonlyArray<TreeNode>): Tip => {
  const last = roots[roots.length - 1]
  let byteLength = 0
  for (const root of roots) byteLength += root.size
  return { length: last === undefined ? 0 : FlatTree.endBlock(last.index), byteLength, roots }
}

/** Whether both are the same log: their roots are alike, in hash and size. */
export const sameTip = (a: Tip, b: Tip): boolean =>
  a.length === b.length &&
  a.roots.every((root, i) => {
    const other = b.roots[i]
    return other !== undefined && root.size === other.size && equals(root.hash, other.hash)
  })

/**
 * Adds a leaf to `roots`, merging equal-sized neighbours by `parentOf`, and gives each node that came to be
 * (the leaf, then the parents it completed, upwards) to `created`. Mutates `roots`.
 */
export const addLeaf = <N extends TreeNode>(
  parentOf: (left: TreeNode, right: N) => N,
  roots: Array<TreeNode>,
  leaf: N,
  created: (node: N) => void
): void => {
  let node = leaf
  let spanOfNode = 1
  created(node)
  for (let left = roots[roots.length - 1]; left !== undefined; left = roots[roots.length - 1]) {
    // Neighbouring roots lie (span + span) apart, so this holds only when both span the same.
    if (node.index - left.index !== 2 * spanOfNode) break
    roots.pop()
    node = parentOf(left, node)
    spanOfNode *= 2
    created(node)
  }
  roots.push(node)
}
