/**
 * The turns of fibers that work on what peers sent. Fibers give way to each other by themselves, but thousands of times before a timer or
 * a socket has its turn: what peers can make us do at once takes longer than those may wait. Not even to wait for more bytes is a turn of
 * theirs: a socket reads what has come many times over before it looks up.
 *
 * So the work of all sessions is counted together, in milliseconds, and the event loop has its turn when it comes to `LONGEST`, however many
 * connections it is for. Whoever begins a step asks first (`giveWay`): the time between two turns is `LONGEST` and one step. In it,
 * fibers work by turns of their own, a `SLICE` each, and after it those who worked least come first: a peer that has us do much does not
 * hold up one that asks for little.
 */
import { Clock, Effect } from "effect"

/** Milliseconds of work between two turns of the event loop. */
const LONGEST = 15
/** Milliseconds of work of one fiber, before the others that can go on. */
const SLICE = 3

/** Someone who waits for the event loop's turn, and how much it worked lately. */
interface Waiting {
  readonly work: number
  readonly go: () => void
}

/** What all that work by one clock share. */
class EventLoop {
  /** Its turns, as far as we waited for them. */
  turns = 0
  /** Milliseconds of work since the last. */
  #work = 0
  /** Up to when work was counted: what two fibers do in the same time is done once. */
  #counted = Number.NEGATIVE_INFINITY
  /** All that wait, but the first, who sleeps for them. */
  readonly #line: Array<Waiting> = []
  #isAwaited = false

  get isDue(): boolean {
    return this.#work >= LONGEST
  }

  /** Counts the work from one time to another; how much of it was not counted yet. */
  count(from: number, to: number): number {
    const work = Math.max(0, to - Math.max(from, this.#counted))
    this.#work += work
    this.#counted = to
    return work
  }

  /** Ends after its turn, or when somebody else is to wait for it: ask again. A timer each would be many turns of the timers. */
  turn(work: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.#isAwaited) return this.#stand(work)
      this.#isAwaited = true
      // Who sleeps is who worked when the time was over: it comes last.
      return Effect.zipRight(Effect.ensuring(this.#slept, this.#over), Effect.yieldNow())
    })
  }

  readonly #slept: Effect.Effect<void> = Effect.map(Effect.sleep(0), () => {
    this.#work = 0
    this.turns++
  })

  readonly #over: Effect.Effect<void> = Effect.sync(() => {
    this.#isAwaited = false
    const line = this.#line.splice(0).sort((a, b) => a.work - b.work)
    for (const { go } of line) go()
  })

  /** Who is interrupted is woken all the same, in vain. */
  #stand(work: number): Effect.Effect<void> {
    return Effect.async((resume) => {
      this.#line.push({ work, go: () => resume(Effect.void) })
    })
  }
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
  /** Milliseconds of its work, halved at each turn of the event loop; at which turn it was last. */
  #work = 0
  #turns = 0

  /** Before each step: lets the event loop, or other fibers, have their turn, if it is theirs. */
  readonly giveWay: Effect.Effect<void> = Effect.clockWith((clock) => {
    const now = this.#count(clock)
    const loop = loopOf(clock)
    if (loop.isDue) return Effect.zipRight(this.after(loop.turn(this.#work)), this.giveWay)
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
    const loop = loopOf(clock)
    this.#work *= 2 ** (this.#turns - loop.turns)
    this.#turns = loop.turns
    this.#work += loop.count(Math.min(this.#counted, now), now)
    this.#counted = now
    return now
  }
}
