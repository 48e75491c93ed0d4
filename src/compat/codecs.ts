/**
 * The `valueEncoding` option: values to blocks and back, by the package that the peer uses, so that the same values give the same
 * bytes, and the same errors, which are thrown.
 */
// @ts-expect-error -- the package has no types
import codecs from "codecs"
import { toBuffer } from "./toBuffer.js"

/** An encoder of the `abstract-encoding` convention. */
export interface AbstractEncoding {
  encode(value: any): Uint8Array
  decode(bytes: any): unknown
}

/**
 * `json` (a JSON text and a newline), `utf-8` or `utf8`, `ascii`, `hex`, `base64`, `ucs-2` or `ucs2`, `utf16-le` or `utf16le`, or an encoder.
 * Anything else is `binary`: bytes as they are, and text as UTF-8.
 */
export type LegacyEncoding = string | AbstractEncoding | null | undefined

export interface Codec {
  readonly encode: (value: unknown) => Buffer
  readonly decode: (bytes: Uint8Array) => unknown
}

const find = codecs as (encoding: unknown) => AbstractEncoding

export const toCodec = (encoding: unknown): Codec => {
  // With a newline after each value, the file of the blocks reads as NDJSON.
  const found = find(encoding === "json" ? "ndjson" : encoding)
  return {
    encode: (value) => {
      const bytes: unknown = found.encode(value)
      if (bytes instanceof Uint8Array) return toBuffer(bytes)
      throw new TypeError("the value encoding gave no bytes")
    },
    decode: (bytes) => found.decode(toBuffer(bytes))
  }
}
