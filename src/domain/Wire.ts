/**
 * The messages of hypercore-protocol 6 and their bytes (FORMATS, "Wire"). How they are framed is in `Framing`.
 *
 * A field that the format gives a default is always there in a decoded message: booleans are false, `bytes` and `nodes` of a
 * Request 0, `length` of Have and Unhave 1. Bytes of a decoded message are views of what it was decoded from; but for the hashes and the
 * signature beside a large block, which are copies: they are kept for long, and would keep the block.
 *
 * Encoded, a message is byte-equal to what the real peer sends: that writes each field it gives a value, false and 0 too.
 */
import { Either } from "effect"
import { LARGE } from "./ArrayPool.js"
import { allocate } from "./Bytes.js"
import type { ProtocolError } from "./Errors.js"
import type { Position } from "./FlatTree.js"
import { HASH_SIZE, type TreeNode } from "./Node.js"
import {
  BOOLEAN_LENGTH,
  bytesLength,
  FieldReader,
  numberLength,
  writeBoolean,
  writeBytes,
  writeBytesHead,
  writeNumber
} from "./Protobuf.js"
import { KEY_SIZE, SIGNATURE_SIZE } from "./Sleep.js"
import * as Varint from "./Varint.js"

/** The number of each message in a frame's header. 10 to 14 mean nothing and are ignored. */
export const TYPE = {
  Feed: 0,
  Handshake: 1,
  Info: 2,
  Have: 3,
  Unhave: 4,
  Want: 5,
  Unwant: 6,
  Request: 7,
  Cancel: 8,
  Data: 9,
  Extension: 15
} as const

export const NONCE_SIZE = 24

/** What one message can make us hold. */
export const MAX_NODES = 4096
export const MAX_EXTENSIONS = 256
export const MAX_EXTENSION_NAME = 255
export const MAX_USER_DATA = 1_048_576

/** Opens a channel; with the nonce of what follows on the connection's first. */
export interface Feed {
  readonly _tag: "Feed"
  /** 32 bytes. */
  readonly discoveryKey: Uint8Array
  /** 24 bytes. */
  readonly nonce?: Uint8Array | undefined
}

export interface Handshake {
  readonly _tag: "Handshake"
  readonly id?: Uint8Array | undefined
  readonly live: boolean
  readonly userData?: Uint8Array | undefined
  /** Sorted; an Extension's `id` is an index here. */
  readonly extensions: ReadonlyArray<string>
  readonly ack: boolean
  /** Answers come in the order of the requests. Ours alone says so, in field 15, which the real peer skips. */
  readonly ordered?: boolean | undefined
}

export interface Info {
  readonly _tag: "Info"
  readonly uploading: boolean
  readonly downloading: boolean
}

/** Blocks `start` to `start + length`, or those of them that `bitfield` (see `BitfieldRle`) says, from `start` on. */
export interface Have {
  readonly _tag: "Have"
  readonly start: number
  readonly length: number
  readonly bitfield?: Uint8Array | undefined
  readonly ack: boolean
}

export interface Unhave {
  readonly _tag: "Unhave"
  readonly start: number
  readonly length: number
}

/** Without `length`: all blocks from `start` on. */
export interface Want {
  readonly _tag: "Want"
  readonly start: number
  readonly length?: number | undefined
}

export interface Unwant {
  readonly _tag: "Unwant"
  readonly start: number
  readonly length?: number | undefined
}

/** `bytes` above 0: the block that holds this byte. `hash`: without the block. `nodes`: a digest of what is held already. */
export interface Request {
  readonly _tag: "Request"
  readonly index: number
  readonly bytes: number
  readonly hash: boolean
  readonly nodes: number
}

export interface Cancel {
  readonly _tag: "Cancel"
  readonly index: number
  readonly bytes: number
  readonly hash: boolean
}

/** A block with its proof; without `value`, a proof of its leaf. */
export interface Data {
  readonly _tag: "Data"
  readonly index: number
  readonly value?: Uint8Array | undefined
  readonly nodes: ReadonlyArray<TreeNode>
  /** 64 bytes. */
  readonly signature?: Uint8Array | undefined
}

/** `id`: which of the sender's extensions. */
export interface Extension {
  readonly _tag: "Extension"
  readonly id: number
  readonly payload: Uint8Array
}

export type Message =
  | Feed
  | Handshake
  | Info
  | Have
  | Unhave
  | Want
  | Unwant
  | Request
  | Cancel
  | Data
  | Extension

