/**
 * events: what happens to a feed, as a stream for each who listens.
 *
 * Each subscriber has a backlog of its own, which `publish` fills without waiting; one that lags loses the oldest, so it
 * costs neither memory nor the writer's time. (Neither Effect's `Queue.sliding` nor its `Mailbox`: the backlog is taken
 * whole, as one chunk, and a wait looks once more as it begins, since its fiber may have lost its turn since it looked.)
 *
 * `unsafeListen` calls instead, with the blocks that an event tells of: a backlog must not keep those, which may have 8 MB each.
 */
import { Cause, Chunk, Effect, Runtime, Stream } from "effect"
import type { FeedEvent } from "../../domain/FeedEvent.js"
import type { FeedCore, Listener } from "./FeedCore.js"

/** How many events a subscriber may lag behind before it loses the oldest. */
const BACKLOG = 4096

class Subscription {
  #backlog: Array<FeedEvent> = []
  #wake: (() => void) | undefined

  readonly listener = (event: FeedEvent): void => {
    if (this.#backlog.length === BACKLOG) this.#backlog.shift()
    this.#backlog.push(event)
    this.#wake?.()
  }

  /** All that happened since the last taking; waits for one event at least. */
  readonly take: Effect.Effect<Chunk.Chunk<FeedEvent>> = Effect.async((resume) => {
    const answer = (): void => {
      const events = this.#backlog
      this.#backlog = []
      this.#wake = undefined
      resume(Effect.succeed(Chunk.unsafeFromArray(events)))
    }
    if (this.#backlog.length > 0) return answer()
    this.#wake = answer
    return Effect.sync(() => {
      this.#wake = undefined
    })
  })
}

/**
 * Calls `listener` within each change, once it is stored, until the function that it gives is called. What the listener throws is logged:
 * the change has happened, and others are to hear of it.
 */
export const unsafeListen = (core: FeedCore, listener: Listener): (() => void) => {
  if (core.closed) return () => {}
  const guarded: Listener = (event, origin) => {
    try {
      listener(event, origin)
    } catch (cause) {
      const { _tag } = event
      Runtime.runFork(core.runtime)(
        Effect.logError(`a listener threw when it was told of ${_tag}`, Cause.die(cause))
      )
    }
  }
  core.listeners.add(guarded)
  core.originListeners++
  return () => {
    if (core.listeners.delete(guarded)) core.originListeners--
  }
}

/** What happens to the feed while the stream runs; ends after `Close`. */
export const events = (core: FeedCore): Stream.Stream<FeedEvent> =>
  Stream.unwrapScoped(
    Effect.gen(function* () {
      const subscription = new Subscription()
      const isOpen = yield* Effect.acquireRelease(
        Effect.sync(() => {
          if (!core.closed) core.listeners.add(subscription.listener)
          return !core.closed
        }),
        () => Effect.sync(() => core.listeners.delete(subscription.listener))
      )
      return isOpen
        ? Stream.takeUntil(Stream.repeatEffectChunk(subscription.take), (event) => event._tag === "Close")
        : Stream.empty
    })
  )
