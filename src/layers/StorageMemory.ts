/**
 * Storage in memory: for tests, browsers and feeds that need not outlive the process. Feeds live as long as
 * the layer, so one can be closed and opened again.
 */
import { Effect, Layer } from "effect"
import { StorageError } from "../domain/Errors.js"
import type { FileName } from "../domain/Sleep.js"
import { type FeedFiles, Storage, type StorageService } from "../services/Storage.js"
import { checkPath } from "./checkPath.js"
import { MemoryFile } from "./storageMemory/MemoryFile.js"

interface Directory {
  readonly files: Map<FileName, MemoryFile>
  locked: boolean
}

const openFiles = (path: string, directory: Directory): { files: FeedFiles; close: () => void } => {
  let open = true
  let locked = false
  const fail = (reason: "closed" | "locked", operation: string) =>
    Effect.fail(new StorageError({ reason, operation, file: path === "" ? "memory" : path }))
  const whileOpen = <A>(operation: string, run: () => A) =>
    Effect.suspend(() => (open ? Effect.sync(run) : fail("closed", operation)))
  const attempt = (operation: string, run: () => void) =>
    Effect.suspend(() =>
      open
        ? Effect.try({
            try: run,
            catch: (cause) => new StorageError({ reason: "full", operation, file: "memory", cause })
          })
        : fail("closed", operation)
    )
  const file = (name: FileName): MemoryFile => {
    const existing = directory.files.get(name)
    if (existing !== undefined) return existing
    const created = new MemoryFile()
    directory.files.set(name, created)
    return created
  }
  const files: FeedFiles = {
    lock: Effect.suspend(() => {
      if (!open) return fail("closed", "lock")
      if (locked) return Effect.void
      if (directory.locked) return fail("locked", "lock")
      locked = directory.locked = true
      return Effect.void
    }),
    read: (ranges) =>
      whileOpen("read", () =>
        ranges.map(
          ({ file: name, offset, length }) =>
            directory.files.get(name)?.read(offset, length) ?? new Uint8Array(0)
        )
      ),
    write: (writes) =>
      attempt("write", () => {
        for (const write of writes) {
          const target = file(write.file)
          let offset = write.offset
          for (const part of write.parts) {
            target.write(offset, part)
            offset += part.length
          }
        }
      }),
    remove: (name, offset, length) =>
      whileOpen("remove", () => directory.files.get(name)?.remove(offset, length)),
    size: (name) => whileOpen("size", () => directory.files.get(name)?.size ?? 0),
    truncate: (name, size) => whileOpen("truncate", () => directory.files.get(name)?.truncate(size)),
    sync: () => whileOpen("sync", () => undefined)
  }
  const close = () => {
    open = false
    if (locked) directory.locked = false
  }
  return { files, close }
}

/** A storage with nothing in it. */
export const make: Effect.Effect<StorageService> = Effect.sync(() => {
  const directories = new Map<string, Directory>()
  return {
    open: (path) =>
      Effect.zipRight(
        checkPath(path),
        Effect.acquireRelease(
          Effect.sync(() => {
            const directory = directories.get(path) ?? { files: new Map(), locked: false }
            directories.set(path, directory)
            return openFiles(path, directory)
          }),
          ({ close }) => Effect.sync(close)
        ).pipe(Effect.map(({ files }) => files))
      )
  }
})

export const layer: Layer.Layer<Storage> = Layer.effect(Storage, make)
