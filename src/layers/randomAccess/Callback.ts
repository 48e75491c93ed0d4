/**
 * Callbacks of instances, which may come at once, later, twice, or after a throw: here each comes once. As long as they come at once,
 * nothing waits and no stack grows.
 */
import { Effect, Either } from "effect"
import type { StorageError } from "../../domain/Errors.js"
import type { Answer } from "./RandomAccessStorage.js"

/** Told once how it ended. */
export type Settle<A> = (result: Either.Either<A, StorageError>) => void

export const done: Either.Either<void> = Either.void

/** Calls an instance's method. What it throws instead of calling back is an error too. */
export const invoke = <A>(
  run: (callback: (error?: unknown, value?: A) => void) => void,
  answer: Answer<A | undefined>
): void => {
  let isAnswered = false
  const once = (error: unknown, value: A | undefined): void => {
    if (isAnswered) return
    isAnswered = true
    answer(error || undefined, value)
  }
  try {
    run(once)
  } catch (cause) {
    if (isAnswered) throw cause
    once(cause ?? new Error("thrown"), undefined)
  }
}

/** Steps 0 to `count` - 1, each once the one before has answered; ends with the first error. */
export const inOrder = (
  count: number,
  step: (index: number, answer: (error: unknown) => void) => void,
  answer: (error: unknown) => void
): void => {
  let next = 0
  let isLooping = false
  let isWaiting = false
  const loop = (): void => {
    isLooping = true
    while (!isWaiting && next < count) {
      isWaiting = true
      step(next++, (error) => {
        if (error !== undefined) return answer(error)
        isWaiting = false
        if (!isLooping) loop()
      })
    }
    isLooping = false
    if (!isWaiting) answer(undefined)
  }
  loop()
}

/** As an effect, which only waits when the answer does not come at once. */
export const toEffect = <A>(start: (settle: Settle<A>) => void): Effect.Effect<A, StorageError> =>
  Effect.suspend(() => {
    let result: Either.Either<A, StorageError> | undefined
    let resume: Settle<A> | undefined
    start((settled) => {
      result = settled
      resume?.(settled)
    })
    if (result !== undefined) return result
    return Effect.async<A, StorageError>((callback) => {
      if (result !== undefined) callback(result)
      else resume = callback
    })
  })
