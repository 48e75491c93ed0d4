/** A feed copied from one directory to another, and verified: what `backup` and `restore` do. */
import * as Options from "@effect/cli/Options"
import { Effect, Exit, Option } from "effect"
import { Feed, toHex } from "../index.js"
import { StorageFile, layer } from "../node.js"
import { formatBytes, formatCount, formatNumber } from "./ByteSize.js"
import { type CommandFailed, failed } from "./Failure.js"
import * as FeedDirectory from "./FeedDirectory.js"
import * as Key from "./Key.js"
import * as ProgressBar from "./ProgressBar.js"
import * as StandardOutput from "./StandardOutput.js"
import * as StoredFiles from "./StoredFiles.js"
import * as StoredFork from "./StoredFork.js"
import { turn } from "./turn.js"

export const options = {
  key: Key.publicKey.pipe(Options.withDescription("The feed's key, when the file that holds it is lost.")),
  withSecretKey: Options.boolean("with-secret-key").pipe(
    Options.withDescription(
      "Copy the secret key too, which gives the right to append. Append to one of the two only: what both sign is worthless."
    )
  ),
  json: Options.boolean("json").pipe(Options.withDescription("Print one JSON object on one line.")),
  noProgress: ProgressBar.noProgress
}

export interface Given {
  readonly key: Option.Option<Uint8Array>
  readonly withSecretKey: boolean
  readonly json: boolean
  readonly noProgress: boolean
}

const copy = (from: string, to: string, given: Given) =>
  Effect.gen(function* () {
    let whole = 0
    const bar = yield* ProgressBar.make({
      hidden: given.noProgress,
      whole: Option.some(whole),
      describe: (done) => `${formatNumber(done)} of ${formatCount(whole, "block")}`
    })
    const isThere = yield* StoredFiles.isAny(to)
    // What a failure or Ctrl-C leaves is no feed, and would only be in the way of the next one.
    yield* Effect.addFinalizer((exit) =>
      Exit.isFailure(exit) && !isThere ? StoredFiles.discard(to) : Effect.void
    )
    return yield* Feed.backup({
      ...Option.match(given.key, { onNone: () => ({}), onSome: (key) => ({ key }) }),
      to: yield* StorageFile.make({ directory: to }),
      withSecretKey: given.withSecretKey,
      onProgress: ({ copied, held }) => {
        whole = held
        return Effect.zipRight(bar.update(copied, held), turn)
      }
    }).pipe(Effect.provide(layer({ directory: from })), Effect.mapError(explain(from, to)))
  }).pipe(Effect.scoped)

/** Both may be what went wrong; a storage error names its file. */
const explain =
  (from: string, to: string) =>
  (error: Feed.BackupError): CommandFailed => {
    const isTarget =
      (error._tag === "OpenRefused" && error.reason === "exists") ||
      (error._tag === "CorruptStorage" && error.file === "data") ||
      (error._tag === "StorageError" && error.file.startsWith(to))
    if (error._tag === "NotWritable") return failed(`${from}: the secret key is not stored here`)
    return FeedDirectory.explain(isTarget ? to : from)(error)
  }

/** What `--json` prints; scripts depend on the names. */
const toJson = (report: Feed.BackupReport): string => JSON.stringify({ ...report, key: toHex(report.key) })

const toRows = ({ blocks, byteLength, key, length }: Feed.BackupReport, withSecretKey: boolean) =>
  [
    ["key", toHex(key)],
    ["length", `${formatCount(length, "block")}, ${formatBytes(byteLength)}`],
    ["copied", `${formatCount(blocks, "block")}, verified`],
    ["secret key", withSecretKey ? "copied" : "not copied"]
  ] as const

/** Copies the feed and prints what was copied; fails when not all that was stored could be. */
export const run = (from: string, to: string, given: Given) =>
  Effect.gen(function* () {
    const report = yield* copy(from, to, given)
    yield* given.json
      ? StandardOutput.write(`${toJson(report)}\n`)
      : StandardOutput.writeRows(toRows(report, given.withSecretKey))
    const fork = StoredFork.read(from)
    if (fork !== undefined && fork !== "unreadable") StoredFork.save(to, fork)
    const { damaged } = report
    if (damaged > 0) {
      return yield* failed(
        `${from}: ${formatCount(damaged, "block")} ${damaged === 1 ? "is" : "are"} damaged and not in ${to}`
      )
    }
  })
