/**
 * repair: brings damaged files to what of them can be proven. Nothing is ever signed that was not.
 *
 *     whose      the key, by what its signature proves                                  repairKeys
 *     how long   the last signature that its roots satisfy, as stored or as derived     repairLength
 *     tree       downwards from the signed roots: kept, or mended                       repairTree
 *     blocks     those whose bytes match their leaf are held                            repairTree
 *     signatures those that prove nothing are dropped                                   repairSignatures
 *     bits       what was proven, and nothing else: stored last, in one change
 *
 * A longer log that the files speak of stays spoken of. Its owner cannot write until it is proven: to write on from less would sign a
 * second history.
 */
import { Effect, ExecutionStrategy, Scope } from "effect"
import { Bitfield } from "../../domain/Bitfield.js"
import * as BitfieldIndex from "../../domain/BitfieldIndex.js"
import { BitfieldPages } from "../../domain/BitfieldPages.js"
import * as Change from "../../domain/Change.js"
import { CorruptStorage, OpenRefused, type StorageError } from "../../domain/Errors.js"
import { FEED_PATH_RULE, isFeedPath } from "../../domain/FeedPath.js"
import * as Sleep from "../../domain/Sleep.js"
import { Crypto } from "../Crypto.js"
import { Storage } from "../Storage.js"
import { commit } from "./commit.js"
import { draftFiles } from "./draftFiles.js"
import { type Damaged, openDamaged } from "./openDamaged.js"
import { findKeys, type SecretKeyState } from "./repairKeys.js"
import { verifySignatures } from "./repairSignatures.js"
import { type Repairing, type Tally, verifyUnder } from "./repairTree.js"
import { wholeReads } from "./wholeReads.js"

export interface RepairOptions {
  /** Where the feed is in the storage. Default: its root. */
  readonly path?: string
  /** The feed's 32-byte key, where it is not stored, or not to be relied on. */
  readonly key?: Uint8Array
  /** The feed's 64-byte secret key, where the stored one is damaged. */
  readonly secretKey?: Uint8Array
  /**
   * Remove the secret key: for an owner whose files prove less than was signed. The feed is a reader's from then on, who can fetch the rest
   * from peers. Keep a copy of the secret key to write again when all is there. Default false.
   */
  readonly asReader?: boolean
  /** Only tell what would be done: nothing is stored, and no lock taken. Default false. */
  readonly dryRun?: boolean
  /** Run after each stretch of some thousand blocks. */
  readonly onProgress?: (progress: RepairProgress) => Effect.Effect<void>
}

/** `checked` blocks of the `length` that are proven have been looked at. */
export interface RepairProgress {
  readonly checked: number
  readonly length: number
}

/** What was done, or with `dryRun` would be. */
export interface RepairReport {
  readonly key: Uint8Array
  /** Whether anything was stored. */
  readonly changed: boolean
  /** Blocks in the log that the roots proved as they were stored. */
  readonly lengthBefore: number
  /** Blocks in the log that is proven now. */
  readonly length: number
  /**
   * Blocks in the log that the files spoke of. Where that is more than `length`, the feed's owner cannot open it to write (`CorruptStorage`)
   * before the rest is back; whoever opens it `readOnly` can, and so can a reader, who fetches it from peers.
   */
  readonly claimedLength: number
  /** Held blocks that match; that match and had not been marked as held; that do not match, or cannot be proven: to be fetched again. */
  readonly blocks: { readonly kept: number; readonly found: number; readonly dropped: number }
  /** Nodes that were derived anew; that were there and had not been marked; that lead to no signed root. */
  readonly nodes: { readonly mended: number; readonly found: number; readonly dropped: number }
  /** Signatures that hold; that did not, and are what they were again (the owner's last one); that did not, and are gone. */
  readonly signatures: { readonly kept: number; readonly mended: number; readonly dropped: number }
  /** Files of which the key, or the header, was written again. */
  readonly files: ReadonlyArray<Sleep.FileName>
  /** `removed`: with `asReader`. A damaged one stays: no owner can open the feed, and the key is not here to be written with. */
  readonly secretKey: SecretKeyState | "removed"
}

export type RepairError = OpenRefused | CorruptStorage | StorageError

