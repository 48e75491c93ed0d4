/**
 * recover: brings a feed's state to what its files prove, when it is opened (the plan is `domain/Recovery`).
 *
 *     length     the last signature that its roots satisfy
 *     key        where nothing is signed by it that is stored, it may be damaged: opening fails, lest all that is held be forgotten
 *     owner      a claim of a longer log (a signature, or tree-bits, which are only written after one) must be proven, or
 *                opening fails: to write on from less would sign a second history
 *     bits       rebuilt where the bitfield lags, or was stored by half; dropped where tree or data end too soon
 *
 * The same `commit` stores what is concluded. When all files agree, nothing is written.
 */
import { Effect } from "effect"
import { equals } from "../../domain/Bytes.js"
import * as Change from "../../domain/Change.js"
import { CorruptStorage, type OpenRefused, type StorageError } from "../../domain/Errors.js"
import * as FlatTree from "../../domain/FlatTree.js"
import * as Hash from "../../domain/Hash.js"
import { ENTRY_SIZE, type TreeNode, decode } from "../../domain/Node.js"
import * as Recovery from "../../domain/Recovery.js"
import * as Sleep from "../../domain/Sleep.js"
import { extentOf, readData } from "./readBlocks.js"
import { commit } from "./commit.js"
import type { Blocks, FeedCore } from "./FeedCore.js"
import { type Found, extendSigned, findSigned, isOfOtherKey } from "./recoverLength.js"
import { readEntries, readNodes } from "./readNodes.js"
import { applyBits } from "./setBits.js"

export type RecoverError = CorruptStorage | OpenRefused | StorageError

/**
 * Sets `core.tip` and `core.bitfield` to what the files prove; stores what that changes, unless read-only. `isKeySure`: somebody else than the
 * `key` file says so, too.
 */
export const recover = (
  core: FeedCore,
  sizes: Recovery.FileSizes,
  isKeySure: boolean
): Effect.Effect<void, RecoverError> =>
  Effect.gen(function* () {
    const flaws = core.bitfield.flaws()
    // What bits that contradict each other say is no claim, and what lies behind them neither: all that is derived anew.
    if (flaws.garbled < Infinity) applyBits(core, [{ _tag: "ForgetBeyond", length: flaws.garbled }])
    const claims = Recovery.claims(core.bitfield, core.bitfield.pages.pageSize, sizes)
    const isTorn = (sizes.signatures - Sleep.HEADER_SIZE) % Sleep.SIGNATURE_SIZE > 0
    const found = yield* findSigned(core, claims, isTorn)
    const isInDoubt = found.tip.length === 0 && !isKeySure
    if (isInDoubt && (yield* isOfOtherKey(core, claims, found))) return yield* damagedKey
    core.claimedLength = Math.max(found.claimed, found.tip.length)
    const isOwner = core.secretKey !== undefined && !core.readOnly
    const cut = isTorn && !core.readOnly ? tornSignature(found) : []
    const proven =
      isOwner && found.tip.length < found.claimed ? yield* extendSigned(core, found, claims, cut) : found.tip
    if (cut.length > 0 && proven === found.tip) yield* commit(core, { ...Change.none, cut })
    yield* apply(core, { ...Change.none, tip: proven })
    if (claims.bits > proven.length) {
      const writes = claims.bits > claims.signatures ? [lostSignature(claims.bits)] : []
      yield* apply(core, {
        ...Change.none,
        writes,
        bits: [{ _tag: "ForgetBeyond", length: proven.length }]
      })
    }
    yield* dropBeyond(core)
    yield* dropUnlocated(core, claims.treeEnd)
    const lagsFrom = Math.min(claims.bits, claims.wholeBits, flaws.garbled, flaws.withoutLeaf)
    if (lagsFrom < proven.length) {
      yield* rebuild(core, lagsFrom)
      yield* dropWithoutLeaf(core)
    }
    yield* dropMissingData(core, sizes.data)
  })

const damagedKey = Effect.suspend(
  () =>
    new CorruptStorage({
      file: "key",
      detail:
        "nothing that is stored is signed by it: repair the feed with the right key; if this is the right one, open the feed with it"
    })
)

/** Forgets have-bits past the end of the log: once it grows there, they would be taken for blocks. */
const dropBeyond = (core: FeedCore) =>
  Effect.suspend(() => {
    const { bitfield, tip } = core
    return bitfield.nextHeld(tip.length, bitfield.end / 2) < bitfield.end / 2
      ? apply(core, {
          ...Change.none,
          bits: [{ _tag: "Have", start: tip.length, end: bitfield.end / 2, held: false }]
        })
      : Effect.void
  })

/**
 * What is left of a signature whose write was cut off, and the blank entries of its batch: the one would read as a signature once the
 * file grows past it, the others as lost ones.
 */
const tornSignature = (found: Found): Change.Change["cut"] => [
  { file: "signatures", size: Sleep.signatureOffset(found.signed) }
]

/**
 * A blank entry for the signature of this length, which was lost: a reader forgets the bits that knew of it, but an owner who opens the
 * files later must not take the length for one that was never signed.
 */
const lostSignature = (length: number): Change.Write =>
  Change.signatureWrite(length, new Uint8Array(Sleep.SIGNATURE_SIZE))

