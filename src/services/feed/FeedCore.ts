/**
 * An open feed's insides, shared by the programs of this folder. Only `commit` changes `tip`, `bitfield` and
 * `contiguous`; the programs read them and plan.
 */
import { Deferred, Effect, type Runtime, type Scope } from "effect"
import type { Bitfield } from "../../domain/Bitfield.js"
import { equals } from "../../domain/Bytes.js"
import {
  BadArgument,
  FeedClosed,
  type ForkDetected,
  NotWritable,
  StaleWriter,
  StorageError
} from "../../domain/Errors.js"
import type { FeedEvent, Origin } from "../../domain/FeedEvent.js"
import * as Hash from "../../domain/Hash.js"
import type { Tip } from "../../domain/Merkle.js"
import type { Offsets } from "../../domain/Offsets.js"
import type { CryptoService } from "../Crypto.js"
import type { FeedFiles } from "../Storage.js"
import type { AppendQueue } from "./AppendQueue.js"
import type { Availability } from "./Availability.js"
import type { Demand } from "./Demand.js"
import type { WriteLock } from "./WriteLock.js"

/**
 * What an operation's end promises. `process`: its bytes survive the process. `power`: they and their directory entries
 * survive a loss of power.
 */
export type Durability = "process" | "power"

/**
 * Called with each verified block before it is written; its failure refuses the write. `from` is the peer that it came from, if
 * it came from one. It runs while the feed is being written, so it must not wait for a write to the same feed.
 */
export type OnWrite = (index: number, block: Uint8Array, from?: unknown) => Effect.Effect<void, unknown>

/**
 * A record of the longest log that the key has signed, kept outside the feed's files, so that a writer that was restored from a backup, or
 * was started twice, signs nothing twice.
 */
export interface SignedLength {
  /**
   * Replaces `expected` by `next`, at once, if that is what the record says; answers what it said before, in either case (0 at first).
   * Lengths are in blocks. It is asked before each signature is made; when it fails, none is. The feed is not written, nor closed, until it
   * has ended: give it a timeout where it may not.
   */
  readonly compareAndSet: (expected: number, next: number) => Effect.Effect<number, unknown>
}

/** A log, longer than the author's, that was signed elsewhere. */
export interface Stale {
  /** Length of the author's own log when it became known. */
  readonly from: number
  readonly signedLength: number
}

/** Called within the change that it hears of: it must be quick, and must not throw. */
export type Listener = (event: FeedEvent, origin?: Origin) => void

/** Blocks [start, end). */
export interface Blocks {
  readonly start: number
  readonly end: number
}

export interface FeedCore {
  /** 32 bytes; none in a static feed that is not finalized. */
  key: Uint8Array
  /** As many. */
  discoveryKey: Uint8Array
  readonly secretKey: Uint8Array | undefined
  readonly readOnly: boolean
  readonly sparse: boolean
  /** The bytes of what is appended are in `data` already, and are never removed from there. */
  readonly indexing: boolean
  readonly durability: Durability
  readonly onwrite: OnWrite | undefined
  readonly signedLength: SignedLength | undefined
  readonly crypto: CryptoService
  readonly files: FeedFiles
  readonly bitfield: Bitfield
  readonly offsets: Offsets
  readonly demand: Demand
  /** What peers have, as far as replication says. */
  readonly availability: Availability
  /** Who hears of events, called in turn when one happens. */
  readonly listeners: Set<Listener>
  /** How many of them want origins: while there are none, no origin is made. */
  originListeners: number
  /** What the feed was opened in: fibers of its own run with the same clock, logger and references. */
  readonly runtime: Runtime.Runtime<never>
  /** From opening to closing, within the scope that the feed was opened in. */
  readonly lifetime: Scope.CloseableScope
  /** Holds the files and their lock; closed with the feed. */
  readonly scope: Scope.CloseableScope
  /** Whoever plans a change holds it until the change is committed. */
  readonly writer: WriteLock
  readonly appends: AppendQueue
  tip: Tip
  /** How long a log the files spoke of when the feed was opened, in blocks. */
  claimedLength: number
  /** Up to where the bits of what was appended are known to be stored for good; followed only with `power`. */
  settled: { readonly length: number; readonly byteLength: number }
  /** Every block before this one is known to be held; followed only where a `Sync` event depends on it. */
  contiguous: number
  /** Blocks that the bitfield in memory has, and the stored one not for as good as was promised: nobody else is told of them yet. */
  unstored: ReadonlyArray<Blocks>
  /** Blocks that were marked as held when the feed was opened, and lost their bytes: an audit tells of those that have not come again. */
  lost: ReadonlyArray<Blocks>
  closed: boolean
  /** Fails once the feed is being closed. */
  readonly closing: Deferred.Deferred<never, FeedClosed>
  /** Set when a failed write left the files in a state that only reopening can judge: later writes fail with it. */
  broken: StorageError | undefined
  /** Set when it is known that the key has signed two histories. */
  fork: ForkDetected | undefined
  /** Set in an author's feed while it must catch up (`isStale`). */
  stale: Stale | undefined
  /** The signature that was last found to be the key's over what is held; for those that come with many proofs. */
  lastSignature: Uint8Array | undefined
}

