/**
 * Arrays for frames that come in parts, used again. A connection that fetches large blocks joins some thousand of them a second: made anew,
 * each takes fresh memory from the system, and what they leave behind is collected at a price above that of hashing them.
 *
 * Whoever took a block out of a frame gives it back when nobody looks at it any more; what is not given back is garbage, as ever.
 */

/** Smaller frames are joined in arrays of their own. */
const LEAST = 4096
/** Frames differ by some nodes of a proof: they share arrays whose sizes are multiples of this. */
const STEP = 4096
/** Bytes that are kept for later, at most. */
const MOST_KEPT = 8 * 1024 * 1024

export class FramePool {
  readonly #kept = new Map<number, Array<ArrayBuffer>>()
  readonly #lent = new WeakSet<ArrayBufferLike>()
  #keptBytes = 0

  /** An array of `size` bytes, which hold anything. */
  take(size: number): Uint8Array {
    if (size < LEAST) return new Uint8Array(size)
    const whole = Math.ceil(size / STEP) * STEP
    const buffer = this.#kept.get(whole)?.pop()
    if (buffer !== undefined) this.#keptBytes -= whole
    const taken = buffer ?? new ArrayBuffer(whole)
    this.#lent.add(taken)
    return new Uint8Array(taken, 0, size)
  }

  /** Gives back the array that `part` is a part of, if it is one of ours: nobody may look at any of it from now on. */
  give({ buffer }: Uint8Array): void {
    const size = buffer.byteLength
    if (!this.#lent.delete(buffer) || this.#keptBytes + size > MOST_KEPT) return
    this.#keptBytes += size
    const alike = this.#kept.get(size)
    if (alike === undefined) this.#kept.set(size, [buffer as ArrayBuffer])
    else alike.push(buffer as ArrayBuffer)
  }
}
