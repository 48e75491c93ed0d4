import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import { Effect, Option } from "effect"
import type { Feed } from "../../index.js"
import { formatCount, formatNumber } from "../ByteSize.js"
import { type CommandFailed, failed } from "../Failure.js"
import * as FeedDirectory from "../FeedDirectory.js"
import * as Key from "../Key.js"
import * as LastSignature from "../LastSignature.js"
import * as ProgressBar from "../ProgressBar.js"
import * as StandardOutput from "../StandardOutput.js"
import { turn } from "../turn.js"

const options = {
  dir: FeedDirectory.directory,
  key: Key.ofStored,
  readOnly: Options.boolean("read-only").pipe(
    Options.withDescription("Only report. Works also while another process writes to the feed.")
  ),
  noProgress: ProgressBar.noProgress
}

interface Given {
  readonly dir: string
  readonly key: Feed.OpenOptions
  readonly readOnly: boolean
  readonly noProgress: boolean
}

interface Audited extends Feed.AuditReport {
  readonly notStored: number
  /** Fails when the log itself is damaged. */
  readonly whole: Effect.Effect<void, CommandFailed>
}

const read = ({ dir, key, noProgress, readOnly }: Given) =>
  Effect.gen(function* () {
    const feed = yield* FeedDirectory.open(
      dir,
      { ...key, readOnly },
      { locked: "--read-only audits it all the same" }
    )
    const { length } = feed
    const bar = yield* ProgressBar.make({
      hidden: noProgress,
      whole: Option.some(length),
      describe: (done) => `${formatNumber(done)} of ${formatCount(length, "block")}`
    })
    const report = yield* feed
      .audit({ onProgress: ({ checked }) => Effect.zipRight(bar.update(checked), turn) })
      .pipe(Effect.mapError(FeedDirectory.explain(dir)))
    return {
      ...report,
      notStored: length - report.valid - report.invalid,
      whole: LastSignature.requireWhole(dir, feed)
    } satisfies Audited
  }).pipe(Effect.scoped)

export const audit = Command.make("audit", options, (given) =>
  Effect.gen(function* () {
    // The progress bar is gone when the result is printed.
    const { invalid, notStored, valid, whole } = yield* read(given)
    const { dir, readOnly } = given
    yield* StandardOutput.writeRows([
      ["valid", formatCount(valid, "block")],
      ["invalid", formatCount(invalid, "block")],
      ["not stored", formatCount(notStored, "block")]
    ])
    if (invalid > 0) return yield* failed(verdict(dir, invalid, readOnly))
    yield* whole
  })
).pipe(
  Command.withDescription(
    "Read every stored block and compare it with the signed tree. A block that differs is marked as not stored, so that it can be fetched again."
  )
)

const verdict = (dir: string, invalid: number, readOnly: boolean): string =>
  `${dir}: ${formatCount(invalid, "block")} ${invalid === 1 ? "is" : "are"} damaged` +
  (readOnly ? "" : ` and now marked as not stored`)

export const examples = ["hypercore audit log"]
