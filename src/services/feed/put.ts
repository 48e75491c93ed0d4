/**
 * put: blocks from elsewhere, verified and stored.
 *
 *     Claims -> Proof.plan -> one read -> Proof.check -> Crypto.verify -> onwrite -> Change -> commit
 *
 * Claims that come together are read for, and committed, together. What one of them proves, the next may build on.
 */
import { Effect, Either } from "effect"
import { equals } from "../../domain/Bytes.js"
import {
  type FeedClosed,
  type ForkDetected,
  InvalidProof,
  InvalidSignature,
  type NotWritable,
  type StorageError,
  type WriteRefused
} from "../../domain/Errors.js"
import type { Position } from "../../domain/FlatTree.js"
import * as Hash from "../../domain/Hash.js"
import * as Merkle from "../../domain/Merkle.js"
import type { TreeNode } from "../../domain/Node.js"
import * as Proof from "../../domain/Proof.js"
import * as Verified from "../../domain/Verified.js"
import { askOne } from "./append.js"
import { commit } from "./commit.js"
import { type FeedCore, isAuthor, untilClosing, whileStorable } from "./FeedCore.js"
import { compare, examine, noteSigned, signedProof } from "./fork.js"
import { hashAhead } from "./hashAhead.js"
import { extentOf } from "./readBlocks.js"
import { readNodes } from "./readNodes.js"

export type PutError =
  | FeedClosed
  | ForkDetected
  | InvalidProof
  | InvalidSignature
  | NotWritable
  | StorageError
  | WriteRefused

/** Verifies the claim and stores its block (if it has one) and nodes. Nothing is stored of a claim that fails. */
export const put = (core: FeedCore, claim: Proof.Claim): Effect.Effect<void, PutError> =>
  putAll(core, [claim])

export interface PutOptions {
  /** Told to the `onwrite` hook and to listeners. */
  readonly from?: unknown
  /** Run between two claims: hashing is slow where it is not native, and others have something to do, too. */
  readonly pause?: Effect.Effect<void>
  /** Told of the longer log, when one of the claims brought it. */
  readonly onGrow?: (tip: Merkle.Tip) => void
}

/** Verifies the claims in order and stores them; at one that fails it stops, with those before it stored. */
export const putAll = (
  core: FeedCore,
  claims: ReadonlyArray<Proof.Claim>,
  options: PutOptions = {}
): Effect.Effect<void, PutError> => core.writer.exclusive(putInTurn(core, claims, options))

const putInTurn = Effect.fnUntraced(function* (
  core: FeedCore,
  claims: ReadonlyArray<Proof.Claim>,
  { from, onGrow, pause }: PutOptions
) {
  yield* whileStorable(core)
  const known = new Verified.KnownNodes(core.bitfield)
  if (claims.length > 1) yield* readAhead(core, claims, known)
  const mayHashAhead = claims.length > 1 && core.crypto.blake2b256All !== undefined
  const ahead = mayHashAhead ? hashAhead(core.crypto, blocksOf(claims)) : undefined
  const blake2b = ahead === undefined ? core.crypto.blake2b256 : yield* ahead
  let batch = new Verified.Batch(core.tip)
  const store = Effect.suspend(() => {
    if (batch.tip !== batch.before) onGrow?.(batch.tip)
    return commit(core, batch.change(core.bitfield, sourceOf(core, from)))
  })
  let failure: PutError | undefined
  let failed: Proof.Claim | undefined
  let hashed = 0
  for (const claim of claims) {
    if (hashed >= PAUSE_BYTES && pause !== undefined) {
      hashed = 0
      yield* pause
    }
    hashed += costOf(claim)
    if (batch.signature !== undefined && isOther(claim, batch.signature.parts[0])) {
      // A change has one signature, and another is compared with what is stored: what came before it is a change of its own.
      yield* store
      batch = new Verified.Batch(core.tip)
    }
    // No effect a claim, unless it needs one: most build on the claim before.
    const held =
      verifyAtOnce(core, blake2b, claim, known, batch) ??
      (yield* Effect.merge(verifyOne(core, blake2b, claim, known, batch, from)))
    if ("_tag" in held) {
      failure = held
      failed = claim
      break
    }
    batch.add(held)
    known.add(held.checked.nodes)
  }
  if (batch.size > 0) yield* store
  if (failure === undefined || failed === undefined) return
  // What does not fit what is held may be of another history that the key signed.
  const found = isProofError(failure) ? yield* examine(core, failed) : undefined
  return yield* Effect.fail(found?.fork ?? failure)
})

