/**
 * Appends a stream of blocks in batches, in constant memory: while one batch is committed the next is gathered, so a
 * batch grows with the time that a commit takes (a lot with `--durable`), and a lone block does not wait for others.
 */
import { Chunk, Effect, Mailbox, type Scope, Stream } from "effect"
import type { Feed } from "../index.js"

/** Bytes that may wait for their commit, counting what a block costs besides its bytes. */
const GATHERED_BYTES = 8 * 1024 * 1024
const BLOCK_COST = 128
/** Blocks under one signature, at most: a commit cannot be interrupted. */
const BATCH_BLOCKS = 8192

type Blocks = ReadonlyArray<Uint8Array>

/** Blocks and bytes appended. */
export interface Appended {
  readonly blocks: number
  readonly bytes: number
}

const sizeOf = (blocks: Blocks): number => blocks.reduce((size, block) => size + block.length, 0)

/** What `blocks` take of the memory for gathering: a single one may be larger than all of it. */
const weigh = (blocks: Blocks): number =>
  Math.min(GATHERED_BYTES, sizeOf(blocks) + BLOCK_COST * blocks.length)

/** Appends all blocks, in order; runs `onAppended` after each batch. */
export const writeAll = <E>(
  feed: Feed.Feed,
  blocks: Stream.Stream<Blocks, E>,
  onAppended: (batch: Appended) => Effect.Effect<void>
): Effect.Effect<void, E | Feed.AppendError, Scope.Scope> =>
  Effect.gen(function* () {
    const gathered = yield* Mailbox.make<Blocks, E>()
    const room = yield* Effect.makeSemaphore(GATHERED_BYTES)
    yield* blocks.pipe(
      Stream.runForEach((some) => Effect.zipRight(room.take(weigh(some)), gathered.offer(some))),
      Mailbox.into(gathered),
      Effect.forkScoped
    )
    for (let done = false; !done;) {
      const [taken, isLast] = yield* gathered.takeAll
      const all = Chunk.toReadonlyArray(taken).flat()
      for (let start = 0; start < all.length; start += BATCH_BLOCKS) {
        const batch = all.slice(start, start + BATCH_BLOCKS)
        yield* feed.appendBatch(batch)
        yield* onAppended({ blocks: batch.length, bytes: sizeOf(batch) })
      }
      yield* room.release(Chunk.reduce(taken, 0, (weight, some) => weight + weigh(some)))
      done = isLast
    }
  })
