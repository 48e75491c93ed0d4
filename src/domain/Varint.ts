/**
 * Varints: LEB128, groups of seven bits from the lowest up, the high bit of a byte says that more follow
 * (FORMATS, "Numbers"). Values go up to 2^53 - 1, which takes eight bytes.
 *
 * Shifts are 32-bit in JavaScript: they only ever meet values below 2^32 here.
 */

/** What `Reader.varint` gives instead of a value; every value is at least 0. */
export const TRUNCATED = -1
export const TOO_LARGE = -2

/** Bytes of the longest varint that is read: longer ones are refused, whatever they hold. */
export const MAX_LENGTH = 8

const TWO_31 = 0x8000_0000
const TWO_28 = 0x1000_0000

/** How many bytes `value` (an integer in 0 .. 2^53 - 1) takes. */
export const encodedLength = (value: number): number => {
  if (value < 0x80) return 1
  if (value < 0x4000) return 2
  if (value < 0x20_0000) return 3
  if (value < TWO_28) return 4
  let length = 5
  for (let rest = value / (TWO_28 * 128); rest >= 1; rest /= 128) length++
  return length
}

/** Writes `value` (an integer in 0 .. 2^53 - 1) at `offset`; gives the offset after it. */
export const encode = (value: number, out: Uint8Array, offset: number): number => {
  let rest = value
  let at = offset
  while (rest >= TWO_31) {
    out[at++] = (rest % 128) | 0x80
    rest = Math.floor(rest / 128)
  }
  while (rest >= 0x80) {
    out[at++] = rest | 0x80
    rest >>>= 7
  }
  out[at++] = rest
  return at
}

/** A place in bytes that are read once from front to back. `offset` is where the next byte is read, up to `end`. */
export class Reader {
  constructor(
    readonly bytes: Uint8Array,
    public offset: number,
    public end: number
  ) {}

  /** The varint at `offset`, which moves behind it; `TRUNCATED` or `TOO_LARGE`, and `offset` stays. */
  varint(): number {
    if (this.offset < this.end) {
      const first = this.bytes[this.offset]!
      if (first < 0x80) {
        this.offset++
        return first
      }
    }
    return this.longVarint()
  }

  private longVarint(): number {
    const { bytes } = this
    const length = Math.min(this.end - this.offset, MAX_LENGTH)
    let low = 0
    let high = 0
    for (let i = 0; i < length; i++) {
      const byte = bytes[this.offset + i]!
      if (i < 4) low |= (byte & 0x7f) << (7 * i)
      else high |= (byte & 0x7f) << (7 * (i - 4))
      if (byte >= 0x80) continue
      const value = high * TWO_28 + low
      if (value > Number.MAX_SAFE_INTEGER) return TOO_LARGE
      this.offset += i + 1
      return value
    }
    return length < MAX_LENGTH ? TRUNCATED : TOO_LARGE
  }
}
