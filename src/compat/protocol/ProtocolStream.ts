/**
 * The stream of `hypercore-protocol` 6, on our own multiplexer. Its state changes as it does there: `destroy` and `finalize` act at once,
 * and neither empties what can still be read; so Node's own `destroy` is not used.
 */
import { Either } from "effect"
import { Duplex } from "node:stream"
import { Multiplexer, ProtocolError, toHex, type Wire } from "../../index.js"
import { checkKey, crypto, discoveryKeyOf, randomBytes } from "../crypto.js"
import { toBuffer } from "../toBuffer.js"
import { Channel, type ChannelHost } from "./Channel.js"
import { failure, timedOut, tooLarge } from "./failure.js"
import { Incoming } from "./Incoming.js"
import { KeepAlive } from "./KeepAlive.js"
import type { BytesInput } from "./messages.js"
import { CHUNK_SIZE, Outgoing } from "./Outgoing.js"
import type { Protocol, ProtocolOptions, ProtocolPeer } from "./Protocol.js"
import * as sent from "./sent.js"

const ID_SIZE = 32
const NONCE_SIZE = 24
const TIMEOUT = 5000
const MAX_FEEDS = 256

export class ProtocolStream extends Duplex implements Protocol {
  readonly id: BytesInput
  live: boolean
  ack: boolean
  userData: BytesInput | null
  readonly encrypted: boolean
  /** Ours, not Node's, whose `destroyed` would keep what was pushed from being read. */
  override destroyed = false
  key: Uint8Array | null = null
  discoveryKey: Uint8Array | null = null
  remoteDiscoveryKey: Buffer | null = null
  feeds: Array<Channel> = []
  expectedFeeds: number
  readonly maxFeeds: number
  readonly extensions: ReadonlyArray<string>
  remoteId: Buffer | null = null
  remoteLive = false
  remoteUserData: Buffer | null = null
  remoteAck: boolean | undefined = undefined
  remoteOrdered = false
  remoteExtensions: ReadonlyArray<number> | null = null

  readonly #ordered: boolean
  readonly #multiplexer: Multiplexer.Multiplexer
  readonly #multiplexing: { handshake: Wire.Handshake }
  readonly #channels = new Map<Multiplexer.Channel, Channel>()
  readonly #host: ChannelHost
  readonly #incoming: Incoming
  readonly #outgoing: Outgoing
  readonly #keepAlive: KeepAlive

