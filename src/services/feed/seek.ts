/** seek: from a byte offset of the log to the block that holds it; waits for the nodes that tell. */
import { Duration, Effect } from "effect"
import {
  BadArgument,
  BlockUnavailable,
  type CorruptStorage,
  FeedClosed,
  type StorageError
} from "../../domain/Errors.js"
import type { Wish } from "../../domain/Selection.js"
import { wrongDuration } from "../wrongDuration.js"
import { type FeedCore, isIndex } from "./FeedCore.js"
import { withDeadline } from "./get.js"
import { locate } from "./locate.js"

/** The block that holds the byte, and the byte's place in it. At the end of the log: its length, and 0. */
export interface SeekResult {
  readonly index: number
  readonly offset: number
}

export interface SeekOptions {
  /** Wait for the nodes (or the log's growth) that tell (the default), or fail with `BlockUnavailable` at once. */
  readonly wait?: boolean
  readonly timeout?: Duration.DurationInput
  /** The byte is known to lie in these blocks: only they are asked of peers. Default: all. */
  readonly start?: number
  readonly end?: number
  /** Where a peer is asked, ask for the block that holds the byte, too: it comes with the nodes that tell. Default false. */
  readonly block?: boolean
}

export type SeekError = BadArgument | BlockUnavailable | CorruptStorage | FeedClosed | StorageError

export const seek = (
  core: FeedCore,
  byteOffset: number,
  options: SeekOptions = {}
): Effect.Effect<SeekResult, SeekError> => {
  const { start = 0, end = Number.POSITIVE_INFINITY } = options
  /** With the same wish each time: it is asked of a peer once. */
  const attempt = (wish: Wish): Effect.Effect<SeekResult, SeekError> =>
    Effect.suspend((): Effect.Effect<SeekResult, SeekError> => {
      if (core.closed) return Effect.fail(new FeedClosed())
      const { version } = core.demand
      if (byteOffset === core.tip.byteLength) return Effect.succeed({ index: core.tip.length, offset: 0 })
      return Effect.flatMap(locate(core, byteOffset), (result) => {
        if (result._tag === "Found") return Effect.succeed(result.at)
        if (options.wait === false) {
          return Effect.fail(new BlockUnavailable({ index: result.block, reason: result.reason }))
        }
        return Effect.zipRight(core.demand.changeSince(version, wish), attempt(wish))
      })
    })
  const sought = Effect.suspend(() =>
    attempt({ _tag: "Byte", offset: byteOffset, start, end, block: options.block === true })
  )
  const problem = isIndex(byteOffset)
    ? wrongDuration("seek", "timeout", options.timeout)
    : new BadArgument({ operation: "seek", detail: `${byteOffset} is not a byte offset` })
  return problem === undefined
    ? withDeadline(sought, () => core.tip.length, options.timeout)
    : Effect.fail(problem)
}
