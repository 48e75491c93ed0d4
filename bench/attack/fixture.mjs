/** The feeds that are attacked, made once: the author's, and a reader's, who has the first half of it. */
import { cpSync, rmSync } from "node:fs"
import { join } from "node:path"
import { Effect, Layer } from "effect"
import { Feed } from "effect-hypercore"
import { CryptoSodium, StorageFile } from "effect-hypercore/node"

/** More than a region, the most that is described at a time. */
export const BLOCKS = 1_100_000
export const HELD = BLOCKS / 2
const BATCH = 100_000

const make = Effect.gen(function* () {
  const author = yield* Feed.open({ path: "author" })
  for (let at = 0; at < BLOCKS; at += BATCH) {
    yield* author.appendBatch(Array.from({ length: BATCH }, (_, i) => Buffer.from(`this is block ${at + i}`)))
  }
})

const forget = Effect.gen(function* () {
  const reader = yield* Feed.open({ path: "reader" })
  yield* reader.clear(HELD, BLOCKS)
})

/** Makes `author` and `reader` in the directory. */
export const makeFixture = async (directory) => {
  const layer = Layer.merge(StorageFile.layer({ directory }), CryptoSodium.layer)
  await Effect.runPromise(Effect.provide(Effect.scoped(make), layer))
  cpSync(join(directory, "author"), join(directory, "reader"), { recursive: true })
  rmSync(join(directory, "reader", "secret_key"))
  await Effect.runPromise(Effect.provide(Effect.scoped(forget), layer))
}
