/**
 * Byte arrays: the few operations that files, hashes and wire share.
 *
 * Numbers on disk and in hashes are unsigned 64-bit big-endian and stay below 2^53
 * (FORMATS, "Numbers"), so a plain `number` carries them.
 */

const TWO_32 = 0x1_0000_0000

export const empty: Uint8Array = new Uint8Array(0)

/** Whether both arrays hold the same bytes. Not constant-time: for public values only. */
export const equals = (a: Uint8Array, b: Uint8Array): boolean => {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

/** Whether every byte is zero; the empty array is blank. */
export const isBlank = (bytes: Uint8Array): boolean => {
  for (let i = 0; i < bytes.length; i++) if (bytes[i] !== 0) return false
  return true
}

/** Total length of `parts` in bytes. */
export const totalLength = (parts: ReadonlyArray<Uint8Array>): number => {
  let total = 0
  for (let i = 0; i < parts.length; i++) total += parts[i]!.length
  return total
}

export const concat = (parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  const all = new Uint8Array(totalLength(parts))
  let offset = 0
  for (const part of parts) {
    all.set(part, offset)
    offset += part.length
  }
  return all
}

/**
 * The u64be at `offset`. A value of 2^53 or more comes back as `NaN`: no honest file holds one,
 * and `NaN` fails every comparison that a caller makes afterwards.
 */
export const readUint64 = (bytes: Uint8Array, offset: number): number => {
  const high = readUint32(bytes, offset)
  return high < 0x20_0000 ? high * TWO_32 + readUint32(bytes, offset + 4) : Number.NaN
}

const readUint32 = (bytes: Uint8Array, offset: number): number =>
  ((bytes[offset]! << 24) | (bytes[offset + 1]! << 16) | (bytes[offset + 2]! << 8) | bytes[offset + 3]!) >>> 0

/** Writes `value` (an integer in 0 .. 2^53 - 1) as u64be at `offset`. */
export const writeUint64 = (bytes: Uint8Array, offset: number, value: number): void => {
  const high = Math.floor(value / TWO_32)
  writeUint32(bytes, offset, high)
  // `value % TWO_32` is a call out of compiled code.
  writeUint32(bytes, offset + 4, value - high * TWO_32)
}

const writeUint32 = (bytes: Uint8Array, offset: number, value: number): void => {
  bytes[offset] = value >>> 24
  bytes[offset + 1] = value >>> 16
  bytes[offset + 2] = value >>> 8
  bytes[offset + 3] = value
}

/** Lower-case hexadecimal. */
export const toHex = (bytes: Uint8Array): string => {
  let text = ""
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0")
  return text
}

/** The bytes that `text` spells in hexadecimal (either case), or `undefined` when it is not hexadecimal. */
export const fromHex = (text: string): Uint8Array | undefined => {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) return undefined
  const bytes = new Uint8Array(text.length / 2)
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16)
  return bytes
}

const SLAB_SIZE = 1024
/** Larger arrays are worth one of their own. */
const LARGEST_IN_SLAB = 256

let slab = new ArrayBuffer(SLAB_SIZE)
let slabUsed = 0

/**
 * Zeros for what native code will read or write: nobody else's, though below 256 bytes their `buffer` is shared with others. To hand a
 * small array of its own to native code costs more than to hash a node, since V8 moves it off its heap then. What keeps
 * such an array keeps the kilobyte around it.
 */
export const allocate = (size: number): Uint8Array => {
  if (size > LARGEST_IN_SLAB) return new Uint8Array(size)
  if (slabUsed + size > SLAB_SIZE) {
    slab = new ArrayBuffer(SLAB_SIZE)
    slabUsed = 0
  }
  slabUsed += size
  // `subarray` takes half as long again.
  return new Uint8Array(slab, slabUsed - size, size)
}
