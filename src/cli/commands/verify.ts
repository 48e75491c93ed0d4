import * as Command from "@effect/cli/Command"
import { Effect } from "effect"
import { formatCount } from "../ByteSize.js"
import { failed } from "../Failure.js"
import * as FeedDirectory from "../FeedDirectory.js"
import * as Key from "../Key.js"
import * as LastSignature from "../LastSignature.js"
import * as StandardOutput from "../StandardOutput.js"

const WHAT_HOLDS = {
  valid: "signed by the feed's key",
  none: "there is no signature to verify"
}

export const verify = Command.make(
  "verify",
  { dir: FeedDirectory.directory, key: Key.ofStored },
  ({ dir, key }) =>
    Effect.gen(function* () {
      const feed = yield* FeedDirectory.openReadOnly(dir, key)
      const last = yield* LastSignature.check(feed).pipe(Effect.mapError(FeedDirectory.explain(dir)))
      if (last.state === "invalid") {
        return yield* failed(LastSignature.describeInvalid(dir, feed, last.index + 1))
      }
      yield* StandardOutput.write(`ok, ${formatCount(feed.length, "block")}, ${WHAT_HOLDS[last.state]}\n`)
    }).pipe(Effect.scoped)
).pipe(
  Command.withDescription(
    "Verify that the feed's key signed the log as it is stored. Reads the tree's roots, not the blocks: see audit for those."
  )
)

export const examples = ["hypercore verify log && echo fine"]
