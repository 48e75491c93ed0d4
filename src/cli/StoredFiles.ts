/** What a feed's files say by their sizes alone, which an open feed does not tell. */
import * as FileSystem from "@effect/platform/FileSystem"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import type { FileName } from "../index.js"

export interface StoredFiles {
  readonly key: boolean
  readonly secretKey: boolean
  /** The log's length as the last entry of `signatures` claims it. */
  readonly signedLength: number
}

const KEY_SIZE = 32
const SECRET_KEY_SIZE = 64
const HEADER_SIZE = 32
const SIGNATURE_SIZE = 64

/**
 * Look before the feed is opened: the log only grows, so an open feed that is shorter than what was claimed before has a
 * last signature that does not hold.
 */
export const look = (directory: string): Effect.Effect<StoredFiles, never, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fileSystem = yield* FileSystem.FileSystem
    const size = (file: string) =>
      fileSystem.stat(path.join(directory, file)).pipe(
        Effect.map((info) => Number(info.size)),
        Effect.orElseSucceed(() => 0)
      )
    const signatures = Math.max(0, (yield* size("signatures")) - HEADER_SIZE)
    return {
      key: (yield* size("key")) === KEY_SIZE,
      secretKey: (yield* size("secret_key")) >= SECRET_KEY_SIZE,
      signedLength: Math.floor(signatures / SIGNATURE_SIZE)
    }
  })

const FILES: ReadonlyArray<FileName> = ["key", "secret_key", "tree", "signatures", "bitfield", "data"]

/** Removes a feed that was just made and holds nothing, with its directory if nothing else is in it. */
export const discard = (directory: string): Effect.Effect<void> =>
  Effect.ignore(
    Effect.try(() => {
      for (const file of FILES) fs.rmSync(path.join(directory, file), { force: true })
      fs.rmdirSync(directory)
    })
  )