const textEncoder = new TextEncoder()
const textDecoder = new TextDecoder("utf-8", { ignoreBOM: true })

const optionalNumberLength = (value: number | undefined): number =>
  value === undefined ? 0 : numberLength(value)

const optionalBytesLength = (bytes: Uint8Array | undefined): number =>
  bytes === undefined ? 0 : bytesLength(bytes.length)

/** The peer leaves out the length of a single block, but with a bitfield or in an acknowledgement. */
const lengthOf = (message: Have | Unhave): number | undefined =>
  message.length !== 1 || (message._tag === "Have" && (message.ack || message.bitfield !== undefined))
    ? message.length
    : undefined

const nodeLength = (node: TreeNode): number =>
  numberLength(node.index) + bytesLength(HASH_SIZE) + numberLength(node.size)

/** How many bytes `encode` writes. */
export const encodedLength = (message: Message): number => {
  switch (message._tag) {
    case "Feed":
      return bytesLength(message.discoveryKey.length) + optionalBytesLength(message.nonce)
    case "Handshake": {
      let length =
        optionalBytesLength(message.id) + optionalBytesLength(message.userData) + 2 * BOOLEAN_LENGTH
      for (const name of message.extensions) length += bytesLength(textEncoder.encode(name).length)
      return message.ordered === true ? length + BOOLEAN_LENGTH : length
    }
    case "Info":
      return 2 * BOOLEAN_LENGTH
    case "Have": {
      const length = numberLength(message.start) + optionalNumberLength(lengthOf(message))
      return length + optionalBytesLength(message.bitfield) + (message.ack ? BOOLEAN_LENGTH : 0)
    }
    case "Unhave":
      return numberLength(message.start) + optionalNumberLength(lengthOf(message))
    case "Want":
    case "Unwant":
      return numberLength(message.start) + optionalNumberLength(message.length)
    case "Request":
      return (
        numberLength(message.index) +
        numberLength(message.bytes) +
        BOOLEAN_LENGTH +
        numberLength(message.nodes)
      )
    case "Cancel":
      return numberLength(message.index) + numberLength(message.bytes) + BOOLEAN_LENGTH
    case "Data": {
      let length = numberLength(message.index) + optionalBytesLength(message.value)
      for (const node of message.nodes) length += bytesLength(nodeLength(node))
      return length + optionalBytesLength(message.signature)
    }
    case "Extension":
      return Varint.encodedLength(message.id) + message.payload.length
  }
}

/** Writes `message` at `offset`; gives the offset after it. */
export const encode = (message: Message, out: Uint8Array, offset: number): number => {
  switch (message._tag) {
    case "Feed": {
      const at = writeBytes(1, message.discoveryKey, out, offset)
      return message.nonce === undefined ? at : writeBytes(2, message.nonce, out, at)
    }
    case "Handshake":
      return encodeHandshake(message, out, offset)
    case "Info":
      return writeBoolean(2, message.downloading, out, writeBoolean(1, message.uploading, out, offset))
    case "Have": {
      let at = encodeRange(message.start, lengthOf(message), out, offset)
      if (message.bitfield !== undefined) at = writeBytes(3, message.bitfield, out, at)
      return message.ack ? writeBoolean(4, true, out, at) : at
    }
    case "Unhave":
      return encodeRange(message.start, lengthOf(message), out, offset)
    case "Want":
    case "Unwant":
      return encodeRange(message.start, message.length, out, offset)
    case "Request":
      return writeNumber(4, message.nodes, out, encodeAsked(message, out, offset))
    case "Cancel":
      return encodeAsked(message, out, offset)
    case "Data": {
      const at = encodeDataHead(message, out, offset)
      if (message.value === undefined) return encodeDataTail(message, out, at)
      out.set(message.value, at)
      return encodeDataTail(message, out, at + message.value.length)
    }
    case "Extension": {
      const at = Varint.encode(message.id, out, offset)
      out.set(message.payload, at)
      return at + message.payload.length
    }
  }
}

const encodeHandshake = (message: Handshake, out: Uint8Array, offset: number): number => {
  let at = message.id === undefined ? offset : writeBytes(1, message.id, out, offset)
  at = writeBoolean(2, message.live, out, at)
  if (message.userData !== undefined) at = writeBytes(3, message.userData, out, at)
  for (const name of message.extensions) at = writeBytes(4, textEncoder.encode(name), out, at)
  at = writeBoolean(5, message.ack, out, at)
  return message.ordered === true ? writeBoolean(15, true, out, at) : at
}

