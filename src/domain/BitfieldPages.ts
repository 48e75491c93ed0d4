/**
 * The pages of the `bitfield` file in memory (FORMATS, "Files"): page k, at 32 + k * pageSize, is
 *
 *     have-bits (1024) | tree-bits (2048) | index (512, or 256 in feeds made before 6.22.1)
 *
 * Three byte sequences run through the pages side by side. A page that was never written is zeros and
 * takes no memory. This file knows bytes only; `Bitfield` and `BitfieldIndex` know what they mean.
 */
import { isBlank } from "./Bytes.js"

export const HAVE_BYTES = 1024
export const TREE_BYTES = 2048
export const PAGE_SIZE = HAVE_BYTES + TREE_BYTES + 512
export const OLD_PAGE_SIZE = HAVE_BYTES + TREE_BYTES + 256

/** One of the sequences: where it starts in a page and how many bytes of it a page holds. */
interface Section {
  readonly start: number
  readonly size: number
}

/** Bytes of the file, at `offset` after its header. */
export interface Piece {
  readonly offset: number
  readonly bytes: Uint8Array
}

/** Forms of a page that is full, of which one is kept each: the last tree-bit, and the last pairs of the index, depend on what follows. */
const MOST_SHARED = 4

/**
 * Pages in the order to store them: the have-bits of all, then what lies behind them. Wherever a crash cuts that off, a have-bit without its
 * leaf's tree-bit tells.
 */
export const haveFirst = (pages: ReadonlyArray<Piece>): ReadonlyArray<Piece> => {
  if (pages.length === 1) return pages
  const haves = pages.map(({ offset, bytes }) => ({ offset, bytes: bytes.subarray(0, HAVE_BYTES) }))
  const rests = pages.map(({ offset, bytes }) => ({
    offset: offset + HAVE_BYTES,
    bytes: bytes.subarray(HAVE_BYTES)
  }))
  return [...haves, ...rests]
}

export class BitfieldPages {
  readonly have: Section = { start: 0, size: HAVE_BYTES }
  readonly tree: Section = { start: HAVE_BYTES, size: TREE_BYTES }
  readonly index: Section
  /** Highest page ever touched, plus one: where the index ends (see BitfieldIndex). */
  count = 0
  // A Map, not an array: a sparse feed may know blocks 2^40 apart.
  readonly #pages = new Map<number, Uint8Array>()
  /**
   * Pages that are full are alike, and share their bytes until they are changed: the 1,220 of ten million blocks would else be 4.4 MB.
   */
  readonly #shared: Array<Uint8Array> = []
  readonly #dirty = new Set<number>()
  /** Those of them whose have-bits changed, and whose tree-bits did. */
  readonly #dirtyHave = new Set<number>()
  readonly #dirtyTree = new Set<number>()
  #numbers: ReadonlyArray<number> | undefined

  constructor(readonly pageSize: number = PAGE_SIZE) {
    this.index = { start: HAVE_BYTES + TREE_BYTES, size: pageSize - HAVE_BYTES - TREE_BYTES }
  }

  /** Copies `bytes`, the file from page `first` on, into its pages; a torn last page is padded with zeros. */
  load(bytes: Uint8Array, first = 0): void {
    for (let start = 0, k = first; start < bytes.length; start += this.pageSize, k++) {
      const page = bytes.subarray(start, start + this.pageSize)
      if (isBlank(page)) continue
      let kept = this.#share(page)
      if (kept === undefined) {
        kept = new Uint8Array(this.pageSize)
        kept.set(page)
      }
      this.#pages.set(k, kept)
    }
    this.count = first + Math.ceil(bytes.length / this.pageSize)
    this.#numbers = undefined
  }

  /** The bytes that stand for all pages alike `page`; `undefined` for one that is not full. */
  #share(page: Uint8Array): Uint8Array | undefined {
    // Most that are not full are told by their ends.
    if (page.length !== this.pageSize || page[0] !== 0xff || page[HAVE_BYTES - 1] !== 0xff) return undefined
    const words = wordsOf(page)
    const alike = this.#shared.find((one) => sameWords(words, wordsOf(one)))
    if (alike !== undefined || this.#shared.length === MOST_SHARED) return alike
    for (let i = 0; i < HAVE_BYTES / 4; i++) if (words[i] !== 0xffffffff) return undefined
    const shared = page.slice()
    this.#shared.push(shared)
    return shared
  }

