/** The connections of a listener: a fiber for each, in the listener's scope. */
import { Cause, Effect, FiberSet, type Scope } from "effect"
import type { Connection } from "../../services/Network.js"
import type { Duplex } from "./Duplex.js"

/** What a layer calls with each connection that comes: it runs `handle`, and closes the connection with it, however it ends. */
export const serve = <E, R>(
  handle: (connection: Connection) => Effect.Effect<void, E, R>
): Effect.Effect<(duplex: Duplex) => void, never, R | Scope.Scope> =>
  Effect.map(FiberSet.makeRuntime<R, void>(), (run) => (duplex) => {
    const handled = Effect.scoped(Effect.suspend(() => handle(duplex))).pipe(
      Effect.catchAllCause((cause) =>
        Cause.isInterruptedOnly(cause)
          ? Effect.void
          : Effect.logWarning(`the connection with ${duplex.remote} failed`, cause)
      )
    )
    // The runtime may be one of an uninterruptible region: a listener can be an acquired resource.
    run(Effect.interruptible(handled)).addObserver(() => duplex.unsafeClose())
  })