const encodeRange = (start: number, length: number | undefined, out: Uint8Array, offset: number): number => {
  const at = writeNumber(1, start, out, offset)
  return length === undefined ? at : writeNumber(2, length, out, at)
}

const encodeAsked = ({ bytes, hash, index }: Request | Cancel, out: Uint8Array, offset: number): number =>
  writeBoolean(3, hash, out, writeNumber(2, bytes, out, writeNumber(1, index, out, offset)))

/** What stands before the bytes of the value. */
export const encodeDataHead = (message: Data, out: Uint8Array, offset: number): number => {
  const at = writeNumber(1, message.index, out, offset)
  return message.value === undefined ? at : writeBytesHead(2, message.value.length, out, at)
}

/** What follows the value. */
export const encodeDataTail = (message: Data, out: Uint8Array, offset: number): number => {
  let at = offset
  for (const node of message.nodes) {
    at = writeBytesHead(3, nodeLength(node), out, at)
    at = writeNumber(1, node.index, out, at)
    at = writeBytes(2, node.hash, out, at)
    at = writeNumber(3, node.size, out, at)
  }
  return message.signature === undefined ? at : writeBytes(4, message.signature, out, at)
}

/**
 * The message of type `type` in `bytes`, from `start` to `end`; `undefined` for one to ignore: of a type that means nothing, or an
 * Extension without bytes. Fields that we do not know are skipped; of a field given twice the last one counts. A `value` is that of a Data,
 * come apart from the rest.
 */
export const decode = (
  type: number,
  bytes: Uint8Array,
  start: number,
  end: number,
  value?: Uint8Array
): Either.Either<Message | undefined, ProtocolError> => {
  const fields = new FieldReader(bytes, start, end)
  const message = decodeAs(type, fields, start === end, value)
  return fields.problem === undefined ? Either.right(message) : Either.left(fields.problem)
}

const decodeAs = (
  type: number,
  fields: FieldReader,
  isEmpty: boolean,
  apart: Uint8Array | undefined
): Message | undefined => {
  switch (type) {
    case TYPE.Feed:
      return decodeFeed(fields)
    case TYPE.Handshake:
      return decodeHandshake(fields)
    case TYPE.Info:
      return decodeInfo(fields)
    case TYPE.Have:
      return decodeHave(fields)
    case TYPE.Unhave: {
      const { length = 1, start } = decodeRange(fields)
      return { _tag: "Unhave", start, length }
    }
    case TYPE.Want: {
      const { length, start } = decodeRange(fields)
      return { _tag: "Want", start, length }
    }
    case TYPE.Unwant: {
      const { length, start } = decodeRange(fields)
      return { _tag: "Unwant", start, length }
    }
    case TYPE.Request:
      return decodeRequest(fields)
    case TYPE.Cancel: {
      const { bytes, hash, index } = decodeRequest(fields)
      return { _tag: "Cancel", index, bytes, hash }
    }
    case TYPE.Data:
      return decodeData(fields, apart)
    case TYPE.Extension:
      return isEmpty ? undefined : { _tag: "Extension", id: fields.varint(), payload: fields.rest() }
    default:
      return undefined
  }
}

/** A required number that was not read is still this. */
const MISSING = -1

const missing = (fields: FieldReader, name: string): void => {
  fields.fail("malformed", `${name} is missing`)
}

const decodeFeed = (fields: FieldReader): Feed | undefined => {
  let discoveryKey: Uint8Array | undefined
  let nonce: Uint8Array | undefined
  while (fields.next()) {
    if (fields.field === 1) discoveryKey = fields.bytes(KEY_SIZE)
    else if (fields.field === 2) nonce = fields.bytes(NONCE_SIZE)
    else fields.skip()
  }
  if (discoveryKey !== undefined) return { _tag: "Feed", discoveryKey, nonce }
  missing(fields, "the discovery key of a Feed")
}

