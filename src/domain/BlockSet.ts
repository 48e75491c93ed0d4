/**
 * A sparse set of blocks: what a peer says that it has. Like the have-bits of `Bitfield`, one bit a block from the most
 * significant bit of a byte on, in pages of 8192 blocks, in groups of 128 pages. Pages without blocks, or without any but blocks, take
 * no memory, and a range costs a step a group, or a page where it does not cover a group: a peer says 2^46 blocks in ten bytes.
 */
export const PAGE_BLOCKS = 8192
const PAGE_BYTES = PAGE_BLOCKS / 8
const GROUP_PAGES = 128
const GROUP_BLOCKS = GROUP_PAGES * PAGE_BLOCKS
const GROUP_BYTES = GROUP_PAGES * PAGE_BYTES

/** Stands for each page that has all its blocks. Never written to. */
const FULL = new Uint8Array(PAGE_BYTES).fill(0xff)

type Group = Array<Uint8Array | undefined>
/** Stands for each group that has all its blocks. Never written to. */
const FULL_GROUP: Group = Array.from({ length: GROUP_PAGES }, () => FULL)

export class BlockSet {
  readonly #groups = new Map<number, Group>()

  /** The byte with the bits of blocks 8 `at` .. 8 `at` + 7. */
  byte(at: number): number {
    const inGroup = at % GROUP_BYTES
    const group = this.#groups.get((at - inGroup) / GROUP_BYTES)
    if (group === undefined) return 0
    const inPage = inGroup % PAGE_BYTES
    const page = group[(inGroup - inPage) / PAGE_BYTES]
    return page === undefined ? 0 : page[inPage]!
  }

  has(block: number): boolean {
    const bit = block % 8
    return (this.byte((block - bit) / 8) & (128 >> bit)) !== 0
  }

  /** Adds or removes [start, end). Costs a step for every group of it: the caller bounds it. */
  set(start: number, end: number, held: boolean): void {
    for (let from = start; from < end;) {
      const inGroup = from % GROUP_BLOCKS
      const number = (from - inGroup) / GROUP_BLOCKS
      const count = Math.min(end - from, GROUP_BLOCKS - inGroup)
      if (count < GROUP_BLOCKS) this.#setPages(number, inGroup, inGroup + count, held)
      else if (held) this.#groups.set(number, FULL_GROUP)
      else this.#groups.delete(number)
      from += count
    }
  }

  /** Replaces the bits of blocks 8 `at`, ... by those of `bytes`. */
  write(at: number, bytes: Uint8Array): void {
    for (let from = 0; from < bytes.length;) {
      const inPage = (at + from) % PAGE_BYTES
      const part = bytes.subarray(from, from + PAGE_BYTES - inPage)
      const number = (at + from - inPage) / PAGE_BYTES
      ownPage(this.#group(Math.floor(number / GROUP_PAGES)), number % GROUP_PAGES).set(part, inPage)
      from += part.length
    }
  }

  /** First byte at or after `at`, before byte `end`, that is not zero; `end` when there is none. What is not there costs nothing. */
  nextHeldByte(at: number, end: number): number {
    for (let next = at; next < end;) {
      const inGroup = next % GROUP_BYTES
      const first = next - inGroup
      const group = this.#groups.get(first / GROUP_BYTES)
      if (group === undefined) {
        next = this.#nextGroup(first / GROUP_BYTES) * GROUP_BYTES
        continue
      }
      const found = nextHeldIn(group, inGroup)
      if (found < GROUP_BYTES) return Math.min(first + found, end)
      next = first + GROUP_BYTES
    }
    return end
  }

  #nextGroup(after: number): number {
    if (this.#groups.has(after + 1)) return after + 1
    let next = Number.POSITIVE_INFINITY
    for (const number of this.#groups.keys()) if (number > after && number < next) next = number
    return next
  }

  /** The group, to be written to. */
  #group(number: number): Group {
    const before = this.#groups.get(number)
    if (before !== undefined && before !== FULL_GROUP) return before
    const group = before?.slice() ?? Array.from<undefined>({ length: GROUP_PAGES })
    this.#groups.set(number, group)
    return group
  }

  /** Blocks [start, end) of a group. */
  #setPages(number: number, start: number, end: number, held: boolean): void {
    if (held ? this.#groups.get(number) === FULL_GROUP : !this.#groups.has(number)) return
    const group = this.#group(number)
    const whole = held ? FULL : undefined
    for (let from = start; from < end;) {
      const inPage = from % PAGE_BLOCKS
      const page = (from - inPage) / PAGE_BLOCKS
      const count = Math.min(end - from, PAGE_BLOCKS - inPage)
      if (count === PAGE_BLOCKS) group[page] = whole
      else if (group[page] !== whole) setBits(ownPage(group, page), inPage, inPage + count, held)
      from += count
    }
  }
}

/** The page, to be written to. */
const ownPage = (group: Group, number: number): Uint8Array => {
  const page = group[number]
  if (page !== undefined && page !== FULL) return page
  return (group[number] = page === undefined ? new Uint8Array(PAGE_BYTES) : FULL.slice())
}

/** Sets or clears bits [start, end), at least one. */
const setBits = (page: Uint8Array, start: number, end: number, held: boolean): void => {
  const [first, last] = [start >> 3, (end - 1) >> 3]
  const [head, tail] = [0xff >> (start & 7), (0xff << (7 - ((end - 1) & 7))) & 0xff]
  const put = (at: number, mask: number): void => {
    page[at] = held ? page[at]! | mask : page[at]! & ~mask
  }
  if (first === last) return put(first, head & tail)
  put(first, head)
  page.fill(held ? 0xff : 0, first + 1, last)
  put(last, tail)
}

/** First byte of the group at or after `at` that is not zero; `GROUP_BYTES` when there is none. */
const nextHeldIn = (group: Group, at: number): number => {
  for (let next = at; next < GROUP_BYTES;) {
    const inPage = next % PAGE_BYTES
    const page = group[(next - inPage) / PAGE_BYTES]
    if (page !== undefined) {
      for (let i = inPage; i < PAGE_BYTES; i++) if (page[i] !== 0) return next - inPage + i
    }
    next += PAGE_BYTES - inPage
  }
  return GROUP_BYTES
}
