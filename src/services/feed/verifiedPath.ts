/**
 * verifiedPath: the way from a signed root down to a block, by what is stored instead of by the tree-bits. A page of the bitfield that
 * a crash stored by half may know a block and its leaf, but not all nodes that prove it; they were stored before the page.
 */
import { Effect } from "effect"
import type { StorageError } from "../../domain/Errors.js"
import * as FlatTree from "../../domain/FlatTree.js"
import type { Position } from "../../domain/FlatTree.js"
import * as Recovery from "../../domain/Recovery.js"
import type { HeldNodes } from "../../domain/TreeIndex.js"
import type { FeedCore } from "./FeedCore.js"
import { readNodes } from "./readNodes.js"

/** The nodes held, and those that prove block `index` among them; `undefined` when these are not stored. */
export const verifiedPath = (
  core: FeedCore,
  index: number
): Effect.Effect<HeldNodes | undefined, StorageError> =>
  Effect.gen(function* () {
    const leaf = FlatTree.leaf(index)
    const { roots } = core.tip
    let node = roots.find((root) => FlatTree.endBlock(root.index) > index)
    if (node === undefined) return undefined
    const found = new Set<Position>(roots.map((root) => root.index))
    while (node.index !== leaf) {
      const positions = [FlatTree.leftChild(node.index), FlatTree.rightChild(node.index)]
      const [left, right] = yield* readNodes(core.files, positions)
      const children = Recovery.trustedChildren(core.crypto.blake2b256, node, (position) =>
        position === positions[0] ? left : right
      )
      if (children === undefined) return undefined
      for (const position of positions) found.add(position)
      node = children[leaf < node.index ? 0 : 1]
    }
    return {
      hasNode: (position) => found.has(position) || core.bitfield.hasNode(position),
      end: core.bitfield.end
    }
  })
