/**
 * How many requests a peer has in flight: as many as its link carries, without a queue that grows.
 *
 *     while answers come about as fast as the fastest did, each answer adds two (so it triples a round trip),
 *     and one, once some took longer
 *     when they take much longer, a queue stands somewhere: it shrinks by a tenth, once a round trip
 *
 * The peer's fixed 16 fill a link of 100 ms with a hundredth of what it carries. `SLACK` lets a local link, whose round
 * trip is near nothing, have enough in flight for answers to come in large batches.
 */

const FIRST = 32
const MOST = 4096
const LEAST = 16
/** Milliseconds that answers may take above twice the fastest. */
const SLACK = 25
/** Bytes that may be in flight, judged by the blocks that came so far; the window's least is allowed always. */
const MOST_BYTES = 16 * 1024 * 1024

export class Window {
  #limit = FIRST
  /** Whether no queue was seen yet. */
  #starting = true
  #fastest = Number.POSITIVE_INFINITY
  #smoothed = 0
  #blockSize = 0
  #shrunkAt = Number.NEGATIVE_INFINITY

  /** `most`: never more than this; `undefined`: as many as the link carries. */
  constructor(public most: number | undefined) {}

  /** Requests that may be in flight. */
  get limit(): number {
    const bySize = this.#blockSize === 0 ? MOST : Math.ceil(MOST_BYTES / this.#blockSize)
    return Math.min(this.#limit, this.most ?? MOST, Math.max(LEAST, bySize))
  }

  /** How long answers take, in milliseconds, lately. */
  get latency(): number {
    return this.#smoothed
  }

  /** An answer of `size` bytes came, `latency` ms after it was asked for; `full`: all that was allowed was in flight. */
  answered(latency: number, size: number, full: boolean, now: number): void {
    this.#fastest = Math.min(this.#fastest, latency)
    this.#smoothed = this.#smoothed === 0 ? latency : this.#smoothed + (latency - this.#smoothed) / 8
    this.#blockSize = this.#blockSize === 0 ? size : this.#blockSize + (size - this.#blockSize) / 16
    const target = 2 * this.#fastest + SLACK
    if (latency <= target) {
      if (full) this.#limit = Math.min(MOST, this.#limit + (this.#starting ? 2 : 1))
      return
    }
    this.#starting = false
    if (latency > 2 * target && now - this.#shrunkAt > this.#smoothed) {
      this.#limit = Math.max(LEAST, Math.floor(this.#limit * 0.9))
      this.#shrunkAt = now
    }
  }
}
