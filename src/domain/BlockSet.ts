/**
 * A sparse set of blocks: what a peer says that it has. Like the have-bits of `Bitfield`, one bit a block from the most
 * significant bit of a byte on, in pages of 8192 blocks; a page without blocks takes no memory.
 */
export const PAGE_BLOCKS = 8192
const PAGE_BYTES = PAGE_BLOCKS / 8

export class BlockSet {
  readonly #pages = new Map<number, Uint8Array>()

  /** The byte with the bits of blocks 8 `at` .. 8 `at` + 7. */
  byte(at: number): number {
    const page = this.#pages.get(Math.floor(at / PAGE_BYTES))
    return page === undefined ? 0 : page[at % PAGE_BYTES]!
  }

  has(block: number): boolean {
    const bit = block % 8
    return (this.byte((block - bit) / 8) & (128 >> bit)) !== 0
  }

  /** Adds or removes [start, end). Costs a step for every eight blocks of it: the caller bounds it. */
  set(start: number, end: number, held: boolean): void {
    for (let at = Math.floor(start / 8); 8 * at < end; at++) {
      const first = Math.max(start - 8 * at, 0)
      const last = Math.min(end - 8 * at, 8)
      const mask = (0xff >> first) & (0xff << (8 - last)) & 0xff
      const before = this.byte(at)
      const after = held ? before | mask : before & ~mask
      if (after !== before) this.#page(at)[at % PAGE_BYTES] = after
    }
  }

  /** Replaces the bits from `start`, the first block of a page, by `bits`. */
  load(start: number, bits: Uint8Array): void {
    for (let from = 0; from < bits.length; from += PAGE_BYTES) {
      const number = start / PAGE_BLOCKS + from / PAGE_BYTES
      const part = bits.subarray(from, from + PAGE_BYTES)
      if (part.every((byte) => byte === 0)) {
        this.#pages.delete(number)
        continue
      }
      const page = new Uint8Array(PAGE_BYTES)
      page.set(part)
      this.#pages.set(number, page)
    }
  }

  /** Forgets every block of the pages that lie in [start, end), which are multiples of a page. */
  drop(start: number, end: number): void {
    for (const number of this.#pages.keys()) {
      if (number * PAGE_BLOCKS >= start && number * PAGE_BLOCKS < end) this.#pages.delete(number)
    }
  }

  /** First byte at or after `at`, before byte `end`, that is not zero; `end` when there is none. What is not there costs nothing. */
  nextHeldByte(at: number, end: number): number {
    let next = at
    while (next < end) {
      const number = Math.floor(next / PAGE_BYTES)
      const page = this.#pages.get(number)
      if (page === undefined) {
        next = this.#nextPage(number) * PAGE_BYTES
        continue
      }
      const first = number * PAGE_BYTES
      for (let i = next - first; i < PAGE_BYTES; i++) if (page[i] !== 0) return Math.min(first + i, end)
      next = first + PAGE_BYTES
    }
    return end
  }

  #nextPage(after: number): number {
    if (this.#pages.has(after + 1)) return after + 1
    let next = Number.POSITIVE_INFINITY
    for (const number of this.#pages.keys()) if (number > after && number < next) next = number
    return next
  }

  #page(at: number): Uint8Array {
    const number = Math.floor(at / PAGE_BYTES)
    let page = this.#pages.get(number)
    if (page === undefined) {
      page = new Uint8Array(PAGE_BYTES)
      this.#pages.set(number, page)
    }
    return page
  }
}
