/**
 * A connection as a state machine: bytes on one side, messages of channels on the other (FORMATS, "Wire", "Opening").
 *
 * Each side numbers the channels that it opens; a channel is one feed, known by its discovery key. The first frame is in clear;
 * with encryption on, everything after it, in that direction, is XORed with the key stream of the first feed's key and the
 * sender's nonce. So what follows the other side's first frame cannot be read before we opened the same feed: it is kept
 * (`isHeld`) until then, and whoever feeds us bytes waits meanwhile.
 *
 * Bytes are read in order and some frames at a time (`hasMore`): a megabyte can hold half a million of them. A frame that opens a feed is
 * the last of its time, so that whoever answers by opening it too does not find its messages among the early ones.
 */
import { Either } from "effect"
import { empty, equals, toHex } from "./Bytes.js"
import { ProtocolError } from "./Errors.js"
import {
  type Frame,
  FrameReader,
  FrameWriter,
  MAX_CHANNELS,
  SOME_STEPS,
  type StreamCipher
} from "./Framing.js"
import * as Wire from "./Wire.js"

export { OWN_ARRAY } from "./Framing.js"

/** One feed on a connection. */
export interface Channel {
  readonly discoveryKey: Uint8Array
  /** Its number on our side; -1 until we open it. */
  localId: number
  /** Its number on the other side; -1 until they do. */
  remoteId: number
  /** What came before we opened it. */
  early: Array<Wire.Message>
  /** Bytes of these. */
  earlyBytes: number
}

export type Event =
  /** The other side opened a feed. */
  | { readonly _tag: "Opened"; readonly channel: Channel }
  | { readonly _tag: "Handshake"; readonly handshake: Wire.Handshake }
  | { readonly _tag: "Message"; readonly channel: Channel; readonly message: Wire.Message }
  /** The other side uses the channel's number for another feed. */
  | { readonly _tag: "Closed"; readonly channel: Channel }

export interface MultiplexerOptions {
  readonly encrypt: boolean
  /** Read when the first feed is opened. */
  readonly handshake: Wire.Handshake
  readonly xsalsa20: (key: Uint8Array, nonce: Uint8Array) => StreamCipher
  /** Channels that each side may open, ever. */
  readonly maxChannels?: number
}

/** Messages that are kept for a channel that we have not opened, as many as the peer keeps, and their bytes on a connection. */
const MOST_EARLY = 17
const MOST_EARLY_BYTES = 1024 * 1024

/** Frames, and bytes of them, that are decoded at a time: what one message makes us do may be a thousand times what it is to read it. */
const SOME_FRAMES = 128
const SOME_BYTES = 256 * 1024
/** Arrays that are decrypted and looked at for frames at a time, `SOME_STEPS` of each at most, and bytes of these. */
const SOME_PARTS = 64
const SOME_PART_BYTES = 1024 * 1024

type Result = Either.Either<ReadonlyArray<Event>, ProtocolError>

export class Multiplexer {
  readonly #maxChannels: number
  readonly #reader: FrameReader
  readonly #writer = new FrameWriter()
  readonly #channels = new Map<string, Channel>()
  readonly #remote = new Map<number, Channel>()
  #opened = 0
  /** The first channel of each side: its discovery key, and with which nonce what follows is encrypted. */
  #ours: { readonly key: Uint8Array; readonly discoveryKey: Uint8Array } | undefined
  #theirs: Wire.Feed | undefined
  #clear: Array<Uint8Array> = []
  #encrypt: StreamCipher | undefined
  #decrypt: StreamCipher | undefined
  /** What has come; those before `nextKept` were looked at. */
  #kept: Array<Uint8Array> = []
  #nextKept = 0
  /** Frames that were read; those up to `nextFrame` have become events. */
  #frames: ReadonlyArray<Frame> = []
  #nextFrame = 0
  #problem: ProtocolError | undefined
  #earlyBytes = 0
  #handshaken = false

  constructor(readonly options: MultiplexerOptions) {
    this.#maxChannels = options.maxChannels ?? MAX_CHANNELS
    this.#reader = new FrameReader(this.#maxChannels)
  }

  /** Whether bytes wait for our opening the feed that the other side opened first. */
  get isHeld(): boolean {
    return this.options.encrypt && this.#theirs !== undefined && this.#ours === undefined
  }

  /** Whether the connection may end here: no frame of the other side's is cut off. */
  get atBoundary(): boolean {
    return this.#reader.atBoundary
  }

  /** Bytes that wait to be taken. */
  get size(): number {
    return this.#writer.size + this.#clear.length
  }

  /** Channels that we opened, ever. */
  get opened(): number {
    return this.#opened
  }

  channel(discoveryKey: Uint8Array): Channel | undefined {
    return this.#channels.get(toHex(discoveryKey))
  }

