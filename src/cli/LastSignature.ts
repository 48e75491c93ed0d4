/** The last signature of a feed, and whether it holds. */
import { Effect } from "effect"
import type { Feed } from "../index.js"
import { type CommandFailed, failed } from "./Failure.js"

export type LastSignature =
  /** It is the key's, over the log that ends with block `index`. */
  | { readonly state: "valid"; readonly index: number }
  /** The log ended with block `index` once, but no signature of the key over the tree that is stored proves it. */
  | { readonly state: "invalid"; readonly index: number }
  /** There is none: the feed is empty or finalized (its key is the hash of its roots, which opening has verified). */
  | { readonly state: "none" }

/** `feed` as it was opened. */
export const check = (feed: Feed.Feed): Effect.Effect<LastSignature, Feed.TreeError> =>
  Effect.gen(function* () {
    // Opening settles for the longest log that is signed; what is stored beyond did not hold.
    if (feed.claimedLength > feed.length) {
      return { state: "invalid", index: feed.claimedLength - 1 } as const
    }
    const last = yield* Effect.catchTag(feed.signature(), "BlockUnavailable", () => Effect.succeed(undefined))
    if (last === undefined) return { state: "none" } as const
    const { index, signature } = last
    return yield* feed.verify(index, signature).pipe(
      Effect.as({ state: "valid", index } as const),
      Effect.catchTag("InvalidSignature", () => Effect.succeed({ state: "invalid", index } as const))
    )
  })

/** Fails when the log was longer once than what can be verified now. */
export const requireWhole = (directory: string, feed: Feed.Feed): Effect.Effect<void, CommandFailed> =>
  feed.claimedLength > feed.length
    ? failed(describeInvalid(directory, feed, feed.claimedLength))
    : Effect.void

export const describeInvalid = (directory: string, feed: Feed.Feed, length: number): string =>
  `${directory}: damaged: no signature for length ${length} is this key's over the tree that is stored; ` +
  `the log holds up to length ${feed.length}`
