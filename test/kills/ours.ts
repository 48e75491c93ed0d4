/** This package, as a party to be killed. */
import { Cause, Effect, Exit, Layer, Scope } from "effect"
import { Feed, Network, Replication } from "../../src/index.js"
import { layer, NetworkTcp } from "../../src/node.js"
import type { OpenParty } from "./Party.js"

export const open: OpenParty = async (directory, key) => {
  const scope = Effect.runSync(Scope.make())
  const services = await Effect.runPromise(
    Scope.extend(Layer.build(Layer.merge(layer({ directory }), NetworkTcp.layer())), scope)
  )
  const run = <A, E>(
    effect: Effect.Effect<A, E, Effect.Effect.Context<ReturnType<typeof serve>> | Scope.Scope>
  ) => Effect.runPromise(Effect.provide(Scope.extend(effect, scope), services))
  const feed = await Effect.runPromise(
    Effect.provide(Scope.extend(Feed.open(key === undefined ? {} : { key }), scope), services)
  )
  return {
    key: feed.key,
    length: () => feed.length,
    downloaded: () => Effect.runSync(feed.downloaded()),
    append: (blocks) =>
      Effect.runPromise(blocks.length === 1 ? feed.append(blocks[0]!) : feed.appendBatch(blocks)),
    get: (index) => Effect.runPromise(feed.get(index, { wait: false })),
    listen: () => run(serve(feed)),
    follow: (port) => run(follow(feed, port)),
    onProgress: (listener) => {
      feed.unsafeListen(({ _tag }) => {
        if (_tag === "Append" || _tag === "Download") listener()
      })
    }
  }
}

const serve = (feed: Feed.Feed) =>
  Effect.gen(function* () {
    const network = yield* Network
    const { address } = yield* network.listen({ host: "127.0.0.1", port: 0 }, (connection) =>
      Effect.ignore(Replication.replicate(feed, connection, { live: true }))
    )
    return address.port
  })

const follow = (feed: Feed.Feed, port: number) =>
  Effect.gen(function* () {
    const network = yield* Network
    const connection = yield* network.connect({ host: "127.0.0.1", port })
    yield* Replication.replicate(feed, connection, { live: true })
  }).pipe(
    Effect.scoped,
    Effect.exit,
    Effect.map((exit) => (Exit.isSuccess(exit) ? undefined : Cause.pretty(exit.cause)))
  )
