/**
 * A connection of one or more feeds: what its three fibers share.
 *
 *     reading    Port -> Peer -> claims -> put                                (reading)
 *     writing    news, requests, answers -> Port                              (writing)
 *     ticking    keep-alives, requests that were given up, silence            (ticking)
 *
 * State changes are synchronous, so the fibers need no lock; only the writing fiber sends, and only the reading one stores.
 */
import { Deferred, Effect, Either } from "effect"
import { FeedClosed, type NetworkError, ProtocolError } from "../../domain/Errors.js"
import type { Channel, Event } from "../../domain/Multiplexer.js"
import type { PeerOptions, PeerStats } from "../../domain/Peer.js"
import type * as Wire from "../../domain/Wire.js"
import type { CryptoService } from "../Crypto.js"
import type { FeedCore } from "../feed/FeedCore.js"
import type { PutError } from "../feed/put.js"
import type { ServeError } from "../feed/serve.js"
import { Member, type PeerNews } from "./Member.js"
import type { PeerInfo } from "./PeerInfo.js"
import type { Port } from "./Port.js"
import { Signal } from "./Signal.js"
import { swarmOf } from "./Swarm.js"

/** What the other side makes us say, in messages that the connection did not take yet; who says so much more than it hears is hostile. */
const MOST_REPLIES = 65_536
/** Requests and Wants that wait for an answer, over all feeds. */
const MOST_ASKS = 131_072

export type SessionError = FeedClosed | NetworkError | ProtocolError | PutError | ServeError

export interface SessionOptions {
  readonly live: boolean
  /** Sorted. */
  readonly extensions: ReadonlyArray<string>
  /** Feeds after which the connection is ended; 0: when the other side ends it. */
  readonly expectedFeeds: number
  /** Milliseconds; 0: silence is borne for ever. */
  readonly timeout: number
  readonly onExtension: ((name: string, payload: Uint8Array, peer: PeerInfo) => void) | undefined
  readonly onAck: ((start: number, length: number, peer: PeerInfo) => void) | undefined
  readonly onPeer: ((what: PeerNews, peer: PeerInfo) => void) | undefined
}

