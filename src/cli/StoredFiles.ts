/** What is stored beside a feed that a read-only opening does not look at. */
import * as FileSystem from "@effect/platform/FileSystem"
import { Effect } from "effect"
import * as path from "node:path"

const SECRET_KEY_SIZE = 64

/** By its size: who may not read the secret key can still see that it is there. */
export const hasSecretKey = (directory: string): Effect.Effect<boolean, never, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fileSystem = yield* FileSystem.FileSystem
    const info = yield* fileSystem.stat(path.join(directory, "secret_key"))
    return Number(info.size) >= SECRET_KEY_SIZE
  }).pipe(Effect.orElseSucceed(() => false))
