import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import { Effect, Option } from "effect"
import { Feed, toHex } from "../../index.js"
import { layer } from "../../node.js"
import { formatCount, formatNumber } from "../ByteSize.js"
import { type CommandFailed, failed, misused } from "../Failure.js"
import * as FeedDirectory from "../FeedDirectory.js"
import * as Key from "../Key.js"
import * as ProgressBar from "../ProgressBar.js"
import * as StandardOutput from "../StandardOutput.js"
import { turn } from "../turn.js"

const options = {
  dir: FeedDirectory.directory,
  key: Key.publicKey.pipe(
    Options.withDescription("The feed's key, when the files that hold it are damaged.")
  ),
  secretKey: Key.secretKeyFile.pipe(
    Options.withDescription("Where the stored secret key is damaged, store the one in this file.")
  ),
  asReader: Options.boolean("as-reader").pipe(
    Options.withDescription(
      "Remove the secret key, so that what is lost of a log that was signed can be cloned again. Keep a copy of it to write again when all is there."
    )
  ),
  dryRun: Options.boolean("dry-run").pipe(
    Options.withDescription("Only tell what would be done; fails if there is anything to do.")
  ),
  json: Options.boolean("json").pipe(Options.withDescription("Print one JSON object on one line.")),
  noProgress: ProgressBar.noProgress
}

interface Given {
  readonly dir: string
  readonly key: Option.Option<Uint8Array>
  readonly asReader: boolean
  readonly dryRun: boolean
  readonly noProgress: boolean
}

const run = ({ asReader, dir, dryRun, key, noProgress }: Given, secretKey: Option.Option<Uint8Array>) =>
  Effect.gen(function* () {
    let whole = 0
    const bar = yield* ProgressBar.make({
      hidden: noProgress,
      whole: Option.some(whole),
      describe: (done) => `${formatNumber(done)} of ${formatCount(whole, "block")}`
    })
    return yield* Feed.repair({
      ...Option.match(key, { onNone: () => ({}), onSome: (one) => ({ key: one }) }),
      ...Option.match(secretKey, { onNone: () => ({}), onSome: (one) => ({ secretKey: one }) }),
      asReader,
      dryRun,
      onProgress: ({ checked, length }) => {
        whole = length
        return Effect.zipRight(bar.update(checked, length), turn)
      }
    }).pipe(
      Effect.provide(layer({ directory: dir })),
      Effect.mapError(FeedDirectory.explain(dir, { locked: "it cannot be repaired meanwhile" }))
    )
  }).pipe(Effect.scoped)

/** What `--json` prints; scripts depend on the names. */
const toJson = (report: Feed.RepairReport): string => JSON.stringify({ ...report, key: toHex(report.key) })

const SECRET_KEY = {
  none: "not stored",
  sound: "sound",
  mended: "damaged, and stored again",
  damaged: "damaged: give it with --secret-key-file",
  removed: "removed"
} as const

const counts = (parts: Readonly<Record<string, number>>): string =>
  Object.entries(parts)
    .map(([name, count]) => `${formatNumber(count)} ${name}`)
    .join(", ")

const toRows = (report: Feed.RepairReport): ReadonlyArray<readonly [string, string]> => {
  const { blocks, files, length, lengthBefore, nodes, secretKey, signatures } = report
  return [
    ["key", toHex(report.key)],
    [
      "length",
      formatCount(length, "block") +
        (lengthBefore === length ? "" : `, of which ${formatNumber(lengthBefore)} could be proven before`)
    ],
    ["blocks", counts(blocks)],
    ["nodes", counts(nodes)],
    ["signatures", counts(signatures)],
    ["written again", files.length === 0 ? "nothing" : files.join(", ")],
    ["secret key", SECRET_KEY[secretKey]]
  ]
}

const isSound = ({ claimedLength, length, secretKey }: Feed.RepairReport): boolean =>
  secretKey !== "damaged" && claimedLength <= length

/** Fails when the feed cannot be used as before. */
const judge = (
  dir: string,
  report: Feed.RepairReport,
  dryRun: boolean
): Effect.Effect<void, CommandFailed> => {
  const { changed, claimedLength, length, secretKey } = report
  if (claimedLength > length && (secretKey === "sound" || secretKey === "mended")) {
    return failed(
      `${dir}: a log of ${formatCount(claimedLength, "block")} was signed, of which ${formatNumber(length)} are proven: ` +
        "append has to find the rest in the files, or refuses; with --as-reader it can be cloned again"
    )
  }
  if (secretKey === "damaged") return failed(`${dir}: the secret key is damaged, the feed can only be read`)
  return dryRun && changed ? failed(`${dir}: is damaged; nothing was changed`) : Effect.void
}

export const repair = Command.make("repair", options, (given) =>
  Effect.gen(function* () {
    if (given.asReader && Option.isSome(given.secretKey)) {
      return yield* misused(
        "--as-reader removes the secret key that --secret-key-file would store: give one of them"
      )
    }
    const secretKey = yield* Key.readSecretKey(given.secretKey)
    // The progress bar is gone when the result is printed.
    const report = yield* run(given, secretKey)
    yield* given.json
      ? StandardOutput.write(`${toJson(report)}\n`)
      : StandardOutput.writeRows([
          [
            given.dryRun ? "damaged" : "repaired",
            report.changed ? "yes" : isSound(report) ? "no, all is as it must be" : "no"
          ],
          ...toRows(report)
        ])
    yield* judge(given.dir, report, given.dryRun)
  })
).pipe(
  Command.withDescription(
    "Mend a feed whose files are damaged. What can be rebuilt is; blocks and nodes that cannot be proven are marked as not stored, so that they can be cloned again. Nothing is signed."
  )
)

export const examples = ["hypercore repair --dry-run log", "hypercore repair log"]
