/** A machine's storage that tells, at once, when the machine has crashed. */
import { Effect } from "effect"
import type { StorageError, StorageService } from "../../src/index.js"
import type * as StorageFaulty from "../../src/layers/StorageFaulty.js"

/** Every call that fails looks whether there has been a crash since the last one that did. */
export const noticing = (
  { counts, storage }: StorageFaulty.StorageFaulty,
  onCrash: () => void
): StorageService => {
  let seen = counts.crashes
  const look = Effect.sync(() => {
    if (counts.crashes === seen) return
    seen = counts.crashes
    onCrash()
  })
  const watched = <A>(effect: Effect.Effect<A, StorageError>) => Effect.tapError(effect, () => look)
  return {
    open: (path) =>
      Effect.map(storage.open(path), (files) => ({
        lock: watched(files.lock),
        read: (ranges) => watched(files.read(ranges)),
        write: (writes) => watched(files.write(writes)),
        remove: (file, offset, length) => watched(files.remove(file, offset, length)),
        size: (file) => watched(files.size(file)),
        truncate: (file, size) => watched(files.truncate(file, size)),
        sync: (names) => watched(files.sync(names))
      }))
  }
}