  /** Opens a feed's channel. `nonce` (24 random bytes) is used on the first. Then look at `hasMore`. */
  open(key: Uint8Array, discoveryKey: Uint8Array, nonce: Uint8Array): Either.Either<Channel, ProtocolError> {
    if (key.length === 0) {
      const detail = "a static feed has no key until it is finalized"
      return Either.left(new ProtocolError({ reason: "no-key", detail }))
    }
    const channel = this.#channelOf(discoveryKey)
    if (channel.localId >= 0) return Either.right(channel)
    if (this.#opened >= this.#maxChannels) {
      const detail = `more than ${this.#maxChannels} feeds`
      return Either.left(new ProtocolError({ reason: "too-many", about: "channel", detail }))
    }
    channel.localId = this.#opened++
    if (this.#ours !== undefined) {
      this.send(channel, { _tag: "Feed", discoveryKey })
      return Either.right(channel)
    }
    this.#ours = { key, discoveryKey }
    if (!this.options.encrypt) {
      this.send(channel, { _tag: "Feed", discoveryKey })
    } else {
      this.send(channel, { _tag: "Feed", discoveryKey, nonce })
      this.#clear = this.#writer.take()
      this.#encrypt = this.options.xsalsa20(key, nonce)
    }
    this.send(channel, this.options.handshake)
    return Either.right(channel)
  }

  /** Ends a channel on our side: its messages are dropped from now on. */
  close(channel: Channel): void {
    this.early(channel)
    this.#channels.delete(toHex(channel.discoveryKey))
    if (channel.remoteId >= 0) this.#remote.delete(channel.remoteId)
  }

  /** Writes a message; false when no frame can carry it. A Data's value of `OWN_ARRAY` bytes or more is ours from now on. */
  send(channel: Channel, message: Wire.Message): boolean {
    return this.#writer.message(channel.localId, message)
  }

