/** get, getBatch, head: a held block is read; a missing one is waited for, unless told otherwise. */
import { Duration, Effect } from "effect"
import {
  BadArgument,
  BlockUnavailable,
  type CorruptStorage,
  FeedClosed,
  type StorageError
} from "../../domain/Errors.js"
import { wrongDuration } from "../wrongDuration.js"
import type { Source } from "./Availability.js"
import { readBlock, readHeld } from "./readBlocks.js"
import { whenDownloaded } from "./download.js"
import { type FeedCore, checkRange, isIndex } from "./FeedCore.js"

/** How long to wait for blocks that are not held. */
export interface BatchOptions {
  /** Wait for a block that is not held (the default), or fail with `BlockUnavailable` at once. */
  readonly wait?: boolean
  /**
   * How long to wait before failing with `BlockUnavailable`, 0: not at all; without it, until the block comes or the feed closes. One that is
   * negative or no duration is a `BadArgument`.
   */
  readonly timeout?: Duration.DurationInput
}

export interface WaitOptions extends BatchOptions {
  /**
   * Wait only as long as somebody may have the block: fail with `BlockUnavailable` (`no-peer-has-it`) when no peer that is connected has
   * it, which is known when each has told what it has. Default false: wait for peers too.
   */
  readonly ifAvailable?: boolean
}

export type GetError = BadArgument | BlockUnavailable | CorruptStorage | FeedClosed | StorageError

/** Ends `waiting` with `BlockUnavailable` when its time is up; `index` tells of which block, then. */
export const withDeadline = <A, E, R>(
  waiting: Effect.Effect<A, E, R>,
  index: () => number,
  timeout: Duration.DurationInput | undefined
): Effect.Effect<A, E | BlockUnavailable, R> =>
  timeout === undefined
    ? waiting
    : Effect.timeoutFail(waiting, {
        duration: timeout,
        onTimeout: () => new BlockUnavailable({ index: index(), reason: "timeout" })
      })

/** Waits for block `index`; with `ifAvailable`, only as long as somebody may have it. */
const whenItComes = (
  core: FeedCore,
  index: number,
  options: WaitOptions
): Effect.Effect<void, BlockUnavailable | FeedClosed> =>
  options.ifAvailable === true
    ? ifAvailable(
        core,
        core.demand.block(index),
        (source) => core.bitfield.has(index) || source?.has(index) === true,
        index
      )
    : core.demand.block(index)

/** Ends `waiting` with `BlockUnavailable` when it is known that no peer has what it is for; `index` tells of which block, then. */
export const ifAvailable = <A, E>(
  core: FeedCore,
  waiting: Effect.Effect<A, E>,
  isAvailable: (source: Source | undefined) => boolean,
  index: number
): Effect.Effect<A, E | BlockUnavailable> =>
  Effect.raceFirst(
    waiting,
    // A feed that is closed ends the wait itself.
    Effect.zipRight(
      core.availability.whenMissing((source) => core.closed || isAvailable(source)),
      Effect.fail(new BlockUnavailable({ index, reason: "no-peer-has-it" }))
    )
  )

/** Ends when block `index` is held: at once, or after a wait. */
export const whenHeld = (
  core: FeedCore,
  index: number,
  options: WaitOptions
): Effect.Effect<void, BlockUnavailable | FeedClosed> => {
  if (core.bitfield.has(index)) return Effect.void
  if (options.wait === false) return Effect.fail(new BlockUnavailable({ index, reason: "not-held" }))
  return withDeadline(whenItComes(core, index, options), () => index, options.timeout)
}

/** The bytes of block `index`. */
export const get = (
  core: FeedCore,
  index: number,
  options: WaitOptions = {}
): Effect.Effect<Uint8Array, GetError> =>
  Effect.suspend((): Effect.Effect<Uint8Array, GetError> => {
    if (core.closed) return Effect.fail(new FeedClosed())
    if (!isIndex(index)) {
      return Effect.fail(new BadArgument({ operation: "get", detail: `${index} is not a block index` }))
    }
    const problem = wrongDuration("get", "timeout", options.timeout)
    if (problem !== undefined) return Effect.fail(problem)
    const wait = () => awaitBlock(core, index, options)
    return core.bitfield.has(index) ? readBlock(core, index, wait) : wait()
  })

/** Waits for the block; one that was cleared again before it could be read is waited for again. */
const awaitBlock = (
  core: FeedCore,
  index: number,
  options: WaitOptions
): Effect.Effect<Uint8Array, GetError> => {
  if (options.wait === false) return Effect.fail(new BlockUnavailable({ index, reason: "not-held" }))
  const read: Effect.Effect<Uint8Array, GetError> = Effect.suspend(() =>
    core.bitfield.has(index)
      ? readBlock(core, index, () => read)
      : Effect.zipRight(whenItComes(core, index, options), read)
  )
  return withDeadline(read, () => index, options.timeout)
}

const BATCH_BYTES = 4 * 1024 * 1024
const BATCH_BLOCKS = 4096

/**
 * Ends when the blocks of [start, end) are all held, which until then are wanted. A range of millions costs no more than a
 * block. What was cleared again before all came is wanted again.
 */
const whenAllHeld = (core: FeedCore, start: number, end: number, options: BatchOptions) => {
  const wait: Effect.Effect<void, FeedClosed> = Effect.suspend(() =>
    core.bitfield.nextMissing(start, end) === end
      ? Effect.void
      : Effect.zipRight(whenDownloaded(core, { start, end, linear: false }), wait)
  )
  const index = core.bitfield.nextMissing(start, end)
  if (index === end) return Effect.void
  return options.wait === false
    ? Effect.fail(new BlockUnavailable({ index, reason: "not-held" }))
    : withDeadline(wait, () => core.bitfield.nextMissing(start, end), options.timeout)
}

/** The bytes of blocks [start, end), in order; waits until all are held. The blocks share buffers. */
export const getBatch = (
  core: FeedCore,
  start: number,
  end: number,
  options: BatchOptions = {}
): Effect.Effect<ReadonlyArray<Uint8Array>, GetError> =>
  Effect.gen(function* () {
    if (core.closed) return yield* new FeedClosed()
    yield* checkRange("getBatch", start, end)
    const problem = wrongDuration("getBatch", "timeout", options.timeout)
    if (problem !== undefined) return yield* problem
    yield* whenAllHeld(core, start, end, options)
    const blocks: Array<Uint8Array> = []
    while (blocks.length < end - start) {
      const next = start + blocks.length
      const read = yield* readHeld(core, next, Math.min(end, next + BATCH_BLOCKS), BATCH_BYTES)
      for (const block of read) blocks.push(block)
      // What is cleared while it is read is waited for again.
      if (!core.bitfield.has(next + read.length)) yield* whenAllHeld(core, next + read.length, end, options)
    }
    return blocks
  })

/** The bytes of the last block; `BlockUnavailable` (`out-of-range`, index -1) when the feed is empty. */
export const head = (core: FeedCore, options: WaitOptions = {}): Effect.Effect<Uint8Array, GetError> =>
  Effect.suspend((): Effect.Effect<Uint8Array, GetError> => {
    const problem = wrongDuration("head", "timeout", options.timeout)
    if (problem !== undefined && !core.closed) return Effect.fail(problem)
    return core.tip.length === 0 && !core.closed
      ? Effect.fail(new BlockUnavailable({ index: -1, reason: "out-of-range" }))
      : get(core, Math.max(core.tip.length - 1, 0), options)
  })
