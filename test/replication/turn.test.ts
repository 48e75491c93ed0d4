/** When a fiber that works gives way to the event loop. */
import { expect, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { Turn } from "../../src/services/replication/Turn.js"

/** A clock that is set by hand, and counts who sleeps. */
const handSet = () => {
  const at = { now: 1000, slept: 0 }
  const clock: Clock.Clock = {
    ...Clock.make(),
    unsafeCurrentTimeMillis: () => at.now,
    sleep: () => Effect.sync(() => void at.slept++)
  }
  return { at, clock }
}

it.effect("not one that has just begun, nor one that has waited, but one that has worked for 5 ms", () => {
  const { at, clock } = handSet()
  const turn = new Turn()
  /** How often it has given way until then. */
  const workedUntil = (now: number) =>
    Effect.suspend(() => {
      at.now = now
      return Effect.map(turn.giveWay, () => at.slept)
    })
  const waitedUntil = (now: number) => turn.after(Effect.sync(() => (at.now = now)))
  return Effect.gen(function* () {
    expect(yield* workedUntil(1000)).toBe(0)
    expect(yield* workedUntil(1004)).toBe(0)
    expect(yield* workedUntil(1005)).toBe(1)
    expect(yield* workedUntil(1019)).toBe(1)
    expect(yield* workedUntil(1020)).toBe(2)
    yield* waitedUntil(1040)
    expect(yield* workedUntil(1044)).toBe(2)
    expect(yield* workedUntil(1045)).toBe(3)
  }).pipe(Effect.withClock(clock))
})
