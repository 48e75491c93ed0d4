/** serve: blocks with their proofs, many at a time, in one read of the tree and one of `data` a stretch. */
import { Effect } from "effect"
import { CorruptStorage, type FeedClosed, type StorageError } from "../../domain/Errors.js"
import type { Position } from "../../domain/FlatTree.js"
import type { TreeNode } from "../../domain/Node.js"
import type { Claim } from "../../domain/Proof.js"
import * as Sleep from "../../domain/Sleep.js"
import * as TreeIndex from "../../domain/TreeIndex.js"
import { type FeedCore, whileOpen } from "./FeedCore.js"
import { checkRun, readRun } from "./readBlocks.js"
import { readNodes, readSignature } from "./readNodes.js"

/** Block `index` is asked for by someone who has `digest`; with `hash`, only its leaf. */
export interface Asked {
  readonly index: number
  readonly digest: number
  readonly hash: boolean
}

export type ServeError = CorruptStorage | FeedClosed | StorageError

/** What can be answered, and which blocks cannot. */
export interface Served {
  readonly claims: ReadonlyArray<Claim>
  readonly missing: ReadonlyArray<number>
}

/** Most bytes of `data` in one read: the blocks of a read share its memory. */
const READ_BYTES = 1024 * 1024

/** Answers all that is asked, in that order. The arrays are the caller's. */
export const serve = Effect.fnUntraced(function* (core: FeedCore, asked: ReadonlyArray<Asked>) {
  yield* whileOpen(core)
  const missing: Array<number> = []
  const plans: Array<{ readonly ask: Asked; readonly plan: TreeIndex.ProofPlan }> = []
  const positions: Array<Position> = []
  for (const ask of asked) {
    const held = ask.hash || core.bitfield.has(ask.index)
    const plan = held ? TreeIndex.proofPlan(core.bitfield, ask.index, ask) : undefined
    if (plan === undefined) {
      missing.push(ask.index)
      continue
    }
    plans.push({ ask, plan })
    for (const position of plan.nodes) positions.push(position)
  }
  const nodes = yield* readNodes(core.files, positions)
  const blocks = yield* readAsked(core, plans.map(({ ask }) => ask))
  const claims: Array<Claim> = []
  let at = 0
  for (let i = 0; i < plans.length; i++) {
    const { ask, plan } = plans[i]!
    const own = yield* takeNodes(plan, nodes.slice(at, at + plan.nodes.length))
    at += plan.nodes.length
    const signature = plan.verifiedBy === 0 ? undefined : yield* readSignature(core.files, plan.verifiedBy)
    if (plan.verifiedBy > 0 && signature === undefined) missing.push(ask.index)
    else claims.push({ index: ask.index, block: blocks[i], proof: { nodes: own, signature } })
  }
  return { claims, missing }
})

const takeNodes = (
  plan: TreeIndex.ProofPlan,
  read: ReadonlyArray<TreeNode | undefined>
): Effect.Effect<ReadonlyArray<TreeNode>, CorruptStorage> => {
  const lost = read.indexOf(undefined)
  return lost < 0
    ? Effect.succeed(read as ReadonlyArray<TreeNode>)
    : Effect.fail(new CorruptStorage({ file: "tree", detail: `node ${plan.nodes[lost]} is missing` }))
}

/** The blocks asked for; those that follow each other are read together. */
const readAsked = Effect.fnUntraced(function* (core: FeedCore, asked: ReadonlyArray<Asked>) {
  const blocks: Array<Uint8Array | undefined> = []
  while (blocks.length < asked.length) {
    const first = asked[blocks.length]!
    if (first.hash) {
      blocks.push(undefined)
      continue
    }
    let end = first.index + 1
    for (let i = blocks.length + 1; i < asked.length && !asked[i]!.hash && asked[i]!.index === end; i++) end++
    const run = yield* readRun(core, first.index, end, READ_BYTES)
    for (const block of yield* checkRun(core, run)) blocks.push(block)
  }
  return blocks
})
