/** createReadStream: the feed's blocks as a Node stream of values, read a chunk ahead of who takes them. */
import { Cause, Chunk, Effect, Exit, Fiber, Option, Scope, Stream } from "effect"
import { Readable } from "node:stream"
import type { Feed } from "../../index.js"
import type { Codec, LegacyEncoding } from "../codecs.js"
import { fork } from "../fork.js"
import { ofCause } from "../LegacyError.js"

export interface ReadStreamOptions {
  /** First block. Default 0. */
  readonly start?: number
  /** Block to end before. Default: the feed's length; with `live`, none. */
  readonly end?: number
  /** False: follow the feed's length until it is reached. Default true. */
  readonly snapshot?: boolean
  /** Start at the feed's length. */
  readonly tail?: boolean
  /** Never end. */
  readonly live?: boolean
  /** Milliseconds to wait for each block; 0: as long as it takes. */
  readonly timeout?: number
  /** False: a block that is not here is an error. Default true. */
  readonly wait?: boolean
  readonly valueEncoding?: LegacyEncoding
}

type Pull = Effect.Effect<Chunk.Chunk<Uint8Array>, Option.Option<Feed.GetError>>

/** What is left out may be there as null, or as what is false. */
const toOptions = ({ end, live, snapshot, start, tail, timeout, wait }: ReadStreamOptions): Feed.ReadOptions => ({
  snapshot: snapshot !== false,
  tail: Boolean(tail),
  live: Boolean(live),
  wait: wait !== false,
  start: start ?? 0,
  ...(typeof end === "number" && end !== -1 ? { end } : {}),
  ...(timeout ? { timeout } : {})
})

/** `whenOpen` gives the feed, or why there is none. */
export const readStream = (
  whenOpen: (run: (feed: Feed.Feed) => void, fail: (error: Error) => void) => void,
  options: ReadStreamOptions,
  codec: Codec
): Readable => {
  const scope = Effect.runSync(Scope.make())
  let pull: Pull | undefined
  let reading: Fiber.RuntimeFiber<unknown, unknown> | undefined
  let waiting: ReadonlyArray<Uint8Array> = []
  let next = 0

  const stream = new Readable({
    objectMode: true,
    highWaterMark: 16,
    read() {
      if (next < waiting.length) give()
      else if (reading === undefined) take()
    },
    destroy(error, callback) {
      const close = Scope.close(scope, Exit.void)
      fork(reading === undefined ? close : Effect.zipRight(Fiber.interruptFork(reading), close))
      callback(error)
    }
  })

  /** As many of the chunk as the reader wants now. */
  const give = (): void => {
    try {
      while (next < waiting.length && stream.push(codec.decode(waiting[next++]!)));
    } catch (error) {
      stream.destroy(error as Error)
    }
  }

  const take = (): void => {
    if (pull === undefined) return open()
    const fiber = fork(pull)
    reading = fiber
    fiber.addObserver((exit) => process.nextTick(taken, exit))
  }

  const taken = (exit: Exit.Exit<Chunk.Chunk<Uint8Array>, Option.Option<Feed.GetError>>): void => {
    reading = undefined
    if (stream.destroyed) return
    if (Exit.isSuccess(exit)) {
      waiting = Chunk.toReadonlyArray(exit.value)
      next = 0
      return waiting.length === 0 ? take() : give()
    }
    const failure = Cause.failureOption(exit.cause)
    if (Option.isSome(failure) && Option.isNone(failure.value)) stream.push(null)
    else stream.destroy(ofCause(Cause.flatMap(exit.cause, (error) => Option.match(error, { onNone: () => Cause.empty, onSome: Cause.fail }))))
  }

  const open = (): void =>
    whenOpen(
      (feed) => {
        if (stream.destroyed) return
        pull = Effect.runSync(Scope.extend(Stream.toPull(feed.stream(toOptions(options))), scope))
        take()
      },
      (error) => stream.destroy(error)
    )

  return stream
}
