/**
 * Large arrays, used again. A connection that carries large blocks needs some thousand arrays a second, to read them into and to join their
 * frames in: made anew, each takes fresh memory from the system, and V8 collects all of its heap to give it back.
 *
 * An array has one owner, and goes with the block in it: from who read it to the connection that sends it, in one process to who receives
 * it. The last one gives it back, when nobody looks at any of it any more; what is not given back is garbage, as ever.
 */

/** Bytes of a large array: smaller ones cost less than their accounting. */
export const LARGE = 4096
/** Frames differ by some nodes of a proof: they share arrays whose sizes are multiples of this. */
const STEP = 1024
/** Bytes that are kept for later, at most. */
const MOST_KEPT = 8 * 1024 * 1024

/** How many bytes of an array that was taken were asked for. On the buffer itself: a WeakMap of thousands costs V8 more at each collection than all else here. */
const LENT = Symbol("bytes lent")

interface PoolBuffer extends ArrayBuffer {
  [LENT]: number | undefined
}

const lentOf = (buffer: ArrayBufferLike): number | undefined =>
  buffer.byteLength < LARGE ? undefined : (buffer as PoolBuffer)[LENT]

export class ArrayPool {
  readonly #kept = new Map<number, Array<PoolBuffer>>()
  #keptBytes = 0

  /** An array of `size` bytes, which hold anything. */
  take(size: number): Uint8Array {
    if (size < LARGE) return new Uint8Array(size)
    const whole = Math.ceil(size / STEP) * STEP
    const buffer = this.#kept.get(whole)?.pop()
    if (buffer !== undefined) this.#keptBytes -= whole
    const taken = buffer ?? (new ArrayBuffer(whole) as PoolBuffer)
    taken[LENT] = size
    return new Uint8Array(taken, 0, size)
  }

  /** Takes the array that `part` is a part of for good: whoever gives it back does nothing. */
  keep({ buffer }: Uint8Array): void {
    if (lentOf(buffer) !== undefined) (buffer as PoolBuffer)[LENT] = undefined
  }

  /** Whether it is only a part of one of ours: other parts of that may be elsewhere. */
  isPart({ buffer, byteOffset, length }: Uint8Array): boolean {
    const size = lentOf(buffer)
    return size !== undefined && (byteOffset > 0 || length !== size)
  }

  /** Gives back an array, as it was taken: of one that was cut meanwhile nothing. */
  giveWhole(array: Uint8Array): void {
    if (!this.isPart(array)) this.give(array)
  }

  /** Gives back the array that `part` is a part of, if it is one of ours: nobody may look at any of it from now on. */
  give({ buffer }: Uint8Array): void {
    const size = buffer.byteLength
    if (lentOf(buffer) === undefined) return
    const given = buffer as PoolBuffer
    given[LENT] = undefined
    if (this.#keptBytes + size > MOST_KEPT) this.#drop(size)
    if (this.#keptBytes + size > MOST_KEPT) return
    this.#keptBytes += size
    const alike = this.#kept.get(size)
    if (alike === undefined) this.#kept.set(size, [given])
    else alike.push(given)
  }

  /** Lets go of those of the size that was first kept, if that is another: they may be of no use any more. */
  #drop(size: number): void {
    for (const [other, buffers] of this.#kept) {
      if (other === size) continue
      this.#keptBytes -= other * buffers.length
      this.#kept.delete(other)
      return
    }
  }
}

/** The process's. */
export const arrays = new ArrayPool()
