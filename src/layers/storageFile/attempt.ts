/** Node's file system errors as `StorageError`s, for synchronous and for callback functions. */
import { Effect } from "effect"
import { StorageError } from "../../domain/Errors.js"

const REASONS: Record<string, StorageError["reason"]> = {
  ENOSPC: "full",
  EDQUOT: "full",
  EFBIG: "full",
  EACCES: "permission",
  EPERM: "permission",
  EROFS: "permission"
}

export const toStorageError = (operation: string, file: string, cause: unknown): StorageError => {
  if (cause instanceof StorageError) return cause
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : ""
  return new StorageError({ reason: REASONS[code] ?? "io", operation, file, cause })
}

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
