/** A host of a simulated net: it takes connections and dials others, again and again, as a program would, while it has a feed. */
import { Context, Effect, Exit, Option, Schedule, type Scope } from "effect"
import { equals } from "../../src/domain/Bytes.js"
import {
  type Connection,
  type Crypto,
  type Feed,
  type NetworkError,
  NetworkMemory,
  Replication,
  type Storage
} from "../../src/index.js"
import { coreOf } from "../../src/services/feed/FeedCore.js"
import { currentSwarm } from "../../src/services/replication/Swarm.js"

const PORT = 3282

export interface StationOptions {
  readonly name: string
  readonly net: NetworkMemory.SimulatedNet
  /** Takes connections for any feed that it has, with these services, rather than for the one. */
  readonly onFeed?: Context.Context<Crypto | Storage> | undefined
  /** Told of each connection that begins, before anything is said; and of how what was done with it ended. */
  readonly onBegin?: ((connection: Connection) => void) | undefined
  readonly onEnd?: ((exit: Exit.Exit<void, unknown>) => void) | undefined
  /** Told of each time that something is about to leave. */
  readonly onPush?: (() => void) | undefined
}

export class Station {
  readonly connections = new Set<Connection>()
  /** Its program has ended: it says nothing, to nobody. */
  isDown = true

  constructor(readonly options: StationOptions) {}

  /** Takes connections until the scope closes. */
  listen(feed: Feed.Feed): Effect.Effect<void, NetworkError, Scope.Scope> {
    const { name, net } = this.options
    this.isDown = false
    return Effect.asVoid(net.host(name).listen({ port: PORT }, (connection) => this.#serve(feed, connection)))
  }

  /** Dials a host until the scope closes, or for ever: as often as the connection ends. */
  dial(feed: Feed.Feed, host: string): Effect.Effect<void> {
    const { name, net } = this.options
    const connected = Effect.scoped(
      Effect.flatMap(net.host(name).connect({ host, port: PORT }), (connection) =>
        this.#known(connection, Replication.replicate(feed, this.#watched(connection), { live: true }))
      )
    )
    const once = Effect.suspend(() => (this.isDown ? Effect.void : connected))
    return Effect.asVoid(Effect.repeat(Effect.exit(once), Schedule.spaced("500 millis")))
  }

  #serve(feed: Feed.Feed, connection: Connection) {
    const watched = this.#watched(connection)
    const { onFeed } = this.options
    if (onFeed === undefined) {
      return this.#known(connection, Replication.replicate(feed, watched, { live: true }))
    }
    const replication = Replication.connect(watched, {
      live: true,
      onFeed: (key) => Effect.succeed(equals(key, feed.discoveryKey) ? Option.some(feed) : Option.none())
    })
    return this.#known(
      connection,
      Effect.scoped(Effect.flatMap(replication, ({ ended }) => ended)).pipe(Effect.provide(onFeed))
    )
  }

  #watched(connection: Connection): Connection {
    const { onPush } = this.options
    if (onPush === undefined) return connection
    return {
      remote: connection.remote,
      pull: connection.pull,
      push: (arrays) =>
        Effect.suspend(() => {
          onPush()
          return connection.push(arrays)
        }),
      end: connection.end
    }
  }

  #known<E, R>(connection: Connection, effect: Effect.Effect<void, E, R>): Effect.Effect<void, E, R> {
    const { onBegin, onEnd } = this.options
    return Effect.suspend(() => {
      if (this.isDown) return Effect.void
      return Effect.acquireUseRelease(
        Effect.sync(() => {
          this.connections.add(connection)
          onBegin?.(connection)
        }),
        () => Effect.onExit(effect, (exit) => Effect.sync(() => onEnd?.(exit))),
        () => Effect.sync(() => this.connections.delete(connection))
      )
    })
  }

  /** Its program ends, without a word to the others. */
  unsafeVanish(): void {
    this.isDown = true
    for (const connection of this.connections) Effect.runSync(this.options.net.vanish(connection))
  }
}

/** What replication leaves with a feed that is closed, or has no connections: nothing. */
export const leftoversOf = (
  feed: Feed.Feed,
  { connections, options: { name } }: Station
): ReadonlyArray<string> => {
  const core = coreOf(feed)
  const left = {
    connections: connections.size,
    listeners: core.listeners.size,
    "listeners of demand": core.demand.listeners.size,
    waits: core.demand.size,
    wishes: core.demand.wishes.size,
    ranges: core.demand.ranges.size - (core.sparse ? 0 : 1),
    swarms: currentSwarm(core) === undefined ? 0 : 1
  }
  return Object.entries(left).flatMap(([what, count]) => (count === 0 ? [] : [`${name}: ${count} ${what}`]))
}
