import type { Wire } from "../../index.js"

const METHODS = {
  Info: "oninfo",
  Have: "onhave",
  Unhave: "onunhave",
  Want: "onwant",
  Unwant: "onunwant",
  Request: "onrequest",
  Cancel: "oncancel",
  Data: "ondata"
} as const

/**
 * A peer that takes what comes as the wire has it, extensions apart, where the stream is ours: no message is made into what callers see
 * and back. A class, and no more methods of `ProtocolPeer`: whatever a caller's peer answers to, it is not one.
 */
export abstract class DirectPeer {
  abstract onmessage(message: Wire.Message): void

  /** Whether messages of this kind go to `onmessage`; not where a caller has put a method of its own in the place of the class's. */
  takes(tag: Wire.Message["_tag"]): boolean {
    return tag in METHODS && !Object.hasOwn(this, METHODS[tag as keyof typeof METHODS])
  }
}
