/**
 * Who may change the feed: one at a time, in the order of asking.
 *
 * Not Effect's semaphore, whose uncontended permit costs 4 us, a tenth of an append: here it is the test of a flag.
 */
import { Effect } from "effect"

export class WriteLock {
  #held = false
  readonly #line: Array<() => void> = []

  /** Ends when the lock is the caller's, who must be uninterruptible until `release`. */
  readonly take: Effect.Effect<void> = Effect.suspend(() => {
    if (this.#held) return this.#turn
    this.#held = true
    return Effect.void
  })

  /** Gives the lock to the next in line. */
  release(): void {
    const next = this.#line.shift()
    if (next === undefined) this.#held = false
    else next()
  }

  /** Runs `effect` with the lock. Interrupting it leaves the line, or ends the effect and frees the lock. */
  exclusive<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(this.#takeInterruptibly(restore), () =>
        Effect.ensuring(
          restore(effect),
          Effect.sync(() => this.release())
        )
      )
    )
  }

  readonly #turn: Effect.Effect<void> = Effect.async((resume) => this.#stand(() => resume(Effect.void)))

  /** Puts `go` in line; when the lock was freed since the caller looked, its turn is now. */
  #stand(go: () => void): void {
    if (this.#held) {
      this.#line.push(go)
    } else {
      this.#held = true
      go()
    }
  }

  #takeInterruptibly(restore: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>) {
    return Effect.suspend(() => {
      if (!this.#held) {
        this.#held = true
        return Effect.void
      }
      let go: (() => void) | undefined
      const turn = Effect.async<void>((resume) => {
        go = () => resume(Effect.void)
        this.#stand(go)
      })
      return Effect.onInterrupt(restore(turn), () =>
        Effect.sync(() => {
          if (go === undefined) return
          const place = this.#line.indexOf(go)
          if (place >= 0) this.#line.splice(place, 1)
          // The turn came in the same moment: it goes to the next.
          else this.release()
        })
      )
    })
  }
}
