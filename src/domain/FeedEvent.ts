import type { Evidence } from "./Evidence.js"

/** What happened to a feed, told after it is as durable as the feed promises. */
export type FeedEvent =
  /** The log grew, by our append or by a proof of a longer one. */
  | { readonly _tag: "Append"; readonly length: number; readonly byteLength: number }
  /** A block arrived from elsewhere and was verified and stored. `size` in bytes. */
  | { readonly _tag: "Download"; readonly index: number; readonly size: number }
  /** A block was given to a peer. `size` in bytes. */
  | { readonly _tag: "Upload"; readonly index: number; readonly size: number }
  /** The blocks of [start, end) were dropped from the storage. */
  | { readonly _tag: "Clear"; readonly start: number; readonly end: number }
  /** All blocks from 0 to `length` are held. */
  | { readonly _tag: "Sync"; readonly length: number }
  /** The key has signed a second history, as the evidence shows. Told once. */
  | { readonly _tag: "Fork"; readonly evidence: Evidence }
  /** A log of `signedLength` blocks, longer than the one here, was signed elsewhere: nothing is appended until it is here. */
  | { readonly _tag: "Stale"; readonly signedLength: number }
  /** The feed was closed; nothing follows. */
  | { readonly _tag: "Close" }

/** The bytes that a `Download` or `Upload` tells of. */
export interface Origin {
  /** The block, verified. Its buffer is shared with others, and used again: to be read at once, and to be copied by who keeps it. */
  readonly block: Uint8Array
  /** Of whom it came, or to whom it went: a peer; `undefined` for a block that was `put` by hand. */
  readonly from: unknown
}