/** Where an open `Feed` keeps its insides, for the programs of this package that work on feeds from outside (replication). */
const CORE = Symbol.for("effect-hypercore/FeedCore")

export const withCore = <F extends object>(feed: F, core: FeedCore): F =>
  // In a function, so that who prints a feed prints no secret key.
  Object.defineProperty(feed, CORE, { value: () => core, enumerable: true })

/** The insides of an open `Feed`; of a copy of one too. */
export const coreOf = (feed: object): FeedCore => {
  const core = (feed as { readonly [CORE]?: () => FeedCore })[CORE]?.()
  if (core === undefined) throw new TypeError("not a Feed of this package")
  return core
}

/** Whether a block is held for as good as was promised, so that others may be told. */
export const isHeldForGood = ({ bitfield, unstored }: FeedCore, index: number): boolean =>
  bitfield.has(index) && !unstored.some(({ end, start }) => start <= index && index < end)

export const isIndex = (value: number): boolean => Number.isSafeInteger(value) && value >= 0

/** Fails unless [start, end) is a range of blocks. */
export const checkRange = (operation: string, start: number, end: number): Effect.Effect<void, BadArgument> =>
  isIndex(start) && isIndex(end) && start <= end
    ? Effect.void
    : Effect.fail(new BadArgument({ operation, detail: `[${start}, ${end}) is not a range of blocks` }))

/** Fails once the feed is closed. */
export const whileOpen = (core: FeedCore): Effect.Effect<void, FeedClosed> =>
  core.closed ? Effect.fail(new FeedClosed()) : Effect.void

/** Ends with `FeedClosed` when the feed is being closed before `effect` has ended, which is interrupted and not waited for. */
export const untilClosing = <A, E, R>(
  core: FeedCore,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E | FeedClosed, R> =>
  Effect.raceFirst(
    Effect.interruptible(Effect.disconnect(effect)),
    Effect.interruptible(Deferred.await(core.closing))
  )

/** Fails when nothing may be stored: closed, opened read-only, or broken by an earlier failure. */
export const whileStorable = (
  core: FeedCore
): Effect.Effect<void, FeedClosed | NotWritable | StorageError> => {
  if (core.closed) return Effect.fail(new FeedClosed())
  if (core.readOnly) return Effect.fail(new NotWritable({ reason: "read-only" }))
  return core.broken === undefined ? Effect.void : Effect.fail(core.broken)
}

/** Whether the feed is a static one that is still written: it has no key yet. */
export const isUnfinalized = (core: FeedCore): boolean => core.key.length === 0

/** Whether the feed is written here: by who has the secret key, or, if it is static, until it is finalized. */
export const isAuthor = (core: FeedCore): boolean => core.secretKey !== undefined || isUnfinalized(core)

/** Whether nothing of the feed is signed: its key is the hash of its roots, or will be. A hash is no public key of a pair. */
export const isStatic = (core: FeedCore): boolean =>
  isUnfinalized(core) || equals(Hash.rootHash(core.crypto.blake2b256, core.tip.roots), core.key)

/**
 * Whether the author must catch up before it appends. What was signed elsewhere must be here: the roots, to sign on from them; and, but in a
 * sparse feed, the blocks, of which an author has all.
 */
export const isStale = (core: FeedCore): boolean => {
  if (core.stale === undefined) return false
  const { from, signedLength } = core.stale
  const isHere = core.sparse || core.bitfield.nextMissing(from, signedLength) === signedLength
  if (core.tip.length >= signedLength && isHere) core.stale = undefined
  return core.stale !== undefined
}

/** Blocks in the longest log that the key is known to have signed. */
export const signedLength = (core: FeedCore): number =>
  Math.max(core.tip.length, core.stale?.signedLength ?? 0)

export const isWritable = (core: FeedCore): boolean =>
  isAuthor(core) &&
  !core.readOnly &&
  !core.closed &&
  core.broken === undefined &&
  core.fork === undefined &&
  !isStale(core)

/** Fails when the feed cannot be appended to. */
export const whileWritable = (
  core: FeedCore
): Effect.Effect<void, FeedClosed | ForkDetected | NotWritable | StaleWriter | StorageError> => {
  if (!isAuthor(core) && !core.closed && !core.readOnly) {
    return Effect.fail(new NotWritable({ reason: isStatic(core) ? "finalized" : "no-secret-key" }))
  }
  if (core.closed || core.readOnly) return whileStorable(core)
  if (core.fork !== undefined) return Effect.fail(core.fork)
  return isStale(core)
    ? Effect.fail(new StaleWriter({ length: core.tip.length, signedLength: core.stale!.signedLength }))
    : whileStorable(core)
}
