/**
 * Bitfields on the wire, run-length encoded (FORMATS, "Wire"):
 *
 *     varint n | n & 1: a run of n >> 2 bytes, 0xff if n & 2, else 0x00
 *              | else:  n >> 1 literal bytes follow
 *
 * Zeros at the end are not written. The encoder makes the same choices as the peer's.
 */
import { Either } from "effect"
import { ProtocolError } from "./Errors.js"
import * as Varint from "./Varint.js"

/** The bytes that stand for `bits`; none for a blank bitfield. */
export const encode = (bits: Uint8Array): Uint8Array => {
  let end = bits.length
  while (end > 0 && bits[end - 1] === 0) end--
  // A literal of 64 bytes or more may cost one byte above its length, and so may the run after it.
  const out = new Uint8Array(end + (end >>> 5) + 8)
  let written = 0
  /** Where the bytes begin that are not written yet. */
  let pending = 0
  let at = 0
  while (at < end) {
    const byte = bits[at]!
    const start = at++
    if (byte !== 0 && byte !== 0xff) continue
    while (at < end && bits[at] === byte) at++
    const head = 4 * (at - start) + (byte === 0 ? 1 : 3)
    const asRun = literalCost(start - pending) + Varint.encodedLength(head)
    if (asRun >= literalCost(at - pending)) continue
    written = Varint.encode(head, out, literal(bits, pending, start, out, written))
    pending = at
  }
  return out.slice(0, literal(bits, pending, end, out, written))
}

const literalCost = (length: number): number => (length === 0 ? 0 : Varint.encodedLength(2 * length) + length)

const literal = (bits: Uint8Array, from: number, to: number, out: Uint8Array, offset: number): number => {
  if (from === to) return offset
  const start = Varint.encode(2 * (to - from), out, offset)
  out.set(bits.subarray(from, to), start)
  return start + to - from
}

/**
 * Part of a bitfield: `count` bytes from byte `at` on, `literal` if given, else all ones. Zeros are no part, unless a literal holds them.
 * `literal` is to be copied, as it is used again.
 */
export type VisitRun = (at: number, count: number, literal: Uint8Array | undefined) => void

/**
 * The bitfield that `bytes` stand for, run by run: what is said in few bytes costs little. One longer than `maxLength` bytes, padded to
 * a multiple of 4, is refused before anything is visited: `too-large`. Gives its padded length.
 */
export const eachRun = (
  bytes: Uint8Array,
  maxLength: number,
  visit: VisitRun
): Either.Either<number, ProtocolError> => {
  const length = decodedLength(bytes, maxLength)
  if (typeof length !== "number") return Either.left(length)
  visitRuns(bytes, visit)
  return Either.right(length)
}

/** The bitfield in a fresh array, as for `eachRun`. */
export const decode = (bytes: Uint8Array, maxLength: number): Either.Either<Uint8Array, ProtocolError> => {
  const length = decodedLength(bytes, maxLength)
  if (typeof length !== "number") return Either.left(length)
  const bits = new Uint8Array(length)
  visitRuns(bytes, (at, count, literal) => {
    if (literal === undefined) bits.fill(0xff, at, at + count)
    else bits.set(literal, at)
  })
  return Either.right(bits)
}

/** Runs and literals below this many bytes are gathered: a bitfield may be made of nothing else, and a visit costs as much as a hundred bytes. */
const SHORT = 64
const MOST_GATHERED = 4096

const visitRuns = (bytes: Uint8Array, visit: VisitRun): void => {
  const reader = new Varint.Reader(bytes, 0, bytes.length)
  let gathered: Uint8Array | undefined
  let size = 0
  let at = 0
  const flush = () => {
    if (size > 0) visit(at - size, size, gathered!.subarray(0, size))
    size = 0
  }
  while (reader.offset < reader.end) {
    const head = reader.varint()
    const count = countOf(head)
    const isLiteral = (head & 1) === 0
    const value = (head & 2) === 0 ? 0 : 0xff
    if (count < SHORT) {
      if (size + count > MOST_GATHERED) flush()
      gathered ??= new Uint8Array(MOST_GATHERED)
      for (let i = 0; i < count; i++) gathered[size++] = isLiteral ? bytes[reader.offset + i]! : value
    } else {
      flush()
      if (isLiteral) visit(at, count, bytes.subarray(reader.offset, reader.offset + count))
      else if (value !== 0) visit(at, count, undefined)
    }
    if (isLiteral) reader.offset += count
    at += count
  }
  flush()
}

/** Bytes that a head stands for. Bit operators see the low 32 bits of a number, which are all that `& 3` needs. */
const countOf = (head: number): number => ((head & 1) === 0 ? head / 2 : (head - (head & 3)) / 4)

/** Each byte may be a literal of its own, and the encoder's choices take far less; what takes more is made of runs of nothing. */
const decodedLength = (bytes: Uint8Array, maxLength: number): number | ProtocolError => {
  if (bytes.length > 2 * maxLength + 16) return tooLarge(maxLength)
  const reader = new Varint.Reader(bytes, 0, bytes.length)
  let length = 0
  while (reader.offset < reader.end) {
    const head = reader.varint()
    if (head < 0) return malformed("a run has no length")
    const count = countOf(head)
    length += count
    if (length > maxLength) return tooLarge(maxLength)
    if ((head & 1) !== 0) continue
    if (count > reader.end - reader.offset) return malformed("it ends within its literal bytes")
    reader.offset += count
  }
  const padded = 4 * Math.ceil(length / 4)
  return padded > maxLength ? tooLarge(maxLength) : padded
}

const malformed = (what: string) =>
  new ProtocolError({ reason: "malformed", detail: `a run-length encoded bitfield: ${what}` })

const tooLarge = (maxLength: number) =>
  new ProtocolError({ reason: "too-large", detail: `a bitfield of more than ${maxLength} bytes` })
