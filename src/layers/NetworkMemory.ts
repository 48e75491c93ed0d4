/** Network in memory: linked pairs, for replication within a process. */
import { Effect, type Scope } from "effect"
import type { Connection } from "../services/Network.js"
import { PairedEnd } from "./networkMemory/pair.js"

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
    Effect.sync(() => PairedEnd.pair(options.names ?? ["left", "right"], options.bufferSize ?? 1024 * 1024)),
    ([left, right]) => Effect.zipRight(left.close, right.close)
  )
