/** received: messages of the wire as callback code takes them: an event's name, and its value. */
import type { Wire } from "../../index.js"
import { toBuffer } from "../toBuffer.js"
import type { ChannelEvents, Data, Range } from "./messages.js"

const orNull = (bytes: Uint8Array | undefined): Buffer | null =>
  bytes === undefined ? null : toBuffer(bytes)

export type MessageEvent = Exclude<keyof ChannelEvents, "extension" | "tick" | "close">

export type Received = {
  readonly [Name in MessageEvent]: { readonly name: Name; readonly value: ChannelEvents[Name][0] }
}[MessageEvent]

const range = ({
  length,
  start
}: {
  readonly start: number
  readonly length?: number | undefined
}): Range => ({
  start,
  length: length ?? 0
})

const data = ({ index, nodes, signature, value }: Wire.Data): Data => ({
  index,
  value: orNull(value),
  nodes: nodes.map((node) => ({ index: node.index, hash: toBuffer(node.hash), size: node.size })),
  signature: orNull(signature)
})

/** Undefined for what is no channel's event. */
export const received = (message: Wire.Message): Received | undefined => {
  switch (message._tag) {
    case "Info": {
      const { downloading, uploading } = message
      return { name: "info", value: { uploading, downloading } }
    }
    case "Have": {
      const { ack, bitfield, length, start } = message
      return { name: "have", value: { start, length, bitfield: orNull(bitfield), ack } }
    }
    case "Unhave":
      return { name: "unhave", value: range(message) }
    case "Want":
      return { name: "want", value: range(message) }
    case "Unwant":
      return { name: "unwant", value: range(message) }
    case "Request": {
      const { bytes, hash, index, nodes } = message
      return { name: "request", value: { index, bytes, hash, nodes } }
    }
    case "Cancel": {
      const { bytes, hash, index } = message
      return { name: "cancel", value: { index, bytes, hash } }
    }
    case "Data":
      return { name: "data", value: data(message) }
    default:
      return undefined
  }
}
