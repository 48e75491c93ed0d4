/** draftFiles: a feed's files as they would be. What is written is kept in memory, and read from there. */
import { Effect } from "effect"
import type { StorageError } from "../../domain/Errors.js"
import type { FileName } from "../../domain/Sleep.js"
import type { FeedFiles, Read, Write } from "../Storage.js"

const PAGE = 4096

/** Nothing reaches `files`, and no lock is taken. Takes memory for what is written. */
export const draftFiles = (files: FeedFiles): FeedFiles => {
  const drafts = new Map<FileName, Draft>()
  const draftOf = (file: FileName): Effect.Effect<Draft, StorageError> =>
    Effect.suspend(() => {
      const known = drafts.get(file)
      if (known !== undefined) return Effect.succeed(known)
      return Effect.map(files.size(file), (size) => {
        const draft = new Draft(files, file, size)
        drafts.set(file, draft)
        return draft
      })
    })
  const truncate = (file: FileName, size: number) => Effect.map(draftOf(file), (draft) => draft.cut(size))
  return {
    lock: Effect.void,
    read: (ranges) =>
      Effect.forEach(ranges, (range) => Effect.flatMap(draftOf(range.file), (draft) => draft.read(range))),
    write: (writes) =>
      Effect.forEach(writes, (write) => Effect.flatMap(draftOf(write.file), (draft) => draft.write(write)), {
        discard: true
      }),
    remove: (file, offset, length) =>
      Effect.flatMap(draftOf(file), (draft) =>
        offset + length >= draft.size
          ? truncate(file, offset)
          : draft.write({ file, offset, parts: [new Uint8Array(length)] })
      ),
    size: (file) => Effect.map(draftOf(file), ({ size }) => size),
    truncate,
    sync: () => Effect.void
  }
}

class Draft {
  /** By number, those that were written to. */
  readonly #pages = new Map<number, Uint8Array>()

  constructor(
    readonly files: FeedFiles,
    readonly file: FileName,
    public size: number
  ) {}

  #page(number: number): Effect.Effect<Uint8Array, StorageError> {
    const known = this.#pages.get(number)
    if (known !== undefined) return Effect.succeed(known)
    const range = { file: this.file, offset: PAGE * number, length: PAGE }
    return Effect.map(this.files.read([range]), ([bytes]) => {
      const page = new Uint8Array(PAGE)
      // What was cut off does not come back.
      page.set(bytes!.subarray(0, Math.max(0, this.size - PAGE * number)))
      this.#pages.set(number, page)
      return page
    })
  }

  write({ offset, parts }: Write): Effect.Effect<void, StorageError> {
    return Effect.gen(this, function* () {
      let at = offset
      for (const part of parts) {
        for (let done = 0; done < part.length;) {
          const inPage = at % PAGE
          const page = yield* this.#page((at - inPage) / PAGE)
          const piece = part.subarray(done, done + PAGE - inPage)
          page.set(piece, inPage)
          done += piece.length
          at += piece.length
        }
      }
      this.size = Math.max(this.size, at)
    })
  }

  read({ offset, length }: Read): Effect.Effect<Uint8Array, StorageError> {
    const wanted = Math.max(0, Math.min(length, this.size - offset))
    return Effect.map(this.files.read([{ file: this.file, offset, length: wanted }]), ([bytes]) => {
      if (this.#pages.size === 0 && bytes!.length === wanted) return bytes!
      const whole = new Uint8Array(wanted)
      whole.set(bytes!)
      const last = Math.floor((offset + wanted) / PAGE)
      for (let number = Math.floor(offset / PAGE); number <= last; number++) {
        const page = this.#pages.get(number)
        const start = PAGE * number - offset
        if (page !== undefined && start < wanted) {
          whole.set(page.subarray(Math.max(0, -start), wanted - start), Math.max(0, start))
        }
      }
      return whole
    })
  }

  cut(size: number): void {
    if (size >= this.size) return
    this.size = size
    for (const [number, page] of this.#pages) page.fill(0, Math.max(0, Math.min(PAGE, size - PAGE * number)))
  }
}
