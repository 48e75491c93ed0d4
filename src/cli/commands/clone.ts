import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import { Clock, Effect, Either, Exit, Option, Schedule } from "effect"
import { type Feed, Replication, toHex } from "../../index.js"
import { CryptoNode } from "../../node.js"
import { formatBytes, formatCount, formatNumber } from "../ByteSize.js"
import * as Endpoint from "../Endpoint.js"
import { type CommandFailed, failed } from "../Failure.js"
import * as FeedDirectory from "../FeedDirectory.js"
import * as Key from "../Key.js"
import * as ProgressBar from "../ProgressBar.js"
import * as RemoteFailure from "../RemoteFailure.js"
import * as StandardError from "../StandardError.js"
import * as StandardOutput from "../StandardOutput.js"
import * as StoredFiles from "../StoredFiles.js"

const options = {
  key: Key.publicKeyArgument,
  dir: FeedDirectory.directory,
  from: Endpoint.from,
  live: Options.boolean("live").pipe(
    Options.withDescription("Go on with what is appended later, until Ctrl-C or the other side ends.")
  ),
  noProgress: ProgressBar.noProgress
}

interface Given {
  readonly key: Uint8Array
  readonly dir: string
  readonly from: Endpoint.Endpoint
  readonly live: boolean
  readonly noProgress: boolean
}

/** What is stored in the directory before: "nothing", or how many blocks of this feed. */
const lookBefore = ({ dir, key }: Given): Effect.Effect<number | "nothing", CommandFailed> =>
  FeedDirectory.attempt(dir, { readOnly: true }).pipe(
    Effect.matchEffect({
      onSuccess: (feed) =>
        toHex(feed.key) === toHex(key)
          ? Effect.mapError(feed.downloaded(), FeedDirectory.explain(dir))
          : failed(`${dir}: another feed is stored here: ${toHex(feed.key)}`),
      onFailure: (error) =>
        error._tag === "OpenRefused" && error.reason === "missing"
          ? Effect.succeed("nothing" as const)
          : FeedDirectory.explain(dir)(error)
    }),
    Effect.scoped
  )

/** A clone under way. */
interface Cloning {
  readonly given: Given
  readonly feed: Feed.Feed
  readonly peer: Replication.PeerInfo
  readonly replicator: Replication.Replicator
  /** Blocks that were stored before, and when this began. */
  readonly before: number
  readonly start: number
}

/** How long the other side may take to end when it gives no more. */
const ENDING = "1 second"

/** Why not all has come. */
const explainCut = ({ given, peer, replicator }: Cloning) =>
  Effect.gen(function* () {
    const remote = Endpoint.format(given.from)
    const ended = yield* Effect.timeoutOption(Effect.either(replicator.ended), ENDING)
    if (Option.isNone(ended)) {
      return yield* failed(`${remote}: the other side does not give all that it said it has`)
    }
    const error = Option.getOrUndefined(Either.getLeft(ended.value))
    if (error !== undefined && !isEnd(error)) {
      return yield* RemoteFailure.explain(given.dir, given.from)(error)
    }
    return yield* failed(
      peer.remoteId === undefined
        ? `${remote}: the other side ended the connection at once: it does not serve this feed`
        : `${remote}: the other side ended the connection${given.live ? "" : " before all had come"}`
    )
  })

/** Whether the other side just went away. */
const isEnd = (error: Replication.ReplicationError): boolean =>
  error._tag === "NetworkError" || (error._tag === "ProtocolError" && error.reason === "ended-early")

const summarize = ({ before, feed, replicator, start }: Cloning) =>
  Effect.gen(function* () {
    const seconds = Math.max((yield* Clock.currentTimeMillis) - start, 1) / 1000
    const held = yield* Effect.orElseSucceed(feed.downloaded(), () => before)
    const { downloadedBytes } = replicator.stats
    const rate = `${formatBytes(Math.round(downloadedBytes / seconds))}/s`
    return [
      `cloned ${formatCount(held - before, "block")}, ${formatBytes(downloadedBytes)} in ${seconds.toFixed(1)} s (${rate})`,
      ...(before > 0 ? [`${formatNumber(before)} were stored before`] : []),
      ...(held < feed.length
        ? [`${formatNumber(held)} of ${formatNumber(feed.length)} are stored, the other side has no more`]
        : [])
    ].join("; ")
  })

