/**
 * Storage on a machine that fails as machines do, for tests: its program is killed or its power goes at any step, what was not synced is
 * lost, torn or garbage, disks are full, operations fail, come short or are slow, bits rot. All chance comes from a seed: the same seed and
 * the same calls give the same run.
 *
 * The machine keeps its files in memory. After a crash whatever was open is dead (every call fails with `closed`), and a feed can be opened anew
 * with the same storage, as by a program that is started again.
 */
import { Duration, Effect } from "effect"
import { StorageError } from "../domain/Errors.js"
import { Random, seedOf } from "../domain/Random.js"
import type { FileName } from "../domain/Sleep.js"
import type { FeedFiles, StorageService } from "../services/Storage.js"
import { checkPath } from "./checkPath.js"
import { HeldFile } from "./storageFaulty/HeldFile.js"
import {
  closed,
  type Counts,
  type CrashKind,
  type Directory,
  type Faults,
  Machine,
  NO_FAULTS
} from "./storageFaulty/Machine.js"

export type { Counts, CrashKind, Faults }

export interface FaultyOptions {
  readonly seed: number
  /** Bytes that reach the disk together or not at all: 512 (when absent), or 4096. */
  readonly sectorSize?: number
  /** Chance of a sector that was being written when the power went to be garbage. 0 when absent. */
  readonly garbage?: number
  /** How long an operation takes, in whole milliseconds between two bounds. No time when absent. */
  readonly delay?: { readonly min: Duration.DurationInput; readonly max: Duration.DurationInput }
}

export interface StorageFaulty {
  readonly storage: StorageService
  /** What has been done to it. */
  readonly counts: Readonly<Counts>
  /** Ends the program now (`process`: what it wrote stays), or the machine (`power`: what it did not sync may not). */
  readonly crash: (kind: CrashKind) => Effect.Effect<void>
  /**
   * Ends it at the so many-th step from now (0: the next). A step is one read, write, truncation, removal or sync of one file; a write that
   * is the last step is begun. `undefined` calls it off.
   */
  readonly crashAfter: (steps: number | undefined, kind: CrashKind) => Effect.Effect<void>
  /**
   * Steps fail by chance from now on: with `io`, writes after some of their bytes. `shortReads` do not fail: they end before the file does, as
   * no storage may, and as file systems do that lose their server. None when absent.
   */
  readonly fail: (faults?: Partial<Faults>) => Effect.Effect<void>
  /** Bytes that all files together may have; a write past that stores what fits, and fails with `full`. Unlimited when absent. */
  readonly limit: (capacity?: number) => Effect.Effect<void>
  /** Bytes that all files together have. */
  readonly used: Effect.Effect<number>
  /** Flips `count` bits of a file, wherever chance has it. */
  readonly flipBits: (path: string, file: FileName, count: number) => Effect.Effect<void>
  /**
   * A copy of the machine as it is now, held changes and all, with chance of its own and nothing open or planned: to see what a crash at this
   * moment would leave, while the program goes on.
   */
  readonly fork: (seed: number) => Effect.Effect<StorageFaulty>
  /** The bytes of each file of the feed at `path`: as a program would read them now, or only what is `synced`. */
  readonly contents: (
    path?: string,
    which?: "current" | "synced"
  ) => Effect.Effect<ReadonlyMap<FileName, Uint8Array>>
}

/** What is no failure that was asked for is the end of memory. */
const asStorageError = (operation: string, file: string, cause: unknown): StorageError =>
  cause instanceof StorageError ? cause : new StorageError({ reason: "full", operation, file, cause })

