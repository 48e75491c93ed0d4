/**
 * Cutting and freeing by `truncate` and `del`, which differ from version to version.
 *
 *     random-access-file 1, 2       `del` of a range that reaches the end cuts it off; any other range is left as it is
 *     random-access-file 1          judges that by a length that it does not lower: only an endless range always does
 *     random-access-file 3, 4       `truncate` cuts, `del` frees
 *     random-access-memory 2        `del` frees whole pages, and some behind the range if that does not begin with a page
 *     random-access-memory 3        `del` cuts; if the range does not begin with a page, it can free the page that it begins in
 *     random-access-memory 4 to 6   `truncate` and `del` cut, but leave a page too many if they do not begin with one
 *     random-access-memory 2 to 6   bytes behind the end stay in its page, and are there again once it has moved on
 *
 * So pages in memory are freed page by page, and wiped where the end was.
 */
import { zeros } from "./Buffers.js"
import { inOrder, invoke } from "./Callback.js"
import { reaches, stat } from "./InstanceSize.js"
import {
  type Answer,
  canDelete,
  canStat,
  canTruncate,
  pageSize,
  type RandomAccessStorage,
  statedLength
} from "./RandomAccessStorage.js"

type Step = (callback: (error?: unknown) => void) => void

const runAll = (steps: ReadonlyArray<Step>, answer: (error: unknown) => void): void =>
  inOrder(steps.length, (i, next) => invoke<unknown>(steps[i]!, next), answer)

/**
 * Cuts `instance`, which has `size` bytes, at `to`, which is less. Answers whether it ends there now, with nothing left behind: an
 * instance that cannot be cut keeps its bytes.
 */
export const shorten = (
  instance: RandomAccessStorage,
  size: number,
  to: number,
  answer: Answer<boolean>
): void => {
  if (canTruncate(instance)) {
    const steps = cutAt(instance, size, to, (at) => (callback) => instance.truncate!(at, callback))
    return runAll(steps, (error) => answer(error, error === undefined))
  }
  if (!canDelete(instance)) return answer(undefined, false)
  const isBare = !canStat(instance) && statedLength(instance) === undefined
  const steps = isBare
    ? [free(instance, to, size - to)]
    : cutAt(instance, size, to, (at) => free(instance, at, Number.POSITIVE_INFINITY))
  runAll(steps, (error) => {
    if (error !== undefined || isBare) return answer(error, false)
    endsAt(instance, to, answer)
  })
}

/** Frees what can be freed of a range that ends before the end. */
export const freeInside = (
  instance: RandomAccessStorage,
  offset: number,
  length: number,
  answer: (error: unknown) => void
): void => {
  const page = pageSize(instance) ?? 1
  const start = Math.ceil(offset / page) * page
  const end = Math.floor((offset + length) / page) * page
  if (!canDelete(instance) || start >= end) return answer(undefined)
  runAll([free(instance, start, end - start)], answer)
}

/** A `del` that takes no callback has ended when it returns. */
const free =
  (instance: RandomAccessStorage, offset: number, length: number): Step =>
  (callback) => {
    instance.del!(offset, length, callback)
    if (instance.del!.length === 2) callback()
  }

/** The pages that go, and then the rest of the one that stays: cut together, some stay that should go. */
const cutAt = (
  instance: RandomAccessStorage,
  size: number,
  to: number,
  cut: (at: number) => Step
): ReadonlyArray<Step> => {
  const page = pageSize(instance) ?? 1
  const nextPage = Math.ceil(to / page) * page
  const pages = nextPage > to && nextPage < size ? [cut(nextPage)] : []
  return [...wipeEnd(instance, size, to), ...pages, cut(to)]
}

/** Zeros what the last page holds, when the page stays behind while the end moves before it. */
const wipeEnd = (instance: RandomAccessStorage, size: number, to: number): ReadonlyArray<Step> => {
  const page = pageSize(instance)
  if (page === undefined || !canStat(instance)) return []
  const start = Math.floor(size / page) * page
  // A `to` inside of that page is wiped by the instances themselves.
  return start < to || start === size
    ? []
    : [(callback) => instance.write(start, zeros(size - start), callback)]
}

const endsAt = (instance: RandomAccessStorage, size: number, answer: Answer<boolean>): void => {
  if (canStat(instance)) stat(instance, (error, now) => answer(error, now <= size))
  else reaches(instance, size + 1, (error, isThere) => answer(error, error === undefined && !isThere))
}
