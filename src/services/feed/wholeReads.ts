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

/** Whether the file goes on where the array ends. */
const goesOn = (files: FeedFiles, { file, offset }: Read, array: Uint8Array) =>
  Effect.map(files.size(file), (size) => size > offset + array.length)

/** A file may have grown since it was read: that the second read came short counts only if the file still has more. */
const complete = (
  files: FeedFiles,
  ranges: ReadonlyArray<Read>,
  arrays: Arrays
): Effect.Effect<Arrays, StorageError> =>
  Effect.gen(function* () {
    const whole = [...arrays]
    for (const i of shortOf(ranges, arrays)) {
      const range = ranges[i]!
      if (!(yield* goesOn(files, range, whole[i]!))) continue
      const [again] = yield* files.read([range])
      whole[i] = again!
      if (again!.length < range.length && (yield* goesOn(files, range, again!)))
        return yield* new StorageError({
          reason: "io",
          operation: "read",
          file: range.file,
          cause: new Error(`the read ended at byte ${range.offset + again!.length}, and the file does not`)
        })
    }
    return whole
  })
