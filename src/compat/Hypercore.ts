/**
 * The feed as callers of hypercore 6 and 7 know it: callbacks and events in front of `Feed`'s programs, which do the work. Whatever is called
 * before the feed is open waits until it is. A callback that is left out becomes a promise.
 */
import { Effect } from "effect"
import type { Readable, Writable } from "node:stream"
import { type Feed, Replication } from "../index.js"
import { type Callback, tellExit } from "./callback.js"
import type { FeedBase } from "./feed/FeedBase.js"
import { nothing, one, sort } from "./feed/FeedCalls.js"
import { FeedProofs } from "./feed/FeedProofs.js"
import { readStream, type ReadStreamOptions } from "./feed/readStream.js"
import * as Views from "./feed/views.js"
import { downloadCancelled, Wait } from "./feed/Waits.js"
import { writeStream } from "./feed/writeStream.js"
import { fork } from "./fork.js"
import { closed } from "./LegacyError.js"
import type {
  ClearOptions,
  DownloadRange,
  GetOptions,
  ReplicateOptions,
  SeekOptions,
  UpdateOptions
} from "./options.js"
import { protocol } from "./protocol.js"
import { attach, type ProtocolStream } from "./replication/attach.js"
import { LegacyPeer } from "./replication/LegacyPeer.js"
import { toMillis } from "./toMillis.js"

const FOREVER = Number.POSITIVE_INFINITY

const ignore = (): void => {}
/** Callers of the peer give text, too, and null for 0. */
const toIndex = (index: unknown): number => Number(index)

/** Where a range of blocks ends, which -1 leaves open, too. */
const endOf = ({ end }: { readonly end?: number | null }): number => ((end ?? -1) === -1 ? FOREVER : end!)

const waitOptions = ({ ifAvailable, timeout, wait }: GetOptions): Feed.WaitOptions => ({
  wait: wait !== false,
  ifAvailable: Boolean(ifAvailable),
  ...(timeout ? { timeout: toMillis(timeout) } : {})
})

/** A download under way. */
export interface DownloadHandle {
  readonly start: number
  /** -1: as far as the log goes. */
  readonly end: number
  readonly linear: boolean
  readonly hash: boolean
  readonly callback: Callback
}

/** A range with what was left out of it. */
const rangeOf = (range: DownloadRange | number | null | undefined) => {
  const wanted: DownloadRange = typeof range === "number" ? { start: range, end: range + 1 } : (range ?? {})
  return { start: wanted.start ?? 0, end: endOf(wanted), linear: Boolean(wanted.linear) }
}

export class Hypercore<T = Buffer> extends FeedProofs<T> {
  readonly #downloads = new WeakMap<object, Wait>()

  constructor(...given: ConstructorParameters<typeof FeedBase>) {
    super(...given)
    if (this.sparse && this.eagerUpdate) this.#follow()
  }

  /** Calls back once the feed is open, and never if it cannot be: `error` tells that. */
  ready(callback: () => void): void
  ready(): Promise<void>
  ready(callback?: () => void): Promise<void> | undefined {
    const told = this.told<[]>(callback && ((error) => (error === null ? callback() : undefined)))
    const tell = () => told.callback(null)
    this.whenOpen(this.opened ? () => process.nextTick(tell) : tell, told.callback)
    return told.promise
  }

  /** Adds a value, or all of an array; calls back with the index of the first. */
  append(values: T | ReadonlyArray<T>, callback: Callback<[number]>): void
  append(values: T | ReadonlyArray<T>): Promise<number>
  append(values: T | ReadonlyArray<T>, callback?: Callback<[number]>): Promise<number> | undefined {
    const batch: ReadonlyArray<unknown> = Array.isArray(values) ? values : [values]
    return this.appendAll(batch, callback)
  }

  /** Calls back when all that was appended before is stored. */
  flush(callback: Callback<[number]>): void
  flush(): Promise<number>
  flush(callback?: Callback<[number]>): Promise<number> | undefined {
    return this.appendAll([], callback)
  }

