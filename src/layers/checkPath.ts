/** The rule for paths, for callers of a `Storage` who did not check it. */
import { Effect } from "effect"
import { StorageError } from "../domain/Errors.js"
import { FEED_PATH_RULE, isFeedPath } from "../domain/FeedPath.js"

export const checkPath = (path: string): Effect.Effect<void, StorageError> =>
  isFeedPath(path)
    ? Effect.void
    : Effect.fail(
        new StorageError({
          reason: "unsupported",
          operation: "open",
          file: path,
          cause: new Error(FEED_PATH_RULE)
        })
      )
