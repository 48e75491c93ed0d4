import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import { Chunk, Effect, Option, Stream } from "effect"
import type { Feed } from "../../index.js"
import { CryptoNode } from "../../node.js"
import * as BlockIndex from "../BlockIndex.js"
import * as Copy from "../Copy.js"
import * as Endpoint from "../Endpoint.js"
import * as FeedDirectory from "../FeedDirectory.js"
import * as FollowedFeed from "../FollowedFeed.js"
import * as Key from "../Key.js"
import * as StandardOutput from "../StandardOutput.js"

const options = {
  dir: FeedDirectory.directory,
  start: BlockIndex.bound("start").pipe(
    Options.withDescription("The first block to write. Without it: the next that is appended.")
  ),
  lines: Options.boolean("lines").pipe(Options.withDescription("Write a newline after each block.")),
  from: Endpoint.from.pipe(Options.optional),
  key: Key.publicKey.pipe(
    Options.withDescription(
      "The feed's key: to make a copy, with --from, if there is none in the directory; or for when the file that holds it is lost."
    )
  )
}

const NEWLINE = Buffer.from("\n")

/** Writes the blocks from `start` on, for ever. */
const write = (dir: string, feed: Feed.Feed, start: number, lines: boolean) =>
  feed.stream({ start, live: true }).pipe(
    Stream.mapError(FeedDirectory.explain(dir)),
    // A chunk is written before the next is read.
    Stream.chunks,
    Stream.runForEach((blocks) =>
      StandardOutput.writeParts(Chunk.toReadonlyArray(blocks), lines ? NEWLINE : undefined)
    )
  )

export const tail = Command.make("tail", options, ({ dir, from, key, lines, start }) =>
  Effect.gen(function* () {
    if (Option.isNone(from)) {
      const { feed, follow } = yield* FollowedFeed.open(dir, Option.isSome(key) ? { key: key.value } : {})
      const first = Option.getOrElse(start, () => feed.length)
      return yield* Effect.raceFirst(write(dir, feed, first, lines), follow)
    }
    const copy = yield* Copy.open({
      dir,
      from: from.value,
      key: Option.getOrUndefined(key),
      live: true,
      sparse: true
    })
    const { feed, peer, replicator } = copy
    // Nothing is wanted yet: this is the moment at which it has said what it has.
    if (!(yield* peer.downloaded)) return yield* Copy.explainEnd(copy)
    const first = Option.getOrElse(start, () => Math.max(feed.length, peer.remoteLength))
    yield* Effect.raceFirst(
      write(dir, feed, first, lines),
      Effect.zipRight(Effect.ignore(replicator.ended), Copy.explainEnd(copy))
    )
  }).pipe(Effect.scoped, Effect.provide(CryptoNode.layer))
).pipe(
  Command.withDescription(
    "Write the blocks of a feed to standard output as they are appended, until Ctrl-C. They come from other programs here or, with --from, from elsewhere: then only what is written is fetched, and stored."
  )
)

export const examples = [
  "hypercore tail --lines log",
  "hypercore tail --lines --start 0 log --from example.org:3282"
]
