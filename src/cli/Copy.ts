/** A feed in a directory here that is filled from where it is served. */
import { Effect, Either, Exit, Option, type Scope } from "effect"
import { type Crypto, type Feed, Replication, toHex } from "../index.js"
import * as Endpoint from "./Endpoint.js"
import { type CommandFailed, failed } from "./Failure.js"
import * as FeedDirectory from "./FeedDirectory.js"
import * as RemoteFailure from "./RemoteFailure.js"
import * as StoredFiles from "./StoredFiles.js"

export interface CopyOptions {
  readonly dir: string
  /** Without it: that of the feed in the directory. */
  readonly key: Uint8Array | undefined
  readonly from: Endpoint.Endpoint
  /** Go on when all has come. */
  readonly live: boolean
  /** Fetch only what is asked for. */
  readonly sparse: boolean
}

export interface Copy {
  readonly options: CopyOptions
  readonly feed: Feed.Feed
  readonly peer: Replication.PeerInfo
  readonly replicator: Replication.Replicator
  /** Blocks that were stored before. */
  readonly before: number
  /**
   * Tells the other side that nothing follows, and waits a little for it to agree: whoever gives live does not end by itself. Fails when the two turn
   * out to have different histories, of which what was copied says nothing.
   */
  readonly end: Effect.Effect<void, CommandFailed>
}

/** How long the other side may take to end. */
const ENDING = "1 second"

const KEY_HINT = "give its key with --key to make a copy"

/** Blocks of this feed that are stored in the directory; none when there is no feed. */
const lookBefore = ({ dir, key }: CopyOptions): Effect.Effect<Option.Option<number>, CommandFailed> =>
  FeedDirectory.attempt(dir, { readOnly: true }).pipe(
    // What is stored does not say whose it is, but the user does.
    Effect.catchIf(
      (error) => key !== undefined && error._tag === "CorruptStorage" && error.file === "key",
      () => FeedDirectory.attempt(dir, { readOnly: true, ...(key && { key }) })
    ),
    Effect.matchEffect({
      onSuccess: (feed) =>
        key === undefined || toHex(feed.key) === toHex(key)
          ? Effect.mapBoth(feed.downloaded(), {
              onFailure: FeedDirectory.explain(dir),
              onSuccess: Option.some
            })
          : failed(`${dir}: another feed is stored here: ${toHex(feed.key)}`),
      onFailure: (error) =>
        error._tag === "OpenRefused" && error.reason === "missing" && key !== undefined
          ? Effect.succeed(Option.none())
          : FeedDirectory.explain(dir, { missing: KEY_HINT })(error)
    }),
    Effect.scoped
  )

/** Connects, and replicates until the scope closes. */
export const open = (options: CopyOptions): Effect.Effect<Copy, CommandFailed, Crypto | Scope.Scope> =>
  Effect.gen(function* () {
    const { dir, from, key, live, sparse } = options
    const stored = yield* lookBefore(options)
    let isMade = false
    // A wrong key or address must not stand in the way of the right one. This comes after the feed is closed.
    yield* Effect.addFinalizer((exit) => (isMade && Exit.isFailure(exit) ? discardEmpty(dir) : Effect.void))
    const explain = RemoteFailure.explain(dir, from)
    const connection = yield* Effect.mapError(Endpoint.connect(from), explain)
    const isNew = Option.isNone(stored)
    const feed = yield* FeedDirectory.open(dir, { ...(key && { key }), createIfMissing: isNew, sparse })
    isMade = isNew
    const replicator = yield* Effect.orDie(Replication.connect(connection, { live, expectedFeeds: 1 }))
    const peer = yield* Effect.mapError(replicator.add(feed, { download: true }), explain)
    const before = Option.getOrElse(stored, () => 0)
    const end = Effect.catchAll(
      Effect.timeout(Effect.zipRight(connection.end, replicator.ended), ENDING),
      (error) => (error._tag === "ForkDetected" ? explain(error) : Effect.void)
    )
    return { options, feed, peer, replicator, before, end }
  })

const discardEmpty = (dir: string): Effect.Effect<void> =>
  FeedDirectory.attempt(dir, { readOnly: true }).pipe(
    Effect.map((feed) => feed.length === 0),
    Effect.scoped,
    Effect.orElseSucceed(() => false),
    Effect.flatMap((isEmpty) => (isEmpty ? StoredFiles.discard(dir) : Effect.void))
  )

/** Fails with why no more comes. */
export const explainEnd = ({ options, peer, replicator }: Copy): Effect.Effect<never, CommandFailed> =>
  Effect.gen(function* () {
    const { dir, from, live } = options
    const remote = Endpoint.format(from)
    const ended = yield* Effect.timeoutOption(Effect.either(replicator.ended), ENDING)
    if (Option.isNone(ended)) {
      return yield* failed(`${remote}: the other side does not give all that it said it has`)
    }
    const error = Option.getOrUndefined(Either.getLeft(ended.value))
    if (error !== undefined && !isEnd(error)) return yield* RemoteFailure.explain(dir, from)(error)
    return yield* failed(
      peer.remoteId === undefined
        ? `${remote}: the other side ended the connection at once: it does not serve this feed, or takes no more connections`
        : `${remote}: the other side ended the connection${live ? "" : " before all had come"}`
    )
  })

/** Whether the other side just went away. */
const isEnd = (error: Replication.ReplicationError): boolean =>
  error._tag === "NetworkError" || (error._tag === "ProtocolError" && error.reason === "ended-early")