  constructor(options: ProtocolOptions = {}) {
    super({ autoDestroy: false, emitClose: false, readableHighWaterMark: CHUNK_SIZE })
    this.id = options.id || randomBytes(ID_SIZE)
    this.live = Boolean(options.live)
    this.ack = Boolean(options.ack)
    this.userData = options.userData || null
    this.encrypted = options.encrypt !== false
    this.expectedFeeds = options.expectedFeeds || 0
    this.maxFeeds = options.maxFeeds || MAX_FEEDS
    this.extensions = options.extensions ?? []
    this.#ordered = options.ordered === true
    const multiplexing = {
      encrypt: this.encrypted,
      handshake: sent.handshake({}),
      xsalsa20: crypto().xsalsa20,
      maxChannels: this.maxFeeds
    }
    this.#multiplexing = multiplexing
    this.#multiplexer = new Multiplexer.Multiplexer(multiplexing)
    this.#outgoing = new Outgoing(this.#multiplexer, this)
    this.#incoming = new Incoming(this.#multiplexer, this.#incomingHost())
    this.#host = this.#channelHost()
    this.#keepAlive = new KeepAlive({
      tick: () => this.#tick(),
      ping: () => void this.ping(),
      timedOut: () => void this.emit("timeout")
    })
    const { timeout } = options
    if (timeout !== 0 && timeout !== false) {
      this.setTimeout(timeout || TIMEOUT, () => this.destroy(timedOut()))
    }
    this.on("finish", () => this.finalize())
  }

  setTimeout(milliseconds: number, onTimeout?: () => void): void {
    if (this.destroyed) return
    if (onTimeout !== undefined) this.once("timeout", onTimeout)
    this.#keepAlive.start(milliseconds)
  }

  has(key: Uint8Array): boolean {
    return this.#multiplexer.channel(discoveryKeyOf(key)) !== undefined
  }

  feed(
    key: Uint8Array,
    { discoveryKey, peer }: { readonly discoveryKey?: Uint8Array; readonly peer?: ProtocolPeer } = {}
  ): Channel | null {
    if (this.destroyed) return null
    const name = discoveryKey ?? discoveryKeyOf(key)
    const known = this.#multiplexer.channel(name)
    const open = known === undefined ? undefined : this.#channels.get(known)
    const channel = open !== undefined && open.id > -1 ? open : this.#open(key, name, known)
    if (channel !== null && peer) channel.peer = peer
    return channel
  }

  remoteSupports(name: string): boolean {
    const ours = this.extensions.indexOf(name)
    return ours !== -1 && this.remoteExtensions?.includes(ours) === true
  }

  ping(): boolean {
    if (this.key === null) return true
    if (this.destroyed) return false
    this.#multiplexer.keepAlive()
    return this.#wrote()
  }

  whenDrained(): Promise<void> | undefined {
    return this.destroyed ? undefined : this.#outgoing.whenDrained()
  }

  override destroy(error?: Error | null): this {
    if (this.destroyed) return this
    this.destroyed = true
    this.#outgoing.flush()
    if (error) this.#emitError(error)
    this.#close()
    this.emit("close")
    return this
  }

  finalize(): void {
    if (this.destroyed) return
    this.destroyed = true
    this.#outgoing.flush()
    this.#close()
    this.push(null)
  }

  /** What was sent can be read at once. */
  override read(size?: number): unknown {
    this.#outgoing.flush()
    const chunk: unknown = super.read(size)
    this.#outgoing.drainedMaybe()
    return chunk
  }

  /** Nothing is made for who reads: what is sent is pushed. */
  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#keepAlive.heard()
    this.#incoming.write(chunk, done)
  }

  #open(key: Uint8Array, discoveryKey: Uint8Array, known: Multiplexer.Channel | undefined): Channel | null {
    const isFirst = this.#multiplexer.opened === 0
    if (isFirst && this.encrypted) checkKey(key)
    if (isFirst && this.#isOther(discoveryKey)) return null
    // A feed that we have closed is opened anew, under another number.
    if (known !== undefined) known.localId = -1
    this.#multiplexing.handshake = sent.handshake(this, this.#ordered)
    const nonce = isFirst && this.encrypted ? randomBytes(NONCE_SIZE) : Buffer.alloc(0)
    const opened = this.#multiplexer.open(key, discoveryKey, nonce)
    if (Either.isLeft(opened)) {
      this.#fail(opened.left)
      return null
    }
    const wire = opened.right
    const channel = this.#channels.get(wire) ?? new Channel(this.#host, wire, key, discoveryKey)
    this.#channels.set(wire, channel)
    channel.id = wire.localId
    this.feeds.push(channel)
    if (isFirst) {
      this.key = key
      this.discoveryKey = discoveryKey
    }
    this.#wrote()
    this.#incoming.opened(channel, this.#multiplexer.early(wire))
    return channel
  }

  /** Fails at once when the other side has opened another feed first: else it would with the next bytes. */
  #isOther(discoveryKey: Uint8Array): boolean {
    const theirs = this.remoteDiscoveryKey
    if (!this.encrypted || theirs === null || theirs.equals(discoveryKey)) return false
    const detail = `the other side opened ${toHex(theirs)}, we ${toHex(discoveryKey)}`
    this.#fail(new ProtocolError({ reason: "other-feed", detail }))
    return true
  }

  #channelHost(): ChannelHost {
    return {
      stream: this,
      send: (wire, message) => {
        if (this.destroyed) return false
        if (this.#multiplexer.send(wire, message)) return this.#wrote()
        this.destroy(tooLarge())
        return false
      },
      remove: (channel) => this.#remove(channel)
    }
  }

  #incomingHost() {
    const isOver = () => this.destroyed
    return {
      get destroyed() {
        return isOver()
      },
      handle: (event: Multiplexer.Event) => this.#handle(event),
      fail: (problem: ProtocolError) => this.#fail(problem),
      destroy: (error: Error) => void this.destroy(error)
    }
  }

  #handle(event: Multiplexer.Event): void {
    switch (event._tag) {
      case "Opened": {
        const discoveryKey = toBuffer(event.channel.discoveryKey)
        this.remoteDiscoveryKey ??= discoveryKey
        this.emit("feed", discoveryKey)
        return
      }
      case "Handshake":
        return this.#shake(event.handshake)
      case "Closed": {
        const channel = this.#channels.get(event.channel)
        this.#channels.delete(event.channel)
        return channel?.over()
      }
      case "Message": {
        const channel = this.#channels.get(event.channel)
        if (channel !== undefined) this.#incoming.give(channel, event.message)
      }
    }
  }

  #shake(handshake: Wire.Handshake): void {
    const { ack, extensions, id, live, ordered, userData } = handshake
    // Copies, which do not keep all that they came with.
    this.remoteId = id === undefined ? randomBytes(ID_SIZE) : Buffer.from(id)
    this.remoteLive = live
    this.remoteUserData = userData === undefined ? null : Buffer.from(userData)
    this.remoteExtensions = extensions.map((name) => this.extensions.indexOf(name))
    this.remoteAck = ack
    this.remoteOrdered = ordered === true
    this.emit("handshake")
  }

  #wrote(): boolean {
    this.#keepAlive.wrote()
    this.#outgoing.wrote()
    return this.#outgoing.isLow
  }

  #tick(): void {
    if (this.#incoming.isWaiting) this.#keepAlive.heard()
    // By number, as a channel that hears it may close itself or the stream.
    for (let i = 0; i < this.feeds.length; i++) this.feeds[i]!.tick()
  }

  /** When the last of the feeds that were expected is closed, the stream is over, unless somebody knows better. */
  #remove(channel: Channel): void {
    const at = this.feeds.indexOf(channel)
    if (at === -1) return
    this.feeds[at] = this.feeds.at(-1)!
    this.feeds.pop()
    channel.id = -1
    if (this.destroyed || this.expectedFeeds <= 0 || --this.expectedFeeds > 0) return
    if (!this.emit("prefinalize", this.#finalizeMaybe)) this.finalize()
  }

  readonly #finalizeMaybe = (error?: Error | null): void => {
    if (error) this.destroy(error)
    else if (!this.expectedFeeds) this.finalize()
  }

  #fail(problem: ProtocolError): void {
    this.destroy(failure(problem, this.maxFeeds))
  }

  #close(): void {
    this.#keepAlive.stop()
    const { feeds } = this
    this.feeds = []
    for (const channel of feeds) channel.over()
    this.#outgoing.release()
    this.#incoming.stop()
  }

  /** What a listener throws, or the lack of one, must leave neither a stream that is half destroyed nor whoever writes to it with an exception. */
  #emitError(error: Error): void {
    try {
      this.emit("error", error)
    } catch (thrown) {
      process.nextTick(() => {
        throw thrown
      })
    }
  }
}
