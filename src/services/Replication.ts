/**
 * Replication: feeds kept alike with those of a peer, over a connection. Every byte that comes is verified before it is
 * stored; the protocol is hypercore-protocol 6 (FORMATS, "Wire").
 */
import { Deferred, Duration, Effect, Option, type Scope } from "effect"
import { toHex } from "../domain/Bytes.js"
import { BadArgument, type FeedClosed, ProtocolError } from "../domain/Errors.js"
import type { Channel } from "../domain/Multiplexer.js"
import type { InFlight, PeerStats } from "../domain/Peer.js"
import * as Wire from "../domain/Wire.js"
import type { Feed } from "./Feed.js"
import { coreOf, type FeedCore } from "./feed/FeedCore.js"
import type { Connection } from "./Network.js"
import { Crypto, type CryptoService } from "./Crypto.js"
import { wrongDuration } from "./wrongDuration.js"
import { BytePort } from "./replication/BytePort.js"
import type { PeerNews } from "./replication/Member.js"
import { type MessageChannel, MessagePort } from "./replication/MessagePort.js"
import type { PeerInfo } from "./replication/PeerInfo.js"
import type { Port } from "./replication/Port.js"
import { reading } from "./replication/reading.js"
import { Session, type SessionError, type SessionOptions } from "./replication/Session.js"
import { currentSwarm } from "./replication/Swarm.js"
import { ticking } from "./replication/ticking.js"
import { writing } from "./replication/writing.js"

export type { InFlight, MessageChannel, PeerInfo, PeerNews, PeerStats }

export type ReplicationError = SessionError | BadArgument

/** Any open feed, whatever its values are. */
// oxlint-disable-next-line typescript/no-explicit-any
export type AnyFeed = Feed<any, any>

/** How one feed is replicated. */
export interface FeedOptions {
  /** Ask the other side for blocks. Default: when the feed is not writable, or is found to be longer elsewhere. */
  readonly download?: boolean | undefined
  /** Give blocks to the other side. Default true. */
  readonly upload?: boolean | undefined
  /** Also store blocks that were not asked for. They are verified as all are. Default false. */
  readonly allowPush?: boolean | undefined
  /** Requests in flight, at most. Default: as many as the link carries. */
  readonly maxRequests?: number | undefined
}

export interface Options extends FeedOptions {
  /**
   * Go on when all is downloaded, until the connection ends or this is interrupted. A feed that is only given ends all the same when the
   * other side says that it wants no more. Default false.
   */
  readonly live?: boolean | undefined
  /** Encrypt with the first feed's key. Both sides must agree. Default true. */
  readonly encrypt?: boolean | undefined
  /** Ask the other side to acknowledge each block; `onAck` is told. Default false. */
  readonly ack?: boolean | undefined
  /** After how long a silence the connection is dead, times 1.5. Default 5 seconds; 0: never. */
  readonly timeout?: Duration.DurationInput | undefined
  /** 32 bytes by which the other side knows this process again. Default: random. */
  readonly id?: Uint8Array
  /** Given to the other side in the handshake. At most 1 MiB. */
  readonly userData?: Uint8Array
  /** Names of extension messages that are understood here. */
  readonly extensions?: ReadonlyArray<string> | undefined
  readonly onExtension?: ((name: string, payload: Uint8Array, peer: PeerInfo) => void) | undefined
  readonly onAck?: ((start: number, length: number, peer: PeerInfo) => void) | undefined
  /** Told when the other side of a feed has come (both sides shook hands), when it said something new of what it has, and when it is gone. */
  readonly onPeer?: ((what: PeerNews, peer: PeerInfo) => void) | undefined
  /** A feed for a discovery key that the other side opened and we have not; none: it is not replicated. */
  readonly onFeed?: (
    discoveryKey: Uint8Array
  ) => Effect.Effect<Option.Option<AnyFeed | readonly [AnyFeed, FeedOptions]>>
  /**
   * After how many finished feeds the connection is ended. Default: those that were given; 0, which is the default with `onFeed`:
   * when the other side ends it.
   */
  readonly expectedFeeds?: number | undefined
}

/** A connection on which feeds are replicated. */
export interface Replicator {
  /** Replicates one more feed. */
  readonly add: (feed: AnyFeed, options?: FeedOptions) => Effect.Effect<PeerInfo, ProtocolError | FeedClosed>
  readonly peers: ReadonlyArray<PeerInfo>
  /** What went over the connection until now, of all its feeds. */
  readonly stats: Readonly<PeerStats>
  /** Ends when replication does, with why it failed if it did. */
  readonly ended: Effect.Effect<void, SessionError>
}

