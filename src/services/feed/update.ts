/** update: waits for the log to reach a length. */
import { Duration, Effect } from "effect"
import { BadArgument, BlockUnavailable, FeedClosed } from "../../domain/Errors.js"
import { type FeedCore, isIndex } from "./FeedCore.js"
import { withDeadline } from "./get.js"

export interface UpdateOptions {
  readonly timeout?: Duration.DurationInput
}

export type UpdateError = BadArgument | BlockUnavailable | FeedClosed

/** Ends, with the length, once the feed has at least `minLength` blocks (by default one more than now). */
export const update = (
  core: FeedCore,
  minLength?: number,
  options: UpdateOptions = {}
): Effect.Effect<number, UpdateError> =>
  Effect.suspend((): Effect.Effect<number, UpdateError> => {
    const wanted = minLength ?? core.tip.length + 1
    if (!isIndex(wanted)) {
      return Effect.fail(new BadArgument({ operation: "update", detail: `${wanted} is not a length` }))
    }
    // The same for all changes: it is asked of a peer once.
    const wish = { _tag: "Length", length: wanted } as const
    const wait: Effect.Effect<number, FeedClosed> = Effect.suspend(() => {
      if (core.closed) return Effect.fail(new FeedClosed())
      const { version } = core.demand
      return core.tip.length >= wanted
        ? Effect.succeed(core.tip.length)
        : Effect.zipRight(core.demand.changeSince(version, wish), wait)
    })
    return withDeadline(wait, () => wanted - 1, options.timeout)
  })
