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
  /** The feed was closed; nothing follows. */
  | { readonly _tag: "Close" }
