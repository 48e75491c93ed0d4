import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import { Clock, Effect, Option, Schedule } from "effect"
import { CryptoNode } from "../../node.js"
import { formatBytes, formatCount, formatNumber } from "../ByteSize.js"
import * as Copy from "../Copy.js"
import * as Endpoint from "../Endpoint.js"
import * as FeedDirectory from "../FeedDirectory.js"
import * as Key from "../Key.js"
import * as ProgressBar from "../ProgressBar.js"
import * as StandardError from "../StandardError.js"
import * as StandardOutput from "../StandardOutput.js"

const options = {
  key: Key.publicKeyArgument,
  dir: FeedDirectory.directory,
  from: Endpoint.from,
  live: Options.boolean("live").pipe(
    Options.withDescription("Go on with what is appended later, until Ctrl-C or the other side ends.")
  ),
  noProgress: ProgressBar.noProgress
}

/** Blocks stored now. */
const heldOf = ({ feed }: Copy.Copy) => Effect.orElseSucceed(feed.downloaded(), () => 0)

const LOOK = Schedule.spaced("100 millis")

/** Shows how far it is, once the other side has said how much there is, until the scope closes. */
const showProgress = (hidden: boolean, copy: Copy.Copy) =>
  Effect.gen(function* () {
    const { before, peer, replicator } = copy
    const isKnown = Effect.sync(() => peer.remoteLength > 0)
    yield* Effect.repeat(isKnown, { schedule: LOOK, until: (known) => known })
    const bar = yield* ProgressBar.make({
      hidden,
      whole: Option.some(peer.remoteLength),
      before,
      describe: (done, _, seconds) => {
        const rate = formatBytes(Math.round(replicator.stats.downloadedBytes / Math.max(seconds, 0.001)))
        return `${formatNumber(done)} of ${formatCount(peer.remoteLength, "block")}, ${rate}/s`
      }
    })
    const look = Effect.flatMap(heldOf(copy), (held) => bar.update(held, peer.remoteLength))
    yield* Effect.repeat(look, LOOK)
  })

const summarize = (copy: Copy.Copy, start: number) =>
  Effect.gen(function* () {
    const { before, feed, replicator } = copy
    const seconds = Math.max((yield* Clock.currentTimeMillis) - start, 1) / 1000
    const held = yield* heldOf(copy)
    const { downloadedBytes } = replicator.stats
    const rate = formatBytes(Math.round(downloadedBytes / seconds))
    const parts = [
      `cloned ${formatCount(held - before, "block")}, ${formatBytes(downloadedBytes)} in ${seconds.toFixed(1)} s (${rate}/s)`
    ]
    if (before > 0) parts.push(`${formatNumber(before)} ${before === 1 ? "was" : "were"} stored before`)
    if (held < feed.length) {
      parts.push(
        `${formatNumber(held)} of ${formatNumber(feed.length)} are stored, the other side has no more`
      )
    }
    return parts.join("; ")
  })

/** Said when Ctrl-C ends it. */
const sayStopped = (copy: Copy.Copy) =>
  Effect.gen(function* () {
    const held = yield* heldOf(copy)
    const length = formatCount(Math.max(copy.feed.length, copy.peer.remoteLength), "block")
    const stored = `${formatNumber(held)} of ${length} ${held === 1 ? "is" : "are"} stored in ${copy.options.dir}`
    yield* StandardError.complain(`interrupted: ${stored}; the same command goes on from there`)
  })

export const clone = Command.make("clone", options, ({ dir, from, key, live, noProgress }) =>
  Effect.gen(function* () {
    const copy = yield* Copy.open({ dir, from, key, live, sparse: false })
    const start = yield* Clock.currentTimeMillis
    yield* Effect.gen(function* () {
      const all = yield* Effect.zipRight(
        Effect.forkScoped(showProgress(noProgress, copy)),
        copy.peer.downloaded
      ).pipe(Effect.scoped)
      if (!all) return yield* Copy.explainEnd(copy)
      yield* StandardOutput.write(`${yield* summarize(copy, start)}\n`)
      if (!live) return yield* copy.end
      yield* Effect.ignore(copy.replicator.ended)
      return yield* Copy.explainEnd(copy)
    }).pipe(Effect.onInterrupt(() => sayStopped(copy)))
  }).pipe(Effect.scoped, Effect.provide(CryptoNode.layer))
).pipe(
  Command.withDescription(
    "Copy a whole feed from where it is served; every block is verified. A copy that was cut off is completed by the same command."
  )
)

export const examples = [
  "hypercore clone 8a88...6f5c copy --from example.org:3282",
  "hypercore clone --live 8a88...6f5c copy --from ws://localhost:8080"
]
