/**
 * What decoding takes, in numbers that no machine's speed changes: the bytes that it looks at, one by one, and those that it allocates. A bound on
 * them is a bound on time and memory.
 */
import { expect } from "vitest"

/** The array, which counts each look at one of its elements. What is made of it by `subarray` or of its buffer does not. */
const watched = (bytes: Uint8Array, look: () => void): Uint8Array =>
  new Proxy(bytes, {
    get: (array, property) => {
      if (typeof property === "string" && /^\d+$/.test(property)) look()
      const value = Reflect.get(array, property, array) as unknown
      return typeof value === "function" ? (value.bind(array) as unknown) : value
    }
  })

/** Runs `body` while each `new Uint8Array(size)` tells its size. */
const whileAllocating = <A>(allocate: (size: number) => void, body: () => A): A => {
  const own = globalThis.Uint8Array
  globalThis.Uint8Array = new Proxy(own, {
    construct: (made, given: ReadonlyArray<unknown>, as) => {
      if (typeof given[0] === "number") allocate(given[0])
      return Reflect.construct(made, given, as) as object
    }
  })
  try {
    return body()
  } finally {
    globalThis.Uint8Array = own
  }
}

export interface Bounds {
  /** Looks at a byte of the input, in all. */
  readonly looks: number
  /** Bytes that are allocated. */
  readonly allocated: number
}

/** What `decode` gives, whose effort is within bounds. It must be synchronous. */
export const within = <A>(bounds: Bounds, bytes: Uint8Array, decode: (bytes: Uint8Array) => A): A => {
  let looks = 0
  let allocated = 0
  const result = whileAllocating(
    (size) => (allocated += size),
    () => decode(watched(bytes, () => looks++))
  )
  expect({ looks, isMore: looks > bounds.looks }).toEqual({ looks, isMore: false })
  expect({ allocated, isMore: allocated > bounds.allocated }).toEqual({ allocated, isMore: false })
  return result
}
