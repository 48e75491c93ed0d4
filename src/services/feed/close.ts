/** close: the write under way ends (a hook that it still waits for is interrupted), every wait ends with `FeedClosed`, then `Close` is told. */
import { Deferred, Effect, Exit, Scope } from "effect"
import { commit, publish } from "./commit.js"
import * as Change from "../../domain/Change.js"
import { FeedClosed, type StorageError } from "../../domain/Errors.js"
import type { FeedCore } from "./FeedCore.js"

/** Closes the feed; closing again does nothing. Fails when bitfield pages that an earlier write failed to store fail again. */
export const close = (core: FeedCore): Effect.Effect<void, StorageError> =>
  Effect.uninterruptible(
    // Made when it is run, not when the feed is opened: an error takes 50 us for its stack, and kilobytes for as long as the feed is open.
    Effect.suspend(() =>
      // The scope that the feed was opened in may go on for long: it keeps nothing of the feed.
      Effect.ensuring(
        Effect.zipRight(
          Deferred.fail(core.closing, new FeedClosed()),
          core.writer.exclusive(closeOnce(core))
        ),
        Scope.close(core.lifetime, Exit.void)
      )
    )
  )

const closeOnce = (core: FeedCore): Effect.Effect<void, StorageError> =>
  Effect.suspend(() => {
    if (core.closed) return Effect.void
    core.closed = true
    core.demand.close()
    core.appends.wake?.()
    const flush = core.readOnly ? Effect.void : commit(core, Change.none)
    return Effect.ensuring(
      flush,
      Effect.zipRight(
        Scope.close(core.scope, Exit.void),
        Effect.sync(() => publish(core, { _tag: "Close" }))
      )
    )
  })