/** Files in the life of one program. */
const openFiles = (
  machine: Machine,
  path: string,
  directory: Directory,
  pause: Effect.Effect<void>
): FeedFiles & { readonly close: () => void } => {
  const { life } = machine
  const self = {}
  let open = true
  const fileOf = (name: FileName): HeldFile => {
    let file = directory.files.get(name)
    if (file === undefined) directory.files.set(name, (file = new HeldFile()))
    return file
  }
  const run = <A>(operation: string, body: () => A): Effect.Effect<A, StorageError> => {
    const step = Effect.suspend(() => {
      if (!open || machine.life !== life) return Effect.fail(closed(operation, path))
      return Effect.try({ try: body, catch: (error) => asStorageError(operation, path, error) })
    })
    return pause === Effect.void ? step : Effect.zipRight(pause, step)
  }
  return {
    lock: run("lock", () => {
      if (directory.lockedBy !== undefined && directory.lockedBy !== self)
        throw new StorageError({ reason: "locked", operation: "lock", file: path })
      directory.lockedBy = self
    }),
    read: (ranges) =>
      run("read", () =>
        ranges.map(({ file, offset, length }) =>
          machine.read(directory.files.get(file), file, offset, length)
        )
      ),
    write: (writes) =>
      run("write", () => {
        for (const { file, offset, parts } of writes) {
          let at = offset
          for (const part of parts) {
            machine.write(fileOf(file), file, at, part.slice())
            at += part.length
          }
        }
      }),
    remove: (file, offset, length) =>
      run("remove", () => machine.change(fileOf(file), file, "remove", { _tag: "Remove", offset, length })),
    truncate: (file, size) =>
      run("truncate", () => machine.change(fileOf(file), file, "truncate", { _tag: "Truncate", size })),
    size: (file) => run("size", () => directory.files.get(file)?.size ?? 0),
    sync: (files) =>
      run("sync", () => {
        for (const file of files) machine.sync(directory.files.get(file), file)
      }),
    close: () => {
      open = false
      if (directory.lockedBy === self) directory.lockedBy = undefined
    }
  }
}

/** A machine with nothing on its disk, and nothing that fails until it is told to. */
export const make = (options: FaultyOptions): Effect.Effect<StorageFaulty> =>
  Effect.sync(() => {
    const { garbage = 0, sectorSize = 512, seed } = options
    return on(new Machine({ seed, sectorSize, garbage }), options)
  })

const on = (machine: Machine, { delay }: FaultyOptions): StorageFaulty => {
  const pause =
    delay === undefined ? Effect.void : pauseOf(delay, new Random(seedOf(machine.options.seed, "delay")))
  return {
    storage: {
      open: (path) =>
        Effect.zipRight(
          checkPath(path),
          Effect.acquireRelease(
            Effect.sync(() => openFiles(machine, path, machine.directory(path), pause)),
            ({ close }) => Effect.sync(close)
          )
        )
    },
    fork: (seed) => Effect.sync(() => on(machine.fork(seed), { seed })),
    counts: machine.counts,
    crash: (kind) => Effect.sync(() => machine.crash(kind)),
    crashAfter: (steps, kind) => Effect.sync(() => machine.planCrash(steps, kind)),
    fail: (faults = {}) => Effect.sync(() => void (machine.faults = { ...NO_FAULTS, ...faults })),
    limit: (capacity = Number.POSITIVE_INFINITY) => Effect.sync(() => void (machine.capacity = capacity)),
    used: Effect.sync(() => machine.used()),
    flipBits: (path, file, count) =>
      Effect.sync(() => {
        const found = machine.directory(path).files.get(file)
        if (found !== undefined && found.size > 0) machine.flipBits(found, count)
      }),
    contents: (path = "", which = "current") =>
      Effect.sync(
        () => new Map([...machine.directory(path).files].map(([name, file]) => [name, file.contents(which)]))
      )
  }
}

const pauseOf = ({ max, min }: NonNullable<FaultyOptions["delay"]>, random: Random): Effect.Effect<void> => {
  const [from, to] = [Duration.toMillis(min), Duration.toMillis(max)]
  return Effect.suspend(() => Effect.sleep(from + random.below(to - from + 1)))
}
