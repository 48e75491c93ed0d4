/** The last signature of a feed, and whether it holds. */
import { Effect } from "effect"
import type { Feed } from "../index.js"
import { type CommandFailed, failed } from "./Failure.js"
import type { StoredFiles } from "./StoredFiles.js"

export type LastSignature =
  /** It is the key's, over the log that ends with block `index`. */
  | { readonly state: "valid"; readonly index: number }
  /** One is stored for block `index`, but it is not the key's over the tree that is stored. */
  | { readonly state: "invalid"; readonly index: number }
  /** There is none: the feed is empty or finalized (its key is the hash of its roots, which opening has verified). */
  | { readonly state: "none" }

/** `stored` as it was before the feed was opened. */
export const check = (feed: Feed.Feed, stored: StoredFiles): Effect.Effect<LastSignature, Feed.TreeError> =>
  Effect.gen(function* () {
    // Opening settles for the longest log that is signed; what is stored beyond did not hold.
    if (stored.signedLength > feed.length) {
      return { state: "invalid", index: stored.signedLength - 1 } as const
    }
    if (feed.length === 0 || stored.signedLength === 0) return { state: "none" } as const
    const { index, signature } = yield* feed.signature()
    return yield* feed.verify(index, signature).pipe(
      Effect.as({ state: "valid", index } as const),
      Effect.catchTag("InvalidSignature", () => Effect.succeed({ state: "invalid", index } as const))
    )
  })

/** Fails when the log was longer once than what can be verified now. */
export const requireWhole = (
  directory: string,
  feed: Feed.Feed,
  stored: StoredFiles
): Effect.Effect<void, CommandFailed> =>
  stored.signedLength > feed.length
    ? failed(describeInvalid(directory, feed, stored.signedLength))
    : Effect.void

export const describeInvalid = (directory: string, feed: Feed.Feed, length: number): string =>
  `${directory}: damaged: the signature for length ${length} is not this key's over the tree that is stored; ` +
  `the log holds up to length ${feed.length}`
