/**
 * Storage: a feed's named byte files with positional I/O. Bytes only: what they mean is `domain/Sleep`'s.
 * `test/suites/storage.ts` holds every layer to the contract below.
 */
import { Context, type Effect, type Scope } from "effect"
import type { StorageError } from "../domain/Errors.js"
import type { Write } from "../domain/Change.js"
import type { FileName } from "../domain/Sleep.js"

export type { FileName, Write }

/** `length` bytes of `file` from byte `offset` on. */
export interface Read {
  readonly file: FileName
  readonly offset: number
  readonly length: number
  /** Where the bytes may go, `length` of them at least: nobody else's. A layer that does not care gives a fresh array all the same. */
  readonly into?: Uint8Array | undefined
}

/** One feed's files, open. A file comes to be when it is first written. */
export interface FeedFiles {
  /**
   * Takes the writer's lock, creating what holds it. Fails with `locked` while another writer, in this process or
   * another, has it. Freed when the scope closes or the process dies. Must precede every call that changes bytes.
   */
  readonly lock: Effect.Effect<void, StorageError>

  /**
   * Reads each range, in order. A range that reaches past the end comes back short (a missing file reads as empty),
   * and no other: a feed asks again for one that ends before its file, then fails.
   * The arrays are the caller's, and fresh, but for those of a range with `into`, which may be views of that. Ranges of one call see every write that completed before it.
   */
  readonly read: (ranges: ReadonlyArray<Read>) => Effect.Effect<ReadonlyArray<Uint8Array>, StorageError>

  /**
   * Writes each range, in order: a crash of the process leaves a prefix of them. Not atomic: the write under way may be
   * torn. Writing past the end fills the gap with zeros. The arrays must stay as they are until the effect ends.
   * Without `sync`, only a crash of the process is survived.
   */
  readonly write: (writes: ReadonlyArray<Write>) => Effect.Effect<void, StorageError>

  /**
   * Gives the range's space back where the storage can. Afterwards it reads as zeros, or as before where it cannot be
   * freed; when it reaches the end of the file, the file ends at `offset`.
   */
  readonly remove: (file: FileName, offset: number, length: number) => Effect.Effect<void, StorageError>

  /** Size in bytes; 0 for a file that does not exist. */
  readonly size: (file: FileName) => Effect.Effect<number, StorageError>

  /** Cuts the file to `size` bytes, when it is longer. */
  readonly truncate: (file: FileName, size: number) => Effect.Effect<void, StorageError>

  /** Ends once every completed write to `files` (and the files' directory entries) survives a loss of power. */
  readonly sync: (files: ReadonlyArray<FileName>) => Effect.Effect<void, StorageError>
}

export interface StorageService {
  /**
   * The files of the feed at `path`: segments joined by `/`, none empty, `.` or `..`; the empty path is the root, so
   * many feeds can share one storage. Creates nothing. Closed with the scope: calls afterwards fail with `closed`.
   */
  readonly open: (path: string) => Effect.Effect<FeedFiles, StorageError, Scope.Scope>
}

export class Storage extends Context.Tag("effect-hypercore/Storage")<Storage, StorageService>() {}
