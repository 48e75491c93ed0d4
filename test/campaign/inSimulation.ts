/** A run in simulated time, at whose end no fiber, timer or connection may be left. */
import { Cause, Effect, Exit, type Scope } from "effect"
import { Random, seedOf } from "../../src/domain/Random.js"
import { Simulation } from "../replication/Simulation.js"

/** Milliseconds of simulated time that a run may take: none takes half of it. */
const LIMIT = 2 * 3600 * 1000

export const inSimulation = <E>(
  seed: number,
  effect: Effect.Effect<void, E, Scope.Scope>
): Effect.Effect<void, E> =>
  Effect.flatMap(
    Effect.promise(() => {
      const yielding = new Random(seedOf(seed, "yielding")).next() < 0.5 ? 0 : 0.02
      const clock = new Simulation({ seed: seedOf(seed, "turns"), yielding, limit: LIMIT })
      return clock.runWhole(Effect.exit(Effect.scoped(effect))).catch((error: unknown) => Exit.die(error))
    }),
    (exit): Effect.Effect<void, E> =>
      Exit.isSuccess(exit) ? Effect.void : Effect.failCause(exit.cause as Cause.Cause<E>)
  )