const LOOK = Schedule.spaced("100 millis")

/** Shows how far it is until all has come. */
const withProgress = <A, E>({ before, feed, given, peer, replicator }: Cloning, work: Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const bar = yield* ProgressBar.make({
      hidden: given.noProgress,
      whole: Option.some(peer.remoteLength),
      before,
      describe: (done, _, seconds) => {
        const rate = replicator.stats.downloadedBytes / Math.max(seconds, 0.001)
        return `${formatNumber(done)} of ${formatCount(peer.remoteLength, "block")}, ${formatBytes(Math.round(rate))}/s`
      }
    })
    const look = Effect.flatMap(feed.downloaded(), (held) => bar.update(held, peer.remoteLength))
    yield* Effect.forkScoped(Effect.repeat(look, LOOK))
    const result = yield* work
    yield* Effect.ignore(look)
    return result
  }).pipe(Effect.scoped)

/** Fetches all there is. Fails when not all has come. */
const fetch = (cloning: Cloning) =>
  Effect.gen(function* () {
    const all = yield* withProgress(cloning, cloning.peer.downloaded)
    if (!all) return yield* explainCut(cloning)
    yield* StandardOutput.write(`${yield* summarize(cloning)}\n`)
    if (!cloning.given.live) return
    yield* Effect.ignore(cloning.replicator.ended)
    return yield* explainCut(cloning)
  })

/** Said when Ctrl-C ends it: what came is kept. */
const sayStopped = ({ feed, given, peer }: Cloning) =>
  Effect.gen(function* () {
    const held = yield* Effect.orElseSucceed(feed.downloaded(), () => 0)
    const length = Math.max(feed.length, peer.remoteLength)
    const stored = `${formatNumber(held)} of ${formatCount(length, "block")}`
    yield* StandardError.writeLine(
      `hypercore: interrupted: ${stored} ${held === 1 ? "is" : "are"} stored in ${given.dir}; the same command goes on from there`
    )
  })

/** Runs `onOpen` when the feed is open. */
const run = (given: Given, before: number, onOpen: () => void = () => {}) =>
  Effect.gen(function* () {
    const { dir, from, key, live } = given
    const connection = yield* Effect.mapError(Endpoint.connect(from), RemoteFailure.explain(dir, from))
    const feed = yield* FeedDirectory.open(dir, { key, createIfMissing: true })
    onOpen()
    const replicator = yield* Replication.connect(connection, { live, expectedFeeds: 1 })
    const peer = yield* Effect.mapError(
      replicator.add(feed, { download: true }),
      RemoteFailure.explain(dir, from)
    )
    const start = yield* Clock.currentTimeMillis
    const cloning: Cloning = { given, feed, peer, replicator, before, start }
    yield* fetch(cloning).pipe(
      Effect.onInterrupt(() => sayStopped(cloning)),
      // Whoever gives live does not end by itself.
      Effect.onExit((exit) =>
        Exit.isSuccess(exit)
          ? Effect.ignore(Effect.timeout(Effect.zipRight(connection.end, replicator.ended), ENDING))
          : Effect.void
      )
    )
  }).pipe(Effect.scoped)

export const clone = Command.make("clone", options, (given) =>
  Effect.gen(function* () {
    const stored = yield* lookBefore(given)
    if (stored !== "nothing") return yield* run(given, stored)
    // A wrong key or address must not stand in the way of the right one.
    let made = false
    yield* Effect.onError(
      run(given, 0, () => {
        made = true
      }),
      () => (made ? discardEmpty(given.dir) : Effect.void)
    )
  }).pipe(Effect.provide(CryptoNode.layer))
).pipe(
  Command.withDescription(
    "Copy a whole feed from where it is served; every block is verified. What was cut off is gone on with by the same command."
  )
)

const discardEmpty = (dir: string): Effect.Effect<void> =>
  FeedDirectory.attempt(dir, { readOnly: true }).pipe(
    Effect.map((feed) => feed.length === 0),
    Effect.scoped,
    Effect.orElseSucceed(() => false),
    Effect.flatMap((isEmpty) => (isEmpty ? StoredFiles.discard(dir) : Effect.void))
  )

export const examples = [
  "hypercore clone 8a88…6f5c copy --from example.org:3282",
  "hypercore clone --live 8a88…6f5c copy --from ws://localhost:8080"
]