const decodeHandshake = (fields: FieldReader): Handshake => {
  let id: Uint8Array | undefined
  let userData: Uint8Array | undefined
  let live = false
  let ack = false
  let ordered: boolean | undefined
  const extensions: Array<string> = []
  while (fields.next()) {
    if (fields.field === 1) id = fields.bytes(undefined, MAX_USER_DATA)
    else if (fields.field === 2) live = fields.boolean()
    else if (fields.field === 3) userData = fields.bytes(undefined, MAX_USER_DATA)
    else if (fields.field === 4) {
      if (extensions.length === MAX_EXTENSIONS)
        fields.fail("too-large", `more than ${MAX_EXTENSIONS} extensions`)
      extensions.push(textDecoder.decode(fields.bytes(undefined, MAX_EXTENSION_NAME)))
    } else if (fields.field === 5) ack = fields.boolean()
    else if (fields.field === 15) ordered = fields.boolean()
    else fields.skip()
  }
  return { _tag: "Handshake", id, live, userData, extensions, ack, ordered }
}

const decodeInfo = (fields: FieldReader): Info => {
  let uploading = false
  let downloading = false
  while (fields.next()) {
    if (fields.field === 1) uploading = fields.boolean()
    else if (fields.field === 2) downloading = fields.boolean()
    else fields.skip()
  }
  return { _tag: "Info", uploading, downloading }
}

const decodeHave = (fields: FieldReader): Have => {
  let start = MISSING
  let length = 1
  let bitfield: Uint8Array | undefined
  let ack = false
  while (fields.next()) {
    if (fields.field === 1) start = fields.number()
    else if (fields.field === 2) length = fields.number()
    else if (fields.field === 3) bitfield = fields.bytes()
    else if (fields.field === 4) ack = fields.boolean()
    else fields.skip()
  }
  if (start === MISSING) missing(fields, "the start of a Have")
  return { _tag: "Have", start, length, bitfield, ack }
}

const decodeRange = (
  fields: FieldReader
): { readonly start: number; readonly length: number | undefined } => {
  let start = MISSING
  let length: number | undefined
  while (fields.next()) {
    if (fields.field === 1) start = fields.number()
    else if (fields.field === 2) length = fields.number()
    else fields.skip()
  }
  if (start === MISSING) missing(fields, "a range's start")
  return { start, length }
}

/** A Cancel has the fields of a Request but the last, which is unknown there. */
const decodeRequest = (fields: FieldReader): Request => {
  let index = MISSING
  let bytes = 0
  let hash = false
  let nodes = 0
  while (fields.next()) {
    if (fields.field === 1) index = fields.number()
    else if (fields.field === 2) bytes = fields.number()
    else if (fields.field === 3) hash = fields.boolean()
    else if (fields.field === 4) nodes = fields.number()
    else fields.skip()
  }
  if (index === MISSING) missing(fields, "the index of a Request or Cancel")
  return { _tag: "Request", index, bytes, hash, nodes }
}

const decodeData = (fields: FieldReader, apart: Uint8Array | undefined): Data => {
  let index = MISSING
  let value = apart
  let signature: Uint8Array | undefined
  const nodes: Array<TreeNode> = []
  // Of a large one the rest is copied, so that the array can be used again when the block is done with.
  const copies = fields.size >= LARGE
  while (fields.next()) {
    if (fields.field === 1) index = fields.number()
    else if (fields.field === 2) value = fields.bytes()
    else if (fields.field === 3) {
      if (nodes.length === MAX_NODES) fields.fail("too-large", `more than ${MAX_NODES} nodes`)
      const node = decodeNode(fields, copies)
      if (node !== undefined) nodes.push(node)
    } else if (fields.field === 4) signature = own(fields.bytes(SIGNATURE_SIZE), copies)
    else fields.skip()
  }
  if (index === MISSING) missing(fields, "the index of a Data")
  return { _tag: "Data", index, value, nodes, signature }
}

const own = (view: Uint8Array, copies: boolean): Uint8Array => {
  if (!copies) return view
  const copy = allocate(view.length)
  copy.set(view)
  return copy
}

const decodeNode = (fields: FieldReader, copies: boolean): TreeNode | undefined => {
  const outer = fields.open()
  let index = MISSING
  let hash: Uint8Array | undefined
  let size = MISSING
  while (fields.next()) {
    if (fields.field === 1) index = fields.number()
    else if (fields.field === 2) hash = own(fields.bytes(HASH_SIZE), copies)
    else if (fields.field === 3) size = fields.number()
    else fields.skip()
  }
  if (index === MISSING || hash === undefined || size === MISSING) {
    missing(fields, "the index, hash or size of a node")
    return undefined
  }
  fields.close(outer)
  return { index: index as Position, hash, size }
}
