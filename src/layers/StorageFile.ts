/**
 * Storage on `node:fs`: one directory a feed, one file a name, positional I/O.
 *
 * Reads and writes are synchronous on purpose: a page-cache read takes 1 us that way and 17 us through the thread
 * pool, which also caps all reads together at some 20,000 a second. The price, a disk that stalls stalls the event
 * loop, is bounded by `TURN_BYTES`: longer work gives way to the event loop in between. `sync`, which always waits
 * for the disk, goes through the thread pool.
 *
 * The writer's lock is the kernel's (flock, by fd-lock) on the `bitfield` file: it dies with its process, and it is
 * the lock that `hypercore` 7 takes, so ours and theirs exclude each other too.
 */
import { Effect, Layer, type Scope } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { StorageError } from "../domain/Errors.js"
import type { FileName } from "../domain/Sleep.js"
import { type FeedFiles, type Read, Storage, type StorageService, type Write } from "../services/Storage.js"
import { checkPath } from "./checkPath.js"
import { attempt, attemptAsync } from "./storageFile/attempt.js"
import { type Native, loadNative } from "./storageFile/loadNative.js"
import { closeReadOnly, PositionalFile } from "./storageFile/PositionalFile.js"
import { toStorageError } from "./toStorageError.js"

/** Where a feed's files are. */
export interface StorageFileOptions {
  /** The root: the feed at path `a/b` has its files in `directory/a/b`. Created when first written. */
  readonly directory: string
  /**
   * Files kept elsewhere, such as the secret key on another volume: an absolute file name for a file of the feed
   * at a path, or `undefined` to keep it in the directory.
   */
  readonly locate?: (file: FileName, feedPath: string) => string | undefined
}

/** Bytes moved, over all calls, before other work of the event loop gets its turn: about 2 ms from the page cache. */
const TURN_BYTES = 4 * 1024 * 1024
/** What a call counts for at least. */
const CALL_BYTES = 4 * 1024

let movedSinceTurn = 0

const turn = Effect.async<void>((resume) => {
  movedSinceTurn = 0
  const immediate = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(immediate))
})

class FeedDirectory {
  readonly #files = new Map<FileName, PositionalFile>()
  readonly #unsyncedDirectories = new Set<string>()
  /** Directories that were synced since the feed was opened, or are to be: of others it is not known whether they were. */
  readonly #knownDirectories = new Set<string>()
  #locked = false
  #open = true

  constructor(
    readonly native: Native,
    readonly root: string,
    readonly locate: (file: FileName) => string
  ) {}

