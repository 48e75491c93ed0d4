/**
 * Who waits for what: the `get`s, `seek`s and `update`s that cannot be answered yet, and the ranges that are to be downloaded.
 *
 * A wait ends when the feed changes in the way it hopes for, when its fiber is interrupted (a deadline is one), or when
 * the feed closes; in each case nothing of it is left here. Whoever can fetch blocks looks here for what to fetch, and
 * listens for more.
 */
import { Effect } from "effect"
import { FeedClosed } from "../../domain/Errors.js"
import type { Range, Wish } from "../../domain/Selection.js"

type Resume = (result: Effect.Effect<void, FeedClosed>) => void

/** What a wait looks at once more as it begins: its fiber may have lost its turn since its caller looked. */
export interface Held {
  readonly has: (block: number) => boolean
}

/**
 * Waits for what `begin` hands its resume to; interrupted, it does what that returned. The clean-up stands around the wait: `Effect.async`
 * puts its own in place only after it began, and a fiber that loses its turn in between, and is interrupted, never comes to it.
 */
const waitUntil = (begin: (resume: Resume) => (() => void) | void): Effect.Effect<void, FeedClosed> =>
  Effect.suspend(() => {
    let undo: (() => void) | void
    const wait = Effect.async<void, FeedClosed>((resume) => {
      undo = begin(resume)
    })
    return Effect.onInterrupt(wait, () => Effect.sync(() => undo?.()))
  })

export class Demand {
  readonly #blocks = new Map<number, Set<Resume>>()
  readonly #changes = new Set<Resume>()
  /** Ranges wanted, oldest first. */
  readonly ranges = new Set<Range>()
  /** What waits for the log to grow, or to be known better. */
  readonly wishes = new Set<Wish>()
  /** Told when something more is wanted. */
  readonly listeners = new Set<() => void>()
  #closed = false
  #version = 0

  constructor(readonly held: Held) {}

  /** How many waits are under way. */
  get size(): number {
    let total = this.#changes.size
    for (const waiting of this.#blocks.values()) total += waiting.size
    return total
  }

  /** The blocks that are waited for. */
  blocks(): IterableIterator<number> {
    return this.#blocks.keys()
  }

  /** Wants a range until the function it gives is called. */
  select(range: Range): () => void {
    const own = { ...range }
    this.ranges.add(own)
    this.#tell()
    return () => void this.ranges.delete(own)
  }

  /** Ends when block `index` is held. */
  block(index: number): Effect.Effect<void, FeedClosed> {
    return waitUntil((resume) => {
      if (this.#closed) return resume(Effect.fail(new FeedClosed()))
      if (this.held.has(index)) return resume(Effect.void)
      const waiting = this.#blocks.get(index) ?? new Set()
      this.#blocks.set(index, waiting.add(resume))
      this.#tell()
      return () => {
        waiting.delete(resume)
        if (waiting.size === 0 && this.#blocks.get(index) === waiting) this.#blocks.delete(index)
      }
    })
  }

  /** Counts the feed's changes: what `changeSince` compares with. */
  get version(): number {
    return this.#version
  }

  /** Ends when anything about the feed has changed since `version`; until then, `wish` is what might change. */
  changeSince(version: number, wish?: Wish): Effect.Effect<void, FeedClosed> {
    return waitUntil((resume) => {
      if (this.#closed) return resume(Effect.fail(new FeedClosed()))
      if (this.#version !== version) return resume(Effect.void)
      const answer: Resume = (result) => {
        if (wish !== undefined) this.wishes.delete(wish)
        resume(result)
      }
      this.#changes.add(answer)
      if (wish !== undefined) {
        this.wishes.add(wish)
        this.#tell()
      }
      return () => {
        this.#changes.delete(answer)
        if (wish !== undefined) this.wishes.delete(wish)
      }
    })
  }

  /** The feed changed; the blocks of `held` ranges became held. */
  settle(held: ReadonlyArray<{ readonly start: number; readonly end: number }>): void {
    this.#version++
    if (this.#blocks.size > 0) {
      for (const index of this.#blocks.keys()) {
        if (held.some(({ start, end }) => index >= start && index < end)) this.#wakeBlock(index)
      }
    }
    this.#wakeAll(this.#changes, Effect.void)
  }

  /** The feed is closed: every wait ends with `FeedClosed`. */
  close(): void {
    this.#closed = true
    if (this.size === 0) return
    const closed = Effect.fail(new FeedClosed())
    for (const waiting of this.#blocks.values()) this.#wakeAll(waiting, closed)
    this.#blocks.clear()
    this.#wakeAll(this.#changes, closed)
  }

  #tell(): void {
    for (const listener of this.listeners) listener()
  }

  #wakeBlock(index: number): void {
    const waiting = this.#blocks.get(index)!
    this.#blocks.delete(index)
    this.#wakeAll(waiting, Effect.void)
  }

  #wakeAll(waiting: Set<Resume>, result: Effect.Effect<void, FeedClosed>): void {
    if (waiting.size === 0) return
    const resumes = [...waiting]
    waiting.clear()
    for (const resume of resumes) resume(result)
  }
}
