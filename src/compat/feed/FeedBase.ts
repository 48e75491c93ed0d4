/**
 * What a façade is before it does anything: its options, the feed behind it from opening to closing, what it emits, who its peers are.
 * `Hypercore` adds the operations.
 */
import { Effect, Exit, Redacted, Scope } from "effect"
import { EventEmitter } from "node:events"
import { ArrayPool, type Feed, type FeedEvent, type Origin, type Replication } from "../../index.js"
import { type Callback, orPromise, type Told } from "../callback.js"
import { type Codec, toCodec } from "../codecs.js"
import { discoveryKeyOf, legacyCrypto, randomBytes } from "../crypto.js"
import { fork } from "../fork.js"
import { type LegacyError, ofCause } from "../LegacyError.js"
import type { HypercoreOptions } from "../options.js"
import { type LegacyPeer, NO_STATS, type PeerStats } from "../replication/LegacyPeer.js"
import { LegacyStorage } from "../storage.js"
import { toBuffer } from "../toBuffer.js"
import { Closing } from "./Closing.js"
import { IfAvailable } from "./IfAvailable.js"
import { type CreateStorage, open } from "./open.js"
import { Opening } from "./Opening.js"
import * as Views from "./views.js"

type Totals = { -readonly [Key in keyof PeerStats]: PeerStats[Key] }

/** An open feed in the place of a storage: the façade of `fromFeed`. */
export class Given {
  constructor(readonly feed: Feed.Feed) {}
}

export type Source = CreateStorage | Given

const bytesOf = (bytes: Uint8Array | string | null | undefined): Buffer | null => {
  if (typeof bytes === "string") return Buffer.from(bytes, "hex")
  return bytes instanceof Uint8Array ? toBuffer(bytes) : null
}

/** A key as it is printed: by its ends. */
const shortHex = (bytes: Buffer | null): string =>
  bytes === null ? "null" : `${bytes.toString("hex", 0, 3)}..${bytes.toString("hex", bytes.length - 1)}`

/** A block that the program may keep. */
const kept = (block: Uint8Array): Buffer => {
  ArrayPool.arrays.keep(block)
  return toBuffer(block)
}

const isKeyOrNone = (key: unknown): boolean =>
  key === undefined || key === null || typeof key === "string" || key instanceof Uint8Array

/** A key of a feed that has one. */
const keyOf = (bytes: Uint8Array): Buffer | null => (bytes.length === 0 ? null : Buffer.from(bytes))

export class FeedBase extends EventEmitter {
  readonly id: Buffer
  readonly sparse: boolean
  readonly allowPush: boolean
  /** Whether a sparse feed follows the log's length by itself. */
  protected readonly eagerUpdate: boolean
  readonly extensions: ReadonlyArray<string>
  /** Requests in flight at most, as given; else the link decides. */
  readonly givenMaxRequests: number | undefined
  readonly maxRequests: number
  readonly ifAvailable = new IfAvailable()
  readonly crypto: object
  readonly peers: Array<LegacyPeer> = []
  /** Whether it is signed, as all are but those made with `live: false`. */
  live: boolean
  /** 32 bytes; null until it is known. */
  key: Buffer | null
  discoveryKey: Buffer | null
  /** 64 bytes; null for who cannot write. */
  secretKey: Buffer | null
  writable: boolean
  readable = true
  opened = false
  closed = false
  bitfield: Views.BitfieldView | null = null
  tree: Views.TreeView | null = null
  readonly _storage: LegacyStorage
  protected readonly codec: Codec
  /** The values of blocks that are being appended, where a hook is shown them. */
  protected readonly valuesOf: WeakMap<Uint8Array, unknown> | undefined
  protected readonly closing = new Closing(() => this.tell("close"))
  readonly #opening = new Opening()
  /** Whether a promise waits for the feed to be open. */
  #isPromised = false
  /** Holds the feed from its opening on. */
  #scope: Scope.CloseableScope | undefined
  readonly #totals: Totals | null
  readonly #peersOf = new WeakMap<object, LegacyPeer>()

