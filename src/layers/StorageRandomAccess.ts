/**
 * Storage over the `random-access-*` packages, of any version, or over bare objects with `read` and `write`: one instance a file.
 *
 * There is no lock: two writers of one feed spoil it, and only the caller can keep them apart. An instance that has neither
 * `truncate` nor `del` cannot be cut: what was cut off counts as gone until the feed is closed, and is there again when it is
 * opened; an owner's feed that was opened with `overwrite` in such instances then fails to open, as its old signatures are found.
 * In an instance that has neither `stat` nor `length`, sizes are found by reading single bytes, and `data` counts as empty
 * while `tree` is.
 */
import { Effect, Either, Layer, type Scope } from "effect"
import { StorageError } from "../domain/Errors.js"
import { type FileName, HEADER_SIZE } from "../domain/Sleep.js"
import { type FeedFiles, type Read, Storage, type StorageService, type Write } from "../services/Storage.js"
import { checkPath } from "./checkPath.js"
import { done, inOrder, type Settle, toEffect } from "./randomAccess/Callback.js"
import { isRandomAccessStorage, type RandomAccessStorage } from "./randomAccess/RandomAccessStorage.js"
import { SizedFile } from "./randomAccess/SizedFile.js"
import { toStorageError } from "./toStorageError.js"

export type { RandomAccessStorage }

export interface StorageRandomAccessOptions {
  /**
   * The instance for a file of the feed at a path: all six are asked for whenever a feed is opened, in the order of `CREATED`,
   * and are closed with it. What it throws fails the opening.
   */
  readonly create: (file: FileName, feedPath: string) => RandomAccessStorage
}

/** The order in which `hypercore` asks for them. */
const CREATED = ["key", "secret_key", "tree", "data", "bitfield", "signatures"] as const

/** Parts are given as one `Buffer` up to about this size: more would be memory for little. */
const PIECE_BYTES = 4 * 1024 * 1024

interface Piece extends Write {
  readonly length: number
}

/** What is written in one call each: the parts of a write, together while they are not too large, without the empty ones. */
const toPieces = (writes: ReadonlyArray<Write>): ReadonlyArray<Piece> => {
  const pieces: Array<Piece> = []
  for (const { file, offset, parts } of writes) {
    let start = 0
    let position = offset
    let length = 0
    for (let i = 0; i < parts.length; i++) {
      length += parts[i]!.length
      if (length === 0 || (length < PIECE_BYTES && i < parts.length - 1)) continue
      pieces.push({ file, offset: position, parts: parts.slice(start, i + 1), length })
      start = i + 1
      position += length
      length = 0
    }
  }
  return pieces
}

class Instances {
  readonly #files = new Map<FileName, SizedFile>()
  #open = true

  constructor(readonly path: string) {}

  create(create: StorageRandomAccessOptions["create"]): void {
    for (const file of CREATED) {
      const name = this.#nameOf(file)
      const instance = create(file, this.path) as unknown
      if (!isRandomAccessStorage(instance)) {
        const cause = new TypeError("create gave nothing that has read and write")
        throw new StorageError({ reason: "unsupported", operation: "open", file: name, cause })
      }
      const knownEmpty = (settle: Settle<boolean>): void =>
        this.#files.get("tree")!.size((size) => settle(Either.map(size, (bytes) => bytes <= HEADER_SIZE)))
      this.#files.set(file, new SizedFile(name, instance, file === "data" ? knownEmpty : undefined))
    }
  }

