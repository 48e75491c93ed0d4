/**
 * The victim, in a process of its own: it serves a feed on two ports, one for the honest peer and one for the attacker, and watches itself.
 * `{ role, directory, crypto }` comes as its argument; it says `{ ready }`, and answers `start` and `stop`.
 */
import { Cause, Effect, Exit, Layer, LogLevel, Logger, Option } from "effect"
import { CryptoNoble, Feed, Replication, StorageMemory, toHex } from "effect-hypercore"
import { CryptoSodium, NetworkTcp, StorageFile } from "effect-hypercore/node"
import { Meter } from "./meter.mjs"

/** Small feeds that are served beside the large one. */
const FEEDS = 200
const { role, directory, crypto } = JSON.parse(process.argv[2])

const cryptoLayer = crypto === "portable" ? CryptoNoble.layer : CryptoSodium.layer
const layers = Layer.merge(StorageFile.layer({ directory }), cryptoLayer)
const inMemory = Layer.merge(StorageMemory.layer, cryptoLayer)

/** How the attacked connections ended, and how often. */
const ends = {}
const note = (end) => (ends[end] = (ends[end] ?? 0) + 1)

const endOf = (exit) => {
  if (Exit.isSuccess(exit)) return "ended"
  const error = Option.getOrUndefined(Cause.failureOption(exit.cause))
  if (error === undefined) return Cause.isInterruptedOnly(exit.cause) ? "interrupted" : `DEFECT ${exit.cause}`
  return error.reason ?? error._tag
}

const serveAttacked = (feeds) => (connection) =>
  Effect.gen(function* () {
    const replicator = yield* Replication.connect(connection, {
      live: true,
      encrypt: false,
      extensions: ["x"],
      onExtension: () => undefined,
      onFeed: (key) => Effect.succeed(Option.fromNullable(feeds.get(toHex(key))))
    })
    note(endOf(yield* Effect.exit(replicator.ended)))
  })

const program = Effect.gen(function* () {
  const feed = yield* Effect.provide(Feed.open({ path: role }), layers)
  const feeds = new Map([[toHex(feed.discoveryKey), feed]])
  if (role === "author") {
    for (let i = 0; i < FEEDS; i++) {
      const small = yield* Effect.provide(Feed.open({}), yield* Layer.build(Layer.fresh(inMemory)))
      yield* small.appendBatch(Array.from({ length: 100 }, (_, k) => Buffer.from(`block ${k} of feed ${i}`)))
      feeds.set(toHex(small.discoveryKey), small)
    }
  }
  const net = NetworkTcp.make()
  const address = { host: "127.0.0.1", port: 0 }
  const honest = yield* net.listen(address, (connection) =>
    Replication.replicate(feed, connection, { live: true })
  )
  const attacked = yield* net.listen(address, serveAttacked(feeds))
  const meter = new Meter()
  process.on("message", (what) => {
    if (what === "start") meter.start()
    if (what === "stop") process.send({ figures: meter.stop(), ends })
  })
  process.on("disconnect", () => process.exit(0))
  process.send({
    ready: {
      honest: honest.address.port,
      attacked: attacked.address.port,
      key: toHex(feed.key),
      length: feed.length,
      discoveryKeys: [...feeds.keys()]
    }
  })
  yield* Effect.never
})

// That connections are reset is no news here.
const quietly = Logger.minimumLogLevel(LogLevel.None)
Effect.runPromise(Effect.provide(Effect.scoped(program), Layer.merge(cryptoLayer, quietly))).catch(
  (error) => {
    console.error(error)
    process.exit(1)
  }
)
