/** download: wants a range of blocks, and waits until all are held. Fetching them is replication's. */
import { Effect } from "effect"
import { BadArgument, type FeedClosed } from "../../domain/Errors.js"
import type { Range } from "../../domain/Selection.js"
import { type FeedCore, isIndex, whileOpen } from "./FeedCore.js"

export interface DownloadOptions {
  /** First block. Default 0. */
  readonly start?: number
  /** Block to end before. Without it the range follows the log, and the download ends only when it is interrupted. */
  readonly end?: number
  /** Fetch in order, rather than in the order that spreads blocks best. Default false. */
  readonly linear?: boolean
}

export type DownloadError = BadArgument | FeedClosed

/** Ends when every block of the range is held; interrupting it no longer wants them. */
export const download = (
  core: FeedCore,
  options: DownloadOptions = {}
): Effect.Effect<void, DownloadError> => {
  const { start = 0, end = Number.POSITIVE_INFINITY, linear = false } = options
  return isIndex(start) && (isIndex(end) || end === Number.POSITIVE_INFINITY) && start <= end
    ? Effect.zipRight(whileOpen(core), whenDownloaded(core, { start, end, linear }))
    : Effect.fail(
        new BadArgument({ operation: "download", detail: `[${start}, ${end}) is not a range of blocks` })
      )
}

/** Wants `range` until all of it is held. */
export const whenDownloaded = (core: FeedCore, range: Range): Effect.Effect<void, FeedClosed> =>
  Effect.acquireUseRelease(
    Effect.sync(() => core.demand.select(range)),
    () => whenHeldFrom(core, range.start, range.end),
    (release) => Effect.sync(release)
  )

/** A wait a change of the feed, not one a block. What was held once and is cleared again meanwhile is not looked at again. */
const whenHeldFrom = (core: FeedCore, start: number, end: number): Effect.Effect<void, FeedClosed> =>
  Effect.suspend(() => {
    const { version } = core.demand
    const missing = core.bitfield.nextMissing(start, end)
    return missing === end
      ? Effect.void
      : Effect.zipRight(core.demand.changeSince(version), whenHeldFrom(core, missing, end))
  })
