/** Reading as a Stream of blocks in chunks, with back-pressure: a chunk is read when the one before is taken. */
import { Chunk, Duration, Effect, Option, Stream } from "effect"
import { BadArgument, FeedClosed } from "../../domain/Errors.js"
import { wrongDuration } from "../wrongDuration.js"
import { readHeld } from "./readBlocks.js"
import { type FeedCore, isAuthor } from "./FeedCore.js"
import { type GetError, whenHeld } from "./get.js"

export interface ReadOptions {
  /** First block. Default 0. */
  readonly start?: number
  /** Block to end before, not before `start`. Default: the feed's length; with `live`, none. */
  readonly end?: number
  /** Fix the default end when reading starts (the default), or follow the feed's length until it is reached. */
  readonly snapshot?: boolean
  /** Start at the feed's length, whatever `start` says. */
  readonly tail?: boolean
  /** Never end: wait for blocks not yet appended. */
  readonly live?: boolean
  /** How long to wait for each block that is not held. */
  readonly timeout?: Duration.DurationInput
  /** Wait for blocks that are not held (the default), or fail with `BlockUnavailable`. */
  readonly wait?: boolean
  /** Wait for a block only as long as a peer may have it, else fail with `BlockUnavailable`. Default false. */
  readonly ifAvailable?: boolean
}

const CHUNK_BLOCKS = 1024
const CHUNK_BYTES = 1024 * 1024

const wrongOption = (options: ReadOptions): string | undefined => {
  for (const name of ["start", "end"] as const) {
    const bound = options[name]
    if (bound === undefined || bound === Number.POSITIVE_INFINITY) continue
    if (!Number.isSafeInteger(bound) || bound < 0) return `${name} ${bound} is not a block index`
  }
  const { end = Number.POSITIVE_INFINITY, start = 0, tail, timeout } = options
  // Where the tail starts is not the caller's to know.
  if (start > end && tail !== true) return `[${start}, ${end}) is not a range of blocks`
  return wrongDuration("stream", "timeout", timeout)?.detail
}

/** The blocks that `options` select, in order. The blocks of a chunk share one buffer. */
export const stream = (core: FeedCore, options: ReadOptions = {}): Stream.Stream<Uint8Array, GetError> =>
  Stream.suspend((): Stream.Stream<Uint8Array, GetError> => {
    const problem = wrongOption(options)
    if (problem !== undefined) return Stream.fail(new BadArgument({ operation: "stream", detail: problem }))
    const start = options.tail === true ? core.tip.length : (options.start ?? 0)
    const end = endOf(core, options)
    const blocks = Stream.unfoldChunkEffect(start, (next) => readChunk(core, next, end(), options))
    if (options.wait === false || isAuthor(core)) return blocks
    // What is read next is fetched first, ahead of the reading.
    const last = options.end ?? Number.POSITIVE_INFINITY
    return Stream.unwrapScoped(
      Effect.as(
        Effect.acquireRelease(
          Effect.sync(() => core.demand.select({ start, end: last, linear: true })),
          (release) => Effect.sync(release)
        ),
        blocks
      )
    )
  })

/** Where reading ends, asked anew for each chunk. */
const endOf = (core: FeedCore, options: ReadOptions): (() => number) => {
  const { end } = options
  if (end !== undefined) return () => end
  if (options.live === true) return () => Number.POSITIVE_INFINITY
  const fixed = core.tip.length
  return options.snapshot === false ? () => core.tip.length : () => fixed
}

const readChunk = (core: FeedCore, start: number, end: number, options: ReadOptions) =>
  Effect.gen(function* () {
    if (start >= end && !core.closed) return Option.none()
    // A block that was cleared again before its turn came, or while it was read, is waited for again.
    while (true) {
      if (core.closed) return yield* new FeedClosed()
      yield* whenHeld(core, start, options)
      const heldEnd = core.bitfield.nextMissing(start, Math.min(end, start + CHUNK_BLOCKS))
      if (heldEnd === start) continue
      const blocks = yield* readHeld(core, start, heldEnd, CHUNK_BYTES)
      if (blocks.length > 0) {
        return Option.some([Chunk.unsafeFromArray(blocks), start + blocks.length] as const)
      }
    }
  })
