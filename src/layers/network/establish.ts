/** A connection that is being made, for the layers that wait for one: a time limit, and nothing left when it fails or is interrupted. */
import { type Duration, Effect, type Scope } from "effect"
import { NetworkError } from "../../domain/Errors.js"
import type { Connection } from "../../services/Network.js"
import { wrongDuration } from "../../services/wrongDuration.js"
import type { Duplex } from "./Duplex.js"
import { faultOf, networkError } from "./Fault.js"

/**
 * `start` begins, calls one of its arguments once, and returns (or throws) at once; what it returns undoes it. The connection is closed with
 * the scope. A wrong `timeout`, the layer's `connectTimeout`, is told as the system tells of other wrong arguments, with reason `address`.
 */
export const establish = (
  name: string,
  timeout: Duration.DurationInput | undefined,
  start: (succeed: (duplex: Duplex) => void, fail: (cause: unknown) => void) => () => void
): Effect.Effect<Connection, NetworkError, Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.suspend(() => {
      const problem = wrongDuration("connect", "connectTimeout", timeout)
      if (problem !== undefined) {
        return Effect.fail(networkError("connect", name, { reason: "address", cause: problem }))
      }
      let undo: (() => void) | undefined
      const error = (cause: unknown): NetworkError =>
        cause instanceof NetworkError ? cause : networkError("connect", name, faultOf(cause))
      const opened = Effect.async<Duplex, NetworkError>((resume) => {
        const fail = (cause: unknown): void => resume(Effect.fail(error(cause)))
        try {
          undo = start((duplex) => resume(Effect.succeed(duplex)), fail)
        } catch (cause) {
          fail(cause)
        }
      })
      const timely =
        timeout === undefined
          ? opened
          : Effect.timeoutFail(opened, {
              duration: timeout,
              onTimeout: () => networkError("connect", name, { reason: "timeout" })
            })
      return restore(timely).pipe(
        // Here and not in `opened`: an interruption can also come when it has succeeded and nobody has the connection yet.
        Effect.tapErrorCause(() => Effect.sync(() => undo?.())),
        Effect.tap((duplex) => Effect.addFinalizer(() => duplex.close))
      )
    })
  )
