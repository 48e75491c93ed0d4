/**
 * A scheduler that takes turns away at any operation, and hands them out in any order, as a seed says: it finds what only
 * goes wrong when fibers meet at one unlucky operation. Fibers that a feed starts of its own inherit it, so the feed must
 * be opened under it (`Effect.withScheduler`).
 */
import { Scheduler } from "effect"

/** Of losing the turn at an operation. Giving way costs some ten operations itself: a chance above a tenth never comes back. */
const CHANCE = 0.05

export class SeededScheduler extends Scheduler.MixedScheduler {
  #state: number

  constructor(seed: number) {
    super(2048)
    this.#state = seed
  }

  /** Seed 0 is the usual schedule. */
  override shouldYield(): number | false {
    if (this.#state === 0) return false
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0
    const random = this.#state / 2 ** 32
    return random < CHANCE ? Math.floor((3 * random) / CHANCE) : false
  }
}

export const SCHEDULES: ReadonlyArray<number> = Array.from({ length: 12 }, (_, seed) => seed)
