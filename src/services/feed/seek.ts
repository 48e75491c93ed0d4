/** seek: from a byte offset of the log to the block that holds it, down the tree by its nodes' sizes. */
import { Duration, Effect } from "effect"
import {
  BadArgument,
  BlockUnavailable,
  CorruptStorage,
  FeedClosed,
  type StorageError
} from "../../domain/Errors.js"
import * as FlatTree from "../../domain/FlatTree.js"
import type { TreeNode } from "../../domain/Node.js"
import type { Wish } from "../../domain/Selection.js"
import { type FeedCore, isIndex } from "./FeedCore.js"
import { withDeadline } from "./get.js"
import { readNodes } from "./readNodes.js"

/** The block that holds the byte, and the byte's place in it. At the end of the log: its length, and 0. */
export interface SeekResult {
  readonly index: number
  readonly offset: number
}

export interface SeekOptions {
  /** Wait for the nodes (or the log's growth) that tell (the default), or fail with `BlockUnavailable` at once. */
  readonly wait?: boolean
  readonly timeout?: Duration.DurationInput
  /** The byte is known to lie in these blocks: only they are asked of peers. Default: all. */
  readonly start?: number
  readonly end?: number
  /** Where a peer is asked, ask for the block that holds the byte, too: it comes with the nodes that tell. Default false. */
  readonly block?: boolean
}

export type SeekError = BadArgument | BlockUnavailable | CorruptStorage | FeedClosed | StorageError

export const seek = (
  core: FeedCore,
  byteOffset: number,
  options: SeekOptions = {}
): Effect.Effect<SeekResult, SeekError> => {
  const { start = 0, end = Number.POSITIVE_INFINITY } = options
  /** With the same wish each time: it is asked of a peer once. */
  const attempt = (wish: Wish): Effect.Effect<SeekResult, SeekError> =>
    Effect.suspend((): Effect.Effect<SeekResult, SeekError> => {
      if (core.closed) return Effect.fail(new FeedClosed())
      const { version } = core.demand
      if (byteOffset === core.tip.byteLength) return Effect.succeed({ index: core.tip.length, offset: 0 })
      return Effect.flatMap(descend(core, byteOffset), (result) => {
        if (result._tag === "Found") return Effect.succeed(result.at)
        if (options.wait === false) {
          return Effect.fail(new BlockUnavailable({ index: result.block, reason: result.reason }))
        }
        return Effect.zipRight(core.demand.changeSince(version, wish), attempt(wish))
      })
    })
  const sought = Effect.suspend(() =>
    attempt({ _tag: "Byte", offset: byteOffset, start, end, block: options.block === true })
  )
  return isIndex(byteOffset)
    ? withDeadline(sought, () => core.tip.length, options.timeout)
    : Effect.fail(new BadArgument({ operation: "seek", detail: `${byteOffset} is not a byte offset` }))
}

type Descent =
  | { readonly _tag: "Found"; readonly at: SeekResult }
  | { readonly _tag: "Unknown"; readonly block: number; readonly reason: "not-held" | "out-of-range" }

const descend = (core: FeedCore, byteOffset: number): Effect.Effect<Descent, CorruptStorage | StorageError> =>
  Effect.gen(function* () {
    let offset = byteOffset
    let top: TreeNode | undefined
    for (const root of core.tip.roots) {
      if (offset < root.size) {
        top = root
        break
      }
      offset -= root.size
    }
    if (top === undefined) {
      return { _tag: "Unknown", block: core.tip.length, reason: "out-of-range" } as const
    }
    while (!FlatTree.isLeaf(top.index)) {
      const left = FlatTree.leftChild(top.index)
      const right = FlatTree.rightChild(top.index)
      // A child that is not known may lie on the way: only the other side can tell then.
      if (!core.bitfield.hasNode(left) || !core.bitfield.hasNode(right)) {
        return { _tag: "Unknown", block: FlatTree.firstBlock(top.index), reason: "not-held" } as const
      }
      const [leftNode, rightNode] = yield* readNodes(core.files, [left, right])
      if (leftNode === undefined || rightNode === undefined) {
        return yield* new CorruptStorage({ file: "tree", detail: `a child of node ${top.index} is missing` })
      }
      if (offset < leftNode.size) top = leftNode
      else {
        offset -= leftNode.size
        top = rightNode
      }
    }
    return { _tag: "Found", at: { index: FlatTree.block(top.index), offset } } as const
  })
