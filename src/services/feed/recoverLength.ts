/** How long a feed is: the last signature that its roots satisfy, and, for its owner, the proof of any longer claim. */
import { Effect } from "effect"
import { equals, isBlank } from "../../domain/Bytes.js"
import * as Change from "../../domain/Change.js"
import { CorruptStorage, type NotWritable, OpenRefused, type StorageError } from "../../domain/Errors.js"
import * as FlatTree from "../../domain/FlatTree.js"
import * as Hash from "../../domain/Hash.js"
import * as Merkle from "../../domain/Merkle.js"
import { ENTRY_SIZE, type TreeNode, decode } from "../../domain/Node.js"
import * as Recovery from "../../domain/Recovery.js"
import { isSignature } from "../../domain/Signature.js"
import * as Sleep from "../../domain/Sleep.js"
import { commit } from "./commit.js"
import type { FeedCore } from "./FeedCore.js"
import { readData } from "./readBlocks.js"
import { readEntries, readNodes, readSignature } from "./readNodes.js"
import { sign } from "./sign.js"

/** The longest log that is proven, and the longest that a signature or the tree-bits claim. */
export interface Found {
  readonly tip: Merkle.Tip
  readonly claimed: number
  /** Length of the last signature that is not blank. */
  readonly signed: number
}

/** Signatures tried before giving up: what is worse is damage that no crash leaves, and opening must end. */
const MAX_TRIES = 1024
/** Signature entries read at first: the last one nearly always fits. Then so many at a time. */
const FIRST_ENTRIES = 8
const SCAN_ENTRIES = 1024

/** The tip of the log of `length` blocks, when its roots are stored and signed (or are the key, in a finalized feed). */
export const proveLength = (
  core: FeedCore,
  length: number
): Effect.Effect<Merkle.Tip | undefined, StorageError> =>
  Effect.gen(function* () {
    if (length === 0) return Merkle.emptyTip
    const roots: Array<TreeNode> = []
    for (const node of yield* readNodes(core.files, FlatTree.fullRoots(length))) {
      if (node === undefined) return undefined
      roots.push(node)
    }
    const message = Hash.rootHash(core.crypto.blake2b256, roots)
    const signature = yield* readSignature(core.files, length)
    const valid =
      signature === undefined
        ? equals(message, core.key)
        : yield* core.crypto.verify(message, signature, core.key)
    return valid ? Merkle.tip(roots) : undefined
  })

/**
 * Looks for the longest proven log, from the last signature downwards. A file of signatures ends with one: a blank end is where one was
 * lost, unless the entry after it is torn, whose batch it belongs to.
 */
export const findSigned = (
  core: FeedCore,
  claims: Recovery.Claims,
  isTorn: boolean
): Effect.Effect<Found, CorruptStorage | StorageError> =>
  Effect.gen(function* () {
    let tries = 0
    let claimed = Math.max(claims.bits, isTorn ? 0 : claims.signatures)
    let signed = 0
    let entries = FIRST_ENTRIES
    for (let end = claims.signatures; end > 0;) {
      const start = Math.max(0, end - entries)
      for (const length of yield* signedLengths(core, start, end)) {
        claimed = Math.max(claimed, length)
        signed = Math.max(signed, length)
        if (!Recovery.rootsFit(length, claims.treeEnd)) continue
        const tip = yield* proveLength(core, length)
        if (tip !== undefined) return { tip, claimed, signed }
        if (++tries === MAX_TRIES) {
          return yield* new CorruptStorage({
            file: "tree",
            detail: `none of the last ${tries} signatures is over the tree that is stored`
          })
        }
      }
      end = start
      entries = SCAN_ENTRIES
    }
    // No signature at all (blank entries may tell of bits that were forgotten): a finalized feed, or nothing that could be trusted.
    const unsigned = signed === 0 ? yield* proveLength(core, claims.bits) : undefined
    return { tip: unsigned ?? Merkle.emptyTip, claimed, signed }
  })

/**
 * Whether the files are, by all that they say, those of another key's feed, so that it is likely the stored key that is damaged: bits are
 * stored, and the log of which they or the last signature speak has its roots and a signature, which is not this key's; or all that and no
 * signature, as a finalized feed. Bits are stored after the signature that they came with: no process leaves this when it dies, and no loss
 * of power with durability `power`.
 */
export const isOfOtherKey = (
  core: FeedCore,
  claims: Recovery.Claims,
  { signed }: Found
): Effect.Effect<boolean, StorageError> =>
  Effect.gen(function* () {
    if (claims.bits === 0) return false
    for (const length of new Set([claims.bits, signed])) {
      const roots = yield* readNodes(core.files, FlatTree.fullRoots(length))
      if (length === 0 || roots.includes(undefined)) continue
      const signature = yield* readSignature(core.files, length)
      if (signature === undefined ? claims.signatures === 0 : isSignature(signature)) return true
    }
    return false
  })

