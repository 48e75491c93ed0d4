/**
 * What peers are known to have, for those who ask only as long as somebody may have it (`ifAvailable`).
 *
 * While a question is open (a connection is being made, a peer was asked which blocks it has) nobody knows. When none is, the peers that are
 * there have what `source` says. Replication opens the questions and sets the source; the feed itself knows no peers.
 */
import { Effect } from "effect"

/** What the peers that are connected have, together. */
export interface Source {
  /** Blocks in the longest log of theirs. */
  readonly remoteLength: number
  /** Whether one of them has the block. */
  readonly has: (index: number) => boolean
}

/**
 * A turn of the event loop: all that can run now runs before. A connection that is made in the same breath, before or after, opens its
 * question first, and one question may follow from another. `sleep` is that turn (under a test's clock, where time stands still, it is
 * none); `yieldNow` is a turn of the other fibers.
 */
const turn = Effect.zipRight(Effect.yieldNow(), Effect.sleep(0))

export class Availability {
  #source: Source | undefined
  /** Questions that are open. */
  #open = 0
  /** Counts the news. */
  #version = 0
  readonly #waiting = new Set<() => void>()

  /** `undefined` while nobody is connected. */
  get source(): Source | undefined {
    return this.#source
  }

  set source(source: Source | undefined) {
    this.#source = source
    this.changed()
  }

  /** Opens a question, until the function that it gives is called. */
  ask(): () => void {
    let isOpen = true
    this.#open++
    return () => {
      if (!isOpen) return
      isOpen = false
      this.#open--
      this.changed()
    }
  }

  /** Who is connected, or what peers have, is not what it was. */
  changed(): void {
    this.#version++
    if (this.#waiting.size === 0) return
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const wake of waiting) wake()
  }

  /** Ends once no question is open and `isAvailable` denies; until then it is asked again after all news. */
  whenMissing(isAvailable: (source: Source | undefined) => boolean): Effect.Effect<void> {
    const look: Effect.Effect<void> = Effect.suspend(() => {
      const version = this.#version
      return this.#open === 0 && !isAvailable(this.#source)
        ? Effect.void
        : Effect.zipRight(this.#newsSince(version), wait)
    })
    const wait = Effect.zipRight(turn, look)
    return wait
  }

  /** The clean-up stands around the wait, as in `Demand`: a fiber that loses its turn before it waits has nothing to undo. */
  #newsSince(version: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      let wake: (() => void) | undefined
      const news = Effect.async<void>((resume) => {
        if (this.#version !== version) return resume(Effect.void)
        wake = () => resume(Effect.void)
        this.#waiting.add(wake)
      })
      return Effect.onInterrupt(news, () => Effect.sync(() => wake && this.#waiting.delete(wake)))
    })
  }

  /** How many wait. */
  get size(): number {
    return this.#waiting.size
  }
}
