/**
 * Feed: an append-only log that only its key's owner can extend and that anyone with the public key can verify.
 *
 * `open` resolves the services once; the operations of an open feed need nothing more, say their errors in their type,
 * and are interruptible wherever they wait.
 */
import { Chunk, Effect, Either, type Exit, Redacted, type Scope, Sink, Stream } from "effect"
import { isClaim } from "../domain/ClaimShape.js"
import { BadArgument, FeedClosed, type InvalidSignature, StorageError } from "../domain/Errors.js"
import type { Evidence } from "../domain/Evidence.js"
import type { FeedEvent, Origin } from "../domain/FeedEvent.js"
import type { TreeNode } from "../domain/Node.js"
import type { Claim, Proof } from "../domain/Proof.js"
import { type ValueEncoding, binary } from "../domain/ValueEncoding.js"
import type { Crypto } from "./Crypto.js"
import { append, appendInLine } from "./feed/append.js"
import type { AppendError } from "./feed/AppendQueue.js"
import { type AuditError, type AuditOptions, type AuditReport, audit } from "./feed/audit.js"
import { type ClearError, type ClearOptions, clear } from "./feed/clear.js"
import { close } from "./feed/close.js"
import { type DownloadError, type DownloadOptions, download } from "./feed/download.js"
import { events, unsafeListen } from "./feed/events.js"
import { type FinalizeError, finalize } from "./feed/finalize.js"
import { type FeedCore, isStatic, isWritable, signedLength, withCore } from "./feed/FeedCore.js"
import { type BatchOptions, type GetError, type WaitOptions, get, getBatch, head } from "./feed/get.js"
import { downloaded, has } from "./feed/has.js"
import { type CoreOptions, type OpenError, openCore } from "./feed/open.js"
import { type ProofError, type ProofOptions, digest, proof } from "./feed/proof.js"
import { type PutError, put } from "./feed/put.js"
import { type RefreshError, refresh } from "./feed/refresh.js"
import { type SeekError, type SeekOptions, type SeekResult, seek } from "./feed/seek.js"
import { type IndexedSignature, type TreeError, rootHashes, signature, verify } from "./feed/signature.js"
import { type ReadOptions, stream } from "./feed/stream.js"
import { type UpdateError, type UpdateOptions, update } from "./feed/update.js"
import type { Storage } from "./Storage.js"

export type {
  AppendError,
  AuditError,
  AuditOptions,
  AuditReport,
  BatchOptions,
  ClearError,
  ClearOptions,
  DownloadError,
  DownloadOptions,
  FinalizeError,
  GetError,
  IndexedSignature,
  OpenError,
  ProofError,
  ProofOptions,
  PutError,
  ReadOptions,
  RefreshError,
  SeekError,
  SeekOptions,
  SeekResult,
  TreeError,
  UpdateError,
  UpdateOptions,
  WaitOptions
}
export type { AuditProgress } from "./feed/audit.js"
export type { Durability, OnWrite, SignedLength } from "./feed/FeedCore.js"
export {
  type BackupError,
  type BackupOptions,
  type BackupProgress,
  type BackupReport,
  backup
} from "./feed/backup.js"
export {
  type RepairError,
  type RepairOptions,
  type RepairProgress,
  type RepairReport,
  repair
} from "./feed/repair.js"

/** How a feed is opened; `A` is what its blocks mean, `E` how that can fail. */
export interface OpenOptions<A = Uint8Array, E = never> extends CoreOptions {
  /** What blocks mean. Default: bytes. */
  readonly encoding?: ValueEncoding<A, E>
}

/** How a feed of values is opened. */
export interface EncodedOptions<A, E> extends CoreOptions {
  readonly encoding: ValueEncoding<A, E>
}

