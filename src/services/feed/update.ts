/** update: waits for the log to reach a length. */
import { Duration, Effect } from "effect"
import { BadArgument, BlockUnavailable, FeedClosed } from "../../domain/Errors.js"
import { wrongDuration } from "../wrongDuration.js"
import { type FeedCore, isIndex } from "./FeedCore.js"
import { ifAvailable, withDeadline } from "./get.js"

export interface UpdateOptions {
  readonly timeout?: Duration.DurationInput
  /**
   * Wait only as long as somebody may have a log of that length: fail with `BlockUnavailable` (`no-peer-has-it`) when no peer that is
   * connected has, which is known when each has told what it has. Default false: wait for peers too.
   */
  readonly ifAvailable?: boolean
  /**
   * Also ask peers for the block that ends a log of that length: it mostly comes with the proof, and is not waited for where a proof comes
   * without. Default false.
   */
  readonly block?: boolean
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
    const problem = wrongDuration("update", "timeout", options.timeout)
    if (problem !== undefined) return Effect.fail(problem)
    // The same for all changes: it is asked of a peer once.
    const wish = { _tag: "Length", length: wanted, block: options.block === true } as const
    const wait: Effect.Effect<number, FeedClosed> = Effect.suspend(() => {
      if (core.closed) return Effect.fail(new FeedClosed())
      const { version } = core.demand
      return core.tip.length >= wanted
        ? Effect.succeed(core.tip.length)
        : Effect.zipRight(core.demand.changeSince(version, wish), wait)
    })
    const isLongEnough = (length: number) => length >= wanted
    const grown =
      options.ifAvailable === true
        ? ifAvailable(
            core,
            wait,
            (source) => isLongEnough(core.tip.length) || isLongEnough(source?.remoteLength ?? 0),
            wanted - 1
          )
        : wait
    return withDeadline(grown, () => wanted - 1, options.timeout)
  })