  /** Writes nothing, so that the other side hears from us. */
  keepAlive(): void {
    if (this.#ours !== undefined) this.#writer.keepAlive()
  }

  /** What was written since, for the connection. The arrays belong to the caller. */
  take(): Array<Uint8Array> {
    const bytes = this.#writer.take()
    if (this.#encrypt !== undefined) for (const part of bytes) this.#encrypt(part)
    if (this.#clear.length === 0) return bytes
    const all = [...this.#clear, ...bytes]
    this.#clear = []
    return all
  }

  /** Bytes from the connection, which become ours: what the first of them say. There may be more. */
  receive(bytes: Uint8Array): Result {
    this.keep(bytes)
    return this.more()
  }

  /** Bytes from the connection, which become ours: `more` says what they say. */
  keep(bytes: Uint8Array): void {
    this.#kept.push(bytes)
  }

  /** Whether `more` has something to give. */
  get hasMore(): boolean {
    if (this.#problem !== undefined || this.#reader.problem !== undefined) return true
    if (this.isHeld) return false
    return (
      this.#nextFrame < this.#frames.length ||
      this.#reader.rest.length > 0 ||
      this.#nextKept < this.#kept.length
    )
  }

  /** What has come, some frames at a time; what is wrong once all before it was given, and then again and again. */
  more(): Result {
    const events: Array<Event> = []
    if (!this.isHeld) this.#problem ??= this.#readSome(events)
    return this.#problem === undefined || events.length > 0
      ? Either.right(events)
      : Either.left(this.#problem)
  }

  /** The messages that came before we opened the channel. */
  early(channel: Channel): ReadonlyArray<Wire.Message> {
    const { early } = channel
    channel.early = []
    this.#earlyBytes -= channel.earlyBytes
    channel.earlyBytes = 0
    return early
  }

  #readSome(events: Array<Event>): ProtocolError | undefined {
    let bytes = 0
    let parts = 0
    let partBytes = 0
    for (let count = 0; count < SOME_FRAMES && bytes < SOME_BYTES;) {
      const frame = this.#frames[this.#nextFrame]
      if (frame === undefined) {
        this.#frames = []
        this.#nextFrame = 0
        if (this.#reader.problem !== undefined) return this.#reader.problem
        if (parts === SOME_PARTS || partBytes >= SOME_PART_BYTES) return undefined
        const next = this.#nextBytes()
        if (next === undefined) return undefined
        parts++
        partBytes += next.length
        // The first frame becomes an event at once: those after it are encrypted.
        if (this.#theirs === undefined) return this.#readFirst(next, events)
        const problem = this.#readFrames(next)
        if (problem !== undefined) return problem
        continue
      }
      this.#nextFrame++
      count++
      bytes += frame.size
      const problem = this.#frame(frame, events)
      if (problem !== undefined) return problem
      if (frame.type === Wire.TYPE.Feed) return undefined
    }
    return undefined
  }

  /** What is to be read next: what the reader left, or the next array that has come. */
  #nextBytes(): Uint8Array | undefined {
    const { rest } = this.#reader
    return rest.length > 0 ? rest : this.#takeKept()
  }

  #readFrames(bytes: Uint8Array): ProtocolError | undefined {
    const isNew = this.#reader.rest.length === 0
    const problem = isNew && this.options.encrypt ? this.#decryptNext(bytes) : undefined
    if (problem !== undefined) return problem
    const frames = this.#reader.read(bytes, SOME_STEPS)
    if (Either.isLeft(frames)) return frames.left
    this.#frames = frames.right
    return undefined
  }

  /** In as many steps as there are arrays: who sends byte by byte makes many of them. */
  #takeKept(): Uint8Array | undefined {
    const next = this.#kept[this.#nextKept]
    // Its memory is used again as soon as it may be.
    this.#kept[this.#nextKept++] = empty
    if (this.#nextKept >= this.#kept.length) {
      this.#kept = []
      this.#nextKept = 0
    }
    return next
  }

  #readFirst(bytes: Uint8Array, events: Array<Event>): ProtocolError | undefined {
    const first = this.#reader.readFirst(bytes)
    if (Either.isLeft(first)) return first.left
    if (first.right === undefined) return undefined
    const { frame, rest } = first.right
    if (rest.length > 0) {
      this.#kept = [rest, ...this.#kept.slice(this.#nextKept)]
      this.#nextKept = 0
    }
    if (frame.type === Wire.TYPE.Feed) return this.#frame(frame, events)
    const detail = "the first message opens no feed"
    return new ProtocolError({ reason: "malformed", about: "opening", detail })
  }

  #decryptNext(bytes: Uint8Array): ProtocolError | undefined {
    const problem = this.#decrypt === undefined ? this.#agree() : undefined
    if (problem !== undefined) return problem
    this.#decrypt ??= this.options.xsalsa20(this.#ours!.key, this.#theirs!.nonce!)
    this.#decrypt(bytes)
    return undefined
  }

  /** With encryption on, the other side's first feed comes with a nonce, and is ours: what is wrong with it, as far as both are known. */
  #agree(): ProtocolError | undefined {
    const { discoveryKey, nonce } = this.#theirs!
    if (nonce === undefined) {
      return new ProtocolError({ reason: "no-nonce", detail: "the other side does not encrypt" })
    }
    if (this.#ours === undefined || equals(discoveryKey, this.#ours.discoveryKey)) return undefined
    return new ProtocolError({
      reason: "other-feed",
      detail: `the other side opened ${toHex(discoveryKey)}, we ${toHex(this.#ours.discoveryKey)}`
    })
  }

  #frame(frame: Frame, events: Array<Event>): ProtocolError | undefined {
    const channel = this.#remote.get(frame.channel)
    const decoded = this.#decode(frame, channel !== undefined && channel.localId < 0)
    if (Either.isLeft(decoded)) {
      const { detail, reason } = decoded.left
      if (frame.type !== Wire.TYPE.Feed) return decoded.left
      return new ProtocolError({ reason, about: "opening", detail })
    }
    const message = decoded.right
    if (message === undefined) return undefined
    if (message._tag === "Feed") return this.#opening(frame.channel, message, events)
    if (channel === undefined) {
      return new ProtocolError({
        reason: "malformed",
        about: "opening",
        detail: `a message on channel ${frame.channel}, which is not open`
      })
    }
    if (message._tag === "Handshake") {
      if (!this.#handshaken) events.push({ _tag: "Handshake", handshake: message })
      this.#handshaken = true
      return undefined
    }
    if (channel.localId >= 0) events.push({ _tag: "Message", channel, message })
    else return this.#keep(channel, message, frame.size)
    return undefined
  }

  /** What is kept for long must not keep all that it came with. */
  #decode(frame: Frame, isKept: boolean) {
    const { bytes, end, start, type, value } = frame
    if (!isKept) return Wire.decode(type, bytes, start, end, value)
    return Wire.decode(type, bytes.slice(start, end), 0, end - start, value?.slice())
  }

  #opening(id: number, feed: Wire.Feed, events: Array<Event>): ProtocolError | undefined {
    const before = this.#remote.get(id)
    if (before !== undefined) {
      this.close(before)
      events.push({ _tag: "Closed", channel: before })
    }
    if (this.#theirs === undefined) {
      this.#theirs = feed
      const problem = this.options.encrypt ? this.#agree() : undefined
      if (problem !== undefined) return problem
    }
    const channel = this.#channelOf(feed.discoveryKey)
    channel.remoteId = id
    this.#remote.set(id, channel)
    events.push({ _tag: "Opened", channel })
    return undefined
  }

  #keep(channel: Channel, message: Wire.Message, size: number): ProtocolError | undefined {
    this.#earlyBytes += size
    channel.earlyBytes += size
    channel.early.push(message)
    if (channel.early.length <= MOST_EARLY && this.#earlyBytes <= MOST_EARLY_BYTES) return undefined
    const detail = "messages on a feed that is not open"
    return new ProtocolError({ reason: "too-many", about: "unopened", detail })
  }

  #channelOf(discoveryKey: Uint8Array): Channel {
    const name = toHex(discoveryKey)
    let channel = this.#channels.get(name)
    if (channel === undefined) {
      channel = { discoveryKey: discoveryKey.slice(), localId: -1, remoteId: -1, early: [], earlyBytes: 0 }
      this.#channels.set(name, channel)
    }
    return channel
  }
}
