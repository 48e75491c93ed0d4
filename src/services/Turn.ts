/**
 * The turns of fibers that work for long: on what peers sent, on a large batch. Fibers give way to each other by themselves, but thousands of times before a timer or
 * a socket has its turn: what peers can make us do at once takes longer than those may wait. Not even to wait for more bytes is a turn of
 * theirs: a socket reads what has come many times over before it looks up.
 *
 * So whoever begins a step asks first (`giveWay`). The first to do so sets a timer of no time; until it goes off, the event loop waits for
 * its turn, and `LONGEST` later all who ask wait for it, too, however many connections they are of: the time between two turns is `LONGEST`
 * and a step. In it, fibers work by turns of their own, a `SLICE` each, and after it those who worked least come first: a peer that has us
 * do much does not hold up one that asks for little. Who works now and then never waits.
 */
import { type Clock, Effect } from "effect"

/** Milliseconds for which the event loop waits while there is work. */
const LONGEST = 8
/** Milliseconds of work of one fiber, before the others that can go on. */
const SLICE = 2

/** Someone who waits for the event loop's turn, and how much it worked lately. */
interface Waiting {
  readonly work: number
  readonly go: () => void
}

/** The event loop, as all see it that work by one clock. */
class EventLoop {
  /** Its turns, as far as there was work. */
  turns = 0
  /** Since when it waits for one, if it does. */
  #since: number | undefined
  #line: Array<Waiting> = []

  /** Whether it is its turn. */
  isDue(now: number): boolean {
    return this.#since !== undefined && now - this.#since >= LONGEST
  }

  get isWaiting(): boolean {
    return this.#since !== undefined
  }

  /**
   * From now on it waits, until its turn. Both or neither: who is interrupted in between, having lost its turn, would have all the others wait
   * for ever.
   */
  watch(now: number): Effect.Effect<void> {
    return Effect.uninterruptible(
      Effect.suspend(() => {
        if (this.#since !== undefined) return Effect.void
        this.#since = now
        return this.#watched
      })
    )
  }

  readonly #watched = Effect.asVoid(
    Effect.forkDaemon(
      Effect.map(Effect.sleep(0), () => {
        this.#since = undefined
        this.turns++
        const line = this.#line.sort((a, b) => a.work - b.work)
        this.#line = []
        for (const { go } of line) go()
      })
    )
  )

  /** Ends after its turn: ask again. Who is interrupted is woken all the same, in vain. */
  turn(work: number): Effect.Effect<void> {
    return Effect.async((resume) => {
      if (this.#since === undefined) return resume(Effect.void)
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
  /** Milliseconds of its work, halved at each turn of the event loop; up to when, and up to which turn, it was counted. */
  #work = 0
  #counted = Number.POSITIVE_INFINITY
  #turns = 0
  /** Since when it works without a break. */
  #since = Number.NEGATIVE_INFINITY

  /** Before each step: lets the event loop, or other fibers, have their turn, if it is theirs. */
  readonly giveWay: Effect.Effect<void> = Effect.clockWith((clock) => {
    const loop = loopOf(clock)
    const now = this.#count(clock, loop)
    if (loop.isDue(now)) return Effect.zipRight(this.after(loop.turn(this.#work)), this.giveWay)
    if (!loop.isWaiting) return loop.watch(now)
    if (now - this.#since < SLICE) return Effect.void
    this.#since = now
    return Effect.zipRight(this.after(Effect.yieldNow()), this.giveWay)
  })

  /** Lets the event loop have its turn, whoever's it is: where work was done, or comes, that is not cut into steps. */
  readonly pass: Effect.Effect<void> = Effect.clockWith((clock) => {
    const loop = loopOf(clock)
    const now = this.#count(clock, loop)
    return this.after(Effect.zipRight(loop.watch(now), loop.turn(this.#work)))
  })

  /** What is no work. */
  after<A, E>(waiting: Effect.Effect<A, E>): Effect.Effect<A, E> {
    return Effect.clockWith((clock) => {
      const before = this.#count(clock, loopOf(clock))
      return Effect.map(waiting, (result) => {
        this.#counted = clock.unsafeCurrentTimeMillis()
        // What was there at once was no break.
        if (this.#counted > before) this.#since = this.#counted
        return result
      })
    })
  }

  #count(clock: Clock.Clock, loop: EventLoop): number {
    const now = clock.unsafeCurrentTimeMillis()
    this.#work = this.#work * 2 ** (this.#turns - loop.turns) + Math.max(0, now - this.#counted)
    this.#turns = loop.turns
    this.#counted = now
    return now
  }
}