  #nameOf(file: FileName): string {
    return this.path === "" ? file : `${this.path}/${file}`
  }

  /** Gives a file to `run`; fails once closed. */
  use<A>(operation: string, file: FileName, settle: Settle<A>, run: (file: SizedFile) => void): void {
    if (this.#open) return run(this.#files.get(file)!)
    settle(Either.left(new StorageError({ reason: "closed", operation, file: this.#nameOf(file) })))
  }

  readAll(ranges: ReadonlyArray<Read>, settle: Settle<ReadonlyArray<Uint8Array>>): void {
    const results = Array.from<Uint8Array>({ length: ranges.length })
    this.#each(
      "read",
      ranges.length,
      (i) => ranges[i]!.file,
      (file, i, one) =>
        file.read(ranges[i]!.offset, ranges[i]!.length, (result) => {
          if (Either.isRight(result)) results[i] = result.right
          one(Either.map(result, () => undefined))
        }),
      (result) => settle(Either.map(result, () => results))
    )
  }

  writeAll(writes: ReadonlyArray<Write>, settle: Settle<void>): void {
    const pieces = toPieces(writes)
    const step = (i: number, next: (error: unknown) => void): void => {
      const { file, offset, parts, length } = pieces[i]!
      const settled: Settle<void> = (result) => next(Either.isLeft(result) ? result.left : undefined)
      this.use("write", file, settled, (one) => one.write(offset, parts, length, settled))
    }
    this.use("write", "data", settle, () =>
      inOrder(pieces.length, step, (error) =>
        settle(error === undefined ? done : Either.left(error as StorageError))
      )
    )
  }

  syncAll(files: ReadonlyArray<FileName>, settle: Settle<void>): void {
    const names = [...new Set(files)]
    this.#each(
      "sync",
      names.length,
      (i) => names[i]!,
      (file, _, one) => file.sync(one),
      settle
    )
  }

  closeAll(settle: Settle<void>): void {
    this.#open = false
    const files = [...this.#files.values()]
    settleAll(files.length, (i, one) => files[i]!.close(one), settle)
  }

  #each(
    operation: string,
    count: number,
    fileOf: (index: number) => FileName,
    run: (file: SizedFile, index: number, settle: Settle<void>) => void,
    settle: Settle<void>
  ): void {
    this.use(operation, count === 0 ? "data" : fileOf(0), settle, () =>
      settleAll(count, (i, one) => this.use(operation, fileOf(i), one, (file) => run(file, i, one)), settle)
    )
  }
}

/** All at the same time. Settled when all are, with the first failure, if any. */
const settleAll = (
  count: number,
  run: (index: number, settle: Settle<void>) => void,
  settle: Settle<void>
): void => {
  let left = count
  let all: Either.Either<void, StorageError> = done
  if (count === 0) return settle(all)
  for (let i = 0; i < count; i++) {
    run(i, (result) => {
      if (Either.isRight(all)) all = result
      if (--left === 0) settle(all)
    })
  }
}

/**
 * Changes are not interrupted: what an instance has been told to do, it does, and nothing may come in between. Reads are: who no
 * longer waits hears nothing.
 */
const feedFiles = (instances: Instances): FeedFiles => ({
  lock: toEffect((settle) => instances.use("lock", "bitfield", settle, () => settle(done))),
  read: (ranges) => toEffect((settle) => instances.readAll(ranges, settle)),
  write: (writes) => Effect.uninterruptible(toEffect((settle) => instances.writeAll(writes, settle))),
  remove: (file, offset, length) =>
    Effect.uninterruptible(
      toEffect((settle) => instances.use("remove", file, settle, (one) => one.remove(offset, length, settle)))
    ),
  size: (file) => toEffect((settle) => instances.use("size", file, settle, (one) => one.size(settle))),
  truncate: (file, size) =>
    Effect.uninterruptible(
      toEffect((settle) => instances.use("truncate", file, settle, (one) => one.truncate(size, settle)))
    ),
  sync: (files) => Effect.uninterruptible(toEffect((settle) => instances.syncAll(files, settle)))
})

const closeInstances = (instances: Instances): Effect.Effect<void> =>
  Effect.ignoreLogged(toEffect((settle) => instances.closeAll(settle)))

const openInstances = (
  { create }: StorageRandomAccessOptions,
  path: string
): Effect.Effect<Instances, StorageError> =>
  Effect.suspend(() => {
    const instances = new Instances(path)
    return Effect.try({
      try: () => {
        instances.create(create)
        return instances
      },
      catch: (cause) => toStorageError("open", path === "" ? "feed" : path, cause)
    }).pipe(Effect.tapError(() => closeInstances(instances)))
  })

export const make = (options: StorageRandomAccessOptions): StorageService => ({
  open: (path: string): Effect.Effect<FeedFiles, StorageError, Scope.Scope> =>
    Effect.zipRight(
      checkPath(path),
      Effect.acquireRelease(openInstances(options, path), closeInstances)
    ).pipe(Effect.map(feedFiles))
})

/** Feeds in instances that `create` gives. */
export const layer = (options: StorageRandomAccessOptions): Layer.Layer<Storage> =>
  Layer.succeed(Storage, make(options))
