/** drained: waits until a protocol stream, ours or the real one, takes more. Node tells who pushes by calling `_read`. */
import { Effect } from "effect"
import type { Duplex } from "node:stream"

interface ReadableState {
  readonly length: number
  readonly highWaterMark: number
}

const waiting = new WeakMap<Duplex, Set<() => void>>()

/** Those who wait for the stream, which are woken by its `_read` and its end. */
const waitersOf = (stream: Duplex): Set<() => void> => {
  const existing = waiting.get(stream)
  if (existing !== undefined) return existing
  const waiters = new Set<() => void>()
  waiting.set(stream, waiters)
  const wake = (): void => {
    const all = [...waiters]
    waiters.clear()
    for (const one of all) one()
  }
  const read = stream._read.bind(stream)
  stream._read = (size) => {
    if (waiters.size > 0) process.nextTick(wake)
    read(size)
  }
  stream.on("close", wake)
  stream.on("end", wake)
  return waiters
}

/**
 * Whether as much waits to be read as should at most. The streams of `readable-stream` 2, of which the real protocol's is one, tell it in
 * their state alone.
 */
const isFull = (stream: Duplex): boolean => {
  const { _readableState: state } = stream as unknown as { readonly _readableState: ReadableState }
  return state.length >= state.highWaterMark
}

/** Ends when less than the stream's high water mark waits to be read, or the stream is over. */
export const drained = (stream: Duplex): Effect.Effect<void> =>
  Effect.async((resume) => {
    if (stream.destroyed || !isFull(stream)) return resume(Effect.void)
    const waiters = waitersOf(stream)
    const wake = (): void => resume(Effect.void)
    waiters.add(wake)
    return Effect.sync(() => waiters.delete(wake))
  })
