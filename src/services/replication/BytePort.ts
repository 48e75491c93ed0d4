/** A port over a connection of bytes: the multiplexer frames, encrypts and decrypts (FORMATS, "Wire"). */
import { Effect, type Either } from "effect"
import type { NetworkError, ProtocolError } from "../../domain/Errors.js"
import { type Channel, type Event, Multiplexer, type MultiplexerOptions } from "../../domain/Multiplexer.js"
import type * as Wire from "../../domain/Wire.js"
import type { Connection } from "../Network.js"
import type { Port } from "./Port.js"

export class BytePort implements Port {
  readonly watchesSilence = false
  readonly givesBack = true
  readonly #multiplexer: Multiplexer
  #ended = false

  constructor(
    readonly connection: Connection,
    options: MultiplexerOptions
  ) {
    this.#multiplexer = new Multiplexer(options)
  }

  get remote(): string {
    return this.connection.remote
  }

  get isHeld(): boolean {
    return this.#multiplexer.isHeld
  }

  get hasMore(): boolean {
    return this.#multiplexer.hasMore
  }

  get atBoundary(): boolean {
    return this.#multiplexer.atBoundary
  }

  get size(): number {
    return this.#multiplexer.size
  }

  get opened(): number {
    return this.#multiplexer.opened
  }

  open(key: Uint8Array, discoveryKey: Uint8Array, nonce: Uint8Array): Either.Either<Channel, ProtocolError> {
    return this.#multiplexer.open(key, discoveryKey, nonce)
  }

  early(channel: Channel): ReadonlyArray<Wire.Message> {
    return this.#multiplexer.early(channel)
  }

  send(channel: Channel, message: Wire.Message): boolean {
    return this.#multiplexer.send(channel, message)
  }

  keepAlive(): void {
    this.#multiplexer.keepAlive()
  }

  more(): Either.Either<ReadonlyArray<Event>, ProtocolError> {
    return this.#multiplexer.more()
  }

  readonly pull: Effect.Effect<number | undefined, NetworkError> = Effect.suspend(() =>
    Effect.map(this.connection.pull, (arrays) => {
      if (arrays.length === 0) return undefined
      let size = 0
      for (const bytes of arrays) {
        size += bytes.length
        this.#multiplexer.keep(bytes)
      }
      return size
    })
  )

  readonly push: Effect.Effect<void, NetworkError> = Effect.suspend(() => {
    const bytes = this.#multiplexer.take()
    return this.#ended ? Effect.void : this.connection.push(bytes)
  })

  readonly end: Effect.Effect<void, NetworkError> = Effect.suspend(() => {
    this.#ended = true
    return this.connection.end
  })

  readonly abort = this.end
}
