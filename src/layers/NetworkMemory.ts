/**
 * Network in memory: linked pairs, for replication within a process, and a simulated net, whose latency, bandwidth, splits, cuts and
 * partitions a seed repeats under any Clock.
 */
import { Duration, Effect, Layer, type Scope } from "effect"
import { type Connection, Network, type NetworkService } from "../services/Network.js"
import { PairedEnd } from "./networkMemory/pair.js"
import * as Simulated from "./networkMemory/SimulatedNet.js"

export type Counts = Simulated.Counts

const BUFFER_SIZE = 1024 * 1024

export interface PairOptions {
  /** Bytes that may wait to be pulled at an end before who pushes there is held up. 1 MiB when absent. */
  readonly bufferSize?: number | undefined
  /** What each end is called. */
  readonly names?: readonly [string, string] | undefined
}

/**
 * Two ends of one connection. Nothing is copied: the arrays that one end pushes are those that the other pulls. Both
 * are closed with the scope.
 */
export const pair = (
  options: PairOptions = {}
): Effect.Effect<readonly [Connection, Connection], never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => PairedEnd.pair(options.names ?? ["left", "right"], options.bufferSize ?? BUFFER_SIZE)),
    ([left, right]) => Effect.zipRight(left.close, right.close)
  )

export interface SimulationOptions {
  /**
   * What all chance is drawn from. The same seed and the same calls at the same times give the same net; each connection
   * draws from numbers of its own, so what one does changes nothing for another.
   */
  readonly seed: number
  /** One way, fixed or drawn between two bounds. None when absent. To connect takes it twice. */
  readonly latency?:
    | Duration.DurationInput
    | { readonly min: Duration.DurationInput; readonly max: Duration.DurationInput }
    | undefined
  /** Bytes a second of each connection, in each direction. Unlimited when absent. */
  readonly bandwidth?: number | undefined
  /**
   * Bytes arrive in pieces of sizes drawn from `min` (1) to `max` (1 MiB), as likely small as large; what was
   * pushed at once is split or joined. Absent: in the arrays that were pushed.
   */
  readonly splitting?: { readonly min?: number; readonly max?: number } | undefined
  /** Bytes under way or not pulled, in each direction, before a pusher is held up. 1 MiB when absent. */
  readonly bufferSize?: number | undefined
  /**
   * Connections break after a drawn number of bytes, `meanBytes` in the mean, both ways together. A share `silent` (0 when absent) of the
   * breaks is heard by one side only, as in `vanish`.
   */
  readonly cuts?: { readonly meanBytes: number; readonly silent?: number } | undefined
  /**
   * Somebody changes what passes, every `meanBytes` in the mean, in each direction of each connection: a byte is changed, or a piece is lost,
   * repeated, or passed by the next.
   */
  readonly adversary?: { readonly meanBytes: number } | undefined
}

export interface SimulatedNet {
  /** The net as seen from the host of that name, which is there as soon as it is named. */
  readonly host: (name: string) => NetworkService
  /**
   * Between the hosts of the one group and those of the other nothing gets through until `heal`: connections stay and what is under way
   * waits, while new ones fail with `unreachable`. Partitions add up.
   */
  readonly partition: (left: ReadonlyArray<string>, right: ReadonlyArray<string>) => Effect.Effect<void>
  /** Ends all partitions; what waited arrives. */
  readonly heal: Effect.Effect<void>
  /** Breaks the connection that this is an end of: both ends fail with `reset`, and what is under way is lost. */
  readonly cut: (connection: Connection) => Effect.Effect<void>
  readonly cutAll: Effect.Effect<void>
  /** The adversary goes, for good. What it did to a connection may stay with that: no message is authenticated, only blocks are. */
  readonly calm: Effect.Effect<void>
  /** What has happened so far; `changed`, `dropped`, `repeated` and `reordered` are pieces that the adversary had. */
  readonly counts: Readonly<Counts>
  /** The host of this end is gone: the end fails with `reset`, and the other hears nothing, ever, though it may push until its buffer is full. */
  readonly vanish: (connection: Connection) => Effect.Effect<void>
}

const toMillis = (latency: NonNullable<SimulationOptions["latency"]>): readonly [number, number] => {
  if (typeof latency === "object" && "min" in latency) {
    return [Duration.toMillis(latency.min), Duration.toMillis(latency.max)]
  }
  return [Duration.toMillis(latency), Duration.toMillis(latency)]
}

/** A net without hosts. Its connections and timers end with the scope. */
export const make = (options: SimulationOptions): Effect.Effect<SimulatedNet, never, Scope.Scope> => {
  const {
    adversary,
    bandwidth = Infinity,
    bufferSize = BUFFER_SIZE,
    cuts,
    latency = 0,
    seed,
    splitting
  } = options
  return Effect.map(
    Simulated.SimulatedNet.make({
      seed,
      bufferSize,
      conditions: {
        latency: toMillis(latency),
        bandwidth: bandwidth / 1000,
        pieces: splitting === undefined ? undefined : [splitting.min ?? 1, splitting.max ?? 1024 * 1024]
      },
      cuts: cuts === undefined ? undefined : { silent: 0, ...cuts },
      adversary
    }),
    (net): SimulatedNet => ({
      host: (name) => net.host(name),
      partition: (left, right) => Effect.sync(() => net.partition(left, right)),
      heal: Effect.sync(() => net.heal()),
      cut: (connection) => Effect.sync(() => net.endOf(connection).link.cut()),
      cutAll: Effect.sync(() => net.cutAll()),
      calm: Effect.sync(() => net.calm()),
      counts: net.counts,
      vanish: (connection) =>
        Effect.sync(() => {
          const end = net.endOf(connection)
          end.link.vanish(end)
        })
    })
  )
}

/** The host `localhost` of a net of its own. */
export const layer = (options: SimulationOptions): Layer.Layer<Network> =>
  Layer.scoped(
    Network,
    Effect.map(make(options), (net) => net.host("localhost"))
  )
