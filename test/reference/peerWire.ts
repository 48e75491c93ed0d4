/** The real peer's wire: `hypercore-protocol@6` and the codecs under it, with the few types that the tests need. */
import { createRequire } from "node:module"
import type { Duplex } from "node:stream"
import type { Message } from "../../src/domain/Wire.js"

const requireOfPeer = createRequire(createRequire(import.meta.url).resolve("hypercore-7"))
const requireOfProtocol = createRequire(requireOfPeer.resolve("hypercore-protocol"))

/** The package `varint`. */
export const varint = requireOfProtocol("varint") as {
  readonly encode: (value: number) => Array<number>
  readonly decode: ((bytes: Uint8Array) => number) & { readonly bytes: number }
  readonly encodingLength: (value: number) => number
}

/** The package `bitfield-rle`, padding to 4 bytes as `hypercore` does. */
export const bitfieldRle = (
  requireOfPeer("bitfield-rle") as {
    readonly align: (to: number) => {
      readonly encode: (bits: Buffer) => Uint8Array
      readonly decode: (bytes: Buffer) => Uint8Array
    }
  }
).align(4)

interface PeerMessage {
  readonly encode: (value: object) => Uint8Array
  readonly decode: (bytes: Buffer) => Record<string, unknown>
}

export type Tag = Message["_tag"]

/** `messages.js`: all but Extension, which is no protobuf. */
export const messages = requireOfProtocol("./messages") as Record<Exclude<Tag, "Extension">, PeerMessage>

/** A channel of a stream. */
export interface PeerChannel {
  readonly on: (event: string, listen: (...values: ReadonlyArray<unknown>) => void) => void
}

export interface PeerStream extends Duplex {
  readonly feed: (key: Buffer, options?: object) => PeerChannel
  readonly remoteId: Uint8Array | null
  readonly remoteLive: boolean
  readonly remoteUserData: Uint8Array | null
  readonly remoteAck: boolean
  readonly remoteSupports: (name: string) => boolean
}

/**
 * Encryption needs `sodium-native@2` there, which no longer builds everywhere. Without it the peer finds the `sodium-native@5` that we
 * have, which lacks the stream's function, and throws at the first encrypted stream. It is given the one of its own JavaScript version.
 */
const sodium = requireOfProtocol("sodium-universal") as { crypto_stream_xor_instance?: unknown }
if (sodium.crypto_stream_xor_instance === undefined) {
  const ofSodium = createRequire(requireOfProtocol.resolve("sodium-universal"))
  const inJavaScript = ofSodium("sodium-javascript") as { readonly crypto_stream_xor_instance: unknown }
  sodium.crypto_stream_xor_instance = inJavaScript.crypto_stream_xor_instance
}

/** The package itself. */
export const protocol = requireOfPeer("hypercore-protocol") as (options: object) => PeerStream

const encodeExtension = ({ id, payload }: Extract<Message, { readonly _tag: "Extension" }>): Uint8Array =>
  Uint8Array.from([...varint.encode(id), ...payload])

/**
 * The bytes that the peer sends for `message`. It writes each field that it gives a value; which those are is `hypercore@7.7.1`'s
 * doing: no length for a single block but with a bitfield or in an acknowledgement, and `ack` only there.
 */
export const encode = (message: Message): Uint8Array => {
  switch (message._tag) {
    case "Extension":
      return encodeExtension(message)
    case "Have": {
      const { ack, bitfield, length, start } = message
      if (ack) return messages.Have.encode({ start, length, bitfield, ack })
      return messages.Have.encode(
        bitfield === undefined && length === 1 ? { start } : { start, length, bitfield }
      )
    }
    case "Unhave": {
      const { length, start } = message
      return messages.Unhave.encode(length === 1 ? { start } : { start, length })
    }
    default:
      return messages[message._tag].encode(message)
  }
}