/**
 * Repairs the feed at a path, which must not be open anywhere else. Where nothing shows that the files are a feed's, they are left as they
 * are, and it fails. A second run changes nothing.
 */
export const repair = (
  options: RepairOptions = {}
): Effect.Effect<RepairReport, RepairError, Crypto | Storage> =>
  Effect.gen(function* () {
    const storage = yield* Storage
    const crypto = yield* Crypto
    const path = options.path ?? ""
    if (!isFeedPath(path)) return yield* new OpenRefused({ reason: "bad-path", detail: FEED_PATH_RULE })
    const stored = wholeReads(yield* storage.open(path))
    let keys = yield* findKeys(stored, crypto, options)
    if (options.dryRun !== true) {
      yield* stored.lock
      keys = yield* findKeys(stored, crypto, options)
    }
    const files = options.dryRun === true ? draftFiles(stored) : stored
    const scope = yield* Scope.fork(yield* Effect.scope, ExecutionStrategy.sequential)
    const damaged = yield* openDamaged({ files, crypto, keys, scope, options })
    return yield* repairOpened(damaged, options)
  }).pipe(Effect.scoped)

const repairOpened = (damaged: Damaged, options: RepairOptions): Effect.Effect<RepairReport, StorageError> =>
  Effect.gen(function* () {
    const { claimedLength, core, lengthBefore } = damaged
    const { length, roots } = core.tip
    yield* commit(core, damaged.setUp)
    const repairing = begin(damaged, options)
    let offset = 0
    for (const root of roots) {
      yield* verifyUnder(repairing, root, offset)
      offset += root.size
    }
    // An owner's claim of a longer log may be proven yet: whatever speaks of it stays as it is.
    const isKept = damaged.isOwner && claimedLength > length
    yield* verifySignatures(repairing, isKept ? length : damaged.claims.signatures)
    if (isKept) repairing.proven.copyBeyond(core.bitfield, length)
    const found = yield* storeProven(repairing, damaged)
    const { tally } = repairing
    const changed =
      !Change.isNone(damaged.setUp) || tally.nodesMended + tally.signaturesDropped > 0 || found.changed
    if (changed) yield* core.files.sync(Sleep.FILES)
    return {
      key: Uint8Array.from(core.key),
      changed,
      lengthBefore,
      length,
      claimedLength,
      blocks: { kept: tally.blocksKept, found: tally.blocksFound, dropped: found.blocks.lost },
      nodes: { mended: tally.nodesMended, found: found.nodes.found, dropped: found.nodes.lost },
      signatures: {
        kept: tally.signaturesKept - damaged.signaturesMended,
        mended: damaged.signaturesMended,
        dropped: tally.signaturesDropped
      },
      files: damaged.rewritten,
      secretKey: damaged.secretKey
    }
  })

const begin = ({ core }: Damaged, { onProgress }: RepairOptions): Repairing => {
  const { length } = core.tip
  const tally: Tally = {
    checked: 0,
    blocksKept: 0,
    blocksFound: 0,
    nodesMended: 0,
    signaturesKept: 0,
    signaturesDropped: 0
  }
  return {
    core,
    tally,
    proven: new Bitfield(new BitfieldPages(core.bitfield.pages.pageSize)),
    progress: Effect.suspend(
      () => onProgress?.({ checked: Math.min(tally.checked, length), length }) ?? Effect.void
    )
  }
}

/** The bits as proven; before them what keeps a claim known that only the bits made. */
const storeProven = ({ core, proven }: Repairing, damaged: Damaged) =>
  Effect.gen(function* () {
    const found = core.bitfield.differences(proven)
    const isDifferent = found.blocks.found + found.blocks.lost + found.nodes.found + found.nodes.lost > 0
    const isIndexSound = !isDifferent && BitfieldIndex.isSound(core.bitfield.pages)
    const claim = damaged.lostClaim
    const change: Change.Change = {
      ...Change.none,
      cut: claim.cut,
      writes: claim.writes,
      bits: isIndexSound ? [] : [{ _tag: "Take", bits: proven }, { _tag: "Reindex" }]
    }
    yield* commit(core, change)
    return { ...found, changed: !Change.isNone(change) }
  })