/** An open feed of values `A`, whose encoding can fail with `E`. */
export interface Feed<A = Uint8Array, E = never> {
  /** 32 bytes: the public key, which names the feed and verifies it. A static feed has none, 0 bytes, until it is finalized. */
  readonly key: Uint8Array
  /** 32 bytes: names the feed to those who know its key, without revealing it. With no key, 0 bytes. */
  readonly discoveryKey: Uint8Array
  /** 64 bytes (seed, then public key), where they are known: the feed's owner has them. `Redacted`, lest they be printed. */
  readonly secretKey: Redacted.Redacted<Uint8Array> | undefined
  /** Blocks in the log, now. */
  readonly length: number
  /**
   * Blocks in the log that the stored files spoke of when the feed was opened. Where that is more than `length` was, they were damaged:
   * the owner cannot open such a feed; a reader, or who opens it `readOnly`, has what could be proven.
   */
  readonly claimedLength: number
  /**
   * Blocks in the longest log that the key is known to have signed: more than `length` in an author's feed that is stale, and must catch up
   * before it can be appended to.
   */
  readonly signedLength: number
  /** What shows that the key has signed two histories, once that is known. Nothing is appended from then on, nor taken from the other one. */
  readonly fork: Evidence | undefined
  /** Bytes in the log, now. */
  readonly byteLength: number
  /** Whether its log is signed by its key, and may grow. False for a static feed, as soon as it is known to be one: when it has a block. */
  readonly live: boolean
  /** Can it be appended to, now? Not in a fork, nor while it is stale. */
  readonly writable: boolean
  /** Can it be read, now? False once closed. */
  readonly readable: boolean
  /** Downloads only what is asked for. */
  readonly sparse: boolean
  /** Which crypto signs and verifies. */
  readonly crypto: string
  /**
   * What happens to the feed from when the stream is run on; ends after `Close`. A subscriber that lags by more than 4096
   * events loses the oldest.
   */
  readonly events: Stream.Stream<FeedEvent>
  /**
   * Calls `listener` with each event, within the change that it tells of and before whoever made it is answered; the function that it
   * gives ends that. `Download` and `Upload` come with the block, to be copied at once by who keeps it, but for those that `refresh` found. What the listener throws is logged.
   */
  readonly unsafeListen: (listener: (event: FeedEvent, origin?: Origin) => void) => () => void

  /**
   * Adds one block; answers its index. Appends that arrive while one is committed share the next signature. Interrupting it, or a
   * timeout, ends the wait and not the append: a retry would append a second time. A block of bytes is not copied, and must stay
   * as it is until the append ends.
   */
  readonly append: (value: A) => Effect.Effect<number, AppendError | E>
  /**
   * Adds blocks under one signature, all or none; answers the index of the first. A batch of none adds nothing, and ends once all that was
   * appended before is stored. (`object`: a string would be a batch of its characters.)
   */
  readonly appendBatch: (values: Iterable<A> & object) => Effect.Effect<number, AppendError | E>
  /**
   * Adds blocks of bytes, as `appendBatch` does values, by a call: for who has a callback, and would run a fiber for it alone. `settle` is
   * called once, and must not throw.
   */
  readonly unsafeAppend: (
    blocks: ReadonlyArray<Uint8Array>,
    settle: (exit: Exit.Exit<number, AppendError>) => void
  ) => void
  /** Appends all that it is given, each chunk as a batch; its result is the number of blocks. */
  readonly sink: Sink.Sink<number, A, never, AppendError | E>

  /** Block `index`; waits until it is held, unless told otherwise. */
  readonly get: (index: number, options?: WaitOptions) => Effect.Effect<A, GetError | E>
  /** Blocks [start, end). */
  readonly getBatch: (
    start: number,
    end: number,
    options?: BatchOptions
  ) => Effect.Effect<ReadonlyArray<A>, GetError | E>
  /** The last block. */
  readonly head: (options?: WaitOptions) => Effect.Effect<A, GetError | E>
  /** Blocks in order, in chunks, with back-pressure. */
  readonly stream: (options?: ReadOptions) => Stream.Stream<A, GetError | E>

  /** Is block `start` held, or are all of [start, end)? */
  readonly has: (start: number, end?: number) => Effect.Effect<boolean, BadArgument | FeedClosed>
  /** How many blocks of [start, end) are held; by default of the whole feed. */
  readonly downloaded: (start?: number, end?: number) => Effect.Effect<number, BadArgument | FeedClosed>
  /**
   * Wants blocks [start, end) fetched from peers, and ends when all are held; without `end` it follows the log. Interrupting
   * it no longer wants them. A feed that is not `sparse` wants all there is anyway.
   */
  readonly download: (options?: DownloadOptions) => Effect.Effect<void, DownloadError>
  /** Drops block `start`, or [start, end), from the storage; they stay provable. */
  readonly clear: (start: number, end?: number, options?: ClearOptions) => Effect.Effect<void, ClearError>
  /** The block that holds a byte of the log, and where in it. */
  readonly seek: (byteOffset: number, options?: SeekOptions) => Effect.Effect<SeekResult, SeekError>