/** Commits, or in a read-only feed only changes what is in memory. */
const apply = (core: FeedCore, change: Change.Change): Effect.Effect<void, StorageError> => {
  if (!core.readOnly) return commit(core, change)
  return Effect.sync(() => {
    applyBits(core, change.bits)
    if (change.tip !== undefined) core.tip = change.tip
  })
}

/** Forgets nodes past the end of the `tree` file, and the blocks that only they could locate. */
const dropUnlocated = (core: FeedCore, treeEnd: FlatTree.Position) =>
  Effect.suspend(() => {
    const last = core.bitfield.lastNode()
    if (last === undefined || last < treeEnd) return Effect.void
    const firstLost = Math.ceil(treeEnd / 2)
    return apply(core, {
      ...Change.none,
      bits: [
        { _tag: "ForgetFrom", position: treeEnd },
        { _tag: "Have", start: firstLost, end: Math.max(firstLost, core.tip.length), held: false }
      ]
    })
  })

/** Forgets blocks whose nodes were not to be had again: of a reader, which had not been told that it has them. */
const dropWithoutLeaf = (core: FeedCore) =>
  Effect.suspend(() => {
    const { length } = core.tip
    const bits: Array<Change.BitChange> = []
    for (let block = 0; (block = core.bitfield.nextWithoutLeaf(block, length)) < length; block++) {
      bits.push({ _tag: "Have", start: block, end: block + 1, held: false })
    }
    return bits.length > 0 ? apply(core, { ...Change.none, bits }) : Effect.void
  })

/** Marks held blocks whose bytes lie past the end of `data` as not held, from the last one downwards. */
const dropMissingData = (core: FeedCore, dataSize: number): Effect.Effect<void, StorageError> =>
  Effect.gen(function* () {
    const lost: Array<Blocks> = []
    let last = core.bitfield.lastHeld(0, core.tip.length)
    for (; last !== undefined; last = core.bitfield.lastHeld(0, last)) {
      const extent = yield* extentOf(core, last)
      // An empty block has no bytes to lose, and says nothing about those before it.
      if (extent?.size === 0) continue
      if (extent?.size !== undefined && extent.offset + extent.size <= dataSize) break
      const right = lost.at(-1)
      if (right?.start === last + 1) lost[lost.length - 1] = { start: last, end: right.end }
      else lost.push({ start: last, end: last + 1 })
    }
    core.lost = lost
    if (lost.length === 0) return
    yield* apply(core, {
      ...Change.none,
      bits: lost.map(({ end, start }) => ({ _tag: "Have", start, end, held: false }))
    })
  })

/**
 * Derives the bits from block `from` on anew: every node that leads to a signed root, every block that matches its leaf where the bits do not
 * know the leaf.
 */
const rebuild = (core: FeedCore, from: number): Effect.Effect<void, StorageError> =>
  Effect.gen(function* () {
    let offset = 0
    for (const root of core.tip.roots) {
      if (FlatTree.endBlock(root.index) > from) yield* rebuildUnder(core, root, offset, from)
      offset += root.size
    }
    const roots = core.tip.roots.map((root) => root.index)
    yield* apply(core, {
      ...Change.none,
      bits: [{ _tag: "Nodes", positions: roots }, { _tag: "Reindex" }]
    })
  })

const rebuildUnder = (
  core: FeedCore,
  root: TreeNode,
  offset: number,
  from: number
): Effect.Effect<void, StorageError> =>
  Effect.gen(function* () {
    if (FlatTree.endBlock(root.index) - FlatTree.firstBlock(root.index) <= Recovery.PIECE_BLOCKS) {
      return yield* rebuildPiece(core, root, offset, from)
    }
    const positions = [FlatTree.leftChild(root.index), FlatTree.rightChild(root.index)]
    const read = yield* readNodes(core.files, positions)
    const children = Recovery.trustedChildren(core.crypto.blake2b256, root, (position) =>
      position < root.index ? read[0] : read[1]
    )
    if (children === undefined) return
    const [left, right] = children
    if (FlatTree.endBlock(left.index) > from) yield* rebuildUnder(core, left, offset, from)
    yield* rebuildUnder(core, right, offset + left.size, from)
  })

const rebuildPiece = (core: FeedCore, root: TreeNode, offset: number, from: number) =>
  Effect.gen(function* () {
    const first = FlatTree.leftSpan(root.index)
    const entries = yield* readEntries(core.files, first, FlatTree.rightSpan(root.index))
    const stored = (position: FlatTree.Position) => decode(position, entries, ENTRY_SIZE * (position - first))
    const found: Recovery.Verified = { positions: [], leaves: [] }
    Recovery.subtree(core.crypto.blake2b256, root, offset, stored, found)
    const held: Array<Change.BitChange> = []
    for (const { leaf, offset: start } of found.leaves) {
      const block = FlatTree.block(leaf.index)
      // What bits knew of the leaf knew of the block too: if it is not held, it was cleared.
      if (block < from || core.bitfield.hasNode(leaf.index)) continue
      const [bytes] = yield* readData(core, start, leaf.size)
      if (equals(Hash.leafHash(core.crypto.blake2b256, bytes!), leaf.hash)) {
        held.push({ _tag: "Have", start: block, end: block + 1, held: true })
      }
    }
    yield* apply(core, {
      ...Change.none,
      bits: [...held, { _tag: "Nodes", positions: found.positions }]
    })
  })
