import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import { Effect } from "effect"
import * as BlockIndex from "../BlockIndex.js"
import * as FeedDirectory from "../FeedDirectory.js"
import * as Key from "../Key.js"
import * as Parser from "../Parser.js"
import * as StandardOutput from "../StandardOutput.js"

const options = {
  dir: FeedDirectory.directory,
  key: Key.ofStored,
  index: Args.text({ name: "index" }).pipe(
    Args.withDescription("Which block; the first is 0."),
    Args.mapEffect(Parser.forArgument(BlockIndex.parse))
  )
}

export const get = Command.make("get", options, ({ dir, index, key }) =>
  Effect.gen(function* () {
    const feed = yield* FeedDirectory.openReadOnly(dir, key)
    yield* BlockIndex.checkLength(dir, feed, `block ${index}`, index + 1)
    const block = yield* feed.get(index, { wait: false }).pipe(Effect.mapError(FeedDirectory.explain(dir)))
    yield* StandardOutput.write(block)
  }).pipe(Effect.scoped)
).pipe(Command.withDescription("Write one block to standard output, its bytes as they are and nothing else."))

export const examples = ["hypercore get log 0 > photo.jpg"]