  file(name: FileName): PositionalFile {
    if (!this.#open) throw new StorageError({ reason: "closed", operation: "use", file: this.locate(name) })
    let file = this.#files.get(name)
    if (file === undefined) {
      file = new PositionalFile(this.locate(name), name === "secret_key", (directory) =>
        this.#unsyncedDirectories.add(directory)
      )
      this.#files.set(name, file)
    }
    return file
  }

  lock(): void {
    const file = this.file("bitfield")
    if (this.#locked) return
    if (!this.native.lock(file.writable())) {
      file.close()
      throw new StorageError({ reason: "locked", operation: "lock", file: file.name })
    }
    this.#locked = true
  }

  remove(name: FileName, offset: number, length: number): void {
    const file = this.file(name)
    const size = file.size()
    if (offset >= size || length === 0) return
    if (offset + length >= size) file.truncate(offset)
    else this.native.punch(file.writable(), offset, length)
  }

  /**
   * What a sync of `names` must flush: the files, whoever wrote them, and directories that hold or gained entries since the last
   * sync took them.
   */
  takeUnsynced(names: ReadonlyArray<FileName>): { files: Array<PositionalFile>; directories: Array<string> } {
    const files: Array<PositionalFile> = []
    for (const name of names) {
      const file = this.file(name)
      if (!file.exists()) continue
      files.push(file)
      for (const directory of this.#directoriesOf(file.name)) {
        if (this.#knownDirectories.has(directory)) continue
        this.#knownDirectories.add(directory)
        this.#unsyncedDirectories.add(directory)
      }
    }
    const directories = [...this.#unsyncedDirectories]
    this.#unsyncedDirectories.clear()
    return { files, directories }
  }

  /** The directories by whose entries a file is found: its own, and those above it up to the root. */
  #directoriesOf(name: string): Array<string> {
    const directories = [path.dirname(name)]
    const isBelowRoot = (directory: string) => directory.startsWith(this.root + path.sep)
    for (let directory = directories[0]!; isBelowRoot(directory);) {
      directory = path.dirname(directory)
      directories.push(directory)
    }
    return directories
  }

  /** The sync of these directories failed: the next one must do it. */
  giveBack(directories: ReadonlyArray<string>): void {
    for (const directory of directories) this.#unsyncedDirectories.add(directory)
  }

  /** Closes every file; what failed. */
  close(): Array<StorageError> {
    this.#open = false
    const failures: Array<StorageError> = []
    for (const file of this.#files.values()) {
      try {
        file.close()
      } catch (cause) {
        failures.push(toStorageError("close", file.name, cause))
      }
    }
    return failures
  }
}

const readAll = (directory: FeedDirectory, ranges: ReadonlyArray<Read>) =>
  Effect.suspend(() => {
    const results: Array<Uint8Array> = []
    const step = (): boolean => {
      let moved = 0
      while (results.length < ranges.length && moved < TURN_BYTES) {
        const { file, into, length, offset } = ranges[results.length]!
        const bytes = directory.file(file).read(offset, length, into)
        results.push(bytes)
        moved += Math.max(bytes.length, 1)
      }
      movedSinceTurn += Math.max(moved, CALL_BYTES)
      return results.length === ranges.length
    }
    const file = () => ranges[results.length]?.file ?? "data"
    return inTurns("read", file, directory, step, results)
  })

const writeAll = (directory: FeedDirectory, writes: ReadonlyArray<Write>) =>
  Effect.suspend(() => {
    let done = 0
    let offset = 0
    let part = 0
    const step = (): boolean => {
      let left = TURN_BYTES
      while (done < writes.length && left > 0) {
        const write = writes[done]!
        const wrote = directory.file(write.file).write(write.offset + offset, write.parts, part, left)
        part = wrote.nextPart
        offset += wrote.bytes
        left -= Math.max(wrote.bytes, 1)
        if (part < write.parts.length) continue
        done++
        part = offset = 0
      }
      movedSinceTurn += Math.max(TURN_BYTES - left, CALL_BYTES)
      return done === writes.length
    }
    return inTurns("write", () => writes[done]?.file ?? "data", directory, step, undefined)
  })

/** Runs `step` until it answers true, with a turn of the event loop whenever enough was moved since the last. */
const inTurns = <A>(
  operation: string,
  file: () => FileName,
  directory: FeedDirectory,
  step: () => boolean,
  result: A
): Effect.Effect<A, StorageError> => {
  try {
    const isDone = step()
    if (movedSinceTurn < TURN_BYTES) {
      if (isDone) return Effect.succeed(result)
      return Effect.suspend(() => inTurns(operation, file, directory, step, result))
    }
    return Effect.zipRight(
      turn,
      isDone
        ? Effect.succeed(result)
        : Effect.suspend(() => inTurns(operation, file, directory, step, result))
    )
  } catch (cause) {
    return Effect.fail(toStorageError(operation, directory.locate(file()), cause))
  }
}

const syncAll = (directory: FeedDirectory, names: ReadonlyArray<FileName>) =>
  Effect.flatMap(
    attempt("sync", directory.locate(names[0] ?? "data"), () => directory.takeUnsynced(names)),
    ({ files, directories }) => {
      // All of them end before this does, though one fails: a flush under way keeps the file open, and the lock on it taken, after its close.
      const flushFiles = files.map((file) =>
        Effect.uninterruptible(
          attemptAsync("sync", file.name, (done) => fs.fdatasync(file.descriptor(), done))
        )
      )
      const flushDirectories = directories.map((name) =>
        Effect.acquireUseRelease(
          attempt("sync", name, () => fs.openSync(name, "r")),
          (fd) => Effect.uninterruptible(attemptAsync("sync", name, (done) => fs.fsync(fd, done))),
          (fd) => Effect.sync(() => closeReadOnly(fd))
        )
      )
      return Effect.all([...flushFiles, ...flushDirectories], {
        concurrency: "unbounded",
        discard: true
      }).pipe(Effect.onError(() => Effect.sync(() => directory.giveBack(directories))))
    }
  )

const feedFiles = (directory: FeedDirectory): FeedFiles => ({
  lock: attempt("lock", directory.locate("bitfield"), () => directory.lock()),
  read: (ranges) => readAll(directory, ranges),
  write: (writes) => writeAll(directory, writes),
  remove: (file, offset, length) =>
    attempt("remove", directory.locate(file), () => directory.remove(file, offset, length)),
  size: (file) => attempt("size", directory.locate(file), () => directory.file(file).size()),
  truncate: (file, size) =>
    attempt("truncate", directory.locate(file), () => directory.file(file).truncate(size)),
  sync: (files) => syncAll(directory, files)
})

/**
 * The files are no longer ours, whatever the system says of it, and a finalizer has nobody to tell: a failure is logged. What was synced is
 * not concerned; what was not may be lost, on file systems that store as late as this.
 */
const closeAll = (directory: FeedDirectory): Effect.Effect<void> =>
  Effect.suspend(() =>
    Effect.forEach(directory.close(), (failure) => Effect.logWarning(failure.message), { discard: true })
  )

export const make = (options: StorageFileOptions): Effect.Effect<StorageService> =>
  Effect.map(loadNative, (native) => ({
    open: (feedPath: string): Effect.Effect<FeedFiles, StorageError, Scope.Scope> =>
      Effect.zipRight(
        checkPath(feedPath),
        Effect.acquireRelease(
          Effect.sync(
            () =>
              new FeedDirectory(native, path.resolve(options.directory), (file) =>
                path.resolve(options.locate?.(file, feedPath) ?? path.join(options.directory, feedPath, file))
              )
          ),
          closeAll
        )
      ).pipe(Effect.map(feedFiles))
  }))

/** Feeds under a directory. */
export const layer = (options: StorageFileOptions): Layer.Layer<Storage> =>
  Layer.effect(Storage, make(options))
