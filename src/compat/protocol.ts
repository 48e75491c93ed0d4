/**
 * effect-hypercore/compat/protocol: `hypercore-protocol` 6 for callback code, on our own multiplexer.
 *
 *     const stream = protocol({ live: true })
 *     const channel = stream.feed(key)
 *     socket.pipe(stream).pipe(socket)
 *
 * What is written to it is decrypted where it lies, and a message's Buffers are views of it, as there.
 *
 * It refuses more than that does: a message that is none ends the stream, where that would skip it, and so does a signature that has not
 * 64 bytes, a handshake with more than 256 extensions, or 1 MiB of messages on feeds that are not open here.
 */
import type { Protocol, ProtocolOptions } from "./protocol/Protocol.js"
import { ProtocolStream } from "./protocol/ProtocolStream.js"

export type * from "./protocol/messages.js"
export type * from "./protocol/Protocol.js"

/** Makes a stream, with `new` or without. */
export interface ProtocolConstructor {
  (options?: ProtocolOptions): Protocol
  new (options?: ProtocolOptions): Protocol
  readonly prototype: Protocol
}

function construct(this: unknown, options?: ProtocolOptions): Protocol {
  const made: unknown = Reflect.construct(ProtocolStream, [options ?? {}], new.target ?? ProtocolStream)
  return made as Protocol
}
construct.prototype = ProtocolStream.prototype

export const protocol = construct as unknown as ProtocolConstructor

export default protocol
export { protocol as "module.exports" }
