/** How many bytes an instance has: by what it can say, or by what can be read. */
import { invoke } from "./Callback.js"
import {
  type Answer,
  canStat,
  pageSize,
  type RandomAccessStorage,
  statedLength
} from "./RandomAccessStorage.js"

/** No file is longer, 16 TiB: file systems end here too. */
const MAX_SIZE = 2 ** 44
/** Nor has more pages, 1 TiB of them as a rule: to be cut, memory in pages takes time for each that could be there. */
const MAX_PAGES = 2 ** 20

/** The most bytes that may be written to an instance. */
export const maxSize = (instance: RandomAccessStorage): number => {
  const page = pageSize(instance)
  return page === undefined ? MAX_SIZE : Math.min(MAX_SIZE, MAX_PAGES * page)
}

/**
 * Answers with the size in bytes, 0 of what does not exist. `atLeast` bytes are known to be there.
 *
 *     stat                    where there is one
 *     length, or `atLeast`    checked by reading the last byte, and the one after it: some packages do not keep it up to date
 *     nothing                 by reading single bytes, ever farther apart until there is none, then between
 */
export const findSize = (instance: RandomAccessStorage, atLeast: number, answer: Answer<number>): void =>
  open(instance, (error) => {
    if (error !== undefined) return isAbsence(error) ? answer(undefined, 0) : answer(error, 0)
    if (canStat(instance)) stat(instance, answer)
    else probe(instance, atLeast, answer)
  })

/**
 * The packages open on their first use, and say what was wrong with it to that one alone: "Not opened" to the later ones. Opened by
 * itself, an instance says it every time.
 */
const open = (instance: RandomAccessStorage, answer: (error: unknown) => void): void => {
  if (typeof instance.open !== "function") return answer(undefined)
  invoke((callback) => instance.open!(callback), answer)
}

export const stat = (instance: RandomAccessStorage, answer: Answer<number>): void =>
  invoke<{ readonly size?: unknown } | null>(
    (callback) => instance.stat!(callback),
    (error, value) => {
      if (error !== undefined) return isAbsence(error) ? answer(undefined, 0) : answer(error, 0)
      const size = value?.size
      if (Number.isSafeInteger(size) && Number(size) >= 0) return answer(undefined, Number(size))
      answer(new TypeError("stat gave no size"), 0)
    }
  )

/** A file that does not exist: Node's code, the browsers' name, and what random-access-storage says once opening it failed. */
const isAbsence = (error: unknown): boolean =>
  error instanceof Error &&
  (codeOf(error) === "ENOENT" || error.name === "NotFoundError" || error.message === "Not opened")

/** Reading past the end fails with an error of no code, or with this one; a failing disk's errors have others. */
const isEnd = (error: unknown): boolean => {
  const code = codeOf(error)
  return isAbsence(error) || code === undefined || code === "EPARTIALREAD"
}

const codeOf = (error: unknown): string | undefined => {
  const { code } = error as { readonly code?: unknown }
  return typeof code === "string" ? code : undefined
}

/** Whether there are `size` bytes. */
export const reaches = (instance: RandomAccessStorage, size: number, answer: Answer<boolean>): void =>
  invoke<Uint8Array | null>(
    (callback) => instance.read(size - 1, 1, callback),
    (error, bytes) => {
      if (error === undefined) answer(undefined, bytes?.length === 1)
      else if (isEnd(error)) answer(undefined, false)
      else answer(error, false)
    }
  )

const probe = (instance: RandomAccessStorage, atLeast: number, answer: Answer<number>): void => {
  const stated = statedLength(instance) ?? 0
  if (stated <= atLeast) return search(instance, { low: atLeast, high: undefined, step: 1 }, answer)
  reaches(instance, stated, (error, isThere) => {
    if (error !== undefined) return answer(error, 0)
    const bounds = isThere
      ? { low: stated, high: undefined, step: 1 }
      : { low: atLeast, high: stated, step: 1 }
    search(instance, bounds, answer)
  })
}

interface Bounds {
  /** So many bytes are there. */
  readonly low: number
  /** So many are not; `undefined` until a number is known. */
  readonly high: number | undefined
  readonly step: number
}

/** Doubles its step until there is no byte, then halves what is left: at most 45 reads each way. */
const search = (instance: RandomAccessStorage, { low, high, step }: Bounds, answer: Answer<number>): void => {
  if (high !== undefined && high - low === 1) return answer(undefined, low)
  const middle = high === undefined ? low + step : low + Math.floor((high - low) / 2)
  if (middle > MAX_SIZE) {
    return answer(new RangeError("it can be read past any end: without stat, its size cannot be found"), 0)
  }
  reaches(instance, middle, (error, isThere) => {
    if (error !== undefined) return answer(error, 0)
    if (isThere) search(instance, { low: middle, high, step: 2 * step }, answer)
    else search(instance, { low, high: middle, step }, answer)
  })
}
