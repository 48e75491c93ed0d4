/** Our feed as the benchmark drives it: one Effect a loop, as a program on this package would be written. */
import { Effect, Exit, Layer, Scope, Stream } from "effect"
import { Feed, NetworkMemory, Replication, fromHex, toHex } from "effect-hypercore"
import { NetworkTcp, StorageFile } from "effect-hypercore/node"
import { createRequire } from "node:module"
import path from "node:path"

/** The layers, built once a process as a program would, over the whole file system: a feed's path is its directory. */
const buildServices = (crypto) => {
  const storage = StorageFile.layer({ directory: path.parse(process.cwd()).root })
  return Effect.runPromise(
    Effect.flatMap(Scope.make(), (scope) => Scope.extend(Layer.build(Layer.merge(storage, crypto)), scope))
  )
}

const pathOf = (directory) => path.relative(path.parse(directory).root, directory).split(path.sep).join("/")

/** Copies an open feed to a new one in directory `to`, within the process. */
const replicate = (services, { feed }, to) =>
  Effect.gen(function* () {
    const copy = yield* Feed.open({ path: pathOf(to), key: feed.key })
    const [left, right] = yield* NetworkMemory.pair()
    yield* Effect.all([Replication.replicate(feed, left), Replication.replicate(copy, right)], {
      concurrency: "unbounded"
    })
  }).pipe(Effect.scoped, Effect.provide(services), Effect.runPromise)

/** Fetches blocks into a new sparse feed in directory `to`, over `peers` connections to an open one. */
const replicateRange = (services, { feed }, to, { end, peers, start }) =>
  Effect.gen(function* () {
    const copy = yield* Feed.open({ path: pathOf(to), key: feed.key, sparse: true })
    for (let i = 0; i < peers; i++) {
      const [left, right] = yield* NetworkMemory.pair()
      yield* Effect.forkScoped(Replication.replicate(feed, left, { live: true }))
      yield* Effect.forkScoped(Replication.replicate(copy, right, { live: true }))
    }
    yield* copy.download({ start, end })
  }).pipe(Effect.scoped, Effect.provide(services), Effect.runPromise)

/** Serves an open feed over TCP until the process ends. */
const serve = async ({ feed }) => {
  const scope = await Effect.runPromise(Scope.make())
  const network = NetworkTcp.make()
  const listener = await Effect.runPromise(
    Scope.extend(
      network.listen({ host: "127.0.0.1", port: 0 }, (connection) => Replication.replicate(feed, connection)),
      scope
    )
  )
  return { key: toHex(feed.key), port: listener.address.port }
}

/** Fetches the feed of that key into a new one in directory `to`. */
const clone = (services, to, key, port) =>
  Effect.gen(function* () {
    const copy = yield* Feed.open({ path: pathOf(to), key: fromHex(key) })
    const network = NetworkTcp.make()
    const connection = yield* network.connect({ host: "127.0.0.1", port })
    yield* Replication.replicate(copy, connection)
  }).pipe(Effect.scoped, Effect.provide(services), Effect.runPromise)

/** Opens the feed in the directory; `close` closes its scope. */
const openFeed = async (services, directory) => {
  const scope = await Effect.runPromise(Scope.make())
  const feedPath = pathOf(directory)
  const opened = Feed.open({ path: feedPath }).pipe(Effect.provide(services), Scope.extend(scope))
  const feed = await Effect.runPromise(opened)

  const appendEach = (next) =>
    Effect.gen(function* () {
      for (let block = next(); block !== undefined; block = next()) yield* feed.append(block)
    })

  return {
    feed,
    get length() {
      return feed.length
    },
    get byteLength() {
      return feed.byteLength
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

const { version } = createRequire(import.meta.url)("effect-hypercore/package.json")

/** What the benchmark drives, on any crypto. */
export const contender = async (crypto, about) => {
  const services = await buildServices(crypto)
  return {
    version,
    supports: ["audit", "sleep"],
    ...about,
    open: (directory) => openFeed(services, directory),
    replicate: (feed, to) => replicate(services, feed, to),
    replicateRange: (feed, to, range) => replicateRange(services, feed, to, range),
    serve,
    clone: (to, key, port) => clone(services, to, key, port)
  }
}