  /** The signature for block `index` (by default the last): the first at or after it. */
  readonly signature: (index?: number) => Effect.Effect<IndexedSignature, TreeError>
  /** Succeeds when `signature` is this key's over the log of `index + 1` blocks. */
  readonly verify: (index: number, signature: Uint8Array) => Effect.Effect<void, TreeError | InvalidSignature>
  /** The roots of the log of `index + 1` blocks. */
  readonly rootHashes: (index: number) => Effect.Effect<ReadonlyArray<TreeNode>, TreeError>
  /** What proves block `index` to someone who has `options.digest` already. */
  readonly proof: (index: number, options?: ProofOptions) => Effect.Effect<Proof, ProofError>
  /** What we have towards a proof of block `index`, for the other side's `proof`. */
  readonly digest: (index: number) => Effect.Effect<number, BadArgument | FeedClosed>
  /** Verifies a block (or, without one, its leaf) from elsewhere and stores it. Block bytes, not values. */
  readonly put: (claim: Claim) => Effect.Effect<void, BadArgument | PutError>

  /** Compares every held block with the tree; those that differ are no longer held. */
  readonly audit: (options?: AuditOptions) => Effect.Effect<AuditReport, AuditError>
  /** Waits until the log has `minLength` blocks (by default one more than now), unless told otherwise; answers its length. */
  readonly update: (minLength?: number, options?: UpdateOptions) => Effect.Effect<number, UpdateError>
  /**
   * Looks at the files of a feed that was opened read-only again: what another process has written meanwhile is part of it from then on,
   * and told to who listens or waits. Answers whether anything has changed; nothing can in a feed that was opened for writing.
   */
  readonly refresh: Effect.Effect<boolean, RefreshError>
  /**
   * Ends the writing of a static feed, and answers the key that it has from then on: the hash of its roots, so that whoever has the key can
   * verify this log and no other. Appends that come later fail with `NotWritable`. Of a feed that has a key it answers that.
   */
  readonly finalize: Effect.Effect<Uint8Array, FinalizeError>
  /** Ends what is under way and frees the storage. Also happens when the scope closes. */
  readonly close: Effect.Effect<void, StorageError>
}

/**
 * Opens a feed: reads it if it is stored, makes it if not (`createIfMissing`), and recovers it if its last writer was cut
 * off. It is closed with the scope. A refusal leaves the storage untouched.
 *
 * Its values are bytes unless an encoding says otherwise: to the types, one that may be absent says nothing.
 */
export function open<A, E>(
  options: EncodedOptions<A, E>
): Effect.Effect<Feed<A, E>, OpenError, Crypto | Storage | Scope.Scope>
export function open(options?: OpenOptions): Effect.Effect<Feed, OpenError, Crypto | Storage | Scope.Scope>
export function open<A, E>(
  options: OpenOptions<A, E> = {}
): Effect.Effect<Feed<A, E>, OpenError, Crypto | Storage | Scope.Scope> {
  return Effect.map(openCore(options), (core) =>
    make(core, options.encoding ?? (binary as unknown as ValueEncoding<A, E>))
  )
}

/** The storage of a feed is closed by the feed: a read that finds it so came too late. */
const toFeedClosed = <E>(error: E): E | FeedClosed =>
  error instanceof StorageError && error.reason === "closed" ? new FeedClosed() : error

const unlessClosed = <A, E>(reading: Effect.Effect<A, E>): Effect.Effect<A, E | FeedClosed> =>
  Effect.mapError(reading, toFeedClosed)

const make = <A, E>(core: FeedCore, encoding: ValueEncoding<A, E>): Feed<A, E> => {
  let key = Uint8Array.from(core.key)
  return withCore(
    {
      get key() {
        if (key.length !== core.key.length) key = Uint8Array.from(core.key)
        return key
      },
      get discoveryKey() {
        return core.discoveryKey
      },
      get live() {
        return !isStatic(core)
      },
      secretKey: core.secretKey && Redacted.make(Uint8Array.from(core.secretKey)),
      sparse: core.sparse,
      crypto: core.crypto.name,
      get length() {
        return core.tip.length
      },
      claimedLength: core.claimedLength,
      get signedLength() {
        return signedLength(core)
      },
      get fork() {
        return core.fork?.evidence
      },
      get byteLength() {
        return core.tip.byteLength
      },
      get writable() {
        return isWritable(core)
      },
      get readable() {
        return !core.closed
      },
      get events() {
        return events(core)
      },
      unsafeListen: (listener) => unsafeListen(core, listener),
      unsafeAppend: (blocks, settle) => appendInLine(core, blocks, settle),
      ...valuesOf(core, encoding),
      has: (start, end) => has(core, start, end),
      downloaded: (start, end) => downloaded(core, start, end),
      download: (options) => download(core, options),
      clear: (start, end, options) => clear(core, start, end, options),
      seek: (byteOffset, options) => unlessClosed(seek(core, byteOffset, options)),
      signature: (index) => unlessClosed(signature(core, index)),
      verify: (index, bytes) => unlessClosed(verify(core, index, bytes)),
      rootHashes: (index) => unlessClosed(rootHashes(core, index)),
      proof: (index, options) => unlessClosed(proof(core, index, options)),
      digest: (index) => digest(core, index),
      put: (claim) => (isClaim(claim) ? put(core, claim) : Effect.fail(notAClaim)),
      audit: (options) => audit(core, options),
      update: (minLength, options) => update(core, minLength, options),
      finalize: finalize(core),
      refresh: refresh(core),
      close: close(core)
    },
    core
  )
}

