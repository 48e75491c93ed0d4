/** Streams of both kinds under one interface, and bytes carried between them by hand. */
import * as peer from "../reference/peerWire.js"
import { protocol as ours } from "../../src/compat/protocol.js"
import type { Protocol, ProtocolConstructor, ProtocolOptions } from "../../src/compat/protocol.js"

export type Kind = "ours" | "real"

export const kinds: Record<Kind, ProtocolConstructor> = {
  ours,
  real: peer.protocol as unknown as ProtocolConstructor
}

/** Without a timeout, whose timer would outlive its test. */
export const make = (kind: Kind, options: ProtocolOptions = {}): Protocol =>
  kinds[kind]({ timeout: 0, ...options })

export const keyOf = (feed: number): Buffer => Buffer.alloc(32, feed + 1)

/** `bytes` in parts of these sizes, again and again; each a copy, since whoever takes it decrypts it where it is. */
export const split = (bytes: Uint8Array, sizes: ReadonlyArray<number>): ReadonlyArray<Buffer> => {
  const parts: Array<Buffer> = []
  for (let at = 0; at < bytes.length;) {
    const size = sizes[parts.length % sizes.length]!
    parts.push(Buffer.from(bytes.subarray(at, at + size)))
    at += size
  }
  return parts
}

/** All that waits in the stream. */
export const bytesFrom = (stream: Protocol): Buffer => {
  const chunks: Array<Buffer> = []
  for (let next = stream.read() as Buffer | null; next !== null; next = stream.read() as Buffer | null) {
    chunks.push(next)
  }
  return Buffer.concat(chunks)
}

/** Writes a part, until it was taken. */
export const write = (stream: Protocol, part: Uint8Array): Promise<void> =>
  new Promise((resolve) => stream.write(part, () => resolve()))

export const deliver = async (
  from: Protocol,
  to: Protocol,
  sizes: ReadonlyArray<number> = [65_536]
): Promise<void> => {
  for (const part of split(bytesFrom(from), sizes)) await write(to, part)
}

/** What a stream says of its own end. */
export const endOf = (
  stream: Protocol
): { readonly events: ReadonlyArray<string>; readonly error?: Error } => {
  const end: { events: Array<string>; error?: Error } = { events: [] }
  stream.on("error", (error: Error) => {
    end.events.push("error")
    end.error = error
  })
  for (const name of ["close", "end", "finish"]) stream.on(name, () => end.events.push(name))
  return end
}
