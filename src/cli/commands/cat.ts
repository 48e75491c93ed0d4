import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import { Chunk, Effect, Option, Stream } from "effect"
import * as BlockIndex from "../BlockIndex.js"
import { misused } from "../Failure.js"
import * as FeedDirectory from "../FeedDirectory.js"
import * as Key from "../Key.js"
import * as LastSignature from "../LastSignature.js"
import * as StandardOutput from "../StandardOutput.js"

const options = {
  dir: FeedDirectory.directory,
  key: Key.ofStored,
  start: BlockIndex.bound("start").pipe(
    Options.withDescription("The first block to write. Without it: 0, the first of all.")
  ),
  end: BlockIndex.bound("end").pipe(
    Options.withDescription("The block to stop before. Without it: the end of the feed.")
  ),
  lines: Options.boolean("lines").pipe(
    Options.withDescription("Write a newline after each block, which brings back what 'append --lines' took.")
  )
}

const NEWLINE = Buffer.from("\n")

export const cat = Command.make("cat", options, (given) =>
  Effect.gen(function* () {
    const { dir } = given
    const feed = yield* FeedDirectory.openReadOnly(dir, given.key)
    const start = Option.getOrElse(given.start, () => 0)
    const end = Option.getOrElse(given.end, () => feed.length)
    yield* BlockIndex.checkLength(dir, feed, `--start ${start}`, start)
    yield* BlockIndex.checkLength(dir, feed, `--end ${end}`, end)
    if (start > end) return yield* misused(`--start ${start} is after --end ${end}`)
    yield* feed.stream({ start, end, wait: false }).pipe(
      Stream.mapError(FeedDirectory.explain(dir)),
      // A chunk is written before the next is read.
      Stream.chunks,
      Stream.runForEach((blocks) =>
        StandardOutput.writeParts(Chunk.toReadonlyArray(blocks), given.lines ? NEWLINE : undefined)
      )
    )
    // What could be verified is written, but it was not all.
    if (Option.isNone(given.end)) yield* LastSignature.requireWhole(dir, feed)
  }).pipe(Effect.scoped)
).pipe(
  Command.withDescription(
    "Write the blocks of a feed to standard output, one after the other, all or a range."
  )
)

export const examples = ["hypercore cat log > all", "hypercore cat --lines --start 100 --end 200 log"]
