/** has, downloaded: what is held, by the bitfield alone. */
import { Effect } from "effect"
import type { BadArgument, FeedClosed } from "../../domain/Errors.js"
import { type FeedCore, checkRange, whileOpen } from "./FeedCore.js"

/** Whether every block of [start, end) is held. */
export const has = (
  core: FeedCore,
  start: number,
  end: number = start + 1
): Effect.Effect<boolean, BadArgument | FeedClosed> =>
  Effect.suspend(() => whileOpen(core)).pipe(
    Effect.zipRight(checkRange("has", start, end)),
    Effect.map(() => core.bitfield.nextMissing(start, end) === end)
  )

/** How many blocks of [start, end) are held. */
export const downloaded = (
  core: FeedCore,
  start: number = 0,
  end?: number
): Effect.Effect<number, BadArgument | FeedClosed> =>
  Effect.suspend(() => {
    // The whole feed, as it is when this is run.
    const last = end ?? Math.max(start, core.tip.length)
    return whileOpen(core).pipe(
      Effect.zipRight(checkRange("downloaded", start, last)),
      Effect.map(() => core.bitfield.count(start, last))
    )
  })