/** Whether a claim brings a signature, and not just that one again. */
const isOther = ({ proof }: Proof.Claim, signature: Uint8Array | undefined): boolean =>
  proof.signature !== undefined && (signature === undefined || !equals(proof.signature, signature))

const isProofError = ({ _tag }: PutError): boolean => _tag === "InvalidProof" || _tag === "InvalidSignature"

/** Bytes that are hashed between two pauses. */
const PAUSE_BYTES = 128 * 1024
/** What a node of a proof costs, and a signature. */
const NODE_BYTES = 512
const SIGNATURE_BYTES = PAUSE_BYTES

const costOf = ({ block, proof }: Proof.Claim): number =>
  (block?.length ?? 0) +
  NODE_BYTES * (1 + proof.nodes.length) +
  (proof.signature === undefined ? 0 : SIGNATURE_BYTES)

/** Of whom the blocks come, when somebody listens for that. */
const sourceOf = (core: FeedCore, from: unknown) => (core.originListeners > 0 ? { from } : undefined)

const blocksOf = (claims: ReadonlyArray<Proof.Claim>): ReadonlyArray<Uint8Array> =>
  claims.flatMap(({ block }) => (block === undefined ? [] : [block]))

/** One read for all claims of the nodes that they need of those stored. */
const readAhead = (core: FeedCore, claims: ReadonlyArray<Proof.Claim>, known: Verified.KnownNodes) => {
  const positions = new Set<Position>()
  for (const claim of claims) {
    for (const position of Proof.reads(core.bitfield, claim)) positions.add(position)
  }
  return readKnown(core, [...positions], known)
}

const readKnown = (core: FeedCore, positions: ReadonlyArray<Position>, known: Verified.KnownNodes) =>
  positions.length === 0
    ? Effect.void
    : Effect.map(readNodes(core.files, positions), (nodes) =>
        known.note(nodes.filter((node): node is TreeNode => node !== undefined))
      )

/** Verifies a claim for which nothing must be read, signed, placed or asked; `undefined` for another. */
const verifyAtOnce = (
  core: FeedCore,
  blake2b: Hash.Blake2b256,
  claim: Proof.Claim,
  known: Verified.KnownNodes,
  batch: Verified.Batch
): Verified.Held | InvalidProof | undefined => {
  const offset = batch.nextOffset(claim.index)
  if (offset === undefined || core.onwrite !== undefined) return undefined
  const plan = Proof.plan(known, claim)
  if (Either.isLeft(plan)) return plan.left
  if (plan.right.end._tag === "Roots") return undefined
  for (const position of plan.right.reads) if (known.get(position) === undefined) return undefined
  if (isOther(claim, core.lastSignature)) return undefined
  const checked = Proof.check(blake2b, plan.right, known.read)
  if (Either.isLeft(checked)) return checked.left
  if (checked.right.nodes.length > 0) core.offsets.forget(claim.index)
  return { claim, checked: checked.right, offset, signed: undefined, signature: undefined }
}

