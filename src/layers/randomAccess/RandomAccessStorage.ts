/**
 * What the `random-access-*` packages have in common, from v1 on, and what a bare object needs: `read` and `write`. Their later
 * versions derive from the package `random-access-storage`; the earlier ones, and wrappers, from nothing.
 */

/** Called once, at once or later; without an error (`null` or `undefined`) when it went well. */
export type Answer<A> = (error: unknown, value: A) => void

export interface RandomAccessStorage {
  /** Calls back with `length` bytes from byte `offset` on, or with an error where there are not so many. */
  read(offset: number, length: number, callback: (error?: unknown, bytes?: Uint8Array | null) => void): void
  /** `bytes` is a `Buffer` where there are any. Writing past the end fills the gap with zeros. */
  write(offset: number, bytes: Uint8Array, callback: (error?: unknown) => void): void
  /** Frees a range, where it can; where the range reaches the end, it becomes the end. */
  del?(offset: number, length: number, callback: (error?: unknown) => void): void
  /** Cuts off what is behind `size` bytes. */
  truncate?(size: number, callback: (error?: unknown) => void): void
  stat?(callback: (error?: unknown, stat?: { readonly size: number } | null) => void): void
  open?(callback: (error?: unknown) => void): void
  close?(callback: (error?: unknown) => void): void
  sync?(callback: (error?: unknown) => void): void
  /** In bytes. */
  readonly length?: number
}

/** What random-access-storage says an instance can do, and what random-access-memory says of its pages. */
interface Hints {
  readonly deletable?: unknown
  readonly truncatable?: unknown
  readonly statable?: unknown
  readonly pageSize?: unknown
  readonly filename?: unknown
}

const hints = (instance: RandomAccessStorage): Hints => instance as Hints

export const isRandomAccessStorage = (value: unknown): value is RandomAccessStorage => {
  const { read, write } = (value ?? {}) as Partial<RandomAccessStorage>
  return typeof read === "function" && typeof write === "function"
}

export const canStat = (instance: RandomAccessStorage): boolean =>
  typeof instance.stat === "function" && hints(instance).statable !== false

export const canDelete = (instance: RandomAccessStorage): boolean =>
  typeof instance.del === "function" && hints(instance).deletable !== false

export const canTruncate = (instance: RandomAccessStorage): boolean =>
  typeof instance.truncate === "function" && hints(instance).truncatable !== false

/** The length that the instance states; `undefined` when it states none. */
export const statedLength = (instance: RandomAccessStorage): number | undefined =>
  Number.isSafeInteger(instance.length) && instance.length! >= 0 ? instance.length : undefined

/** Bytes a page, of an instance that keeps pages in memory. */
export const pageSize = (instance: RandomAccessStorage): number | undefined => {
  const size = hints(instance).pageSize
  return Number.isSafeInteger(size) && Number(size) > 0 ? Number(size) : undefined
}

/** The file's name on disk, where there is one. */
export const diskName = (instance: RandomAccessStorage): string | undefined => {
  const name = hints(instance).filename
  return typeof name === "string" ? name : undefined
}
