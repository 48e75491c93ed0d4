/** Messages as the real protocol's decoder gives and takes them, and as `Wire` has them, which is how our own streams do. */
import type { TreeNode, Wire } from "../../index.js"
import type * as Protocol from "../protocol.js"
import { Channel } from "../protocol/Channel.js"
import { toBuffer } from "../toBuffer.js"

export const info = (message: Protocol.Info): Wire.Message => ({
  _tag: "Info",
  uploading: message.uploading,
  downloading: message.downloading
})

export const have = (message: Protocol.Have): Wire.Message => ({
  _tag: "Have",
  start: message.start,
  length: message.length ?? 1,
  bitfield: message.bitfield ?? undefined,
  ack: message.ack
})

export const range = (_tag: "Unhave", { length, start }: Protocol.Range): Wire.Message => ({
  _tag,
  start,
  length: length ?? 1
})

/** Without a length, or with 0 as decoders give what is absent: all from `start` on. */
export const wanted = (_tag: "Want" | "Unwant", { length, start }: Protocol.Range): Wire.Message => ({
  _tag,
  start,
  length: length || undefined
})

export const request = (message: Protocol.Request): Wire.Message => ({
  _tag: "Request",
  index: message.index,
  bytes: message.bytes ?? 0,
  hash: message.hash,
  nodes: message.nodes ?? 0
})

export const cancel = (message: Protocol.Cancel): Wire.Message => ({
  _tag: "Cancel",
  index: message.index,
  bytes: message.bytes ?? 0,
  hash: message.hash
})

export const data = (message: Protocol.Data): Wire.Message => ({
  _tag: "Data",
  index: message.index,
  value: message.value ?? undefined,
  // Positions are numbers: whether they are the right ones is for the proof to show.
  nodes: message.nodes as ReadonlyArray<unknown> as ReadonlyArray<TreeNode>,
  signature: message.signature ?? undefined
})

/** Sends a message on a channel; false when it is none that a channel of this kind sends. */
export const send = (channel: Protocol.ProtocolChannel, message: Wire.Message): boolean => {
  if (channel instanceof Channel && message._tag !== "Handshake" && message._tag !== "Extension") {
    channel.send(message)
    return true
  }
  switch (message._tag) {
    case "Info":
      channel.info({ uploading: message.uploading, downloading: message.downloading })
      return true
    case "Have": {
      const { ack, bitfield, length, start } = message
      const single = length === 1 && !ack && bitfield === undefined
      channel.have({
        start,
        length: single ? undefined : length,
        bitfield: bitfield === undefined ? undefined : toBuffer(bitfield),
        ack: ack || undefined
      })
      return true
    }
    case "Unhave":
      channel.unhave({ start: message.start, length: message.length === 1 ? undefined : message.length })
      return true
    case "Want":
    case "Unwant":
      channel[message._tag === "Want" ? "want" : "unwant"]({ start: message.start, length: message.length })
      return true
    case "Request": {
      const { bytes, hash, index, nodes } = message
      channel.request({ index, bytes, hash, nodes })
      return true
    }
    case "Cancel":
      channel.cancel({ index: message.index, bytes: message.bytes, hash: message.hash })
      return true
    case "Data": {
      const { index, nodes, signature, value } = message
      channel.data({
        index,
        value: value === undefined ? undefined : toBuffer(value),
        nodes: nodes.map((node) => ({ index: node.index, hash: toBuffer(node.hash), size: node.size })),
        signature: signature === undefined ? undefined : toBuffer(signature)
      })
      return true
    }
    default:
      return false
  }
}
