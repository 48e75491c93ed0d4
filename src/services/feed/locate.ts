/**
 * locate: which block holds a byte of the log, down the tree by the sizes of the nodes that are stored.
 *
 * A sparse feed has some of them: a proof brings the siblings of a path, not what is under them. Where a node is not stored, what is to the
 * left in it may be all the same: each of its leftmost descendants begins at the same byte.
 */
import { Effect } from "effect"
import { CorruptStorage, type StorageError } from "../../domain/Errors.js"
import * as FlatTree from "../../domain/FlatTree.js"
import type { FeedCore } from "./FeedCore.js"
import { readNodes } from "./readNodes.js"

export type Location =
  | { readonly _tag: "Found"; readonly at: { readonly index: number; readonly offset: number } }
  /** `block`: the first that is not known to end before the byte. */
  | { readonly _tag: "Unknown"; readonly block: number; readonly reason: "not-held" | "out-of-range" }

/** The byte comes after the whole subtree, which has `size` bytes. */
interface Past {
  readonly _tag: "Past"
  readonly size: number
}

type Step = Effect.Effect<Location | Past, CorruptStorage | StorageError>

/** Where byte `byteOffset` of the log is, as far as the stored nodes tell. */
export const locate = (
  core: FeedCore,
  byteOffset: number
): Effect.Effect<Location, CorruptStorage | StorageError> =>
  Effect.gen(function* () {
    let offset = byteOffset
    for (const root of core.tip.roots) {
      if (offset >= root.size) {
        offset -= root.size
        continue
      }
      const found = yield* within(core, root.index, offset)
      if (found._tag !== "Past") return found
      return yield* new CorruptStorage({
        file: "tree",
        detail: `the sizes under root ${root.index} do not add up`
      })
    }
    return { _tag: "Unknown", block: core.tip.length, reason: "out-of-range" } as const
  })

/** The byte at `offset` of what `top` covers, which may end before it. */
const within = (core: FeedCore, top: FlatTree.Position, offset: number): Step =>
  Effect.gen(function* () {
    const size = yield* storedSize(core, top)
    if (size !== undefined && offset >= size) return { _tag: "Past", size } as const
    if (FlatTree.isLeaf(top)) {
      const index = FlatTree.block(top)
      return size === undefined
        ? ({ _tag: "Unknown", block: index, reason: "not-held" } as const)
        : ({ _tag: "Found", at: { index, offset } } as const)
    }
    const left = yield* within(core, FlatTree.leftChild(top), offset)
    if (left._tag !== "Past") return left
    const right = yield* within(core, FlatTree.rightChild(top), offset - left.size)
    return right._tag === "Past" ? { _tag: "Past", size: left.size + right.size } : right
  })

const storedSize = (
  core: FeedCore,
  position: FlatTree.Position
): Effect.Effect<number | undefined, CorruptStorage | StorageError> =>
  core.bitfield.hasNode(position)
    ? Effect.flatMap(readNodes(core.files, [position]), ([node]) =>
        node === undefined
          ? Effect.fail(new CorruptStorage({ file: "tree", detail: `node ${position} is missing` }))
          : Effect.succeed(node.size)
      )
    : Effect.succeed(undefined)
