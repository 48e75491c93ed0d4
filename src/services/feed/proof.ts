/** proof: what lets someone with the public key verify a block of ours. */
import { Effect } from "effect"
import {
  BadArgument,
  BlockUnavailable,
  CorruptStorage,
  type FeedClosed,
  type StorageError
} from "../../domain/Errors.js"
import * as FlatTree from "../../domain/FlatTree.js"
import type { TreeNode } from "../../domain/Node.js"
import type { Proof } from "../../domain/Proof.js"
import * as TreeIndex from "../../domain/TreeIndex.js"
import { type FeedCore, isIndex, isStatic, whileOpen } from "./FeedCore.js"
import { readNodes, readSignature } from "./readNodes.js"
import { verifiedPath } from "./verifiedPath.js"

export interface ProofOptions {
  /** What the other side has already (`digest`): nodes it can do without are left out. Default 0: it has nothing. */
  readonly digest?: number
  /** Also give the leaf itself, for a proof without the block. */
  readonly hash?: boolean
}

export type ProofError = BadArgument | BlockUnavailable | CorruptStorage | FeedClosed | StorageError

/** The proof of block `index`. The block itself need not be held, only its leaf. */
export const proof = (
  core: FeedCore,
  index: number,
  options: ProofOptions = {}
): Effect.Effect<Proof, ProofError> =>
  Effect.gen(function* () {
    yield* whileOpen(core)
    if (!isIndex(index) || (options.digest !== undefined && !isIndex(options.digest))) {
      return yield* new BadArgument({ operation: "proof", detail: "the index and digest are whole numbers" })
    }
    const found = yield* proofBy(core, core.bitfield, index, options)
    if (found !== undefined) return found
    const path = core.bitfield.hasNode(FlatTree.leaf(index)) ? yield* verifiedPath(core, index) : undefined
    const otherwise = path === undefined ? undefined : yield* proofBy(core, path, index, options)
    return otherwise ?? (yield* new BlockUnavailable({ index, reason: "not-held" }))
  })

/** The proof by the nodes that `held` knows; `undefined` when these do not lead to a signature. */
const proofBy = (core: FeedCore, held: TreeIndex.HeldNodes, index: number, options: ProofOptions) =>
  Effect.gen(function* () {
    const plan = TreeIndex.proofPlan(held, index, options)
    if (plan === undefined) return undefined
    const nodes: Array<TreeNode> = []
    const read = yield* readNodes(core.files, plan.nodes)
    for (let i = 0; i < read.length; i++) {
      const node = read[i]
      if (node === undefined) {
        return yield* new CorruptStorage({ file: "tree", detail: `node ${plan.nodes[i]} is missing` })
      }
      nodes.push(node)
    }
    if (plan.verifiedBy === 0) return { nodes }
    const signature = yield* readSignature(core.files, plan.verifiedBy)
    if (signature !== undefined) return { nodes, signature }
    return isStatic(core) ? { nodes } : undefined
  })

/** What we have on the way from block `index` to a root, as `ProofOptions.digest` of a request. */
export const digest = (core: FeedCore, index: number): Effect.Effect<number, BadArgument | FeedClosed> =>
  Effect.suspend((): Effect.Effect<number, BadArgument | FeedClosed> => {
    // Beyond, the leaf's position is no exact number.
    if (!isIndex(index) || !isIndex(2 * index)) {
      return Effect.fail(new BadArgument({ operation: "digest", detail: `${index} is not a block index` }))
    }
    return Effect.map(whileOpen(core), () => TreeIndex.digest(core.bitfield, index))
  })
