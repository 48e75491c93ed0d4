/** Node's file system errors as `StorageError`s, for synchronous and for callback functions. */
import { Effect } from "effect"
import type { StorageError } from "../../domain/Errors.js"
import { toStorageError } from "../toStorageError.js"

export const attempt = <A>(operation: string, file: string, run: () => A): Effect.Effect<A, StorageError> =>
  Effect.try({ try: run, catch: (cause) => toStorageError(operation, file, cause) })

export const attemptAsync = (
  operation: string,
  file: string,
  run: (done: (error: Error | null) => void) => void
): Effect.Effect<void, StorageError> =>
  Effect.async((resume) => {
    try {
      run((error) =>
        resume(error === null ? Effect.void : Effect.fail(toStorageError(operation, file, error)))
      )
    } catch (cause) {
      resume(Effect.fail(toStorageError(operation, file, cause)))
    }
  })
