/** Our feed as the benchmark drives it: one Effect a loop, as a program on this package would be written. */
import { Effect, Exit, Layer, Scope, Stream } from "effect"
import { Feed } from "effect-hypercore"
import { StorageFile } from "effect-hypercore/node"

/** Opens the feed in the directory with the crypto layer given; `close` closes what that made. */
export const openFeed = async (crypto, directory) => {
  const scope = await Effect.runPromise(Scope.make())
  const services = Layer.merge(StorageFile.layer({ directory }), crypto)
  const feed = await Effect.runPromise(
    Feed.open().pipe(
      Effect.provide(await Effect.runPromise(Scope.extend(Layer.build(services), scope))),
      Scope.extend(scope)
    )
  )

  const appendEach = (next) =>
    Effect.gen(function* () {
      for (let block = next(); block !== undefined; block = next()) yield* feed.append(block)
    })

  return {
    get length() {
      return feed.length
    },
    crypto: feed.crypto,
    appendEach: (next) => Effect.runPromise(appendEach(next)),
    appendConcurrently: (callers, next) =>
      Effect.runPromise(
        Effect.all(
          Array.from({ length: callers }, () => appendEach(next)),
          { concurrency: "unbounded", discard: true }
        )
      ),
    appendBatches: (next) =>
      Effect.runPromise(
        Effect.gen(function* () {
          for (let blocks = next(); blocks !== undefined; blocks = next()) yield* feed.appendBatch(blocks)
        })
      ),
    getEach: (nextIndex, onBlock) =>
      Effect.runPromise(
        Effect.gen(function* () {
          for (let index = nextIndex(); index >= 0; index = nextIndex()) onBlock(yield* feed.get(index))
        })
      ),
    readStream: (onBlock) =>
      Effect.runPromise(Stream.runForEachWhile(feed.stream(), (block) => Effect.sync(() => onBlock(block)))),
    audit: () => Effect.runPromise(feed.audit()),
    close: () => Effect.runPromise(Scope.close(scope, Exit.void))
  }
}
