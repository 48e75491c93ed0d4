/**
 * The turns of fibers that work on what peers sent. Fibers give way to each other by themselves, but thousands of times before a timer or
 * a socket has its turn: what peers can make us do at once takes longer than those may wait. Not even to wait for more bytes is a turn of
 * theirs: a socket reads what has come many times over before it looks up.
 *
 * So the work of all sessions is counted together, in milliseconds, and the event loop has its turn when it comes to `LONGEST`, however many
 * connections it is for. Whoever begins a step asks first (`giveWay`): the time between two turns is `LONGEST` and one step. In it,
 * sessions work by turns of their own, a `SLICE` each: one that has much to do does not hold up one that has little.
 */
import { Clock, Effect } from "effect"

/** Milliseconds of work between two turns of the event loop. */
const LONGEST = 15
/** Milliseconds of work of one fiber, before the others that can go on. */
const SLICE = 3

/** What all that work by one clock share. */
class EventLoop {
  /** Milliseconds of work since its last turn. */
  #work = 0
  /** Up to when work was counted: what two fibers do in the same time is done once. */
  #counted = Number.NEGATIVE_INFINITY
  /** Fibers that wait for its turn, but the first, who sleeps for all of them. */
  readonly #line: Array<() => void> = []
  #isAwaited = false

  /** Whether it is its turn. */
  get isDue(): boolean {
    return this.#work >= LONGEST
  }

  count(from: number, to: number): void {
    if (to > this.#counted) this.#work += to - Math.max(from, this.#counted)
    this.#counted = to
  }

  /** Ends after its turn, or when somebody else is to wait for it: ask again. A timer each would be many turns of the timers. */
  readonly turn: Effect.Effect<void> = Effect.suspend(() => {
    if (this.#isAwaited) return this.#stand
    this.#isAwaited = true
    const slept = Effect.map(Effect.sleep(0), () => {
      this.#work = 0
    })
    const over = Effect.sync(() => {
      this.#isAwaited = false
      for (const go of this.#line.splice(0)) go()
    })
    // Those in line came after, but have not worked since.
    return Effect.zipRight(Effect.ensuring(slept, over), Effect.yieldNow())
  })

  /** Who is interrupted is woken all the same, in vain. */
  readonly #stand: Effect.Effect<void> = Effect.async((resume) => {
    this.#line.push(() => resume(Effect.void))
  })
}

const loops = new WeakMap<Clock.Clock, EventLoop>()

const loopOf = (clock: Clock.Clock): EventLoop => {
  let loop = loops.get(clock)
  if (loop === undefined) loops.set(clock, (loop = new EventLoop()))
  return loop
}

export class Turn {
  /** Up to when its work was counted. */
  #counted = Number.POSITIVE_INFINITY
  /** Since when it works without a break. */
  #since = Number.NEGATIVE_INFINITY

  /** Before each step: lets the event loop, or other fibers, have their turn, if it is theirs. */
  readonly giveWay: Effect.Effect<void> = Effect.clockWith((clock) => {
    const now = this.#count(clock)
    if (loopOf(clock).isDue) return Effect.zipRight(this.after(loopOf(clock).turn), this.giveWay)
    if (now - this.#since < SLICE) return Effect.void
    this.#since = now
    return this.after(Effect.yieldNow())
  })

  /** What is no work. */
  after<A, E>(waiting: Effect.Effect<A, E>): Effect.Effect<A, E> {
    return Effect.clockWith((clock) => {
      const before = this.#count(clock)
      return Effect.map(waiting, (result) => {
        this.#counted = clock.unsafeCurrentTimeMillis()
        // What was there at once was no break.
        if (this.#counted > before) this.#since = this.#counted
        return result
      })
    })
  }

  #count(clock: Clock.Clock): number {
    const now = clock.unsafeCurrentTimeMillis()
    loopOf(clock).count(Math.min(this.#counted, now), now)
    this.#counted = now
    return now
  }
}
