/**
 * fork: how the façade's programs run. Their turns come by `process.nextTick`, as those of streams do, and not by promises, which are
 * resolved when no tick is left: what came over a stream is dealt with before its end is, and a program of legacy code that never
 * waited for more than a few ticks finds things as it is used to.
 */
import { Effect, type Fiber, Scheduler } from "effect"

/** Turns of one fiber after each other, after which files and sockets have theirs. */
const MOST_TURNS = 2048

const runnerOf = Scheduler.SchedulerRunner.cached((turns, drain) => {
  if (turns < MOST_TURNS) process.nextTick(drain, turns + 1)
  else setImmediate(drain, 0)
})

const scheduler = Scheduler.make((task, priority, fiber) => runnerOf(fiber).scheduleTask(task, priority))

export const fork = <A, E>(program: Effect.Effect<A, E>): Fiber.RuntimeFiber<A, E> =>
  Effect.runFork(program, { scheduler })
