/** Frames by hand, of the real package's codecs, for what no honest stream sends. */
import { discoveryKeyOf } from "../../src/compat/crypto.js"
import * as peer from "../reference/peerWire.js"
import { keyOf } from "./streams.js"

export const TYPE = { Feed: 0, Handshake: 1, Info: 2, Have: 3, Want: 5, Data: 9, Extension: 15 } as const

export const frame = (channel: number, type: number, body: Uint8Array): Buffer => {
  const header = peer.varint.encode(channel * 16 + type)
  return Buffer.from([...peer.varint.encode(header.length + body.length), ...header, ...body])
}

/** Opens feed number `feed`. */
export const opening = (channel: number, feed: number, nonce?: Uint8Array): Buffer =>
  frame(channel, TYPE.Feed, peer.messages.Feed.encode({ discoveryKey: discoveryKeyOf(keyOf(feed)), nonce }))

export const have = (channel: number, start: number): Buffer =>
  frame(channel, TYPE.Have, peer.messages.Have.encode({ start }))