  get(index: number, callback: Callback<[T]>): void
  get(index: number, options: GetOptions | null | undefined, callback: Callback<[T]>): void
  get(index: number, options?: GetOptions | null): Promise<T>
  get(
    index: number,
    first?: GetOptions | null | Callback<[T]>,
    last?: Callback<[T]>
  ): Promise<T> | undefined {
    const [options = {}, callback] = sort<GetOptions, Callback<[T]>>(first, last)
    const codec = this.codecOf(options)
    const at = toIndex(index)
    return this.runWaiting(
      callback,
      new Wait(at, at + 1, false),
      (feed) => Effect.map(feed.get(at, waitOptions(options)), (block) => codec.decode(block) as T),
      one
    )
  }

  /** Blocks [start, end). */
  getBatch(start: number, end: number, callback: Callback<[Array<T>]>): void
  getBatch(
    start: number,
    end: number,
    options: GetOptions | null | undefined,
    callback: Callback<[Array<T>]>
  ): void
  getBatch(start: number, end: number, options?: GetOptions | null): Promise<Array<T>>
  getBatch(
    start: number,
    end: number,
    first?: GetOptions | null | Callback<[Array<T>]>,
    last?: Callback<[Array<T>]>
  ): Promise<Array<T>> | undefined {
    const [options = {}, callback] = sort<GetOptions, Callback<[Array<T>]>>(first, last)
    const codec = this.codecOf(options)
    return this.runWaiting(
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
  head(options: GetOptions | null | undefined, callback: Callback<[T]>): void
  head(options?: GetOptions | null): Promise<T>
  head(first?: GetOptions | null | Callback<[T]>, last?: Callback<[T]>): Promise<T> | undefined {
    const [options = {}, callback] = sort<GetOptions, Callback<[T]>>(first, last)
    const codec = this.codecOf(options)
    return this.run(
      callback,
      (feed) => Effect.map(feed.head(waitOptions(options)), (block) => codec.decode(block) as T),
      one,
      { outOfRange: "feed is empty" }
    )
  }

  /** Wants blocks fetched; the handle that it gives ends that with `undownload`. */
  download(
    range?: DownloadRange | number | null | Callback,
    callback?: Callback
  ): DownloadHandle | undefined {
    const [given, last] = sort<DownloadRange | number, Callback>(range, callback)
    const tell = last ?? ignore
    if (!this.readable) {
      process.nextTick(tell, new Error(closed))
      return undefined
    }
    const { end, linear, start } = rangeOf(given)
    const wait = new Wait(start, end, true, linear)
    const options = end === FOREVER ? { start, linear } : { start, end, linear }
    void this.runWaiting(tell, wait, (feed) => feed.download(options), nothing)
    const handle = { start, end: end === FOREVER ? -1 : end, linear, hash: false, callback: tell }
    this.#downloads.set(handle, wait)
    return handle
  }

  /** Ends a download: the handle's, or the first that was asked for in the same words. */
  undownload(range?: DownloadHandle | DownloadRange | number | null): void {
    const wait = typeof range === "object" && range !== null ? this.#downloads.get(range) : undefined
    if (wait !== undefined) return wait.stop(downloadCancelled())
    const { end, linear, start } = rangeOf(range)
    this.waits.undownload(start, end, linear)
  }

  /** Ends the waits for blocks of [start, end), and takes their requests back. */
  cancel(start: number, end?: number): void {
    const last = end || start + 1
    this.whenOpen((feed) => {
      this.waits.cancel(start, last)
      Replication.cancel(feed, start, last)
    }, ignore)
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
  clear(start: number, callback: Callback): void
  clear(start: number, end: number | null | undefined, callback: Callback): void
  clear(
    start: number,
    end: number | null | undefined,
    options: ClearOptions | null | undefined,
    callback: Callback
  ): void
  clear(start: number, end?: number | null, options?: ClearOptions | null): Promise<void>
  clear(
    start: number,
    end?: number | null | Callback,
    options?: ClearOptions | null | Callback,
    callback?: Callback
  ): Promise<void> | undefined {
    const [last, then] = sort<number, Callback>(end, undefined)
    const [how = {}, tell] = sort<ClearOptions, Callback>(options, callback)
    return this.run(
      then ?? tell,
      (feed) => feed.clear(start, last || start + 1, { free: how.delete !== false }),
      nothing
    )
  }

  /** Calls back with the block that holds a byte, and the byte's place in it. */
  seek(byteOffset: number, callback: Callback<[number, number]>): void
  seek(
    byteOffset: number,
    options: SeekOptions | null | undefined,
    callback: Callback<[number, number]>
  ): void
  seek(byteOffset: number, options?: SeekOptions | null): Promise<[number, number]>
  seek(
    byteOffset: number,
    first?: SeekOptions | null | Callback<[number, number]>,
    last?: Callback<[number, number]>
  ): Promise<[number, number]> | undefined {
    const [options = {}, callback] = sort<SeekOptions, Callback<[number, number]>>(first, last)
    const { hash } = options
    const [start, end] = [options.start ?? 0, endOf(options)]
    const isNowhere = end <= start
    const wait = isNowhere ? false : options.wait
    const notHeld = "Unable to seek to this offset"
    const words = { notHeld, outOfRange: isNowhere ? notHeld : "Out of bounds" }
    return this.runWaiting(
      callback,
      new Wait(start, end, false),
      (feed) =>
        feed.seek(byteOffset, {
          start,
          ...(end === FOREVER ? {} : { end }),
          wait: wait !== false,
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
  update(callback: Callback): void
  update(options: UpdateOptions | number | null | undefined, callback: Callback): void
  update(options?: UpdateOptions | number | null): Promise<void>
  update(first?: UpdateOptions | number | null | Callback, last?: Callback): Promise<void> | undefined {
    const [given = {}, callback] = sort<UpdateOptions | number, Callback>(first, last)
    const wanted: UpdateOptions = typeof given === "number" ? { minLength: given } : given
    const { hash, minLength } = wanted
    const ifAvailable = Boolean(wanted.ifAvailable)
    const told = this.told<[]>(callback)
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
      this.begin(wait, program, told.callback, nothing, { noPeerHasIt: "No update available from peers" })
    }, told.callback)
    return told.promise
  }

  /** Blocks in order, as values. */
  createReadStream(given?: ReadStreamOptions | null): Readable {
    const options = given ?? {}
    return readStream((run, fail) => this.whenOpen(run, fail), options, this.codecOf(options))
  }

  /** Appends what is written. */
  createWriteStream(): Writable {
    return writeStream((batch, callback) => this.append(batch as ReadonlyArray<T>, callback))
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
    const appended = this.appending > 0 ? this.flush()?.then(ignore, ignore) : undefined
    this.whenOpen(
      (feed) => {
        if (!stream.destroyed && this.key !== null) {
          attach(feed, stream, peer, this.key, this.peerNews, appended)
        }
        proceed()
      },
      (error) => {
        stream.destroy(error)
        proceed()
      }
    )
    this.emit("replicating", stream)
    return stream
  }

  /** Frees all that the feed holds. */
  close(callback: Callback): void
  close(): Promise<void>
  close(callback?: Callback): Promise<void> | undefined {
    const told = this.told<[]>(callback)
    this.whenOpen(
      (feed) => {
        this.writable = false
        this.readable = false
        fork(feed.close).addObserver((exit) =>
          this.closing.after(() => tellExit(exit, told.callback, nothing))
        )
      },
      () => told.callback(null)
    )
    return told.promise
  }

  /** Compares all that is held with the tree; what differs is no longer held. */
  audit(callback: Callback<[Feed.AuditReport]>): void
  audit(): Promise<Feed.AuditReport>
  audit(callback?: Callback<[Feed.AuditReport]>): Promise<Feed.AuditReport> | undefined {
    return this.run(
      callback,
      (feed) => feed.audit(),
      ({ invalid, valid }) => one({ valid, invalid })
    )
  }

  /** Sends an extension message to all peers. */
  extension(name: string, message: Buffer): void {
    for (const peer of this.peers) peer.extension(name, message)
  }

  /** Waits for the log to grow, for ever. */
  #follow(): void {
    this.update(null, (error) => {
      if (error === null) this.#follow()
      else if (!this.closed) this.tell("update-error", error)
    })
  }
}