export class Session {
  readonly members = new Map<Channel, Member>()
  /** There is something to write. */
  readonly work = new Signal()
  /** A feed was opened, so that what was kept for it can be read. */
  readonly opened = new Signal()
  /** A question about a log was asked. */
  readonly asking = new Signal()
  /** What waited for an answer can go on without. */
  readonly freed = new Signal()
  /** Ends the session from outside its fibers. */
  readonly over: Deferred.Deferred<void, SessionError>
  remote: Wire.Handshake | undefined
  /** Whether a frame has come whole since the last tick, and how many bytes; whether somebody is there to take them. */
  heard = false
  came = 0
  /** Whether any bytes have come at all. */
  hasBegun = false
  pulling = false
  /** Whether we have nothing more to say, and have said so. */
  ending = false
  /** Of feeds whose channel was closed. */
  readonly #past: PeerStats = {
    uploadedBlocks: 0,
    uploadedBytes: 0,
    downloadedBlocks: 0,
    downloadedBytes: 0
  }
  /** Messages that were answers at once, since the connection last took any. */
  replies = 0
  /** Feeds whose channels the other side has closed. */
  #closed = 0
  #left = false

  constructor(
    readonly port: Port,
    readonly options: SessionOptions,
    readonly crypto: CryptoService,
    over: Deferred.Deferred<void, SessionError>
  ) {
    this.over = over
  }

  readonly wake = (): void => this.work.raise()

  readonly asked = (): void => this.asking.raise()

  readonly onExtension = (member: Member, id: number, payload: Uint8Array): void => {
    const name = this.remote?.extensions[id]
    if (name !== undefined && this.options.extensions.includes(name)) {
      this.options.onExtension?.(name, payload, member.info)
    }
  }

  readonly onAck = (member: Member, start: number, length: number): void =>
    this.options.onAck?.(start, length, member.info)

  readonly onPeer = (what: PeerNews, member: Member): void => this.options.onPeer?.(what, member.info)

  /** The number that the other side knows an extension by, if both sides do. */
  extensionId(name: string): number | undefined {
    const id = this.options.extensions.indexOf(name)
    return id >= 0 && this.remote?.extensions.includes(name) === true ? id : undefined
  }

  readonly feedClosed = (): void => {
    Deferred.unsafeDone(this.over, Effect.fail(new FeedClosed()))
  }

  /** Opens a feed on the connection, from our side. */
  readonly add = (core: FeedCore, options: PeerOptions): Effect.Effect<Member, ProtocolError | FeedClosed> =>
    Effect.gen(this, function* () {
      const seed = yield* this.crypto.randomBytes(8)
      const nonce = yield* this.crypto.randomBytes(24)
      if (core.closed) return yield* new FeedClosed()
      // Nobody would ever take it out of its swarm again.
      if (this.#left)
        return yield* new ProtocolError({ reason: "ended-early", detail: "the connection is over" })
      const channel = yield* this.port.open(core.key, core.discoveryKey, nonce)
      const existing = this.members.get(channel)
      if (existing !== undefined) return existing
      const swarm = swarmOf(core, seed)
      const member = new Member(core, swarm, channel, options, this)
      this.members.set(channel, member)
      swarm.add(member)
      for (const message of this.port.early(channel)) {
        const problem = member.perform(member.peer.receive(message, 0))
        if (problem !== undefined) return yield* problem
      }
      this.#readyMaybe(member)
      this.opened.raise()
      this.wake()
      return member
    })

  /** What has come, until something is wrong with it; the feeds that the other side opened and we have not are answered. */
  handle(events: ReadonlyArray<Event>, now: number): Either.Either<ReadonlyArray<Channel>, ProtocolError> {
    const asked: Array<Channel> = []
    for (const event of events) {
      switch (event._tag) {
        case "Opened": {
          const member = this.members.get(event.channel)
          if (member === undefined) asked.push(event.channel)
          else this.#readyMaybe(member)
          break
        }
        case "Handshake":
          this.remote = event.handshake
          for (const member of this.members.values()) this.#readyMaybe(member)
          break
        case "Closed": {
          const problem = this.#channelClosed(event.channel)
          if (problem !== undefined) return Either.left(problem)
          break
        }
        case "Message": {
          const member = this.members.get(event.channel)
          if (member === undefined || member.finished) break
          const problem = member.perform(member.peer.receive(event.message, now))
          if (problem !== undefined) return Either.left(problem)
          break
        }
      }
    }
    const problem = this.#tooMuch()
    return problem === undefined ? Either.right(asked) : Either.left(problem)
  }

  /** What we hold for the other side is bounded over all feeds, too. */
  #tooMuch(): ProtocolError | undefined {
    let asks = 0
    for (const { peer } of this.members.values()) asks += peer.asks.length
    if (asks <= MOST_ASKS && this.replies <= MOST_REPLIES) return undefined
    return new ProtocolError({
      reason: "too-many",
      detail: `${asks} requests and ${this.replies} replies wait`
    })
  }

  #channelClosed(channel: Channel): ProtocolError | undefined {
    const member = this.members.get(channel)
    if (member === undefined) return undefined
    const { isOwed } = member
    member.finish()
    addStats(this.#past, member.peer.stats)
    this.members.delete(channel)
    this.#closed++
    return isOwed && !this.options.live
      ? new ProtocolError({ reason: "ended-early", detail: "it closed a feed and owed blocks of it" })
      : undefined
  }

  /** Counts the feeds that are over; true when the connection may end. */
  get isDone(): boolean {
    const { expectedFeeds } = this.options
    if (expectedFeeds === 0) return false
    let finished = this.#closed
    for (const member of this.members.values()) if (member.finished) finished++
    return finished >= expectedFeeds
  }

  /** What went over the connection, of all its feeds. */
  get stats(): PeerStats {
    const sum = { ...this.#past }
    for (const member of this.members.values()) addStats(sum, member.peer.stats)
    return sum
  }

  /** The session is over: its members leave their swarms. */
  leave(): void {
    this.#left = true
    for (const member of this.members.values()) member.finish()
  }

  #readyMaybe(member: Member): void {
    if (this.remote === undefined || member.channel.remoteId < 0 || member.isReady) return
    member.remoteAck = this.remote.ack
    member.ordered = this.remote.ordered === true
    member.ready(member.ordered)
  }
}

const addStats = (sum: PeerStats, more: PeerStats): void => {
  sum.uploadedBlocks += more.uploadedBlocks
  sum.uploadedBytes += more.uploadedBytes
  sum.downloadedBlocks += more.downloadedBlocks
  sum.downloadedBytes += more.downloadedBytes
}
