import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import { Effect, Option } from "effect"
import { formatCount } from "../ByteSize.js"
import { failed } from "../Failure.js"
import * as FeedDirectory from "../FeedDirectory.js"
import * as ProgressBar from "../ProgressBar.js"
import * as StandardOutput from "../StandardOutput.js"

const options = {
  dir: FeedDirectory.directory,
  readOnly: Options.boolean("read-only").pipe(
    Options.withDescription("Only report. Works also while another process writes to the feed.")
  ),
  noProgress: ProgressBar.noProgress
}

export const audit = Command.make("audit", options, ({ dir, noProgress, readOnly }) =>
  Effect.gen(function* () {
    const feed = yield* FeedDirectory.open(
      dir,
      { readOnly },
      { locked: "--read-only audits it all the same" }
    )
    const bar = yield* ProgressBar.make({
      hidden: noProgress,
      whole: Option.some(feed.length),
      describe: (done) => `${done.toLocaleString("en-US")} of ${formatCount(feed.length, "block")}`
    })
    return yield* feed
      .audit({ onProgress: ({ checked }) => bar.update(checked) })
      .pipe(Effect.mapError(FeedDirectory.explain(dir)))
  }).pipe(
    // The bar is gone before anything is printed.
    Effect.scoped,
    Effect.tap(({ invalid, valid }) =>
      StandardOutput.writeRows([
        ["valid", formatCount(valid, "block")],
        ["invalid", formatCount(invalid, "block")]
      ])
    ),
    Effect.flatMap(({ invalid }) => (invalid === 0 ? Effect.void : failed(verdict(dir, invalid, readOnly))))
  )
).pipe(
  Command.withDescription(
    "Read every stored block and compare it with the signed tree. A block that differs is marked as not stored, so that it can be fetched again."
  )
)

const verdict = (dir: string, invalid: number, readOnly: boolean): string =>
  `${dir}: ${formatCount(invalid, "block")} ${invalid === 1 ? "is" : "are"} damaged` +
  (readOnly ? "" : ` and now marked as not stored`)
