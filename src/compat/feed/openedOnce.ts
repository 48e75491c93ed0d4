/**
 * openedOnce: a storage whose files are opened once for two openings of one feed, of which the first failed so that the second is tried:
 * a caller's instances may be the same ones each time, and a closed one stays closed.
 */
import { Effect, type Exit, Scope } from "effect"
import type { FeedFiles, StorageService } from "../../index.js"

interface Opened {
  readonly files: FeedFiles
  readonly scope: Scope.CloseableScope
}

/** What was opened is closed with the scope it was opened in, unless that ends so that the caller tries `again`. */
export const openedOnce = (
  storage: StorageService,
  again: (exit: Exit.Exit<unknown, unknown>) => boolean
): StorageService => {
  let opened: Opened | undefined
  const make = (path: string) =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      return { files: yield* Scope.extend(storage.open(path), scope), scope }
    })
  return {
    open: (path) =>
      Effect.acquireRelease(
        Effect.suspend(() => (opened === undefined ? make(path) : Effect.succeed(opened))),
        (one, exit) => {
          opened = one
          return again(exit) ? Effect.void : Scope.close(one.scope, exit)
        }
      ).pipe(Effect.map(({ files }) => files))
  }
}
