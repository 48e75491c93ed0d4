/**
 * The feed as callers of hypercore 6 and 7 know it: callbacks and events in front of `Feed`'s programs, which do the work. Whatever is called
 * before the feed is open waits until it is. A callback that is left out becomes a promise.
 */
import { Effect, Either, Exit } from "effect"
import type { Readable, Writable } from "node:stream"
import { type Feed, Replication, type TreeNode } from "../index.js"
import { type Callback, call, orPromise, refusing, tellExit } from "./callback.js"
import { type Codec, toCodec } from "./codecs.js"
import { FeedBase } from "./feed/FeedBase.js"
import { readStream, type ReadStreamOptions } from "./feed/readStream.js"
import * as Views from "./feed/views.js"
import { downloadCancelled, Wait, Waits } from "./feed/Waits.js"
import { writeStream } from "./feed/writeStream.js"
import { closed, type Words } from "./LegacyError.js"
import type {
  ClearOptions,
  DownloadRange,
  GetOptions,
  ProofOptions,
  ReplicateOptions,
  SeekOptions,
  UpdateOptions
} from "./options.js"
import { protocol } from "./protocol.js"
import { attach, type ProtocolStream } from "./replication/attach.js"
import { LegacyPeer } from "./replication/LegacyPeer.js"
import { toBuffer } from "./toBuffer.js"

/** A node of the tree, as callbacks give it. */
export interface LegacyNode {
  readonly index: number
  /** Bytes under it. */
  readonly size: number
  /** 32 bytes. */
  readonly hash: Uint8Array
}

export interface LegacyProof {
  readonly nodes: ReadonlyArray<LegacyNode>
  readonly signature?: Uint8Array | null
}

export interface LegacySignature {
  /** The block up to which it signs. */
  readonly index: number
  /** 64 bytes. */
  readonly signature: Buffer
}

const FOREVER = Number.POSITIVE_INFINITY

const NO_SIGNATURE: Words = {
  outOfRange: "No signature available for this index",
  badArgument: "No signature available for this index",
  notHeld: "No signature found"
}

const toNode = ({ hash, index, size }: LegacyNode): LegacyNode => ({ index, size, hash: toBuffer(hash) })
const nothing = (): [] => []
const one = <A>(value: A): [A] => [value]
const ignore = (): void => {}

/** Where a range of blocks ends, which -1 leaves open, too. */
const endOf = ({ end }: { readonly end?: number | null }): number => (end ?? -1) === -1 ? FOREVER : end!

/** The blocks of a batch, or what the codec threw at one of its values. */
const encodeAll = (
  codec: Codec,
  batch: ReadonlyArray<unknown>
): Either.Either<ReadonlyArray<Uint8Array>, unknown> =>
  Either.try({ try: () => batch.map((value) => codec.encode(value)), catch: (error) => error })

/**
 * The peer has told others of a block before its append calls back, and who is in the same process, and need not wait for files, has got
 * it: within a tick or two there, here within a turn of the event loop, or two where a fiber gives way.
 */
const afterReplication = (run: () => void): void => void setImmediate(setImmediate, run)

/** Options may be left out before a callback. */
const sort = <O, C>(options: O | C | null | undefined, callback: C | undefined): readonly [O | undefined, C | undefined] =>
  typeof options === "function" ? [undefined, options as C] : [(options as O | null) ?? undefined, callback]

const waitOptions = ({ ifAvailable, timeout, wait }: GetOptions): Feed.WaitOptions => ({
  wait: wait !== false,
  ifAvailable: Boolean(ifAvailable),
  ...(timeout ? { timeout } : {})
})

export class Hypercore<T = Buffer> extends FeedBase {
  readonly #waits = new Waits()
  /** Appends under way. */
  #appending = 0

  constructor(...given: ConstructorParameters<typeof FeedBase>) {
    super(...given)
    if (this.sparse && this.eagerUpdate) this.#follow()
  }

