/** A feed on a stream: methods that send, and events, or a peer's methods, for what comes. */
import { EventEmitter } from "node:events"
import type { Multiplexer, Wire } from "../../index.js"
import { DirectPeer } from "./DirectPeer.js"
import type {
  BytesInput,
  CancelInput,
  ChannelEvents,
  DataInput,
  HandshakeInput,
  HaveInput,
  InfoInput,
  RangeInput,
  RequestInput
} from "./messages.js"
import type { Protocol, ProtocolChannel, ProtocolPeer } from "./Protocol.js"
import { received } from "./received.js"
import * as sent from "./sent.js"
import { toBuffer } from "../toBuffer.js"

/** What a channel needs of its stream, beside what everybody sees of it. */
export interface ChannelHost {
  readonly stream: Protocol
  /** Whether the stream is below its high water mark. */
  send(channel: Multiplexer.Channel, message: Wire.Message): boolean
  /** Takes the channel out of the stream's `feeds`. */
  remove(channel: Channel): void
}

export class Channel extends EventEmitter<ChannelEvents> implements ProtocolChannel {
  readonly key: Uint8Array | null
  readonly discoveryKey: Uint8Array
  readonly stream: Protocol
  peer: ProtocolPeer | null = null
  id = -1
  closed = false
  readonly #host: ChannelHost
  readonly #wire: Multiplexer.Channel

  constructor(
    host: ChannelHost,
    wire: Multiplexer.Channel,
    key: Uint8Array | null,
    discoveryKey: Uint8Array
  ) {
    super()
    this.#host = host
    this.#wire = wire
    this.key = key
    this.discoveryKey = discoveryKey
    this.stream = host.stream
  }

  get remoteId(): number {
    return this.#wire.remoteId
  }

  handshake(message: HandshakeInput): boolean {
    return this.send(sent.handshake(message))
  }

  info(message: InfoInput): boolean {
    const info = sent.info(message)
    return info === undefined ? this.stream.ping() : this.send(info)
  }

  have(message: HaveInput): boolean {
    return this.send(sent.have(message))
  }

  unhave(message: RangeInput): boolean {
    return this.send(sent.unhave(message))
  }

  want(message: RangeInput): boolean {
    return this.send(sent.want(message))
  }

  unwant(message: RangeInput): boolean {
    return this.send(sent.unwant(message))
  }

  request(message: RequestInput): boolean {
    return this.send(sent.request(message))
  }

  cancel(message: CancelInput): boolean {
    return this.send(sent.cancel(message))
  }

  data(message: DataInput): boolean {
    return this.send(sent.data(message))
  }

  extension(name: string, message: BytesInput): boolean {
    const id = this.stream.extensions.indexOf(name)
    return id !== -1 && this.send(sent.extension(id, message))
  }

  remoteSupports(name: string): boolean {
    return this.stream.remoteSupports(name)
  }

  /** Sends a message as it is. The value of a Data is the channel's from then on. */
  send(message: Wire.Message): boolean {
    return this.#host.send(this.#wire, message)
  }

  destroy(error?: Error): void {
    this.stream.destroy(error)
  }

  close(): void {
    this.#host.remove(this)
  }

  /** Hands a message out. */
  receive(message: Wire.Message): void {
    if (message._tag === "Extension") return this.#extension(message)
    const { peer } = this
    if (peer instanceof DirectPeer && peer.takes(message._tag)) return peer.onmessage(message)
    const event = received(message)
    if (event === undefined) return
    if (peer === null) {
      ;(this as EventEmitter).emit(event.name, event.value)
      return
    }
    switch (event.name) {
      case "info":
        return peer.oninfo?.(event.value)
      case "have":
        return peer.onhave?.(event.value)
      case "unhave":
        return peer.onunhave?.(event.value)
      case "want":
        return peer.onwant?.(event.value)
      case "unwant":
        return peer.onunwant?.(event.value)
      case "request":
        return peer.onrequest?.(event.value)
      case "cancel":
        return peer.oncancel?.(event.value)
      case "data":
        return peer.ondata?.(event.value)
    }
  }

  tick(): void {
    if (this.peer === null) this.emit("tick")
    else this.peer.ontick?.()
  }

  /** The channel is over. */
  over(): void {
    if (this.closed) return
    this.closed = true
    this.close()
    if (this.peer === null) this.emit("close")
    else this.peer.onclose?.()
  }

  #extension({ id, payload }: Wire.Extension): void {
    const { extensions, remoteExtensions } = this.stream
    const name = extensions[remoteExtensions?.[id] ?? -1]
    if (name === undefined) return
    if (this.peer?.onextension === undefined) this.emit("extension", name, toBuffer(payload))
    else this.peer.onextension(name, toBuffer(payload))
  }
}
