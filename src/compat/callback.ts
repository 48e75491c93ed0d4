/** How a program's end reaches legacy code: by its callback, never before the call that it was given to has returned; or by a promise. */
import { Cause, Effect, Exit, type Fiber } from "effect"
import { fork } from "./fork.js"
import { type LegacyError, ofCause, type Words } from "./LegacyError.js"

/** What legacy code gives to be told of an end: nothing of `values` comes with an error. */
export type Callback<V extends ReadonlyArray<unknown> = []> = (
  error: LegacyError | null,
  ...values: Partial<V>
) => void

/** Why a program was interrupted, if it was. */
export interface Interrupted {
  readonly reason: LegacyError | undefined
}

export interface CallOptions {
  readonly words?: Words | undefined
  readonly interrupted?: Interrupted
  /** Called once the callback has its tick, which is still to come. */
  readonly told?: (() => void) | undefined
}

/** Calls back with what `values` makes of a result, or with why there is none. */
export const tellExit = <A, V extends ReadonlyArray<unknown>>(
  exit: Exit.Exit<A, unknown>,
  callback: Callback<V>,
  values: (result: A) => NoInfer<V>,
  { interrupted, words }: CallOptions = {}
): void => {
  if (Exit.isSuccess(exit)) process.nextTick(callback, null, ...values(exit.value))
  else if (Cause.isInterruptedOnly(exit.cause) && interrupted?.reason !== undefined) {
    process.nextTick(callback, interrupted.reason)
  } else process.nextTick(callback, ofCause(exit.cause, words))
}

/** Runs `program` and calls back with what `values` makes of its result. */
export const call = <A, V extends ReadonlyArray<unknown>>(
  program: Effect.Effect<A, unknown>,
  callback: Callback<V>,
  values: (result: A) => NoInfer<V>,
  options?: CallOptions
): Fiber.RuntimeFiber<A, unknown> => {
  const fiber = fork(program)
  fiber.addObserver((exit) => {
    tellExit(exit, callback, values, options)
    options?.told?.()
  })
  return fiber
}

/** What a promise has of the values: the only one; of several, all. */
export type Promised<V extends ReadonlyArray<unknown>> = V extends readonly []
  ? void
  : V extends readonly [infer One]
    ? One
    : V

export interface Told<V extends ReadonlyArray<unknown>> {
  readonly callback: Callback<V>
  readonly promise: Promise<Promised<V>> | undefined
}

/**
 * The callback; or, where it was left out, one that settles the promise beside it. Nobody need look at how that ends: callers of the peer,
 * which tells them nothing, do not.
 */
export const orPromise = <V extends ReadonlyArray<unknown>>(
  callback: Callback<V> | undefined | null
): Told<V> => {
  if (typeof callback === "function") return { callback, promise: undefined }
  let settle: Callback<V> = () => {}
  const promise = new Promise<Promised<V>>((resolve, reject) => {
    settle = (error, ...values) => {
      if (error === null) resolve((values.length > 1 ? values : values[0]) as Promised<V>)
      else reject(error)
    }
  })
  promise.catch(() => {})
  return { callback: settle, promise }
}

/** The callback, to be told of a failure alone: no value comes with one. */
export const refusing = <V extends ReadonlyArray<unknown>>(callback: Callback<V>) =>
  callback as unknown as (error: LegacyError) => void
