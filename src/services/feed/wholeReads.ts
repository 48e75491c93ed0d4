/**
 * Reads that are whole. To a feed a short read is the end of a file: whoever believed one that came short of it, from a file system that lost its
 * server or a storage that does not repeat a short `pread`, would find blocks missing and signatures unmade, and sign again.
 */
import { Effect } from "effect"
import { StorageError } from "../../domain/Errors.js"
import type { FeedFiles, Read } from "../Storage.js"

type Arrays = ReadonlyArray<Uint8Array>

/** The same files; a read that ends before its file does is repeated once, and fails with `io` if it ends there again. */
export const wholeReads = (files: FeedFiles): FeedFiles => ({
  lock: files.lock,
  read: (ranges) =>
    Effect.flatMap(files.read(ranges), (arrays) =>
      shortOf(ranges, arrays).length === 0 ? Effect.succeed(arrays) : complete(files, ranges, arrays)
    ),
  write: (writes) => files.write(writes),
  remove: (file, offset, length) => files.remove(file, offset, length),
  size: (file) => files.size(file),
  truncate: (file, size) => files.truncate(file, size),
  sync: (names) => files.sync(names)
})

/** The places of ranges that came back short. */
const shortOf = (ranges: ReadonlyArray<Read>, arrays: Arrays): ReadonlyArray<number> => {
  let short: Array<number> | undefined
  for (let i = 0; i < ranges.length; i++) {
    if (arrays[i]!.length < ranges[i]!.length) (short ??= []).push(i)
  }
  return short ?? NONE
}

const NONE: ReadonlyArray<number> = []

/** A file may grow or be cut meanwhile, by another process: what counts is what it had before the second read, and still has. */
const complete = (
  files: FeedFiles,
  ranges: ReadonlyArray<Read>,
  arrays: Arrays
): Effect.Effect<Arrays, StorageError> =>
  Effect.gen(function* () {
    const whole = [...arrays]
    for (const i of shortOf(ranges, arrays)) {
      const range = ranges[i]!
      const size = yield* files.size(range.file)
      if (size <= range.offset + whole[i]!.length) continue
      const [again] = yield* files.read([range])
      whole[i] = again!
      const end = range.offset + again!.length
      if (again!.length === range.length || end >= size) continue
      if (end >= (yield* files.size(range.file))) continue
      return yield* new StorageError({
        reason: "io",
        operation: "read",
        file: range.file,
        cause: new Error(`the read ended at byte ${end}, and the file does not`)
      })
    }
    return whole
  })
