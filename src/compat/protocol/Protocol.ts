/**
 * The interface of `hypercore-protocol` 6 as types: a Duplex stream that carries channels, one a feed.
 *
 * Left out is a hint for streams of `utp-native` (`setContentSize`). Ours alone are `ordered`, `remoteOrdered`, `whenDrained` and a
 * peer's `whenReady`.
 */
import type { EventEmitter } from "node:events"
import type { Duplex } from "node:stream"
import type {
  BytesInput,
  Cancel,
  CancelInput,
  ChannelEvents,
  Data,
  DataInput,
  HandshakeInput,
  Have,
  HaveInput,
  Info,
  InfoInput,
  Range,
  RangeInput,
  Request,
  RequestInput
} from "./messages.js"

export interface ProtocolOptions {
  /** Tells the other side who we are. Default: 32 random bytes. */
  readonly id?: BytesInput | null | undefined
  /** Says that we mean to keep the stream open. Default: false. */
  readonly live?: boolean | undefined
  /** Asks the other side to acknowledge blocks. Default: false. */
  readonly ack?: boolean | undefined
  /** For the other side's `remoteUserData`, of 1 MiB at most. */
  readonly userData?: BytesInput | null | undefined
  /** Default: true. Both sides must agree. */
  readonly encrypt?: boolean | undefined
  /** Milliseconds; silence of one and a half times as much ends the stream. 0 or false: of none. Default: 5000. */
  readonly timeout?: number | false | null | undefined
  /** Names of extensions, of 255 bytes at most, 256 at most. Sorted, where the other side is `hypercore-protocol`. */
  readonly extensions?: ReadonlyArray<string> | undefined
  /** Closed channels after which the stream is finalized. Default: 0, for never. */
  readonly expectedFeeds?: number | undefined
  /** Channels that each side may open, ever. Default: 256. */
  readonly maxFeeds?: number | undefined
  /** Promises that answers come in the order of the requests. Default: false. */
  readonly ordered?: boolean | undefined
}

/** Takes a channel's messages in place of its events. Each method may be missing; what it would take is dropped then. */
export interface ProtocolPeer {
  oninfo?(info: Info): void
  onhave?(have: Have): void
  onunhave?(unhave: Range): void
  onwant?(want: Range): void
  onunwant?(unwant: Range): void
  onrequest?(request: Request): void
  oncancel?(cancel: Cancel): void
  ondata?(data: Data): void
  /** When it is missing, the channel emits `extension`. */
  onextension?(name: string, message: Buffer): void
  ontick?(): void
  onclose?(): void
  /** Asked after it was given messages: when it gives a promise, the stream reads on once that is kept, and ends if it is broken. */
  whenReady?(): Promise<void> | undefined
}

/** One feed on a stream. What its methods send, they answer with whether the stream is below its high water mark. */
export interface ProtocolChannel extends EventEmitter<ChannelEvents> {
  readonly key: Uint8Array | null
  readonly discoveryKey: Uint8Array
  readonly stream: Protocol
  peer: ProtocolPeer | null
  /** Its number on our side; -1 once we have closed it. */
  readonly id: number
  /** Its number on the other side; -1 until they open it. */
  readonly remoteId: number
  /** Whether `close` was emitted. */
  readonly closed: boolean
  /** The stream sends one by itself, on its first channel. */
  handshake(message: HandshakeInput): boolean
  info(message: InfoInput): boolean
  have(message: HaveInput): boolean
  unhave(message: RangeInput): boolean
  want(message: RangeInput): boolean
  unwant(message: RangeInput): boolean
  request(message: RequestInput): boolean
  cancel(message: CancelInput): boolean
  data(message: DataInput): boolean
  /** Sends nothing, and gives false, when `name` is not among the stream's `extensions`. */
  extension(name: string, message: BytesInput): boolean
  remoteSupports(name: string): boolean
  /** Destroys the stream. */
  destroy(error?: Error): void
  /** Counts the feed as done. The channel still hears the other side, and the same feed may be opened anew. */
  close(): void
}

export interface Protocol extends Duplex {
  readonly id: BytesInput
  live: boolean
  ack: boolean
  userData: BytesInput | null
  readonly encrypted: boolean
  /** True after `destroy` and after `finalize`. */
  readonly destroyed: boolean
  /** Of the feed that was opened first on our side. */
  readonly key: Uint8Array | null
  readonly discoveryKey: Uint8Array | null
  /** Of the feed that the other side opened first. */
  readonly remoteDiscoveryKey: Buffer | null
  /** Channels that are open on our side. */
  readonly feeds: ReadonlyArray<ProtocolChannel>
  expectedFeeds: number
  readonly maxFeeds: number
  readonly extensions: ReadonlyArray<string>

  /** These are known from the event `handshake` on. */
  readonly remoteId: Buffer | null
  readonly remoteLive: boolean
  readonly remoteUserData: Buffer | null
  readonly remoteAck: boolean | undefined
  readonly remoteOrdered: boolean
  /** For each extension of the other side: its place among ours, or -1. */
  readonly remoteExtensions: ReadonlyArray<number> | null

  /**
   * Opens a feed's channel, or gives the one that is open. The first one's key encrypts the stream, and must be the other side's first too.
   * Null when the stream is destroyed, also by this: by another first feed, or one more than `maxFeeds`.
   */
  feed(
    key: Uint8Array,
    options?: { readonly discoveryKey?: Uint8Array; readonly peer?: ProtocolPeer }
  ): ProtocolChannel | null
  /** Whether either side has opened the feed. */
  has(key: Uint8Array): boolean
  /** Whether both sides have the extension. */
  remoteSupports(name: string): boolean
  /** Sets the timeout anew, and what to do then, once, besides. */
  setTimeout(milliseconds: number, onTimeout?: () => void): void
  /** Sends a byte that says nothing. */
  ping(): boolean
  /** Undefined below the high water mark, else a promise that is kept when it is below again, or destroyed. */
  whenDrained(): Promise<void> | undefined
  /** Emits `error` if there is one, closes the channels and emits `close`. What was sent before can still be read. */
  destroy(error?: Error): this
  /** Closes the channels and ends what is read here, after what was sent before. */
  finalize(): void
}
/*
 * Its events, besides a Duplex's:
 *
 *     handshake                    the other side's handshake has come
 *     feed (discoveryKey)          the other side has opened a feed
 *     prefinalize (done)           the expected feeds are closed: call `done` instead of finalizing, with an error to destroy
 *     timeout                      silence; unless a timeout was given as 0 or false, the stream is destroyed then
 */