const peerOptions = (feed: AnyFeed, options: Options, own: FeedOptions) => ({
  live: options.live === true,
  ack: options.ack === true,
  download: own.download ?? options.download ?? !feed.writable,
  catchUp: (own.download ?? options.download) !== false,
  upload: own.upload ?? options.upload ?? true,
  allowPush: own.allowPush ?? options.allowPush ?? false,
  mostRequests: own.maxRequests ?? options.maxRequests
})

const wrongOption = (options: Options): string | undefined => {
  const { expectedFeeds, extensions, id, maxRequests, timeout, userData } = options
  if (maxRequests !== undefined && !(Number.isSafeInteger(maxRequests) && maxRequests > 0)) {
    return `maxRequests ${maxRequests} is no number of requests`
  }
  if (expectedFeeds !== undefined && !(Number.isSafeInteger(expectedFeeds) && expectedFeeds >= 0)) {
    return `expectedFeeds ${expectedFeeds} is no number of feeds`
  }
  const wrongTimeout = wrongDuration("replicate", "timeout", timeout)
  if (wrongTimeout !== undefined) return wrongTimeout.detail
  if (timeout !== undefined && !Number.isFinite(Duration.toMillis(timeout)))
    return "timeout is without end: say 0"
  if (id !== undefined && id.length !== 32) return `id has ${id.length} bytes instead of 32`
  if (userData !== undefined && userData.length > Wire.MAX_USER_DATA) return "userData has more than 1 MiB"
  if (extensions !== undefined && extensions.length > Wire.MAX_EXTENSIONS) return "more than 256 extensions"
  if (extensions?.some((name) => new TextEncoder().encode(name).length > Wire.MAX_EXTENSION_NAME)) {
    return "the name of an extension has more than 255 bytes"
  }
  return undefined
}

/** The options that a session over any port is made of. */
const sessionOptions = (options: Options, given: number): SessionOptions => ({
  live: options.live === true,
  extensions: [...(options.extensions ?? [])].sort(),
  expectedFeeds: options.expectedFeeds ?? (options.onFeed === undefined ? given : 0),
  timeout: options.timeout === undefined ? 5000 : Duration.toMillis(options.timeout),
  onExtension: options.onExtension,
  onAck: options.onAck,
  onPeer: options.onPeer
})

const makeSession = Effect.fnUntraced(function* (
  crypto: CryptoService,
  options: Options,
  given: number,
  makePort: (options: SessionOptions) => Effect.Effect<Port>
) {
  const problem = wrongOption(options)
  if (problem !== undefined) return yield* new BadArgument({ operation: "replicate", detail: problem })
  const own = sessionOptions(options, given)
  const over = yield* Deferred.make<void, SessionError>()
  return new Session(yield* makePort(own), own, crypto, over)
})

/** A port over a connection of bytes. */
const bytePort =
  (connection: Connection, crypto: CryptoService, options: Options) =>
  ({ extensions, live }: SessionOptions): Effect.Effect<Port> =>
    Effect.gen(function* () {
      const id = options.id ?? (yield* crypto.randomBytes(32))
      const { userData } = options
      const ack = options.ack === true
      return new BytePort(connection, {
        encrypt: options.encrypt !== false,
        xsalsa20: crypto.xsalsa20,
        handshake: { _tag: "Handshake", id, live, userData, extensions, ack, ordered: true }
      })
    })

/** Opens what the other side asks for, if there is such a feed. */
const answerWith =
  (session: Session, options: Options) =>
  (channel: Channel): Effect.Effect<void, ProtocolError | FeedClosed> => {
    const refuse = session.port.isHeld
      ? Effect.fail(
          new ProtocolError({
            reason: "other-feed",
            detail: `no feed ${toHex(channel.discoveryKey)} is here`
          })
        )
      : Effect.void
    if (options.onFeed === undefined) return session.members.size === 0 ? Effect.void : refuse
    return Effect.flatMap(
      options.onFeed(channel.discoveryKey),
      Option.match({
        onNone: () => refuse,
        onSome: (found) => {
          const [feed, own] = isPair(found) ? found : ([found, {}] as const)
          return Effect.asVoid(session.add(coreOf(feed), peerOptions(feed, options, own)))
        }
      })
    )
  }

const isPair = (found: AnyFeed | readonly [AnyFeed, FeedOptions]): found is readonly [AnyFeed, FeedOptions] =>
  Array.isArray(found)

/** Runs the session's fibers until it ends; the connection is the caller's. */
const run = (session: Session, options: Options): Effect.Effect<void, SessionError> =>
  reading(session, answerWith(session, options)).pipe(
    Effect.raceFirst(writing(session)),
    Effect.raceFirst(ticking(session)),
    Effect.raceFirst(Deferred.await(session.over)),
    Effect.ensuring(Effect.sync(() => session.leave())),
    Effect.zipLeft(Effect.suspend(() => (session.ending ? Effect.void : answerEnd(session)))),
    // Who fails ends too, without waiting for what the other side may never take: it hears of it now, not by our silence.
    Effect.tapErrorCause(() => Effect.zipRight(Effect.fork(session.port.abort), Effect.yieldNow()))
  )