type Values = "append" | "appendBatch" | "sink" | "get" | "getBatch" | "head" | "stream"

/** The operations on values, which blocks are for the rest. */
const valuesOf = <A, E>(core: FeedCore, encoding: ValueEncoding<A, E>): Pick<Feed<A, E>, Values> => {
  const decode = (block: Uint8Array): Effect.Effect<A, E> => encoding.decode(block)
  const encodeBatch = (values: Iterable<A>) =>
    Either.flatMap(takeAll(values), (all) => encodeAll(encoding, all))
  const appendBatch = (values: Iterable<A>): Effect.Effect<number, AppendError | E> =>
    Effect.suspend(() => Effect.flatMap(encodeBatch(values), (blocks) => append(core, blocks)))
  return {
    append: (value) =>
      Effect.suspend(() => Effect.flatMap(encoding.encode(value), (block) => append(core, [block]))),
    appendBatch,
    sink: Sink.ignoreLeftover(
      Sink.foldChunksEffect(
        0,
        () => true,
        (total, values: Chunk.Chunk<A>) => Effect.as(appendBatch(values), total + values.length)
      )
    ),
    get: (index, options) => Effect.flatMap(unlessClosed(get(core, index, options)), decode),
    getBatch: (start, end, options) =>
      Effect.flatMap(unlessClosed(getBatch(core, start, end, options)), (blocks) =>
        decodeAll(encoding, blocks)
      ),
    head: (options) => Effect.flatMap(unlessClosed(head(core, options)), decode),
    stream: (options) =>
      Stream.mapChunksEffect(Stream.mapError(stream(core, options), toFeedClosed), (blocks) =>
        Effect.map(decodeAll(encoding, Chunk.toReadonlyArray(blocks)), Chunk.unsafeFromArray)
      )
  }
}

const notAClaim = new BadArgument({
  operation: "put",
  detail: "a claim is { index, block, proof: { nodes, signature } }, as from `proof`"
})

/** The values of a batch; what is no batch, or throws while it is gone through, is refused. */
const takeAll = <A>(values: Iterable<A>): Either.Either<ReadonlyArray<A>, BadArgument> => {
  if (Array.isArray(values)) return Either.right(values as ReadonlyArray<A>)
  const refuse = (detail: string) => new BadArgument({ operation: "appendBatch", detail })
  if (typeof values !== "object" || values === null) {
    return Either.left(refuse("a batch is an array, or another object to iterate over"))
  }
  return Either.try({
    try: () => [...values],
    catch: (cause) => refuse(`the batch could not be gone through: ${String(cause)}`)
  })
}

const encodeAll = <A, E>(
  encoding: ValueEncoding<A, E>,
  values: ReadonlyArray<A>
): Either.Either<ReadonlyArray<Uint8Array>, E> => {
  const blocks: Array<Uint8Array> = []
  for (const value of values) {
    const block = encoding.encode(value)
    if (Either.isLeft(block)) return Either.left(block.left)
    blocks.push(block.right)
  }
  return Either.right(blocks)
}

const decodeAll = <A, E>(
  encoding: ValueEncoding<A, E>,
  blocks: ReadonlyArray<Uint8Array>
): Either.Either<ReadonlyArray<A>, E> => {
  const values: Array<A> = []
  for (const block of blocks) {
    const value = encoding.decode(block)
    if (Either.isLeft(value)) return Either.left(value.left)
    values.push(value.right)
  }
  return Either.right(values)
}
