/**
 * Network: duplex byte connections. `test/suites/network.ts` holds every layer to the contract below.
 */
import { Context, type Effect, type Scope } from "effect"
import type { NetworkError } from "../domain/Errors.js"

/**
 * One end of a connection. It is closed, both ways, with the scope that it was made in: everything then fails with `closed`, and the
 * other end sees what arrived, then an end or a break. Who closes without `end` must expect that some of what was pushed is lost.
 */
export interface Connection {
  /** The other end, for people: `127.0.0.1:3282`. */
  readonly remote: string

  /**
   * All bytes that have arrived, at least one array of at least one byte; waits for them. No array at all: the other side
   * has ended, and stays so. The arrays are the caller's, in order. While nobody pulls, little is buffered and the other side
   * is held up. One puller at a time: a second one kills the first. Interrupting the wait loses nothing; whoever maps the arrays takes them
   * in the step after (`flatMap` or `yield*` in the same). After a break it fails, when what came before is pulled.
   */
  readonly pull: Effect.Effect<ReadonlyArray<Uint8Array>, NetworkError>

  /**
   * Sends the arrays in order, and ends when the connection can take more: that is back-pressure. The arrays are the
   * connection's from then on. Interrupting it ends the wait, not the sending. Fails after a break, and after `end`.
   */
  readonly push: (arrays: ReadonlyArray<Uint8Array>) => Effect.Effect<void, NetworkError>

  /**
   * Tells the other side that nothing follows, and ends when that and all that was pushed has left, so that the scope may close; what
   * the other side still sends can be pulled. Again, or when the other side has ended and gone: nothing. Interrupting it ends the wait. (A
   * WebSocket cannot half-close: there the other side's answer may be cut short.)
   */
  readonly end: Effect.Effect<void, NetworkError>
}

/** Where to connect to or listen on. A layer ignores what it has no use for. */
export interface Address {
  /** A name or an IP address. Absent: to connect, this machine; to listen, all of its addresses. */
  readonly host?: string | undefined
  /** To listen on port 0 is to listen on any that is free. */
  readonly port: number
  /** Of a WebSocket: the URL's path and query, `/` when absent. A listener given a path refuses all others. */
  readonly path?: string | undefined
  /** Of a WebSocket: over TLS (`wss:`). */
  readonly secure?: boolean | undefined
}

export interface Listener {
  /** Where it really listens. */
  readonly address: { readonly host: string; readonly port: number }
}

export interface NetworkService {
  /** A connection to a listener. */
  readonly connect: (address: Address) => Effect.Effect<Connection, NetworkError, Scope.Scope>

  /**
   * Listens until the scope closes, and runs `handle` in a fiber for each connection, which is closed when `handle` ends; all are
   * interrupted with the scope. What `handle` fails with concerns its connection alone; it is logged. A Scope that it asks for is the
   * connection's, closed just before it.
   */
  readonly listen: <E, R>(
    address: Address,
    handle: (connection: Connection) => Effect.Effect<void, E, R>
  ) => Effect.Effect<Listener, NetworkError, R | Scope.Scope>
}

export class Network extends Context.Tag("effect-hypercore/Network")<Network, NetworkService>() {}