/** The other side has ended, and waits for us to: it is told, as far as it still listens. */
const answerEnd = ({ options, port }: Session): Effect.Effect<void> => {
  const end = Effect.ignore(port.end)
  return options.timeout === 0
    ? end
    : Effect.asVoid(Effect.timeoutOption(end, Duration.millis(options.timeout)))
}

/**
 * Replicates `feed` over `connection`. Ends when neither side wants anything more (not if `live`) or the other side ends; fails
 * with what went wrong. Interrupting it stops it. The connection is ended, but not closed: that is its scope's.
 */
export const replicate = (
  feed: AnyFeed,
  connection: Connection,
  options: Options = {}
): Effect.Effect<void, ReplicationError> =>
  replicateOver(feed, options, bytePort(connection, coreOf(feed).crypto, options), (session) =>
    !session.hasBegun ? Effect.fail(notServed) : Effect.void
  )

/** As who takes no more connections ends, or who knows no such feed: what nobody served must not look as if it had been fetched. */
const notServed = new ProtocolError({
  reason: "ended-early",
  detail:
    "the other side ended before it said anything: it does not serve this feed, or takes no more connections"
})

/** Replicates `feed` over the port that is made for it, and leaves when that is over. */
const replicateOver = (
  feed: AnyFeed,
  options: Options,
  makePort: (options: SessionOptions) => Effect.Effect<Port>,
  checkEnd: (session: Session) => Effect.Effect<void, ProtocolError> = () => Effect.void
): Effect.Effect<void, ReplicationError> => {
  const core: FeedCore = coreOf(feed)
  return Effect.gen(function* () {
    const session = yield* makeSession(core.crypto, options, 1, makePort)
    // Interrupted between the two, it must leave its swarm as well.
    yield* Effect.ensuring(
      Effect.zipRight(session.add(core, peerOptions(feed, options, {})), run(session, options)),
      Effect.sync(() => session.leave())
    )
    yield* checkEnd(session)
  })
}

/**
 * Replicates `feed` over a channel of a protocol stream that frames, encrypts and keeps alive itself (`effect-hypercore/compat/protocol`, the
 * real `hypercore-protocol`). Ends and fails as `replicate` does; `encrypt`, `id`, `userData`, `ack` and `timeout` of the stream are the
 * stream's, and `timeout` here tells when a request is given up.
 */
export const replicateMessages = (
  feed: AnyFeed,
  channel: MessageChannel,
  options: Options = {}
): Effect.Effect<void, ReplicationError> =>
  replicateOver(feed, options, () => Effect.sync(() => new MessagePort(channel)))

/** Takes back the requests of blocks [start, end) that are in flight: if they come all the same, they were not asked for. */
export const cancel = (feed: AnyFeed, start: number, end: number): void =>
  currentSwarm(coreOf(feed))?.cancel(start, end)

/**
 * Says that connections of the feed are being made: until the function that it gives is called, nobody who asks only for what connected
 * peers have (`ifAvailable`) concludes that they do not.
 */
export const expectPeers = (feed: AnyFeed): (() => void) => coreOf(feed).availability.ask()

/**
 * A connection for any number of feeds: those that are added, and those that the other side asks for (`onFeed`). Stopped with the scope.
 */
export const connect = (
  connection: Connection,
  options: Options = {}
): Effect.Effect<Replicator, BadArgument, Crypto | Scope.Scope> =>
  Effect.gen(function* () {
    const crypto = yield* Crypto
    const session = yield* makeSession(crypto, options, 0, bytePort(connection, crypto, options))
    const ended = yield* Deferred.make<void, SessionError>()
    yield* Effect.forkScoped(Effect.intoDeferred(run(session, options), ended))
    return {
      add: (feed, own = {}) =>
        Effect.map(session.add(coreOf(feed), peerOptions(feed, options, own)), ({ info }) => info),
      get peers() {
        return [...session.members.values()].map(({ info }) => info)
      },
      get stats() {
        return session.stats
      },
      ended: Deferred.await(ended)
    }
  })

/** What went over the connections that a feed has now, and has had since it last had none: in total, and by peer. */
export const stats = (
  feed: AnyFeed
): { readonly totals: Readonly<PeerStats>; readonly peers: ReadonlyArray<Readonly<PeerStats>> } => {
  const swarm = currentSwarm(coreOf(feed))
  return swarm === undefined
    ? { totals: { uploadedBlocks: 0, uploadedBytes: 0, downloadedBlocks: 0, downloadedBytes: 0 }, peers: [] }
    : { totals: swarm.totals, peers: [...swarm.members].map(({ peer }) => peer.stats) }
}