  /** Takes over the pages of `other`, which is not used any more. */
  replace(other: BitfieldPages): void {
    this.#pages.clear()
    this.#shared.splice(0, MOST_SHARED, ...other.#shared)
    for (const [k, page] of other.#pages) this.#pages.set(k, page)
    this.count = other.count
    this.clean()
    this.#numbers = undefined
  }

  /** The same pages as others, which are to be stored yet. */
  copy(): BitfieldPages {
    const copy = new BitfieldPages(this.pageSize)
    for (const [k, page] of this.#pages) {
      copy.#pages.set(k, page.slice())
      copy.#dirty.add(k)
    }
    copy.count = this.count
    return copy
  }

  /** Counts page `k` as touched, which lets the index reach as far. */
  touch(k: number): void {
    if (k >= this.count) this.count = k + 1
  }

  byte(section: Section, at: number): number {
    const inSection = at % section.size
    const page = this.#pages.get((at - inSection) / section.size)
    return page === undefined ? 0 : page[section.start + inSection]!
  }

  /** The bytes of a section in page `k`, by words of four, to look at; `undefined` when all are 0. */
  words(section: Section, k: number): Uint32Array | undefined {
    const page = this.#pages.get(k)
    if (page === undefined) return undefined
    return wordsOf(page.subarray(section.start, section.start + section.size))
  }

  /** A copy of bytes `at` to `at + count`. */
  bytes(section: Section, at: number, count: number): Uint8Array {
    const copy = new Uint8Array(count)
    for (let done = 0; done < count;) {
      const inSection = (at + done) % section.size
      const length = Math.min(count - done, section.size - inSection)
      const page = this.#pages.get((at + done - inSection) / section.size)
      const from = section.start + inSection
      if (page !== undefined) copy.set(page.subarray(from, from + length), done)
      done += length
    }
    return copy
  }

  /** Sets one byte; answers whether that changed it. Touches the page even when not, as the peer does. */
  setByte(section: Section, at: number, value: number): boolean {
    const inSection = at % section.size
    const k = (at - inSection) / section.size
    this.touch(k)
    let page = this.#pages.get(k)
    if (page === undefined) {
      if (value === 0) return false
      page = new Uint8Array(this.pageSize)
      this.#pages.set(k, page)
      this.#numbers = undefined
    }
    const i = section.start + inSection
    if (page[i] === value) return false
    if (this.#shared.includes(page)) {
      page = page.slice()
      this.#pages.set(k, page)
    }
    page[i] = value
    this.#dirty.add(k)
    if (section === this.have) this.#dirtyHave.add(k)
    else if (section === this.tree) this.#dirtyTree.add(k)
    return true
  }

  /** Numbers of the pages that hold any bit, ascending. */
  numbers(): ReadonlyArray<number> {
    return (this.#numbers ??= [...this.#pages.keys()].sort((a, b) => a - b))
  }

  /** The same, of pages that share their bytes the first. */
  distinct(): ReadonlyArray<number> {
    const seen = new Set<Uint8Array>()
    return this.numbers().filter((k) => {
      const page = this.#pages.get(k)!
      if (!this.#shared.includes(page)) return true
      if (seen.has(page)) return false
      seen.add(page)
      return true
    })
  }

  /** The place of a section's last byte that is not zero; -1 when all are. */
  lastByte(section: Section): number {
    const numbers = this.numbers()
    for (let n = numbers.length - 1; n >= 0; n--) {
      const page = this.#pages.get(numbers[n]!)!
      for (let i = section.size - 1; i >= 0; i--) {
        if (page[section.start + i] !== 0) return numbers[n]! * section.size + i
      }
    }
    return -1
  }

  /** Pages changed since the last `clean`, upwards, as the bytes to store at `offset` after the file's header. */
  dirty(): ReadonlyArray<Piece> {
    return this.#pieces(this.#dirty)
  }

  /** Of the changed pages, those have-bits that changed. */
  dirtyHaves(): ReadonlyArray<Piece> {
    return this.#pieces(this.#dirtyHave).map(({ offset, bytes }) => ({
      offset,
      bytes: bytes.subarray(0, HAVE_BYTES)
    }))
  }

  get hasDirtyTree(): boolean {
    return this.#dirtyTree.size > 0
  }

  #pieces(numbers: ReadonlySet<number>): ReadonlyArray<Piece> {
    return [...numbers]
      .sort((a, b) => a - b)
      .map((k) => ({ offset: k * this.pageSize, bytes: this.#pages.get(k)! }))
  }

  /** The dirty pages have been stored. */
  clean(): void {
    for (const k of this.#dirty) {
      const shared = this.#share(this.#pages.get(k)!)
      if (shared !== undefined) this.#pages.set(k, shared)
    }
    this.#dirty.clear()
    this.#dirtyHave.clear()
    this.#dirtyTree.clear()
  }
}

/** The bytes by fours, to look at. */
const wordsOf = (bytes: Uint8Array): Uint32Array =>
  bytes.byteOffset % 4 === 0
    ? new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)
    : new Uint32Array(bytes.slice().buffer)

/** Whether they are alike, of pages: eight words at once, since opening a feed looks at millions. */
const sameWords = (a: Uint32Array, b: Uint32Array): boolean => {
  for (let i = 0; i < a.length; i += 8) {
    const first =
      (a[i]! ^ b[i]!) | (a[i + 1]! ^ b[i + 1]!) | (a[i + 2]! ^ b[i + 2]!) | (a[i + 3]! ^ b[i + 3]!)
    const last =
      (a[i + 4]! ^ b[i + 4]!) | (a[i + 5]! ^ b[i + 5]!) | (a[i + 6]! ^ b[i + 6]!) | (a[i + 7]! ^ b[i + 7]!)
    if ((first | last) !== 0) return false
  }
  return true
}
