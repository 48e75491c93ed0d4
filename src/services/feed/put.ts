/**
 * put: a block from elsewhere, verified and stored.
 *
 *     Claim -> Proof.plan -> one read -> Proof.check -> Crypto.verify -> onwrite -> Change -> commit
 */
import { Effect } from "effect"
import * as Change from "../../domain/Change.js"
import {
  type FeedClosed,
  InvalidProof,
  InvalidSignature,
  type NotWritable,
  type StorageError,
  type WriteRefused
} from "../../domain/Errors.js"
import { equals } from "../../domain/Bytes.js"
import * as FlatTree from "../../domain/FlatTree.js"
import type { FeedEvent } from "../../domain/FeedEvent.js"
import * as Hash from "../../domain/Hash.js"
import * as Merkle from "../../domain/Merkle.js"
import * as Proof from "../../domain/Proof.js"
import { askOne } from "./append.js"
import { extentOf } from "./readBlocks.js"
import { commit } from "./commit.js"
import { type FeedCore, whileStorable } from "./FeedCore.js"
import { readNodes } from "./readNodes.js"

export type PutError =
  | FeedClosed
  | InvalidProof
  | InvalidSignature
  | NotWritable
  | StorageError
  | WriteRefused

/** Verifies the claim and stores its block (if it has one) and nodes. Nothing is stored of a claim that fails. */
export const put = (core: FeedCore, claim: Proof.Claim): Effect.Effect<void, PutError> =>
  core.writer.exclusive(
    Effect.gen(function* () {
      yield* whileStorable(core)
      const plan = yield* Proof.plan(core.bitfield, claim)
      const read = yield* readNodes(core.files, plan.reads)
      const stored = new Map(plan.reads.map((position, i) => [position, read[i]]))
      const checked = yield* Proof.check(core.crypto.blake2b256, plan, (position) => stored.get(position))
      const signed = checked.roots === undefined ? undefined : Merkle.tip(checked.roots)
      if (signed !== undefined) yield* checkRoots(core, claim, signed)
      if (checked.nodes.length > 0) core.offsets.forget(claim.index)
      const known = new Map(checked.nodes.map((node) => [node.index, node.size]))
      const data = yield* dataWrites(core, claim, known)
      if (claim.block !== undefined) yield* askOne(core, claim.index, claim.block)
      yield* commit(core, changeOf(core, claim, checked, signed, data))
    })
  )

/** The roots must be signed by the key; or, in a feed that was finalized without signatures, be the key. */
const checkRoots = (
  core: FeedCore,
  claim: Proof.Claim,
  signed: Merkle.Tip
): Effect.Effect<void, InvalidProof | InvalidSignature> =>
  Effect.gen(function* () {
    const message = Hash.rootHash(core.crypto.blake2b256, signed.roots)
    const { signature } = claim.proof
    if (signature === undefined) {
      if (equals(message, core.key)) return
      return yield* new InvalidProof({
        index: claim.index,
        detail: "it ends in roots, but no signature came with it"
      })
    }
    const valid = yield* core.crypto.verify(message, signature, core.key)
    if (!valid) return yield* new InvalidSignature({ length: signed.length })
  })

const dataWrites = (
  core: FeedCore,
  claim: Proof.Claim,
  known: ReadonlyMap<FlatTree.Position, number>
): Effect.Effect<ReadonlyArray<Change.Write>, InvalidProof | StorageError> =>
  Effect.gen(function* () {
    const { block, index } = claim
    if (block === undefined || block.length === 0) return []
    const extent = yield* extentOf(core, index, (position) => known.get(position))
    if (extent === undefined || !Number.isSafeInteger(extent.offset)) {
      return yield* new InvalidProof({ index, detail: "the nodes to the left of the block are not known" })
    }
    return [{ file: "data" as const, offset: extent.offset, parts: [block] }]
  })

const changeOf = (
  core: FeedCore,
  claim: Proof.Claim,
  checked: Proof.Checked,
  signed: Merkle.Tip | undefined,
  data: ReadonlyArray<Change.Write>
): Change.Change => {
  const { block, index, proof } = claim
  const grows = signed !== undefined && signed.length > core.tip.length
  const isNew = block !== undefined && !core.bitfield.has(index)
  const events: Array<FeedEvent> = []
  if (grows) events.push({ _tag: "Append", length: signed.length, byteLength: signed.byteLength })
  if (isNew) events.push({ _tag: "Download", index, size: block.length })
  const positions = [...checked.nodes.map((node) => node.index), FlatTree.leaf(index)]
  const nodes = { _tag: "Nodes", positions } as const
  return {
    ...Change.none,
    writes: [...data, ...Change.nodeWrites(checked.nodes)],
    signature:
      signed === undefined || proof.signature === undefined
        ? undefined
        : Change.signatureWrite(signed.length, proof.signature),
    bits: block === undefined ? [nodes] : [nodes, { _tag: "Have", start: index, end: index + 1, held: true }],
    tip: grows ? signed : undefined,
    events
  }
}
