import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import { Effect, Option } from "effect"
import { toHex } from "../../index.js"
import * as FeedDirectory from "../FeedDirectory.js"
import * as Key from "../Key.js"
import * as StandardOutput from "../StandardOutput.js"

const options = {
  dir: FeedDirectory.directory,
  key: Key.publicKey.pipe(
    Options.withDescription(
      "Make a copy to be filled from elsewhere: this is the original's key. Without the secret key the copy cannot be appended to."
    )
  ),
  secretKeyFile: Key.secretKeyFile.pipe(
    Options.withDescription(
      "Use the secret key in this file (64 bytes, or 128 hexadecimal digits) instead of a new one. Two feeds that grow apart under one key are worthless: use it only to bring a feed back."
    )
  )
}

export const create = Command.make("create", options, ({ dir, key, secretKeyFile }) =>
  Effect.gen(function* () {
    const secretKey = yield* Key.readSecretKey(secretKeyFile)
    const feed = yield* FeedDirectory.open(dir, {
      createIfMissing: true,
      openExisting: false,
      durability: "power",
      ...Option.match(key, { onNone: () => ({}), onSome: (key) => ({ key }) }),
      ...Option.match(secretKey, { onNone: () => ({}), onSome: (secretKey) => ({ secretKey }) })
    })
    yield* StandardOutput.writeRows([
      ["key", toHex(feed.key)],
      ["discovery key", toHex(feed.discoveryKey)]
    ])
  }).pipe(Effect.scoped)
).pipe(
  Command.withDescription("Make an empty feed in a directory, with a new pair of keys, and print its keys.")
)

export const examples = ["hypercore create log"]