  /** Calls back once the feed is open, and never if it cannot be: `error` tells that. */
  ready(callback?: () => void): Promise<void> | undefined {
    const told = orPromise<[]>(callback && ((error) => (error === null ? callback() : undefined)))
    const tell = () => told.callback(null)
    this.whenOpen(this.opened ? () => process.nextTick(tell) : tell, told.callback)
    return told.promise
  }

  /** Adds a value, or all of an array; calls back with the index of the first. */
  append(values: T | ReadonlyArray<T>, callback?: Callback<[number]>): Promise<number> | undefined {
    const batch: ReadonlyArray<unknown> = Array.isArray(values) ? values : [values]
    return this.#append(batch, callback)
  }

  /** Calls back when all that was appended before is stored. */
  flush(callback?: Callback<[number]>): Promise<number> | undefined {
    return this.#append([], callback)
  }

  get(index: number, callback: Callback<[T]>): void
  get(index: number, options?: GetOptions | null, callback?: Callback<[T]>): Promise<T> | undefined
  get(index: number, first?: GetOptions | null | Callback<[T]>, last?: Callback<[T]>): Promise<T> | undefined {
    const [options = {}, callback] = sort<GetOptions, Callback<[T]>>(first, last)
    const codec = this.#codecOf(options)
    return this.#wait(
      callback,
      new Wait(index, index + 1, false),
      (feed) => Effect.map(feed.get(index, waitOptions(options)), (block) => codec.decode(block) as T),
      one
    )
  }

  /** Blocks [start, end). */
  getBatch(start: number, end: number, callback: Callback<[Array<T>]>): void
  getBatch(start: number, end: number, options?: GetOptions | null, callback?: Callback<[Array<T>]>): Promise<Array<T>> | undefined
  getBatch(
    start: number,
    end: number,
    first?: GetOptions | null | Callback<[Array<T>]>,
    last?: Callback<[Array<T>]>
  ): Promise<Array<T>> | undefined {
    const [options = {}, callback] = sort<GetOptions, Callback<[Array<T>]>>(first, last)
    const codec = this.#codecOf(options)
    return this.#wait(
      callback,
      new Wait(start, end, true),
      (feed) =>
        Effect.map(feed.getBatch(start, end, waitOptions(options)), (blocks) =>
          blocks.map((block) => codec.decode(block) as T)
        ),
      one
    )
  }

  /** The last block. */
  head(callback: Callback<[T]>): void
  head(options?: GetOptions | null, callback?: Callback<[T]>): Promise<T> | undefined
  head(first?: GetOptions | null | Callback<[T]>, last?: Callback<[T]>): Promise<T> | undefined {
    const [options = {}, callback] = sort<GetOptions, Callback<[T]>>(first, last)
    const codec = this.#codecOf(options)
    return this.#run(
      callback,
      (feed) => Effect.map(feed.head(waitOptions(options)), (block) => codec.decode(block) as T),
      one,
      { outOfRange: "feed is empty" }
    )
  }

  /** Wants blocks fetched; the handle that it gives ends that with `undownload`. */
  download(range?: DownloadRange | number | null | Callback, callback?: Callback): Wait | undefined {
    const [given, last] = sort<DownloadRange | number, Callback>(range, callback)
    const tell = last ?? ignore
    if (!this.readable) {
      process.nextTick(tell, new Error(closed))
      return undefined
    }
    const wanted = typeof given === "number" ? { start: given, end: given + 1 } : (given ?? {})
    const [start, end, linear] = [wanted.start ?? 0, endOf(wanted), Boolean(wanted.linear)]
    const wait = new Wait(start, end, true)
    const options = end === FOREVER ? { start, linear } : { start, end, linear }
    this.#wait(tell, wait, (feed) => feed.download(options), nothing)
    return wait
  }

  /** Ends a download: the handle's, or each that was asked for in the same words. */
  undownload(range?: Wait | DownloadRange | number | null): void {
    if (range instanceof Wait) return range.stop(downloadCancelled())
    const wanted = typeof range === "number" ? { start: range, end: range + 1 } : (range ?? {})
    this.#waits.undownload(wanted.start ?? 0, endOf(wanted))
  }

  /** Ends the waits for blocks of [start, end), and takes their requests back. */
  cancel(start: number, end?: number): void {
    const last = end || start + 1
    this.whenOpen((feed) => {
      this.#waits.cancel(start, last)
      Replication.cancel(feed, start, last)
    }, ignore)
  }

  /** The signature for a block (by default the last): the first at or after it. */
  signature(index?: number | Callback<[LegacySignature]>, callback?: Callback<[LegacySignature]>): Promise<LegacySignature> | undefined {
    const [at, last] = sort<number, Callback<[LegacySignature]>>(index, callback)
    return this.#run(
      last,
      (feed) => feed.signature(at),
      (found) => one({ index: found.index, signature: toBuffer(found.signature) }),
      NO_SIGNATURE
    )
  }

  /** Calls back with true when the signature is this feed's over the log of `index + 1` blocks. */
  verify(index: number, signature: Uint8Array, callback?: Callback<[boolean]>): Promise<boolean> | undefined {
    return this.#run(callback, (feed) => feed.verify(index, signature), () => one(true), {
      invalidSignature: "Signature verification failed"
    })
  }

  /** The roots of the log of `index + 1` blocks. */
  rootHashes(index: number, callback?: Callback<[Array<LegacyNode>]>): Promise<Array<LegacyNode>> | undefined {
    return this.#run(callback, (feed) => feed.rootHashes(index), (roots) => one(roots.map(toNode)))
  }

  /** How many blocks of [start, end) are held. */
  downloaded(start?: number, end?: number): number {
    return this.feed === undefined ? 0 : Views.downloaded(this.feed, start, end)
  }

  /** Whether a block is held, or all of [start, end) are. */
  has(start: number, end?: number): boolean {
    return this.feed === undefined ? false : Views.has(this.feed, start, end)
  }

  /** Drops blocks from the storage. */
  clear(
    start: number,
    end?: number | null | Callback,
    options?: ClearOptions | null | Callback,
    callback?: Callback
  ): Promise<void> | undefined {
    const [last, then] = sort<number, Callback>(end, undefined)
    const [how = {}, tell] = sort<ClearOptions, Callback>(options, callback)
    return this.#run(
      then ?? tell,
      (feed) => feed.clear(start, last || start + 1, { free: how.delete !== false }),
      nothing
    )
  }

  /** Calls back with the block that holds a byte, and the byte's place in it. */
  seek(
    byteOffset: number,
    first?: SeekOptions | null | Callback<[number, number]>,
    last?: Callback<[number, number]>
  ): Promise<number> | undefined {
    const [options = {}, callback] = sort<SeekOptions, Callback<[number, number]>>(first, last)
    const { hash } = options
    const [start, end] = [options.start ?? 0, endOf(options)]
    const words = { notHeld: "Unable to seek to this offset", outOfRange: "Out of bounds" }
    return this.#wait(
      callback,
      new Wait(start, end, false),
      (feed) =>
        feed.seek(byteOffset, {
          start,
          ...(end === FOREVER ? {} : { end }),
          wait: options.wait !== false,
          block: hash === false
        }),
      ({ index, offset }): [number, number] => [index, offset],
      words
    )
  }

  /**
   * Calls back once the log has `minLength` blocks, by default one more than now. A callback is not told that the feed is closed already:
   * the peer's callers update in loops that no error ends.
   */
  update(first?: UpdateOptions | number | null | Callback, last?: Callback): Promise<void> | undefined {
    const [given = {}, callback] = sort<UpdateOptions | number, Callback>(first, last)
    const { hash, minLength, ...rest } = typeof given === "number" ? { minLength: given } : given
    const ifAvailable = Boolean(rest.ifAvailable)
    const told = orPromise<[]>(callback)
    this.whenOpen((feed) => {
      const length = (minLength ?? -1) === -1 ? feed.length + 1 : minLength!
      const isLongEnough = feed.length >= length
      if (!feed.readable && !ifAvailable && (isLongEnough || callback)) {
        if (isLongEnough) process.nextTick(told.callback, null)
        return
      }
      const grown = feed.update(length, { ifAvailable, block: hash === false })
      const program: Effect.Effect<unknown, unknown> =
        hash === false ? Effect.zipRight(grown, feed.get(length - 1)) : grown
      const wait = new Wait(length - 1, length, false)
      this.#begin(wait, program, told.callback, nothing, { noPeerHasIt: "No update available from peers" })
    }, told.callback)
    return told.promise
  }

  /** Blocks in order, as values. */
  createReadStream(given?: ReadStreamOptions | null): Readable {
    const options = given ?? {}
    return readStream((run, fail) => this.whenOpen(run, fail), options, this.#codecOf(options))
  }

  /** Appends what is written. */
  createWriteStream(): Writable {
    return writeStream((batch, callback) => void this.append(batch as ReadonlyArray<T>, callback))
  }

  /** A stream that replicates the feed with the one at its other end; or the one that was given, which does so from now on, too. */
  replicate(given?: ReplicateOptions | null): ProtocolStream {
    const options = given ?? {}
    const proceed = this.ifAvailable.waitAndContinue()
    const { expectedFeeds, extensions, id } = options
    const own = {
      extensions: extensions ?? this.extensions,
      expectedFeeds: expectedFeeds || 1,
      id: id ?? this.id
    }
    const stream = options.stream ?? protocol({ ordered: true, ...options, ...own })
    const peer = new LegacyPeer(this, options)
    // What was appended before is there to be replicated: who does not go on for long would miss it.
    const appended = this.#appending > 0 ? this.flush()?.then(ignore, ignore) : undefined
    this.whenOpen(
      (feed) => {
        if (!stream.destroyed && this.key !== null) {
          attach(feed, stream, peer, this.key, this.peerNews, appended)
        }
        proceed()
      },
      (error) => stream.destroy(error)
    )
    this.emit("replicating", stream)
    return stream
  }

  /** Frees all that the feed holds. */
  close(callback?: Callback): Promise<void> | undefined {
    const told = orPromise<[]>(callback)
    this.whenOpen(
      (feed) => {
        this.writable = false
        this.readable = false
        call(feed.close, told.callback, nothing)
      },
      () => told.callback(null)
    )
    return told.promise
  }

  /** Compares all that is held with the tree; what differs is no longer held. */
  audit(callback?: Callback<[Feed.AuditReport]>): Promise<Feed.AuditReport> | undefined {
    return this.#run(callback, (feed) => feed.audit(), ({ invalid, valid }) => one({ valid, invalid }))
  }

  /** Gives a feed without signatures its key. */
  finalize(callback?: Callback): Promise<void> | undefined {
    return this.#run(
      callback,
      (feed) => Effect.tap(feed.finalize, () => Effect.sync(() => this.refreshKeys(feed))),
      nothing
    )
  }

  /** What proves a block to who has `digest` already. */
  proof(
    index: number,
    first?: ProofOptions | null | Callback<[LegacyProof]>,
    last?: Callback<[LegacyProof]>
  ): Promise<LegacyProof> | undefined {
    const [{ digest = 0, hash = false } = {}, callback] = sort<ProofOptions, Callback<[LegacyProof]>>(first, last)
    return this.#run(
      callback,
      (feed) => feed.proof(index, { digest, hash }),
      ({ nodes, signature }) =>
        one({ nodes: nodes.map(toNode), signature: signature === undefined ? null : toBuffer(signature) })
    )
  }

  /** Verifies a block (null: its hash alone) and stores it. */
  put(index: number, value: T | null, proof: LegacyProof, callback?: Callback): Promise<void> | undefined {
    return this.#run(
      callback,
      (feed) => {
        const block = value === null || value === undefined ? undefined : this.codec.encode(value)
        const signature = proof.signature ?? undefined
        return feed.put({ index, block, proof: { nodes: [...proof.nodes] as Array<TreeNode>, signature } })
      },
      nothing
    )
  }

  /** What is held towards a proof of the block. */
  digest(index: number): number {
    return this.feed === undefined ? 0 : Views.digest(this.feed, index)
  }

  /** Sends an extension message to all peers. */
  extension(name: string, message: Buffer): void {
    for (const peer of this.peers) peer.extension(name, message)
  }

  /** Not by a fiber each: callers who append block by block would pay more for those than for all the rest. */
  #append(batch: ReadonlyArray<unknown>, callback: Callback<[number]> | undefined): Promise<number> | undefined {
    const told = orPromise(callback)
    this.#appending++
    const settle = (exit: Exit.Exit<number, unknown>): void => {
      this.#appending--
      const tell = () => tellExit(exit, told.callback, one)
      if (this.peers.length === 0) tell()
      else afterReplication(tell)
    }
    this.whenOpen(
      (feed) => {
        const blocks = encodeAll(this.codec, batch)
        if (Either.isLeft(blocks)) return settle(Exit.die(blocks.left))
        for (const [i, block] of this.valuesOf === undefined ? [] : blocks.right.entries()) {
          this.valuesOf!.set(block, batch[i])
        }
        feed.unsafeAppend(blocks.right, settle)
      },
      (error) => settle(Exit.die(error))
    )
    return told.promise
  }

  /** Waits for the log to grow, for ever. */
  #follow(): void {
    this.update(null, (error) => {
      if (error === null) this.#follow()
      else if (!this.closed) this.tell("update-error", error)
    })
  }

  #codecOf({ valueEncoding }: Pick<GetOptions, "valueEncoding">): Codec {
    return valueEncoding === undefined || valueEncoding === null ? this.codec : toCodec(valueEncoding)
  }

  #run<A, V extends ReadonlyArray<unknown>>(
    callback: Callback<V> | undefined,
    program: (feed: Feed.Feed) => Effect.Effect<A, unknown>,
    values: (result: A) => NoInfer<V>,
    words?: Words
  ): Promise<V[0]> | undefined {
    const told = orPromise(callback)
    this.whenOpen((feed) => {
      call(Effect.suspend(() => program(feed)), told.callback, values, { words })
    }, refusing(told.callback))
    return told.promise
  }

  /** The same of what may wait for blocks, and be cancelled. */
  #wait<A, V extends ReadonlyArray<unknown>>(
    callback: Callback<V> | undefined,
    wait: Wait,
    program: (feed: Feed.Feed) => Effect.Effect<A, unknown>,
    values: (result: A) => NoInfer<V>,
    words?: Words
  ): Promise<V[0]> | undefined {
    const told = orPromise(callback)
    if (!this.opened) this.#waits.add(wait)
    this.whenOpen((feed) => {
      this.#begin(wait, program(feed), told.callback, values, words)
    }, refusing(told.callback))
    return told.promise
  }

  #begin<A, V extends ReadonlyArray<unknown>>(
    wait: Wait,
    program: Effect.Effect<A, unknown>,
    callback: Callback<V>,
    values: (result: A) => NoInfer<V>,
    words?: Words
  ): void {
    if (wait.reason !== undefined) {
      this.#waits.delete(wait)
      return void process.nextTick(refusing(callback), wait.reason)
    }
    this.#waits.watch(wait, call(program, callback, values, { words, interrupted: wait }))
  }
}
