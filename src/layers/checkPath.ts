/** The one rule for a feed's path inside a storage, so that no layer can be led out of its root. */
import { Effect } from "effect"
import { StorageError } from "../domain/Errors.js"

const segment = /^(?!\.{1,2}$)[^/\\\0]+$/

/** Fails unless `path` is empty or segments joined by `/`, none of them empty, `.` or `..`. */
export const checkPath = (path: string): Effect.Effect<void, StorageError> =>
  path === "" || path.split("/").every((name) => segment.test(name))
    ? Effect.void
    : Effect.fail(
        new StorageError({
          reason: "unsupported",
          operation: "open",
          file: path,
          cause: new Error("a feed's path is segments joined by '/', none of them empty, '.' or '..'")
        })
      )
