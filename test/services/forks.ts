/** Two histories of one key, as no honest owner makes them: what the tests of forks share. */
import { Deferred, Effect } from "effect"
import { Feed, type FeedEvent } from "../../src/index.js"
import { bytes, keyPair, memory } from "./harness.js"

/** Blocks [0, `length`) of a history that goes its own way from block `forkAt` on. */
export const history = (branch: string, forkAt: number, length: number): Array<Uint8Array> =>
  Array.from({ length }, (_, i) => bytes(i < forkAt ? `block ${i}` : `${branch} ${i}`))

/** An author's feed in a storage of its own, signed after each of the batches. */
export const signing = (blocks: ReadonlyArray<Uint8Array>, batches: ReadonlyArray<number> = []) =>
  Effect.gen(function* () {
    const feed = yield* Effect.provide(Effect.flatMap(keyPair(1), Feed.open), memory)
    let start = 0
    for (const end of [...batches, blocks.length]) {
      if (end > start) yield* feed.appendBatch(blocks.slice(start, end))
      start = Math.max(start, end)
    }
    return feed
  })

/** A reader's feed in a storage of its own that has the first `held` blocks of `of`. */
export const reading = (of: Feed.Feed, held = of.length, options: Feed.OpenOptions = {}) =>
  Effect.gen(function* () {
    const feed = yield* Effect.provide(Feed.open({ key: of.key, ...options }), memory)
    for (let index = 0; index < held; index++) yield* put(feed, of, index)
    return feed
  })

/** Gives `to` a block of `from` with all that proves it by itself. */
export const put = (to: Feed.Feed, from: Feed.Feed, index: number) =>
  Effect.gen(function* () {
    yield* to.put({ index, block: yield* from.get(index), proof: yield* from.proof(index) })
  })

/** Ends when the feed tells of `tag`; to be made before it can. */
export const told = (feed: Feed.Feed, tag: FeedEvent["_tag"]) =>
  Effect.map(Deferred.make<FeedEvent>(), (found) => {
    feed.unsafeListen((event) => {
      if (event._tag === tag) Deferred.unsafeDone(found, Effect.succeed(event))
    })
    return Deferred.await(found)
  })