  constructor(
    source: Source,
    key?: Uint8Array | string | HypercoreOptions | null,
    options?: HypercoreOptions | null
  ) {
    super()
    const isKey = typeof key === "string" || key instanceof Uint8Array
    const given = options ?? (isKey ? {} : (key ?? {}))
    if (!isKeyOrNone(isKey ? key : given.key) || (options && !isKeyOrNone(key))) {
      throw new TypeError("a feed's key has 32 bytes")
    }
    if (!(source instanceof Given) && typeof source !== "string" && typeof source !== "function") {
      throw new Error("Storage should be a function or string")
    }
    this.id = bytesOf(given.id) ?? randomBytes(32)
    this.live = given.live !== false
    this.sparse = Boolean(given.sparse)
    this.givenMaxRequests = given.maxRequests || undefined
    this.maxRequests = given.maxRequests || 16
    this.key = (isKey ? bytesOf(key) : null) ?? bytesOf(given.key)
    this.discoveryKey = this.key && discoveryKeyOf(this.key)
    this.secretKey = bytesOf(given.secretKey)
    // So that who prints all properties of a feed prints no secret.
    Object.defineProperty(this, "secretKey", { enumerable: false })
    this.writable = Boolean(given.writable)
    this.allowPush = Boolean(given.allowPush)
    this.eagerUpdate = Boolean(given.eagerUpdate)
    this.extensions = [...(given.extensions ?? [])].sort()
    this.crypto = given.crypto ?? legacyCrypto
    this.#totals = given.stats === undefined || given.stats ? { ...NO_STATS } : null
    this.codec = toCodec(given.valueEncoding)
    this.valuesOf = given.onwrite ? new WeakMap() : undefined
    this._storage = new LegacyStorage()
    if (source instanceof Given) process.nextTick(() => this.#opened(source.feed, given))
    else this.#open(source, given)
  }

  /** Blocks in the log. */
  get length(): number {
    return this.#opening.feed?.length ?? 0
  }

  get byteLength(): number {
    return this.#opening.feed?.byteLength ?? 0
  }

  /** Blocks in the longest log of the connected peers. */
  get remoteLength(): number {
    return Math.max(0, ...this.peers.map((peer) => peer.remoteLength))
  }

  get stats(): { readonly peers: ReadonlyArray<PeerStats>; readonly totals: PeerStats } | null {
    return this.#totals && { peers: this.peers.map((peer) => peer.stats), totals: this.#totals }
  }

  /** The feed behind the façade, once it is open: both may be used at once. */
  get effect(): Effect.Effect<Feed.Feed, LegacyError> {
    return Effect.async((resume) =>
      this.whenOpen(
        (feed) => resume(Effect.succeed(feed)),
        (error) => resume(Effect.fail(error))
      )
    )
  }

  /** The feed behind it, once it is open. */
  protected get feed(): Feed.Feed | undefined {
    return this.#opening.feed
  }

  /** Runs with the open feed: at once if it is open, never if it cannot be. */
  protected whenOpen(run: (feed: Feed.Feed) => void, fail: (error: LegacyError) => void): void {
    this.#opening.whenOpen(run, fail)
  }

  /** The callback, or a promise in its place, which then has the failure of opening, too. */
  protected told<V extends ReadonlyArray<unknown>>(callback: Callback<V> | undefined | null): Told<V> {
    const told = orPromise(callback)
    if (told.promise !== undefined && !this.opened) this.#isPromised = true
    return told
  }

  /** What a listener throws is the program's own failure, and not that of what it was told of. */
  protected tell(event: string, ...values: ReadonlyArray<unknown>): void {
    try {
      this.emit(event, ...values)
    } catch (error) {
      process.nextTick(() => {
        throw error
      })
    }
  }

  /** A peer came, said more, or went. */
  protected readonly peerNews = (what: Replication.PeerNews, peer: LegacyPeer): void => {
    const index = this.peers.indexOf(peer)
    if (what === "added" && index < 0) {
      this.#peersOf.set(peer.info!, peer)
      this.peers.push(peer)
      this.tell("peer-add", peer)
    } else if (what === "removed" && index >= 0) {
      this.peers[index] = this.peers.at(-1)!
      this.peers.pop()
      this.tell("peer-remove", peer)
    } else if (what === "updated" && peer.downloading && peer.hasNews()) this.tell("remote-update", peer)
  }

  /** The façade of a peer that the feed's programs speak of. */
  readonly #peerOf = (from: unknown): LegacyPeer | null =>
    (typeof from === "object" && from !== null ? this.#peersOf.get(from) : undefined) ?? null

  #open(storage: CreateStorage, options: HypercoreOptions): void {
    const program = open({
      storage: this._storage.over(storage),
      key: this.key ?? undefined,
      secretKey: this.secretKey ?? undefined,
      createIfMissing: options.createIfMissing !== false,
      overwrite: Boolean(options.overwrite),
      storeSecretKey: options.storeSecretKey !== false,
      sparse: this.sparse,
      live: this.live,
      indexing: Boolean(options.indexing),
      readOnly: Boolean(options.readOnly),
      crypto: options.crypto ?? undefined,
      onwrite: options.onwrite ?? undefined,
      peerOf: this.#peerOf,
      onFiles: (files) => this._storage.overFiles(files),
      valueOf: (block) => this.valuesOf?.get(block) ?? toBuffer(block)
    })
    // Not before the caller had the time to listen.
    process.nextTick(() => {
      const fiber = fork(
        Effect.flatMap(Scope.make(), (scope) => Scope.extend(program, (this.#scope = scope)))
      )
      fiber.addObserver((exit) =>
        process.nextTick(() => {
          if (Exit.isSuccess(exit)) this.#opened(exit.value, options)
          else this.#failed(ofCause(exit.cause))
        })
      )
    })
  }

  #opened(feed: Feed.Feed, options: HypercoreOptions): void {
    if (options.writable && !feed.writable) {
      fork(Effect.ignore(feed.close))
      return this.#failed(new Error("Feed is not writable"))
    }
    this.refreshKeys(feed)
    this.bitfield = Views.bitfieldView(feed)
    this.tree = Views.treeView(feed)
    this.opened = true
    const wasClosed = !feed.readable
    feed.unsafeListen(this.#heard)
    this.ifAvailable.bind(feed)
    this.tell("ready")
    this.#opening.opened(feed)
    // Who listens too late is not told.
    if (wasClosed) this.#closed()
  }

  /** Keys as the feed has them now. */
  protected refreshKeys(feed: Feed.Feed): void {
    this.key = keyOf(feed.key)
    this.discoveryKey = keyOf(feed.discoveryKey)
    this.secretKey = feed.secretKey === undefined ? null : Buffer.from(Redacted.value(feed.secretKey))
    this.live = feed.live
    this.writable = feed.writable
  }

  #failed(error: LegacyError): void {
    this.readable = false
    this.writable = false
    this.#opening.failed(error)
    // Whoever awaits what was called before has heard of it: without a listener, the event would end the program all the same.
    if (this.#isPromised && this.listenerCount("error") === 0) return
    this.tell("error", error)
  }

  readonly #heard = (event: FeedEvent, origin?: Origin): void => {
    switch (event._tag) {
      case "Append":
        // Its first block tells a reader whether the feed is signed.
        this.live = this.#opening.feed!.live
        return this.tell("append")
      case "Download":
        this.#count("downloaded", event.size)
        if (this.listenerCount("download") === 0) return
        return this.tell("download", event.index, kept(origin!.block), this.#peerOf(origin!.from))
      case "Upload":
        this.#count("uploaded", event.size)
        if (this.listenerCount("upload") === 0) return
        // It is encrypted where it is.
        return this.tell("upload", event.index, Buffer.from(origin!.block), this.#peerOf(origin!.from))
      case "Clear":
        return this.tell("clear", event.start, event.end)
      case "Sync":
        if (!this.writable) this.tell("sync")
        return
      case "Close":
        return this.#closed()
    }
  }

  #count(what: "downloaded" | "uploaded", size: number): void {
    if (this.#totals === null) return
    this.#totals[`${what}Blocks`]++
    this.#totals[`${what}Bytes`] += size
  }

  #closed(): void {
    this.writable = false
    this.readable = false
    this.closed = true
    this.ifAvailable.destroy()
    if (this.#scope !== undefined) fork(Scope.close(this.#scope, Exit.void))
    this.closing.closed()
  }

  /** What is printed of it, as data: not its files, nor its secret key. */
  toJSON(): Record<string, unknown> {
    const { byteLength, length, opened, sparse, writable } = this
    const [key, discoveryKey] = [this.key, this.discoveryKey].map((bytes) => bytes?.toString("hex") ?? null)
    return { key, discoveryKey, opened, sparse, writable, length, byteLength, peers: this.peers.length }
  }

  /** What the peer prints. */
  [Symbol.for("nodejs.util.inspect.custom")](
    _depth: number,
    options: { readonly indentationLvl?: number; readonly stylize?: (text: string, style: string) => string }
  ): string {
    const indent = " ".repeat(options.indentationLvl ?? 0)
    const paint = options.stylize ?? ((text: string) => text)
    const lines = [
      ["key", shortHex(this.key), "string"],
      ["discoveryKey", shortHex(this.discoveryKey), "string"],
      ["opened", String(this.opened), "boolean"],
      ["sparse", String(this.sparse), "boolean"],
      ["writable", String(this.writable), "boolean"],
      ["length", String(this.length), "number"],
      ["byteLength", String(this.byteLength), "number"],
      ["peers", String(this.peers.length), "number"]
    ] as const
    const text = lines.map(([name, value, style]) => `${indent}  ${name}: ${paint(value, style)}\n`).join("")
    return `Hypercore(\n${text}${indent})`
  }
}
