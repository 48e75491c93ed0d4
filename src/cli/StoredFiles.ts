/** What a feed's files say by their sizes alone, which an open feed does not tell. */
import * as FileSystem from "@effect/platform/FileSystem"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { Crypto, type FileName } from "../index.js"

const KEY_SIZE = 32
const SECRET_KEY_SIZE = 64
const HEADER_SIZE = 32

const sizeOf = (directory: string, file: string): Effect.Effect<number, never, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fileSystem = yield* FileSystem.FileSystem
    return Number((yield* fileSystem.stat(path.join(directory, file))).size)
  }).pipe(Effect.orElseSucceed(() => 0))

/** By its size: who may not read the secret key can still see that it is there. */
export const hasSecretKey = (directory: string): Effect.Effect<boolean, never, FileSystem.FileSystem> =>
  Effect.map(sizeOf(directory, "secret_key"), (size) => size >= SECRET_KEY_SIZE)

/** What the stored secret key is to the feed's: who may not read it sees by its size that it is there. */
export type SecretKey = "none" | "stored" | "damaged"

export const secretKeyOf = (
  directory: string,
  key: Uint8Array
): Effect.Effect<SecretKey, never, FileSystem.FileSystem | Crypto> =>
  Effect.gen(function* () {
    if ((yield* sizeOf(directory, "secret_key")) === 0) return "none"
    const fileSystem = yield* FileSystem.FileSystem
    const read = yield* Effect.option(fileSystem.readFile(path.join(directory, "secret_key")))
    if (read._tag === "None") return (yield* hasSecretKey(directory)) ? "stored" : "damaged"
    if (read.value.length !== SECRET_KEY_SIZE) return "damaged"
    const crypto = yield* Crypto
    const pair = yield* crypto.keyPair(read.value.subarray(0, KEY_SIZE))
    const isWhole =
      Buffer.compare(pair.secretKey, read.value) === 0 && Buffer.compare(pair.publicKey, key) === 0
    return isWhole ? "stored" : "damaged"
  })

/** Whether the directory looks like a feed that cannot be appended to. */
export const lacksSecretKey = (directory: string): Effect.Effect<boolean, never, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    if (yield* hasSecretKey(directory)) return false
    const isFeed = (yield* sizeOf(directory, "key")) === KEY_SIZE
    return isFeed || (yield* sizeOf(directory, "signatures")) > HEADER_SIZE
  })

const FILES: ReadonlyArray<FileName> = ["key", "secret_key", "tree", "signatures", "bitfield", "data"]

/** Whether any file of a feed is there, be it empty. */
export const isAny = (directory: string): Effect.Effect<boolean> =>
  Effect.sync(() => FILES.some((file) => fs.existsSync(path.join(directory, file))))

/** Removes a feed that was just made and holds nothing that is not elsewhere, with its directory if nothing else is in it. */
export const discard = (directory: string): Effect.Effect<void> =>
  Effect.ignore(
    Effect.try(() => {
      for (const file of FILES) fs.rmSync(path.join(directory, file), { force: true })
      fs.rmdirSync(directory)
    })
  )
