/**
 * What `node:fs` lacks, from two small native packages with prebuilt binaries: the kernel's file lock (`fd-lock`, the
 * package that `hypercore` 7 uses) and holes in files (`fs-native-extensions`). Both are optional dependencies: without
 * the second, cleared bytes stay on disk; without the first, a feed cannot be opened for writing.
 */
import { Effect } from "effect"
import { createRequire } from "node:module"

export interface Native {
  /** Takes the exclusive lock of the open file; false while another descriptor has it. */
  readonly lock: (fd: number) => boolean
  /** Frees the range's space, where the file system can. */
  readonly punch: (fd: number, offset: number, length: number) => void
}

interface FileExtensions {
  readonly trimSync: (fd: number, offset: number, length: number) => void
}

/** Synchronously, so that a layer can be built by `Effect.runSync`. */
const load = <A>(name: string): Effect.Effect<A, unknown> =>
  Effect.try(() => createRequire(import.meta.url)(name) as A)

const cannotLock = (): boolean => {
  throw new Error("the package fd-lock is not installed, or has no build for this machine")
}

export const loadNative: Effect.Effect<Native> = Effect.gen(function* () {
  const lock = yield* Effect.orElseSucceed(load<(fd: number) => boolean>("fd-lock"), () => cannotLock)
  const extensions = yield* Effect.option(load<FileExtensions>("fs-native-extensions"))
  return {
    lock: (fd) => lock(fd),
    punch: (fd, offset, length) => {
      if (extensions._tag === "None") return
      try {
        extensions.value.trimSync(fd, offset, length)
      } catch {
        // A file system without holes keeps the bytes, which the contract of `remove` allows.
      }
    }
  }
})
