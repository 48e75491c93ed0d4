/** A net of named hosts: who listens where, which connections there are, who is cut off from whom. */
import { Effect, FiberSet, type Scope } from "effect"
import type { NetworkError } from "../../domain/Errors.js"
import { Random, seedOf } from "../../domain/Random.js"
import type { Address, Connection, NetworkService } from "../../services/Network.js"
import { type Duplex, Waiters } from "../network/Duplex.js"
import { type Fault, networkError } from "../network/Fault.js"
import { serve } from "../network/serve.js"
import { type Conditions, drawLatency, type Surroundings } from "./Line.js"
import { Link, LinkEnd, type LinkEvent, type LinkOptions } from "./Link.js"

export interface NetOptions {
  readonly seed: number
  readonly conditions: Conditions
  readonly bufferSize: number
  readonly cuts: LinkOptions["cuts"]
  readonly adversary: LinkOptions["adversary"]
}

interface Partition {
  readonly left: ReadonlySet<string>
  readonly right: ReadonlySet<string>
}

/** What has happened on a net, by how often. */
export type Counts = Record<LinkEvent | "connections" | "partitions", number>

/** The first of the ports that are given out. */
const FREE_PORTS = 49_152
const MAX_PORT = 65_535

const isPort = (port: number): boolean => Number.isInteger(port) && port >= 0 && port <= MAX_PORT

export class SimulatedNet {
  readonly #listeners = new Map<string, (duplex: Duplex) => void>()
  readonly #links = new Set<Link>()
  #isClosed = false
  #partitions: ReadonlyArray<Partition> = []
  #isTampering = true
  readonly counts: Counts = {
    connections: 0,
    cuts: 0,
    halfOpen: 0,
    partitions: 0,
    changed: 0,
    dropped: 0,
    repeated: 0,
    reordered: 0
  }
  /** How many connections there have been from one host to an address: with that, each has a seed of its own. */
  readonly #counts = new Map<string, number>()

  private constructor(
    readonly options: NetOptions,
    readonly around: Surroundings
  ) {}

  static readonly make = (options: NetOptions): Effect.Effect<SimulatedNet, never, Scope.Scope> =>
    Effect.gen(function* () {
      const clock = yield* Effect.clock
      const run = yield* FiberSet.makeRuntime<never, void>()
      const { conditions } = options
      const net = new SimulatedNet(options, { clock, conditions, run, changes: new Waiters() })
      yield* Effect.addFinalizer(() => Effect.sync(() => net.#close()))
      return net
    })

  #close(): void {
    this.#isClosed = true
    for (const { ends } of this.#links) for (const end of ends) end.unsafeClose()
  }

  host(name: string): NetworkService {
    return {
      connect: (address) => this.#connect(name, address),
      listen: (address, handle) => this.#listen(name, address, handle)
    }
  }

  partition(left: ReadonlyArray<string>, right: ReadonlyArray<string>): void {
    this.counts.partitions++
    this.#partitions = [...this.#partitions, { left: new Set(left), right: new Set(right) }]
  }

  heal(): void {
    this.#partitions = []
    this.around.changes.wake()
  }

  calm(): void {
    this.#isTampering = false
  }

  cutAll(): void {
    for (const link of this.#links) link.cut()
  }

  endOf(connection: Connection): LinkEnd {
    if (connection instanceof LinkEnd && connection.link.options.around === this.around) return connection
    throw new Error(`the connection with ${connection.remote} is none of this net's`)
  }

  #isBlocked(from: string, to: string): boolean {
    return this.#partitions.some(
      ({ left, right }) => (left.has(from) && right.has(to)) || (left.has(to) && right.has(from))
    )
  }

  #link(from: string, to: string, port: number, count: number, seed: number): Link {
    const link = new Link(
      {
        around: this.around,
        seed,
        bufferSize: this.options.bufferSize,
        cuts: this.options.cuts,
        adversary: this.options.adversary,
        isTampering: () => this.#isTampering,
        onEvent: (event) => this.counts[event]++,
        isBlocked: () => this.#isBlocked(from, to)
      },
      [`${from}:${FREE_PORTS + (count % (MAX_PORT + 1 - FREE_PORTS))}`, `${to}:${port}`],
      (gone) => this.#links.delete(gone)
    )
    this.#links.add(link)
    this.counts.connections++
    return link
  }

  #connect(from: string, address: Address): Effect.Effect<Connection, NetworkError, Scope.Scope> {
    const to = hostOf(address, from)
    const name = `${to}:${address.port}`
    const fail = (reason: Fault["reason"]) => Effect.fail(networkError("connect", name, { reason }))
    return Effect.uninterruptibleMask((restore) =>
      Effect.gen(this, function* () {
        if (!isPort(address.port)) return yield* fail("address")
        const route = `${from}>${name}`
        const count = this.#counts.get(route) ?? 0
        this.#counts.set(route, count + 1)
        const seed = seedOf(this.options.seed, `${route}#${count}`)
        const random = new Random(seed)
        const travel = Effect.suspend(() => {
          const latency = Math.ceil(drawLatency(this.options.conditions, random))
          return latency === 0 ? Effect.void : restore(Effect.sleep(latency))
        })
        yield* travel
        if (this.#isClosed) return yield* fail("closed")
        if (this.#isBlocked(from, to)) return yield* fail("unreachable")
        const accept = this.#listeners.get(name)
        if (accept === undefined) return yield* Effect.zipRight(travel, fail("refused"))
        const [near, far] = this.#link(from, to, address.port, count, seed).ends
        yield* Effect.addFinalizer(() => near.close)
        accept(far)
        yield* Effect.onError(travel, () => near.close)
        return near
      })
    )
  }

  #listen<E, R>(
    host: string,
    address: Address,
    handle: (connection: Connection) => Effect.Effect<void, E, R>
  ) {
    return Effect.uninterruptible(
      Effect.gen(this, function* () {
        const port = address.port === 0 ? this.#freePort(host) : address.port
        const name = `${host}:${port}`
        if (hostOf(address, host) !== host || !isPort(port) || this.#listeners.has(name)) {
          return yield* Effect.fail(
            networkError("listen", `${address.host ?? host}:${port}`, { reason: "address" })
          )
        }
        const accept = yield* serve(handle)
        this.#listeners.set(name, accept)
        yield* Effect.addFinalizer(() => Effect.sync(() => this.#listeners.delete(name)))
        return { address: { host, port } }
      })
    )
  }

  #freePort(host: string): number {
    let port = FREE_PORTS
    while (this.#listeners.has(`${host}:${port}`)) port++
    return port
  }
}

/** `localhost` is the host itself, as is no name. */
const hostOf = ({ host }: Address, own: string): string =>
  host === undefined || host === "localhost" ? own : host
