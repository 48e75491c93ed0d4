/** Our feed as the benchmark drives it: one Effect a loop, as a program on this package would be written. */
import { Effect, Exit, Layer, Scope, Stream } from "effect"
import { Feed } from "effect-hypercore"
import { StorageFile } from "effect-hypercore/node"
import path from "node:path"

/** The layers, built once a process as a program would, over the whole file system: a feed's path is its directory. */
export const buildServices = (crypto) => {
  const storage = StorageFile.layer({ directory: path.parse(process.cwd()).root })
  return Effect.runPromise(
    Effect.flatMap(Scope.make(), (scope) => Scope.extend(Layer.build(Layer.merge(storage, crypto)), scope))
  )
}

/** Opens the feed in the directory; `close` closes its scope. */
export const openFeed = async (services, directory) => {
  const scope = await Effect.runPromise(Scope.make())
  const feedPath = path.relative(path.parse(directory).root, directory).split(path.sep).join("/")
  const opened = Feed.open({ path: feedPath }).pipe(Effect.provide(services), Scope.extend(scope))
  const feed = await Effect.runPromise(opened)

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
    readStream: (onBlock) => Effect.runPromise(Stream.runDrain(Stream.takeWhile(feed.stream(), onBlock))),
    audit: () => Effect.runPromise(feed.audit()),
    close: () => Effect.runPromise(Scope.close(scope, Exit.void))
  }
}
