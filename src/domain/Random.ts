/**
 * Pseudo-random numbers that a seed repeats, for simulations: the same seed gives the same numbers on every platform. Not for secrets.
 *
 * The generator is xoshiro128** (Blackman and Vigna, 2018): 128 bits of state, period 2^128 - 1. The seed, taken modulo 2^64, is
 * spread over the state by a 32-bit splitmix: a counter in steps of the golden ratio, finished as MurmurHash3 does.
 */
export class Random {
  #a: number
  #b: number
  #c: number
  #d: number

  /** Any integer up to 2^53 in size. */
  constructor(seed: number) {
    let counter = seed >>> 0
    const high = Math.floor(seed / 2 ** 32) >>> 0
    const spread = (): number => {
      counter = (counter + 0x9e3779b9) | 0
      return finish(counter ^ finish(high))
    }
    this.#a = spread()
    this.#b = spread()
    this.#c = spread()
    this.#d = spread() | 1 // all zeros is the one state that stays
  }

  /** 32 bits. */
  uint32(): number {
    const scrambled = Math.imul(rotate(Math.imul(this.#b, 5), 7), 9) >>> 0
    const shifted = this.#b << 9
    this.#c ^= this.#a
    this.#d ^= this.#b
    this.#b ^= this.#c
    this.#a ^= this.#d
    this.#c ^= shifted
    this.#d = rotate(this.#d, 11)
    return scrambled
  }

  /** In [0, 1), a multiple of 2^-53. */
  next(): number {
    const high = this.uint32() >>> 5
    return (high * 2 ** 26 + (this.uint32() >>> 6)) / 2 ** 53
  }

  /** An integer in [0, n), for n up to 2^53; 0 for n = 0. */
  below(n: number): number {
    return Math.floor(this.next() * n)
  }
}

const rotate = (x: number, by: number): number => (x << by) | (x >>> (32 - by))

const finish = (x: number): number => {
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b)
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35)
  return x ^ (x >>> 16)
}

/** A seed for one part of a simulation, of the whole's seed and the part's name: parts then draw without disturbing each other. */
export const seedOf = (seed: number, name: string): number => {
  const random = new Random(seed)
  let hash = random.uint32()
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193) // FNV-1a
  return finish(hash) >>> 0
}
