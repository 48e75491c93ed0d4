/**
 * The turn of a fiber that works on what a peer sent, which gives way when it has lasted. Fibers give way to each other by
 * themselves, but thousands of times before a timer or another socket has its turn: what a peer can make us do at once takes longer than
 * those may wait. Not even to wait for more bytes is a turn of theirs: a socket reads what has come many times over before it looks up.
 */
import { type Clock, Effect } from "effect"

/** Milliseconds between two turns of the event loop while there is work. */
const LONGEST = 15
/** Who has worked for less since it last waited may finish: an answer that is made at once is not to wait for a timer. */
const SHORT = 5

/** When the event loop had its last turn that was given by anyone. */
const lastTurns = new WeakMap<Clock.Clock, number>()

export class Turn {
  /** Since when the fiber works; unknown until it first does. */
  #since: number | undefined

  /** Lets the event loop have its turn, if it waits for it. */
  readonly giveWay: Effect.Effect<void> = Effect.clockWith((clock) => {
    const now = clock.unsafeCurrentTimeMillis()
    const last = lastTurns.get(clock) ?? Number.NEGATIVE_INFINITY
    this.#since ??= now
    if (now - this.#since < SHORT || now - last < LONGEST) return Effect.void
    return Effect.map(Effect.sleep(0), () => {
      this.#since = clock.unsafeCurrentTimeMillis()
      lastTurns.set(clock, this.#since)
    })
  })

  /** What may wait: if it does, work begins anew after it. */
  after<A, E>(waiting: Effect.Effect<A, E>): Effect.Effect<A, E> {
    return Effect.clockWith((clock) => {
      const before = clock.unsafeCurrentTimeMillis()
      return Effect.map(waiting, (result) => {
        const now = clock.unsafeCurrentTimeMillis()
        if (now - before >= SHORT) this.#since = now
        return result
      })
    })
  }
}
