/** sent: what callback code gives, as messages of the wire. A field that is missing or that nothing can carry is thrown. */
import { Multiplexer, type Wire } from "../../index.js"
import { isBytes } from "../crypto.js"
import type {
  BytesInput,
  CancelInput,
  DataInput,
  DataNodeInput,
  HandshakeInput,
  HaveInput,
  InfoInput,
  RangeInput,
  RequestInput
} from "./messages.js"

const HASH_SIZE = 32

const isGiven = <A>(value: A): value is NonNullable<A> =>
  value !== undefined && value !== null && !Number.isNaN(value)

const required = (value: number, name: string): number => {
  if (!isGiven(value)) throw new Error(`${name} is required`)
  if (Number.isSafeInteger(value) && value >= 0) return value
  throw new RangeError(`${name} must be an integer from 0 to 2^53 - 1, not ${String(value)}`)
}

const optional = (value: number | null | undefined, name: string): number | undefined =>
  isGiven(value) ? required(value, name) : undefined

const bytes = (value: BytesInput | null | undefined, name: string): Uint8Array | undefined => {
  if (!isGiven(value)) return undefined
  if (typeof value === "string") return Buffer.from(value)
  if (isBytes(value)) return value
  throw new TypeError(`${name} must be a Buffer or a string`)
}

/** The multiplexer sends a large value from where it is, and encrypts it there: the caller keeps theirs. */
const copied = (value: Uint8Array | undefined): Uint8Array | undefined =>
  value !== undefined && value.length >= Multiplexer.OWN_ARRAY ? new Uint8Array(value) : value

export const handshake = (message: HandshakeInput, ordered = false): Wire.Handshake => ({
  _tag: "Handshake",
  id: bytes(message.id, "id"),
  live: Boolean(message.live),
  userData: bytes(message.userData, "userData"),
  extensions: message.extensions ?? [],
  ack: Boolean(message.ack),
  ordered
})

/** Undefined for one that says nothing, which is never heard. */
export const info = ({ downloading, uploading }: InfoInput): Wire.Info | undefined =>
  isGiven(downloading) || isGiven(uploading)
    ? { _tag: "Info", uploading: Boolean(uploading), downloading: Boolean(downloading) }
    : undefined

export const have = ({ ack, bitfield, length, start }: HaveInput): Wire.Have => ({
  _tag: "Have",
  start: required(start, "start"),
  length: optional(length, "length") ?? 1,
  bitfield: bytes(bitfield, "bitfield"),
  ack: Boolean(ack)
})

export const unhave = ({ length, start }: RangeInput): Wire.Unhave => ({
  _tag: "Unhave",
  start: required(start, "start"),
  length: optional(length, "length") ?? 1
})

export const want = ({ length, start }: RangeInput): Wire.Want => ({
  _tag: "Want",
  start: required(start, "start"),
  length: optional(length, "length")
})

export const unwant = (message: RangeInput): Wire.Unwant => ({ ...want(message), _tag: "Unwant" })

export const request = (message: RequestInput): Wire.Request => ({
  _tag: "Request",
  index: required(message.index, "index"),
  bytes: optional(message.bytes, "bytes") ?? 0,
  hash: Boolean(message.hash),
  nodes: optional(message.nodes, "nodes") ?? 0
})

export const cancel = ({ bytes, hash, index }: CancelInput): Wire.Cancel => ({
  _tag: "Cancel",
  index: required(index, "index"),
  bytes: optional(bytes, "bytes") ?? 0,
  hash: Boolean(hash)
})

type Node = Wire.Data["nodes"][number]

const node = (given: DataNodeInput): Node => {
  const hash = bytes(given.hash, "hash")
  if (hash === undefined) throw new Error("hash is required")
  if (hash.length !== HASH_SIZE) throw new RangeError(`hash must have ${HASH_SIZE} bytes`)
  return {
    index: required(given.index, "index") as Node["index"],
    hash,
    size: required(given.size, "size")
  }
}

export const data = (message: DataInput): Wire.Data => ({
  _tag: "Data",
  index: required(message.index, "index"),
  value: copied(bytes(message.value, "value")),
  nodes: message.nodes?.map(node) ?? [],
  signature: bytes(message.signature, "signature")
})

export const extension = (id: number, message: BytesInput): Wire.Extension => {
  const payload = bytes(message, "message")
  if (payload === undefined) throw new Error("message is required")
  return { _tag: "Extension", id, payload }
}
