/** createReadStream: the feed's blocks as a Node stream of values, read a chunk ahead of who takes them. */
import { Cause, Chunk, Effect, Exit, Fiber, Option, Scope, Stream } from "effect"
import { Readable } from "node:stream"
import type { Feed } from "../../index.js"
import type { Codec, LegacyEncoding } from "../codecs.js"
import { fork } from "../fork.js"
import { ofCause, toLegacyError } from "../LegacyError.js"
import { toMillis } from "../toMillis.js"

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
const toOptions = ({
  end,
  live,
  snapshot,
  start,
  tail,
  timeout,
  wait
}: ReadStreamOptions): Feed.ReadOptions => ({
  snapshot: snapshot !== false,
  tail: Boolean(tail),
  live: Boolean(live),
  wait: wait !== false,
  start: start ?? 0,
  ...(typeof end === "number" && end !== -1 ? { end: endFrom(start ?? 0, end) } : {}),
  ...(timeout ? { timeout: toMillis(timeout) } : {})
})

/** What ends before it starts is empty here, not refused. */
const endFrom = (start: number, end: number): number => (0 <= end && end < start ? start : end)

/** Gives the feed, or why there is none. */
export type WhenOpen = (run: (feed: Feed.Feed) => void, fail: (error: Error) => void) => void

/** Values that the reader has not asked for yet, whatever they are: as many as the peer's streams keep. */
const AHEAD = 16

class BlockReadable extends Readable {
  readonly #scope = Effect.runSync(Scope.make())
  #pull: Pull | undefined
  #reading: Fiber.RuntimeFiber<unknown, unknown> | undefined
  /** The chunk that was read last, and how many of its blocks were given. */
  #chunk: ReadonlyArray<Uint8Array> = []
  #given = 0

  constructor(
    readonly whenOpen: WhenOpen,
    readonly options: ReadStreamOptions,
    readonly codec: Codec
  ) {
    super({ objectMode: true, highWaterMark: AHEAD })
  }

  override _read(): void {
    if (this.#given < this.#chunk.length) this.#give()
    else if (this.#reading === undefined) this.#take()
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    const close = Scope.close(this.#scope, Exit.void)
    const reading = this.#reading
    fork(reading === undefined ? close : Effect.zipRight(Fiber.interruptFork(reading), close))
    callback(error)
  }

  /** As many of the chunk as the reader wants now. */
  #give(): void {
    try {
      while (this.#given < this.#chunk.length) {
        if (!this.push(this.codec.decode(this.#chunk[this.#given++]!))) return
      }
    } catch (error) {
      this.destroy(error as Error)
    }
  }

  /** Reads the next chunk. */
  #take(): void {
    if (this.#pull === undefined) return this.#open()
    const fiber = fork(this.#pull)
    this.#reading = fiber
    fiber.addObserver((exit) => process.nextTick(() => this.#taken(exit)))
  }

  #taken(exit: Exit.Exit<Chunk.Chunk<Uint8Array>, Option.Option<Feed.GetError>>): void {
    this.#reading = undefined
    if (this.destroyed) return
    if (Exit.isSuccess(exit)) {
      this.#chunk = Chunk.toReadonlyArray(exit.value)
      this.#given = 0
      if (this.#chunk.length === 0) this.#take()
      else this.#give()
      return
    }
    const failure = Cause.failureOption(exit.cause)
    if (Option.isNone(failure)) this.destroy(ofCause(exit.cause))
    else if (Option.isNone(failure.value)) this.push(null)
    else this.destroy(toLegacyError(failure.value.value))
  }

  #open(): void {
    this.whenOpen(
      (feed) => {
        if (this.destroyed) return
        const blocks = Stream.toPull(feed.stream(toOptions(this.options)))
        this.#pull = Effect.runSync(Scope.extend(blocks, this.#scope))
        this.#take()
      },
      (error) => this.destroy(error)
    )
  }
}

export const readStream = (whenOpen: WhenOpen, options: ReadStreamOptions, codec: Codec): Readable =>
  new BlockReadable(whenOpen, options, codec)
