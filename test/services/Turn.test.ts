/** Whoever asks for a turn may be interrupted anywhere: the others must not wait for what it began. */
import { expect, it } from "@effect/vitest"
import { Effect, Fiber, Option, Scheduler } from "effect"
import { Turn } from "../../src/services/Turn.js"
import { WorkClock } from "../replication/WorkClock.js"
import { quiet } from "./harness.js"

/** Takes a fiber's turn away at one operation, and gives it another when told to. */
class StoppingScheduler extends Scheduler.MixedScheduler {
  #operations = 0
  #held: Array<() => void> | undefined

  constructor(readonly stopAt: number) {
    super(2048)
  }

  override shouldYield(): number | false {
    if (++this.#operations !== this.stopAt) return false
    this.#held = []
    return 0
  }

  override scheduleTask(task: () => void, priority: number): void {
    if (this.#held === undefined) super.scheduleTask(task, priority)
    else this.#held.push(task)
  }

  goOn(): void {
    const held = this.#held ?? []
    this.#held = undefined
    for (const task of held) super.scheduleTask(task, 0)
  }
}

it.effect("who is interrupted having lost its turn leaves nobody waiting", () =>
  Effect.gen(function* () {
    let stopped = 0
    for (let operation = 1; operation < 40; operation++) {
      const clock = new WorkClock()
      const scheduler = new StoppingScheduler(operation)
      const first = Effect.runFork(Effect.withClock(new Turn().giveWay, clock), { scheduler })
      if (first.unsafePoll() === null) stopped++
      const interrupted = yield* Effect.fork(Fiber.interrupt(first))
      yield* quiet
      scheduler.goOn()
      yield* Fiber.await(interrupted)
      clock.spend(20)
      const other = yield* Effect.fork(Effect.withClock(new Turn().giveWay, clock))
      yield* quiet
      expect([operation, Option.isSome(yield* Fiber.poll(other))]).toEqual([operation, true])
    }
    expect(stopped).toBeGreaterThan(3)
  })
)
