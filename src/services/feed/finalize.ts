/**
 * finalize: ends the writing of a static feed, which has no key pair: its key is the hash of its roots, so that it names this log and
 * verifies it, and no other.
 */
import { Effect } from "effect"
import * as Change from "../../domain/Change.js"
import type { FeedClosed, NotWritable, StorageError } from "../../domain/Errors.js"
import * as Hash from "../../domain/Hash.js"
import { commit } from "./commit.js"
import { type FeedCore, isUnfinalized, whileOpen, whileStorable } from "./FeedCore.js"
import { storePages } from "./storeBitfield.js"

export type FinalizeError = FeedClosed | NotWritable | StorageError

/** The key, from now on; of a feed that has one already, that, and nothing happens. */
export const finalize = (core: FeedCore): Effect.Effect<Uint8Array, FinalizeError> =>
  core.writer.exclusive(
    Effect.suspend(() =>
      isUnfinalized(core)
        ? Effect.zipRight(whileStorable(core), Effect.uninterruptible(makeKey(core)))
        : whileOpen(core)
    ).pipe(Effect.map(() => Uint8Array.from(core.key)))
  )

/** The bits go first: without signatures nothing else tells how long the log is that the key is checked against. */
const makeKey = (core: FeedCore): Effect.Effect<void, StorageError> =>
  Effect.gen(function* () {
    const { blake2b256 } = core.crypto
    const key = Hash.rootHash(blake2b256, core.tip.roots)
    yield* storePages(core)
    if (core.durability === "power") yield* core.files.sync(["bitfield"])
    // Half a key would be taken for a stranger's file.
    yield* Effect.tapError(
      commit(core, { ...Change.none, writes: [{ file: "key", offset: 0, parts: [key] }] }),
      () => Effect.ignore(core.files.truncate("key", 0))
    )
    core.key = key
    core.discoveryKey = Hash.discoveryKey(blake2b256, key)
  })
