/**
 * A clock whose sleeps do not keep the process alive: what a legacy program leaves open (a live stream that nobody ends) must not keep
 * it from ending. A sleep of no time only lets others have their turn, of which there is one before the next timer's, and work goes on after
 * it: it does.
 */
import { Clock, Duration, Effect } from "effect"

const clock = Clock.make()

const giveWay = Effect.async<void>((resume) => {
  const turn = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(turn))
})

export const unrefClock: Clock.Clock = {
  [Clock.ClockTypeId]: Clock.ClockTypeId,
  unsafeCurrentTimeMillis: () => clock.unsafeCurrentTimeMillis(),
  unsafeCurrentTimeNanos: () => clock.unsafeCurrentTimeNanos(),
  currentTimeMillis: clock.currentTimeMillis,
  currentTimeNanos: clock.currentTimeNanos,
  sleep: (duration) =>
    Duration.toMillis(duration) === 0
      ? giveWay
      : Effect.async<void>((resume) => {
          const timer: unknown = setTimeout(() => resume(Effect.void), Duration.toMillis(duration))
          // A browser's timer is a number, and keeps nothing alive.
          if (typeof timer === "object" && timer !== null && "unref" in timer)
            (timer as NodeJS.Timeout).unref()
          return Effect.sync(() => clearTimeout(timer as NodeJS.Timeout))
        })
}
