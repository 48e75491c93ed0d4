export interface Codec { readonly encode: (value: unknown) => Buffer; readonly decode: (bytes: Uint8Array) => unknown }
export type Valued = unknown
import { createRequire } from "node:module"
const codecs = createRequire(import.meta.url)("codecs") as (x: unknown) => Codec
export const toCodec = (encoding: unknown): Codec => { const c = codecs(encoding === "json" ? "ndjson" : encoding ?? "binary"); return { encode: (v) => c.encode(v), decode: (b) => c.decode(Buffer.from(b.buffer, b.byteOffset, b.byteLength)) } }
