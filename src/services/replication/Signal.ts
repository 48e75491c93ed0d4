/** Wakes one fiber. Raised while that is busy, it does not wait the next time; raised twice, it is raised once. */
import { Effect } from "effect"

export class Signal {
  #raised = false
  #resume: (() => void) | undefined

  raise(): void {
    this.#raised = true
    const resume = this.#resume
    this.#resume = undefined
    resume?.()
  }

  /** Ends when the signal is raised, and lowers it. */
  readonly wait: Effect.Effect<void> = Effect.async<void>((done) => {
    const answer = () => {
      this.#raised = false
      done(Effect.void)
    }
    if (this.#raised) return answer()
    this.#resume = answer
    return Effect.sync(() => {
      this.#resume = undefined
    })
  })
}
