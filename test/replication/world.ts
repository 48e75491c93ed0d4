/** Hosts of a simulated net, each with a feed of the same key, that dial their neighbours again and again, as a program would. */
import { Context, Effect, ExecutionStrategy, Exit, Scope } from "effect"
import { Random, seedOf } from "../../src/domain/Random.js"
import {
  type Connection,
  Crypto,
  type CryptoService,
  Feed,
  type NetworkMemory,
  Storage,
  StorageMemory
} from "../../src/index.js"
import * as StorageFaulty from "../../src/layers/StorageFaulty.js"
import { coreOf } from "../../src/services/feed/FeedCore.js"
import { currentSwarm } from "../../src/services/replication/Swarm.js"
import { leftoversOf, Station } from "./Station.js"

/** The bytes of block `index`: most are short, some are empty, some long. */
export const blockOf = (seed: number, index: number): Uint8Array => {
  const random = new Random(seedOf(seed, `block ${index}`))
  const kind = random.below(20)
  const size = kind === 0 ? 0 : kind === 1 ? random.below(20_000) : random.below(200)
  return Uint8Array.from({ length: size }, () => random.below(256))
}

/** The same crypto, whose random bytes a seed repeats. */
export const seededCrypto = (crypto: CryptoService, seed: number): CryptoService => {
  const random = new Random(seed)
  return {
    ...crypto,
    randomBytes: (length) => Effect.sync(() => Uint8Array.from({ length }, () => random.below(256)))
  }
}

export interface HostOptions {
  readonly name: string
  readonly sparse: boolean
  /** Takes connections for any feed that it has, rather than for the one. */
  readonly onFeed: boolean
  /** Hosts that it dials. */
  readonly dials: ReadonlyArray<string>
}

type Services = Context.Context<Crypto | Storage>

export class Host {
  readonly station: Station
  feed: Feed.Feed | undefined
  isUp = false
  #life: Scope.CloseableScope | undefined

  private constructor(
    readonly options: HostOptions,
    readonly open: Feed.OpenOptions,
    readonly net: NetworkMemory.SimulatedNet,
    readonly services: Services,
    readonly scope: Scope.Scope,
    readonly machine: StorageFaulty.StorageFaulty | undefined
  ) {
    const { name, onFeed } = options
    this.station = new Station({ name, net, onFeed: onFeed ? services : undefined })
  }

  get connections(): ReadonlySet<Connection> {
    return this.station.connections
  }

  static readonly make = (
    options: HostOptions,
    open: Feed.OpenOptions,
    net: NetworkMemory.SimulatedNet,
    crypto: CryptoService,
    faulty?: StorageFaulty.FaultyOptions
  ): Effect.Effect<Host, never, Scope.Scope> =>
    Effect.gen(function* () {
      const machine = faulty && (yield* StorageFaulty.make(faulty))
      const storage = machine?.storage ?? (yield* StorageMemory.make)
      const services = Context.make(Storage, storage).pipe(Context.add(Crypto, crypto))
      return new Host(options, open, net, services, yield* Effect.scope, machine)
    })

  /** Opens the feed, listens, dials. */
  start(): Effect.Effect<void> {
    return Effect.gen(this, function* () {
      if (this.#life !== undefined) return
      const life = yield* Scope.fork(this.scope, ExecutionStrategy.sequential)
      this.#life = life
      const begun = yield* Effect.exit(Scope.extend(this.#begin(), life))
      // It takes its time on a slow disk, and may be ended before it is up.
      if (this.#life !== life) return
      yield* Effect.orDie(begun)
      this.isUp = true
    })
  }

  #begin() {
    return Effect.gen(this, function* () {
      const { dials, sparse } = this.options
      const feed = yield* Effect.provide(Feed.open({ ...this.open, sparse }), this.services)
      this.feed = feed
      yield* this.station.listen(feed)
      for (const host of dials) yield* Effect.forkScoped(this.station.dial(feed, host))
    })
  }

  /** Its machine, or its program, ends. */
  crash(kind: StorageFaulty.CrashKind, silent: boolean): Effect.Effect<void> {
    const ended = this.machine === undefined ? Effect.void : this.machine.crash(kind)
    return Effect.zipRight(this.#life === undefined ? Effect.void : ended, this.stop(silent))
  }

  /** Ends all that it does; `silent`: without a word to the others. */
  stop(silent: boolean): Effect.Effect<void> {
    return Effect.gen(this, function* () {
      const life = this.#life
      if (life === undefined) return
      this.#life = undefined
      this.isUp = false
      if (silent) for (const connection of this.connections) yield* this.net.vanish(connection)
      yield* Scope.close(life, Exit.void)
    })
  }

  leftovers(): ReadonlyArray<string> {
    return leftoversOf(this.feed!, this.station)
  }

  /** Requests that are not over, though nothing is missing. */
  underWay(): ReadonlyArray<string> {
    const swarm = currentSwarm(coreOf(this.feed!))
    if (swarm === undefined) return []
    const inFlight = [...swarm.members].reduce((sum, { peer }) => sum + peer.inFlight, 0)
    const { reserved } = swarm.downloads
    return reserved + inFlight === 0
      ? []
      : [`${this.options.name}: ${reserved} blocks reserved, ${inFlight} requests in flight`]
  }
}