const verifyOne = Effect.fnUntraced(function* (
  core: FeedCore,
  blake2b: Hash.Blake2b256,
  claim: Proof.Claim,
  known: Verified.KnownNodes,
  batch: Verified.Batch,
  from: unknown
) {
  const plan = yield* Proof.plan(known, claim)
  const unread = plan.reads.filter((position) => known.get(position) === undefined)
  if (unread.length > 0) yield* readKnown(core, unread, known)
  const checked = yield* Proof.check(blake2b, plan, known.read)
  const signed = checked.roots === undefined ? undefined : Merkle.tip(checked.roots)
  const isNew = signed !== undefined && !Merkle.sameTip(signed, batch.tip)
  if (isNew) {
    yield* checkRoots(core, claim, signed)
    yield* checkHistory(core, claim, signed, plan, checked, known, batch.tip)
  } else if (isOther(claim, core.lastSignature)) yield* checkSignature(core, claim)
  if (checked.nodes.length > 0) core.offsets.forget(claim.index)
  const offset = yield* offsetOf(core, claim, checked, known, batch)
  if (claim.block !== undefined && core.onwrite !== undefined) {
    yield* untilClosing(core, askOne(core, claim.index, claim.block, from))
  }
  return {
    claim,
    checked,
    offset,
    signed: isNew ? signed : undefined,
    signature: isNew ? claim.proof.signature : undefined
  }
})

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
        reason: "incomplete",
        detail: "it ends in roots, but no signature came with it"
      })
    }
    const valid = yield* core.crypto.verify(message, signature, core.key)
    if (!valid) return yield* new InvalidSignature({ length: signed.length })
  })

/**
 * A log that the key signed must continue the one that is held, or be continued by it, as far as its proof shows. The roots that are held
 * are in memory, and those of a longer log name all of them that it can contradict: nothing is read but for a shorter one.
 */
const checkHistory = Effect.fnUntraced(function* (
  core: FeedCore,
  claim: Proof.Claim,
  signed: Merkle.Tip,
  plan: Proof.Plan,
  checked: Proof.Checked,
  known: Verified.KnownNodes,
  before: Merkle.Tip
) {
  const { signature } = claim.proof
  if (signature === undefined) return
  const stored = plan.reads.flatMap((position) => known.get(position) ?? [])
  const proof = signedProof(signed, signature, [...stored, ...checked.nodes])
  const isShorter = signed.length < before.length
  let isLinked = !isShorter
  let differs = false
  for (const root of before.roots) {
    const other = proof.nodes.get(root.index)
    if (other === undefined) isLinked = false
    else if (!equals(root.hash, other.hash)) differs = true
  }
  if (isShorter || differs || !isLinked) {
    const found = yield* compare(core, proof)
    if (found.fork !== undefined) return yield* found.fork
    isLinked = found.isLinked
  }
  if (!isLinked && core.fork !== undefined) return yield* core.fork
  if (!isLinked && isAuthor(core)) {
    const { index } = claim
    const detail = `it does not show that the log of ${signed.length} blocks continues that of ${before.length}`
    return yield* new InvalidProof({ index, reason: "incomplete", detail })
  }
  noteSigned(core, signed.length)
  core.lastSignature = signature.slice()
})

/** A signature that the proof did not need: it may be of a history that differs elsewhere. */
const checkSignature = Effect.fnUntraced(function* (core: FeedCore, claim: Proof.Claim) {
  const found = yield* examine(core, claim)
  if (found?.fork !== undefined) return yield* found.fork
  if (found !== undefined) core.lastSignature = claim.proof.signature?.slice()
})

/** Where the claim's block lies in `data`; right after the one before it, mostly. */
const offsetOf = (
  core: FeedCore,
  claim: Proof.Claim,
  checked: Proof.Checked,
  known: Verified.KnownNodes,
  batch: Verified.Batch
): Effect.Effect<number, InvalidProof | StorageError> => {
  const { block, index } = claim
  if (block === undefined || block.length === 0) return Effect.succeed(0)
  const next = batch.nextOffset(index)
  if (next !== undefined) return Effect.succeed(next)
  const own = new Map(checked.nodes.map((node) => [node.index, node.size]))
  const extent = extentOf(core, index, (position) => own.get(position) ?? known.verifiedSize(position))
  return Effect.flatMap(extent, (found) =>
    found === undefined || !Number.isSafeInteger(found.offset)
      ? Effect.fail(
          new InvalidProof({
            index,
            reason: "incomplete",
            detail: "the nodes to the left of the block are not known"
          })
        )
      : Effect.succeed(found.offset)
  )
}
