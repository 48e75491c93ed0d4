/**
 * SLEEP: the headers and entries of a feed's six files (FORMATS, "Files").
 *
 *     05 02 57 type | version 00 | entry size u16be | name length, name | zeros to 32
 *
 * `key`, `secret_key` and `data` have no header.
 */
import { equals } from "./Bytes.js"
import { ENTRY_SIZE } from "./Node.js"
import type { Position } from "./FlatTree.js"

export const FILES = ["key", "secret_key", "tree", "signatures", "bitfield", "data"] as const
export type FileName = (typeof FILES)[number]

export const HEADER_SIZE = 32
export const KEY_SIZE = 32
export const SECRET_KEY_SIZE = 64
export const SIGNATURE_SIZE = 64

const MAGIC = [0x05, 0x02, 0x57]
const TYPE = { bitfield: 0, signatures: 1, tree: 2 } as const
const ALGORITHM = { bitfield: "", signatures: "Ed25519", tree: "BLAKE2b" } as const

export type HeaderedFile = keyof typeof TYPE

/** The 32-byte header of `file`; `entrySize` in bytes. */
export const header = (file: HeaderedFile, entrySize: number): Uint8Array => {
  const bytes = new Uint8Array(HEADER_SIZE)
  bytes.set(MAGIC)
  bytes[3] = TYPE[file]
  bytes[5] = entrySize >> 8
  bytes[6] = entrySize & 0xff
  bytes[7] = ALGORITHM[file].length
  bytes.set(new TextEncoder().encode(ALGORITHM[file]), 8)
  return bytes
}

/** The entry size that a header of `file` states; `undefined` when `bytes` is no such header. */
export const entrySize = (file: HeaderedFile, bytes: Uint8Array): number | undefined => {
  if (bytes.length < HEADER_SIZE) return undefined
  const expected = header(file, 0)
  for (let i = 0; i < HEADER_SIZE; i++) {
    if (i !== 5 && i !== 6 && bytes[i] !== expected[i]) return undefined
  }
  return bytes[5]! * 256 + bytes[6]!
}

/** Whether `bytes` are what a cut-off write of that header left: a beginning of it, or nothing. */
export const isTornHeader = (file: HeaderedFile, entrySize: number, bytes: Uint8Array): boolean =>
  bytes.length < HEADER_SIZE && equals(bytes, header(file, entrySize).subarray(0, bytes.length))

/** Where the entry of the node at `position` starts in `tree`. */
export const nodeOffset = (position: Position): number => HEADER_SIZE + ENTRY_SIZE * position

/** Where the signature of block `index` starts in `signatures`. */
export const signatureOffset = (index: number): number => HEADER_SIZE + SIGNATURE_SIZE * index

/** How many whole signature entries a `signatures` file of `size` bytes holds. */
export const signatureCount = (size: number): number =>
  Math.max(0, Math.floor((size - HEADER_SIZE) / SIGNATURE_SIZE))