/** The lengths in (start, end] that have a signature entry, longest first. */
export const signedLengths = (core: FeedCore, start: number, end: number) =>
  Effect.map(
    core.files.read([
      {
        file: "signatures",
        offset: Sleep.signatureOffset(start),
        length: (end - start) * Sleep.SIGNATURE_SIZE
      }
    ]),
    ([bytes]) => {
      const lengths: Array<number> = []
      for (let i = Math.floor(bytes!.length / Sleep.SIGNATURE_SIZE) - 1; i >= 0; i--) {
        const entry = bytes!.subarray(i * Sleep.SIGNATURE_SIZE, (i + 1) * Sleep.SIGNATURE_SIZE)
        if (!isBlank(entry)) lengths.push(start + i + 1)
      }
      return lengths
    }
  )

const STRETCH_BLOCKS = 1024

/**
 * The owner's claim of a longer log, proven by the blocks themselves: when each matches its leaf, the log is the one that was
 * signed, and signing it again gives the same signature (Ed25519 is deterministic). Otherwise opening fails.
 */
export const extendSigned = (
  core: FeedCore,
  found: Found,
  claims: Recovery.Claims,
  cut: Change.Change["cut"]
): Effect.Effect<Merkle.Tip, CorruptStorage | OpenRefused | StorageError> =>
  Effect.gen(function* () {
    const roots = [...found.tip.roots]
    const parentOf = (left: TreeNode, right: TreeNode) => Hash.parent(core.crypto.blake2b256, left, right)
    let { byteLength } = found.tip
    for (let start = found.tip.length; start < found.claimed; start += STRETCH_BLOCKS) {
      const nodes: Array<TreeNode> = []
      const end = Math.min(start + STRETCH_BLOCKS, found.claimed)
      for (const leaf of yield* provenLeaves(core, start, end, byteLength)) {
        if (leaf === undefined) return yield* unprovable(found, claims)
        Merkle.addLeaf(parentOf, roots, leaf, (node) => nodes.push(node))
        byteLength += leaf.size
      }
      yield* commit(core, { ...Change.none, writes: Change.nodeWrites(nodes) })
    }
    const tip = Merkle.tip(roots)
    const message = Hash.rootHash(core.crypto.blake2b256, roots)
    const signature = yield* Effect.mapError(sign(core, message), cannotSign)
    const before = yield* readSignature(core.files, tip.length)
    if (before !== undefined && !isLeftOf(before, signature)) return yield* unprovable(found, claims)
    yield* commit(core, { ...Change.none, cut, signature: Change.signatureWrite(tip.length, signature), tip })
    return tip
  })

/** What is stored is sound, and can be opened when the key signs again. */
const cannotSign = (error: NotWritable): OpenRefused =>
  new OpenRefused({
    reason: "signing-failed",
    detail: `a signature that a crash lost is to be made again, but ${error.message}`
  })

/** The stored leaves of [start, end), each `undefined` unless its block, from byte `offset` on, matches it. */
const provenLeaves = (
  core: FeedCore,
  start: number,
  end: number,
  offset: number
): Effect.Effect<ReadonlyArray<TreeNode | undefined>, StorageError> =>
  Effect.gen(function* () {
    const entries = yield* readEntries(core.files, FlatTree.leaf(start), FlatTree.leaf(end - 1))
    const leaves: Array<TreeNode | undefined> = []
    let next = offset
    for (let i = 0; i < end - start; i++) {
      const entry = entries.subarray(2 * ENTRY_SIZE * i, 2 * ENTRY_SIZE * i + ENTRY_SIZE)
      const leaf = decode(FlatTree.leaf(start + i), entry)
      if (leaf === undefined) return [...leaves, undefined]
      const [block] = yield* readData(core, next, leaf.size)
      if (!equals(Hash.leafHash(core.crypto.blake2b256, block!), leaf.hash)) return [...leaves, undefined]
      leaves.push(leaf)
      next += leaf.size
    }
    return leaves
  })

/**
 * Whether `stored` can be what a cut-off write left of `signature`, or is no signature at all, as what a file has where it was to grow when
 * the power went: anything else is a signature of another history.
 */
const isLeftOf = (stored: Uint8Array, signature: Uint8Array): boolean =>
  !isSignature(stored) || stored.every((byte, i) => byte === 0 || byte === signature[i])

const unprovable = (found: Found, claims: Recovery.Claims): CorruptStorage =>
  new CorruptStorage({
    file: Recovery.rootsFit(found.claimed, claims.treeEnd) ? "signatures" : "tree",
    detail:
      `a log of ${found.claimed} blocks was signed, but what is stored proves only ${found.tip.length}; writing on ` +
      "from there would sign a second history of this key: restore the missing files, or open the feed read-only"
  })
