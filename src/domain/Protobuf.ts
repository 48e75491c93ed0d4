/**
 * Protocol buffers, as far as the wire needs them: fields of numbers, booleans and bytes.
 *
 *     field = varint(number << 3 | wire type) | value
 *     wire type 0: varint; 1: 8 bytes; 2: varint length, bytes; 5: 4 bytes; 3 and 4 (groups) are refused
 *
 * All numbers of known fields are below 16, so that their tags take one byte.
 */
import { ProtocolError } from "./Errors.js"
import * as Varint from "./Varint.js"

const VARINT = 0
const FIXED64 = 1
const BYTES = 2
const FIXED32 = 5

/** Fields of a message and of those in it; one with as many nodes as it may have comes to half of that. */
const MAX_FIELDS = 32_768

/** Bytes of 64 bits, in groups of seven. */
const LONGEST_VARINT = 10

export const numberLength = (value: number): number => 1 + Varint.encodedLength(value)

export const BOOLEAN_LENGTH = 2

/** Of a field of `length` bytes. */
export const bytesLength = (length: number): number => 1 + Varint.encodedLength(length) + length

export const writeNumber = (field: number, value: number, out: Uint8Array, offset: number): number => {
  out[offset] = (field << 3) | VARINT
  return Varint.encode(value, out, offset + 1)
}

export const writeBoolean = (field: number, value: boolean, out: Uint8Array, offset: number): number => {
  out[offset] = (field << 3) | VARINT
  out[offset + 1] = value ? 1 : 0
  return offset + 2
}

/** What stands before the bytes of a field of `length` bytes. */
export const writeBytesHead = (field: number, length: number, out: Uint8Array, offset: number): number => {
  out[offset] = (field << 3) | BYTES
  return Varint.encode(length, out, offset + 1)
}

export const writeBytes = (field: number, bytes: Uint8Array, out: Uint8Array, offset: number): number => {
  const start = writeBytesHead(field, bytes.length, out, offset)
  out.set(bytes, start)
  return start + bytes.length
}

/**
 * Reads fields until `end`. What is wrong is kept in `problem`; then nothing follows, and what was read last is meaningless:
 *
 *     while (fields.next()) switch (fields.field) { case 1: index = fields.number() ... default: fields.skip() }
 */
export class FieldReader {
  private readonly reader: Varint.Reader
  /** The number of the field whose value is next. */
  field = 0
  problem: ProtocolError | undefined = undefined
  private wire = 0
  private count = 0

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.reader = new Varint.Reader(bytes, start, end)
  }

  /** Bytes that are left to read. */
  get size(): number {
    return this.reader.end - this.reader.offset
  }

  /** Moves to the next field; false at the end and after a problem. */
  next(): boolean {
    if (this.reader.offset >= this.reader.end) return false
    if (++this.count > MAX_FIELDS) return this.fail("too-large", `more than ${MAX_FIELDS} fields`)
    const tag = this.reader.varint()
    if (tag < 0) return this.fail("malformed", "a field has no number")
    this.wire = tag & 7
    this.field = (tag - this.wire) / 8
    return true
  }

  number(): number {
    if (this.wire !== VARINT) this.fail("malformed", `field ${this.field} is no number`)
    return this.varint()
  }

  boolean(): boolean {
    return this.number() !== 0
  }

  /** A view of the field's bytes, which are exactly `length` when that is given, and at most `most`. */
  bytes(length?: number, most?: number): Uint8Array {
    const { bytes } = this.reader
    const count = this.length(length, most)
    const start = this.reader.offset
    this.reader.offset += count
    return new Uint8Array(bytes.buffer, bytes.byteOffset + start, count)
  }

  /** Opens a message within the field: `next` gives its fields until its end. Returns what `close` takes. */
  open(): number {
    const { reader } = this
    const outer = reader.end
    const length = this.length()
    reader.end = reader.offset + length
    return outer
  }

  close(outer: number): void {
    if (this.problem === undefined) this.reader.end = outer
  }

  skip(): void {
    switch (this.wire) {
      case VARINT:
        return this.skipVarint()
      case FIXED64:
        return this.advance(8)
      case BYTES:
        return this.advance(this.length())
      case FIXED32:
        return this.advance(4)
      default:
        this.fail("malformed", `field ${this.field} has wire type ${this.wire}`)
    }
  }

  /** All that was not read yet. */
  rest(): Uint8Array {
    const { bytes, end, offset } = this.reader
    this.reader.offset = end
    return new Uint8Array(bytes.buffer, bytes.byteOffset + offset, end - offset)
  }

  varint(): number {
    const value = this.reader.varint()
    if (value >= 0) return value
    this.fail(
      "malformed",
      value === Varint.TRUNCATED ? "it ends within a number" : "a number is 2^53 or more"
    )
    return 0
  }

  /** Always false. */
  fail(reason: "malformed" | "too-large", detail: string): false {
    this.problem ??= new ProtocolError({ reason, detail })
    this.reader.offset = this.reader.end
    return false
  }

  private length(exactly?: number, most?: number): number {
    const { reader } = this
    if (this.wire !== BYTES) this.fail("malformed", `field ${this.field} is not made of bytes`)
    const length = this.varint()
    if (length > reader.end - reader.offset)
      this.fail("malformed", `field ${this.field} ends past its message`)
    else if (exactly !== undefined && length !== exactly) {
      this.fail("malformed", `field ${this.field} has ${length} bytes instead of ${exactly}`)
    } else if (most !== undefined && length > most) {
      this.fail("too-large", `field ${this.field} has more than ${most} bytes`)
    }
    return this.problem === undefined ? length : 0
  }

  /** Of a field that we do not know, so it may be longer than we read. */
  private skipVarint(): void {
    const { bytes, end, offset } = this.reader
    const most = Math.min(end, offset + LONGEST_VARINT)
    let at = offset
    while (at < most && bytes[at]! >= 0x80) at++
    if (at < most) this.reader.offset = at + 1
    else this.fail("malformed", `field ${this.field} is no number`)
  }

  private advance(count: number): void {
    if (count > this.reader.end - this.reader.offset) this.fail("malformed", "it ends within a field")
    else this.reader.offset += count
  }
}
