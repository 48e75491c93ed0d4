/** serve: blocks with their proofs, many at a time, in one read of the tree and one of `data` a stretch. */
import { Effect, Either } from "effect"
import type { CorruptStorage, FeedClosed, StorageError } from "../../domain/Errors.js"
import type { TreeNode } from "../../domain/Node.js"
import type { Claim } from "../../domain/Proof.js"
import * as TreeIndex from "../../domain/TreeIndex.js"
import { type FeedCore, isHeldForGood, isStatic, whileOpen } from "./FeedCore.js"
import { proof } from "./proof.js"
import { type Arrays, checkRun, readRun } from "./readBlocks.js"
import { readNodes, readSignature } from "./readNodes.js"

/** Block `index` is asked for by someone who has `digest`; with `hash`, only its leaf. */
export interface Asked {
  readonly index: number
  readonly digest: number
  readonly hash: boolean
}

export type ServeError = CorruptStorage | FeedClosed | StorageError

/** The first `count` asks are answered: by claims, in their order, or by nothing, where a block or its proof is missing. */
export interface Served {
  readonly count: number
  readonly claims: ReadonlyArray<Claim>
  readonly missing: ReadonlyArray<number>
}

interface Planned {
  readonly ask: Asked
  /** Its place among all that is asked. */
  readonly at: number
  readonly plan: TreeIndex.ProofPlan
}

/**
 * Answers what is asked, in that order, as far as may be read in one go: until the blocks come to `mostBytes`, say (at least one is answered). The arrays are the caller's.
 * A block whose stored bytes are lost counts as missing.
 */
export const serve: (
  core: FeedCore,
  asked: ReadonlyArray<Asked>,
  mostBytes: number,
  how?: Arrays
) => Effect.Effect<Served, ServeError> = Effect.fnUntraced(function* (
  core: FeedCore,
  asked: ReadonlyArray<Asked>,
  mostBytes: number,
  how: Arrays = "apart"
) {
  yield* whileOpen(core)
  const planned: Array<Planned> = []
  const missingAt: Array<number> = []
  let looked = 0
  for (let nodes = 0; looked < asked.length && nodes < MOST_NODES; looked++) {
    const ask = asked[looked]!
    const held = ask.hash || isHeldForGood(core, ask.index)
    const plan = held ? TreeIndex.proofPlan(core.bitfield, ask.index, ask) : undefined
    if (plan === undefined) missingAt.push(looked)
    else {
      planned.push({ ask, at: looked, plan })
      nodes += plan.nodes.length
    }
  }
  const blocks = yield* readBlocks(core, planned, mostBytes, how)
  const answered = planned.slice(0, blocks.length)
  const count = planned[blocks.length]?.at ?? looked
  const nodes = yield* readNodes(
    core.files,
    answered.flatMap(({ plan }) => plan.nodes)
  )
  const claims: Array<Claim> = []
  const missing = missingAt.filter((place) => place < count).map((place) => asked[place]!.index)
  const signatures = new Map<number, Uint8Array | undefined>()
  let unsigned: boolean | undefined
  const isUnsigned = () => (unsigned ??= isStatic(core))
  let at = 0
  for (let i = 0; i < answered.length; i++) {
    const { ask, plan } = answered[i]!
    const own = nodes.slice(at, at + plan.nodes.length)
    at += own.length
    if (plan.verifiedBy > 0 && !signatures.has(plan.verifiedBy)) {
      signatures.set(plan.verifiedBy, yield* readSignature(core.files, plan.verifiedBy))
    }
    const signature = signatures.get(plan.verifiedBy)
    const block = blocks[i]
    const isVouchedFor = plan.verifiedBy === 0 || signature !== undefined || isUnsigned()
    if (block === "lost" || !isWhole(own)) missing.push(ask.index)
    else if (isVouchedFor) claims.push({ index: ask.index, block, proof: { nodes: own, signature } })
    else {
      const found = yield* Effect.either(proof(core, ask.index, ask))
      if (Either.isRight(found)) claims.push({ index: ask.index, block, proof: found.right })
      else if (found.left._tag === "StorageError") return yield* found.left
      else missing.push(ask.index)
    }
  }
  return { count, claims, missing }
})

/** What a read costs, in bytes of blocks: a thousand from all over the log are not read in one go. */
const READ_BYTES = 32_768
/** Nodes of proofs that are read in one go, each from a place of its own at worst. */
const MOST_NODES = 512

const isWhole = (nodes: ReadonlyArray<TreeNode | undefined>): nodes is ReadonlyArray<TreeNode> =>
  !nodes.includes(undefined)

/** The blocks asked for, `undefined` for those of which only the leaf is. Those that follow each other are read together. */
const readBlocks = Effect.fnUntraced(function* (
  core: FeedCore,
  planned: ReadonlyArray<Planned>,
  mostBytes: number,
  how: Arrays
) {
  const blocks: Array<Uint8Array | undefined | "lost"> = []
  for (let bytes = 0; blocks.length < planned.length && (bytes < mostBytes || blocks.length === 0);) {
    const { ask } = planned[blocks.length]!
    if (ask.hash) {
      blocks.push(undefined)
      continue
    }
    let end = ask.index + 1
    for (let i = blocks.length + 1; i < planned.length; i++, end++) {
      const next = planned[i]!.ask
      if (next.hash || next.index !== end) break
    }
    const run = yield* Effect.either(readChecked(core, ask.index, end, mostBytes - bytes, how))
    bytes += READ_BYTES
    if (Either.isRight(run)) {
      for (const block of run.right) {
        blocks.push(block)
        bytes += block.length
      }
    } else if (run.left._tag === "CorruptStorage") {
      // One of them is lost: told apart one by one.
      const alone = yield* Effect.either(readChecked(core, ask.index, ask.index + 1, 0, how))
      blocks.push(Either.isRight(alone) ? alone.right[0]! : "lost")
    } else return yield* run.left
  }
  return blocks
})

const readChecked = (core: FeedCore, start: number, end: number, bytes: number, how: Arrays) =>
  Effect.flatMap(readRun(core, start, end, bytes, how), (run) => checkRun(core, run))
