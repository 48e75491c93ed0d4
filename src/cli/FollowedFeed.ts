/** A feed that is only read, and follows what other processes write to its files. */
import { Effect, Schedule, type Scope, Stream } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import type { Feed } from "../index.js"
import type { CommandFailed } from "./Failure.js"
import * as FeedDirectory from "./FeedDirectory.js"

export interface FollowedFeed {
  readonly feed: Feed.Feed
  /** Follows the files until it fails. */
  readonly follow: Effect.Effect<never, CommandFailed>
}

/** File systems of other machines do not tell of changes made there. */
const LOOK = Schedule.spaced("1 second")

/** The system tells of each write; those that come while one is dealt with count as one. */
const told = (directory: string): Stream.Stream<void> =>
  Stream.asyncPush<void>(
    (emit) =>
      Effect.acquireRelease(
        Effect.try(() => {
          const watcher = fs.watch(directory, () => void emit.single(undefined))
          watcher.on("error", () => watcher.close())
          return watcher
        }),
        (watcher) => Effect.sync(() => watcher.close())
      ).pipe(Effect.ignore),
    { bufferSize: 1, strategy: "sliding" }
  )

/** A write to the log ends in one of these files. */
const seen = (directory: string): Stream.Stream<string> =>
  Stream.repeatEffectWithSchedule(
    Effect.try(() =>
      ["signatures", "bitfield"]
        .map((file) => fs.statSync(path.join(directory, file), { throwIfNoEntry: false }))
        .map((stats) => `${stats?.size} ${stats?.mtimeMs}`)
        .join(" ")
    ).pipe(Effect.orElseSucceed(() => "")),
    LOOK
  ).pipe(Stream.changes)

/** Opens the feed; it is closed with the scope. */
export const open = (
  directory: string,
  options: Feed.OpenOptions = {}
): Effect.Effect<FollowedFeed, CommandFailed, Scope.Scope> =>
  Effect.map(FeedDirectory.openReadOnly(directory, options), (feed) => ({
    feed,
    follow: Stream.merge(told(directory), seen(directory)).pipe(
      Stream.runForEach(() => feed.refresh),
      Effect.mapError(FeedDirectory.explain(directory)),
      Effect.zipRight(Effect.never)
    )
  }))
