/**
 * A port for one feed's channel of a protocol stream that is not ours: its messages come and go decoded. Framing, encryption,
 * keep-alives and the other feeds of the stream are its owner's.
 */
import { Effect, Either } from "effect"
import type { NetworkError, ProtocolError } from "../../domain/Errors.js"
import type { Channel, Event } from "../../domain/Multiplexer.js"
import type * as Wire from "../../domain/Wire.js"
import type { Port } from "./Port.js"

/** One feed's channel, as its stream gives it. */
export interface MessageChannel {
  /** The other end, for people. */
  readonly remote: string
  /**
   * All messages that have come, in order, at least one; waits for them. The first is the other side's Handshake, once it has opened the
   * feed too: nothing is sent before. No message at all: the channel is closed. One puller at a time; interrupting the wait loses nothing.
   */
  readonly pull: Effect.Effect<ReadonlyArray<Wire.Message>, NetworkError>
  /** Sends a message; false when no frame can carry it. What it is given is the channel's from then on. */
  readonly send: (message: Wire.Message) => boolean
  /** Ends when more may be sent: that is back-pressure. Interrupting it ends the wait. */
  readonly drained: Effect.Effect<void, NetworkError>
  /** Ends the channel from our side: we have nothing more to say. */
  readonly end: Effect.Effect<void, NetworkError>
  /** The same where the replication has failed, which it then does with why. Default: `end`. */
  readonly abort?: Effect.Effect<void, NetworkError>
}

export class MessagePort implements Port {
  readonly watchesSilence = true
  readonly givesBack = false
  readonly isHeld = false
  readonly atBoundary = true
  readonly opened = 0
  #channel: Channel | undefined
  #events: Array<Event> = []
  /** Bytes of blocks that were sent since the channel was last drained; one for a message without. */
  #sent = 0
  #ended = false

  constructor(readonly messages: MessageChannel) {}

  get remote(): string {
    return this.messages.remote
  }

  get hasMore(): boolean {
    return this.#events.length > 0
  }

  get size(): number {
    return this.#sent
  }

  open(_key: Uint8Array, discoveryKey: Uint8Array): Either.Either<Channel, ProtocolError> {
    this.#channel ??= { discoveryKey, localId: 0, remoteId: 0, early: [], earlyBytes: 0 }
    return Either.right(this.#channel)
  }

  early(): ReadonlyArray<Wire.Message> {
    return []
  }

  send(_channel: Channel, message: Wire.Message): boolean {
    if (this.#ended) return true
    this.#sent += 1 + (message._tag === "Data" ? (message.value?.length ?? 0) : 0)
    return this.messages.send(message)
  }

  keepAlive(): void {
    // The stream's owner does it.
  }

  more(): Either.Either<ReadonlyArray<Event>, ProtocolError> {
    const events = this.#events
    this.#events = []
    return Either.right(events)
  }

  readonly pull: Effect.Effect<number | undefined, NetworkError> = Effect.suspend(() =>
    Effect.map(this.messages.pull, (messages) => {
      if (messages.length === 0) return undefined
      for (const message of messages) this.#events.push(this.#event(message))
      return messages.length
    })
  )

  #event(message: Wire.Message): Event {
    if (message._tag === "Handshake") return { _tag: "Handshake", handshake: message }
    return { _tag: "Message", channel: this.#channel!, message }
  }

  readonly push: Effect.Effect<void, NetworkError> = Effect.suspend(() => {
    this.#sent = 0
    return this.#ended ? Effect.void : this.messages.drained
  })

  readonly end: Effect.Effect<void, NetworkError> = Effect.suspend(() => {
    this.#ended = true
    return this.messages.end
  })

  readonly abort: Effect.Effect<void, NetworkError> = Effect.suspend(() => {
    this.#ended = true
    return this.messages.abort ?? this.messages.end
  })
}
