/** A server of Node's in a scope: TCP's, or the HTTP server under WebSockets. */
import { Deferred, Effect, Runtime, type Scope } from "effect"
import type * as net from "node:net"
import type { NetworkError } from "../../domain/Errors.js"
import type { Address, Connection, Listener } from "../../services/Network.js"
import type { Duplex } from "./Duplex.js"
import { faultOf, networkError } from "./Fault.js"
import { nameOf } from "./nameOf.js"
import { serve } from "./serve.js"

const started = (server: net.Server, { host, port }: Address) =>
  Effect.async<Listener["address"], NetworkError>((resume) => {
    let isAbandoned = false
    const fail = (cause: unknown): void =>
      resume(Effect.fail(networkError("listen", nameOf(host, port), faultOf(cause))))
    server.once("error", fail)
    try {
      server.listen({ port, ...(host === undefined ? {} : { host }) }, () => {
        server.off("error", fail)
        if (isAbandoned) server.close() // closed while the host's name was looked up, which does not stop it
        const bound = server.address() as net.AddressInfo
        resume(Effect.succeed({ host: bound.address, port: bound.port }))
      })
    } catch (cause) {
      fail(cause)
    }
    return Effect.sync(() => {
      isAbandoned = true
    })
  })

/** Logs that connections are refused, as there are `maxConnections`: once, until one is taken again. Whoever floods a server does not fill its log. */
const logRefusals = (server: net.Server, log: (message: string) => void): void => {
  let isFull = false
  server.on("connection", () => {
    isFull = false
  })
  server.on("drop", (refused) => {
    if (isFull) return
    isFull = true
    const from =
      refused?.remoteAddress === undefined
        ? ""
        : `: refused ${nameOf(refused.remoteAddress, refused.remotePort)}`
    log(`no more connections than ${server.maxConnections} are taken${from}`)
  })
}

/**
 * Listens with the server that `open` makes, until the scope closes. `open` gets what takes a connection that has come; `stop` ends what is
 * not a connection yet.
 */
export const listening = <S extends net.Server, E, R>(
  address: Address,
  handle: (connection: Connection) => Effect.Effect<void, E, R>,
  open: (accept: (duplex: Duplex) => void) => S,
  stop: (server: S) => void
): Effect.Effect<Listener, NetworkError, R | Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const closed = yield* Deferred.make<void>()
      const runtime = yield* Effect.runtime()
      // Finalizers run in reverse: no new connections, then an end to those there are, then the wait until nothing is left.
      yield* Effect.addFinalizer(() => Deferred.await(closed))
      const server = open(yield* serve(handle))
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          server.close(() => Deferred.unsafeDone(closed, Effect.void))
          stop(server)
        })
      )
      const listener = { address: yield* restore(started(server, address)) }
      const log = (message: unknown) => void Runtime.runFork(runtime, Effect.logWarning(message))
      server.on("error", (cause) => {
        log(networkError("accept", nameOf(address.host, address.port), faultOf(cause)))
      })
      logRefusals(server, log)
      return listener
    })
  )
