/**
 * What a session speaks through: messages of channels, however they are carried. `BytePort` frames them itself, over a
 * connection; `MessagePort` hands them to a protocol stream that frames them elsewhere.
 */
import type { Effect, Either } from "effect"
import type { NetworkError, ProtocolError } from "../../domain/Errors.js"
import type { Channel, Event } from "../../domain/Multiplexer.js"
import type * as Wire from "../../domain/Wire.js"

export interface Port {
  /** The other end, for people. */
  readonly remote: string
  /** Whether who carries the messages keeps the connection alive, and watches for the other side's silence. */
  readonly watchesSilence: boolean
  /** Whether what came cannot be read before we open the feed that the other side opened first. */
  readonly isHeld: boolean
  /** Whether `more` has something to give. */
  readonly hasMore: boolean
  /** Whether no message of the other side's is cut off. */
  readonly atBoundary: boolean
  /** Bytes that wait to be pushed; at least, whether there are any. */
  readonly size: number
  /** Channels that we opened, ever. */
  readonly opened: number

  /** Whether large arrays that were sent may be given back to the pool, by whoever looks at them last. */
  readonly givesBack: boolean

  /** Opens a feed's channel. `nonce`: 24 random bytes, used on the first. */
  readonly open: (
    key: Uint8Array,
    discoveryKey: Uint8Array,
    nonce: Uint8Array
  ) => Either.Either<Channel, ProtocolError>
  /** The messages that came before we opened the channel. */
  readonly early: (channel: Channel) => ReadonlyArray<Wire.Message>
  /** Writes a message; false when no frame can carry it. */
  readonly send: (channel: Channel, message: Wire.Message) => boolean
  /** Writes nothing, so that the other side hears from us. */
  readonly keepAlive: () => void

  /** Waits for what comes; answers its size in bytes, or nothing when the other side has ended. Then there is `more`. */
  readonly pull: Effect.Effect<number | undefined, NetworkError>
  /** Some of what came. */
  readonly more: () => Either.Either<ReadonlyArray<Event>, ProtocolError>
  /** Sends what was written, and ends when more can be taken. After `end` it goes nowhere. */
  readonly push: Effect.Effect<void, NetworkError>
  /** Says that nothing follows. */
  readonly end: Effect.Effect<void, NetworkError>
  /** The same where the session has failed. */
  readonly abort: Effect.Effect<void, NetworkError>
}
