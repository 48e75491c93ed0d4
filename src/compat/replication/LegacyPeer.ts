/**
 * The other side of a feed on a protocol stream, as legacy code sees it in `feed.peers`, in events and in `onwrite`; and what the stream
 * calls with the channel's messages. What it shows is `Replication`'s; what it is handed goes to the inbox.
 */
import type { EventEmitter } from "node:events"
import type { Replication, Wire } from "../../index.js"
import type * as Protocol from "../protocol.js"
import { DirectPeer } from "../protocol/DirectPeer.js"
import { Inbox } from "./Inbox.js"
import * as Messages from "./Messages.js"

/** What a peer shows and uses of its feed, which is a `Hypercore`. */
export interface PeerFeed extends EventEmitter {
  readonly sparse: boolean
  readonly writable: boolean
  readonly allowPush: boolean
  readonly givenMaxRequests: number | undefined
  readonly stats: object | null
  readonly has: (index: number) => boolean
}

export interface PeerOptions {
  readonly live?: boolean | undefined
  readonly ack?: boolean | undefined
  readonly download?: boolean | undefined
  readonly upload?: boolean | undefined
  readonly maxRequests?: number | undefined
}

export interface PeerStats {
  readonly uploadedBytes: number
  readonly uploadedBlocks: number
  readonly downloadedBytes: number
  readonly downloadedBlocks: number
}

export const NO_STATS: PeerStats = {
  uploadedBytes: 0,
  uploadedBlocks: 0,
  downloadedBytes: 0,
  downloadedBlocks: 0
}

/** Requests in flight that the peer allows, which its callers read though ours follow the link. */
const MOST_REQUESTS = 16

export class LegacyPeer extends DirectPeer {
  readonly inbox = new Inbox()
  /** The channel, once the feed is ready. */
  stream: Protocol.ProtocolChannel | null = null
  remoteId: Buffer | null = null
  remoteAck = false
  readonly live: boolean
  readonly sparse: boolean
  readonly ack: boolean
  /** Known once both sides shook hands. */
  info: Replication.PeerInfo | undefined
  #maxRequests: number | undefined
  /** Whether we have said that we ask for nothing more, and whether the other side has. */
  #isDone = false
  #isRemoteDone = false
  /** Its log's length when that was last told, if it was. */
  #told = -1

  constructor(
    readonly feed: PeerFeed,
    readonly options: PeerOptions
  ) {
    super()
    this.live = options.live === true
    this.ack = options.ack === true
    this.sparse = feed.sparse
    this.#maxRequests = options.maxRequests
  }

  get remoteLength(): number {
    return this.info?.remoteLength ?? 0
  }

  get remoteDownloading(): boolean {
    return this.info?.remoteDownloading ?? true
  }

  get downloading(): boolean {
    return this.info?.downloading ?? this.options.download ?? !this.feed.writable
  }

  get uploading(): boolean {
    return this.options.upload !== false
  }

  get inflightRequests(): ReadonlyArray<Replication.InFlight> {
    return this.info?.requests ?? []
  }

  get maxRequests(): number {
    return this.info?.maxRequests ?? this.#maxRequests ?? MOST_REQUESTS
  }

  set maxRequests(most: number) {
    this.#maxRequests = most
    if (this.info !== undefined) this.info.maxRequests = most
  }

  /** Both sides have shaken hands. */
  meet(info: Replication.PeerInfo): void {
    this.info = info
    if (this.#maxRequests !== undefined) info.maxRequests = this.#maxRequests
  }

  /** Which blocks it has that we do not, as far as it said. */
  get remoteBitfield(): { readonly get: (index: number) => boolean } {
    return { get: (index) => this.info?.remoteHas(index) ?? false }
  }

  get stats(): PeerStats {
    return this.info?.stats ?? NO_STATS
  }

  get _stats(): PeerStats | null {
    return this.feed.stats === null ? null : this.stats
  }

  /** Whether it has said something of its log since this was last asked. */
  hasNews(): boolean {
    const { remoteLength } = this
    if (this.#told >= 0 && remoteLength <= this.#told) return false
    this.#told = remoteLength
    return true
  }

  /** Sends a message; false when it is none that a channel of this kind sends. */
  send(message: Wire.Message): boolean {
    const isSent = this.stream !== null && Messages.send(this.stream, message)
    if (message._tag === "Info") {
      this.#isDone = !message.downloading
      this.#endMaybe()
    }
    return isSent
  }

  /** At once when both sides are done, as with the peer: the stream's own end may come in the same tick, and should find it ended. */
  #endMaybe(): void {
    if (!this.#isDone || !this.#isRemoteDone || this.live) return
    this.stream?.close()
    // The stream tells nothing of a channel that was closed: whatever the session awaits of it will not come.
    this.inbox.close()
  }

  extension(name: string, message: Buffer): boolean {
    return this.stream?.extension(name, message) ?? false
  }

  /** Ends the whole stream, with why. */
  destroy(error?: Error): void {
    this.stream?.destroy(error)
  }

  whenReady(): Promise<void> | undefined {
    return this.inbox.whenReady()
  }

  onmessage(message: Wire.Message): void {
    if (message._tag === "Have" && message.ack && message.bitfield === undefined && this.ack) {
      const { length, start } = message
      // At once: callers count on hearing of it soon after the block was stored over there.
      if (this.feed.has(start)) {
        return void this.stream?.stream.emit("ack", { start, length, bitfield: null, ack: true })
      }
    }
    this.inbox.push(message)
    if (message._tag !== "Info") return
    this.#isRemoteDone = !message.downloading
    this.#endMaybe()
  }

  // The real protocol's stream calls these, ours the above.

  oninfo(message: Protocol.Info): void {
    this.onmessage(Messages.info(message))
  }

  onhave(message: Protocol.Have): void {
    this.onmessage(Messages.have(message))
  }

  onunhave(message: Protocol.Range): void {
    this.onmessage(Messages.range("Unhave", message))
  }

  onwant(message: Protocol.Range): void {
    this.onmessage(Messages.wanted("Want", message))
  }

  onunwant(message: Protocol.Range): void {
    this.onmessage(Messages.wanted("Unwant", message))
  }

  onrequest(message: Protocol.Request): void {
    this.onmessage(Messages.request(message))
  }

  oncancel(message: Protocol.Cancel): void {
    this.onmessage(Messages.cancel(message))
  }

  ondata(message: Protocol.Data): void {
    this.onmessage(Messages.data(message))
  }

  onextension(name: string, message: Buffer): void {
    this.feed.emit("extension", name, message, this)
  }

  ontick(): void {
    // Requests are given up by the session's own time.
  }

  onclose(): void {
    this.inbox.close()
  }
}
