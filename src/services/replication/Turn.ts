/**
 * The turn of a fiber that works on what a peer sent, which gives way when it has lasted. Fibers give way to each other by
 * themselves, but thousands of times before a timer or a socket has its turn; and a peer can have more for us to do than those may wait.
 */
import { Effect } from "effect"

/** Milliseconds. */
const LONGEST = 12
/** What is done in less was hardly a wait. */
const SHORTEST_WAIT = 5

export class Turn {
  #since = Number.NEGATIVE_INFINITY

  /** Lets the event loop have its turn, if this one has lasted. */
  readonly giveWay: Effect.Effect<void> = Effect.clockWith((clock) => {
    const now = clock.unsafeCurrentTimeMillis()
    if (now - this.#since < LONGEST) return Effect.void
    return Effect.map(Effect.sleep(0), () => {
      this.#since = clock.unsafeCurrentTimeMillis()
    })
  })

  /** After what waits, mostly, a new turn begins if it has. */
  after<A, E>(waiting: Effect.Effect<A, E>): Effect.Effect<A, E> {
    return Effect.clockWith((clock) => {
      const before = clock.unsafeCurrentTimeMillis()
      return Effect.map(waiting, (result) => {
        const now = clock.unsafeCurrentTimeMillis()
        if (now - before >= SHORTEST_WAIT) this.#since = now
        return result
      })
    })
  }

  /** A new turn begins. */
  readonly begin: Effect.Effect<void> = Effect.clockWith((clock) =>
    Effect.sync(() => {
      this.#since = clock.unsafeCurrentTimeMillis()
    })
  )
}
