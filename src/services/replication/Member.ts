/**
 * One feed on one connection: the peer's state machine, what waits to be told, asked and stored, and whether it is over.
 * Everything here is synchronous; the session's fibers call it, and send what it writes.
 */
import { Effect } from "effect"
import type { Channel } from "../../domain/Multiplexer.js"
import { type Action, Peer, type PeerOptions, REGION_BLOCKS } from "../../domain/Peer.js"
import type { ProtocolError } from "../../domain/Errors.js"
import type { Claim } from "../../domain/Proof.js"
import type { Order } from "../../domain/Downloads.js"
import { Expected } from "../../domain/Expected.js"
import * as TreeIndex from "../../domain/TreeIndex.js"
import type * as Wire from "../../domain/Wire.js"
import { type FeedCore, isHeldForGood, isStale } from "../feed/FeedCore.js"
import { Inquiry, type Question } from "./Inquiry.js"
import { type PeerInfo, peerInfo } from "./PeerInfo.js"
import type { Port } from "./Port.js"
import type { Participant, Swarm } from "./Swarm.js"

/** The other side of a feed came, said something new of what it has, or is gone. */
export type PeerNews = "added" | "updated" | "removed"

/** What a member needs of its session. */
export interface Host {
  readonly port: Port
  /** There is something to do for the writing fiber. */
  readonly wake: () => void
  /** A question about the log was asked, which must end. */
  readonly asked: () => void
  /** Messages that were answers at once, since the connection last took any. */
  replies: number
  readonly onExtension: (member: Member, id: number, payload: Uint8Array) => void
  readonly onAck: (member: Member, start: number, length: number) => void
  readonly onPeer: (what: PeerNews, member: Member) => void
  /** What the other side said of itself. */
  readonly remote: Wire.Handshake | undefined
  readonly extensionId: (name: string) => number | undefined
  /** The feed was closed under the session. */
  readonly feedClosed: (member: Member) => void
}

/** Blocks that came or went, to be told in this order. */
interface News {
  readonly start: number
  end: number
  readonly held: boolean
}

/** Changes that are kept one by one until the connection takes them. */
const MOST_NEWS = 1024

export class Member implements Participant {
  readonly peer: Peer
  readonly inquiry: Inquiry
  /** What is told of it. */
  readonly info: PeerInfo
  /** Blocks that came and are to be verified. */
  claims: Array<Claim> = []
  /** Whether some are being verified and stored, and were not acknowledged yet. */
  storing = false
  /** Whether replication of this feed is over on this connection. */
  finished = false
  /** Whether the other side wants an acknowledgement for each block. */
  remoteAck = false
  /** Whether it answers in the order of our requests, as far as it says and we have seen. */
  ordered = false
  /** Nodes that answers under way will prove, where they come in order. */
  readonly #expected: Expected
  /** Blocks that were asked for with those nodes counted as held. */
  readonly #relying = new Set<number>()
  /** Both sides opened the feed and shook hands: it may be spoken of. */
  isReady = false
  #news: Array<News> = []
  /** Regions of which too much changed to tell it one by one: they are described anew. */
  readonly #changed = new Set<number>()
  #dirty = true
  #saidDone = false
  #isOurs = false
  #gotAll: boolean | undefined
  /** Whether we have asked what it has, as far as we want to know. */
  #hasAsked = false
  readonly #waiting = new Set<(all: boolean) => void>()
  /** Ends the question of what the other side has, while it is open. */
  #answered: (() => void) | undefined

  constructor(
    readonly core: FeedCore,
    readonly swarm: Swarm,
    readonly channel: Channel,
    readonly options: PeerOptions,
    readonly host: Host
  ) {
    this.#expected = new Expected(core.bitfield)
    this.peer = new Peer(options, {
      get length() {
        return core.tip.length
      },
      has: (block) => isHeldForGood(core, block)
    })
    this.inquiry = new Inquiry(core, this.peer)
    this.info = peerInfo(this)
    this.#answered = core.availability.ask()
  }

  get key(): Uint8Array {
    return this.core.key
  }

  get address(): string {
    return this.host.port.remote
  }

  get remote(): Wire.Handshake | undefined {
    return this.host.remote
  }

  /** Something has changed that may give it something to ask. */
  look(): void {
    if (this.finished) return
    this.#dirty = true
    this.host.wake()
  }

  /** Blocks have come, or gone. */
  tell(start: number, end: number, held: boolean): void {
    if (this.finished || (held && end - start === 1 && this.peer.remote.has(start))) return
    const last = this.#news[this.#news.length - 1]
    if (last !== undefined && last.held === held && last.end === start) last.end = end
    else if (this.#news.push({ start, end, held }) > MOST_NEWS) this.#foldNews()
    this.host.wake()
  }

  #foldNews(): void {
    for (const { end, start } of this.#news) {
      for (let region = Math.floor(start / REGION_BLOCKS); region * REGION_BLOCKS < end; region++) {
        this.#changed.add(region)
      }
    }
    this.#news = []
  }

  closed(): void {
    if (!this.finished) this.host.feedClosed(this)
  }

  /** Both sides opened the feed and shook hands: it may be spoken of. `isOurs`: the other side is of this package. */
  ready(isOurs: boolean): void {
    this.#isOurs = isOurs
    this.#writeIntent(isOurs)
    this.isReady = true
    this.host.onPeer("added", this)
    this.look()
  }

  /** Takes what the peer's state machine wants done; an error ends the connection. */
  perform(actions: ReadonlyArray<Action>): ProtocolError | undefined {
    for (const action of actions) {
      switch (action._tag) {
        case "Send":
          this.host.replies++
          this.send(action.message)
          break
        case "Store":
          if (!this.inquiry.takes(action.claim)) this.claims.push(action.claim)
          break
        case "Release":
          this.release(action.index)
          this.look()
          break
        case "Acked":
          this.host.onAck(this, action.start, action.length)
          break
        case "Extension":
          this.host.onExtension(this, action.id, action.payload)
          break
        case "Changed":
          this.look()
          this.core.availability.changed()
          if (this.isReady) this.host.onPeer("updated", this)
          break
        case "Fail":
          return action.error
      }
    }
    if (this.peer.asks.length > 0) this.host.wake()
    if (this.#answered !== undefined || this.peer.openWants > 0) this.#askWhatItHas()
    return undefined
  }

  /** What it has is known once it has described all that we want to know of; before we asked, and while we wait, it is not. */
  #askWhatItHas(): void {
    const isKnown = this.finished || (this.#hasAsked && this.peer.openWants === 0)
    if (!isKnown) this.#answered ??= this.core.availability.ask()
    else if (this.#answered !== undefined) {
      this.#answered()
      this.#answered = undefined
    }
  }

  /** Takes back the requests of blocks [start, end). */
  cancel(start: number, end: number): void {
    this.perform(this.peer.cancel(start, end))
    this.host.wake()
  }

  /** Sends an extension message; false when the other side does not understand it. */
  extension(name: string, payload: Uint8Array): boolean {
    const id = this.host.extensionId(name)
    if (id === undefined || this.finished) return false
    const sent = this.send({ _tag: "Extension", id, payload })
    this.host.wake()
    return sent
  }

  send(message: Wire.Message): boolean {
    return this.host.port.send(this.channel, message)
  }

  /**
   * Ends when nothing more of what it said it has and is wanted here will come: with true when all of that is held, with false when
   * requests were left unanswered or the connection is over.
   */
  readonly downloaded: Effect.Effect<boolean> = Effect.async((resume) => {
    const answer = (all: boolean): void => resume(Effect.succeed(all))
    if (this.#gotAll !== undefined) return answer(this.#gotAll)
    this.#waiting.add(answer)
    this.look()
    return Effect.sync(() => this.#waiting.delete(answer))
  })

  /** Writes what is to be told and asked now. */
  write(now: number): void {
    if (this.finished || !this.isReady) return
    this.#writeNews()
    if (!this.#dirty) return
    this.#dirty = false
    this.swarm.passed(now)
    if (this.inquiry.isAuthors) this.#lookOut()
    if (this.peer.downloading) {
      const { downloads } = this.swarm
      // Each is looked at once, however many others want its place.
      const exhausted = new Map<number, boolean>()
      const isExhausted = (region: number): boolean => {
        const known = exhausted.get(region) ?? downloads.isExhausted(this.peer, region)
        exhausted.set(region, known)
        return known
      }
      for (const region of downloads.regions(this.peer)) {
        this.perform(this.peer.wantRegion(region, isExhausted))
      }
      const orders = this.inquiry.holdsBack || this.inquiry.isSettling ? [] : downloads.fill(this.peer, now)
      this.#inquire(orders, now)
      for (const { index, bytes, hash } of orders) {
        this.peer.requested(index, hash, bytes, now)
        this.send({ _tag: "Request", index, bytes, hash, nodes: this.#digest(index, hash || bytes > 0) })
      }
    } else this.#inquire([], now)
    this.#hasAsked = true
    this.#askWhatItHas()
    if (this.#waiting.size > 0 && this.#hasNothingMore()) this.#tellDownloaded(this.#hasAll())
    // Who only gives ends with who wants nothing more, though it would give for ever.
    if (!this.options.live || (!this.options.download && !this.peer.remoteDownloading)) this.#writeEnd()
  }

  /** An author hears how long the log is elsewhere, and what it lacks it begins to ask for. */
  #lookOut(): void {
    const { core, options, peer } = this
    this.perform(peer.wantRegion(Math.floor(core.tip.length / REGION_BLOCKS), () => false))
    if (options.catchUp === false || peer.downloading || !isStale(core)) return
    peer.downloading = true
    this.#saidDone = false
    this.send({ _tag: "Info", uploading: options.upload, downloading: true })
  }

  #inquire(orders: ReadonlyArray<Order>, now: number): void {
    const question = this.inquiry.next(orders.map(({ index }) => index))
    if (question !== undefined) this.ask(question, now)
  }

  /** Asks for a leaf with all nodes of its proof, whatever we have. */
  ask(question: Question, now: number): void {
    const { index } = question
    this.inquiry.asked(question, this.peer.requested(index, true, 0, now), now)
    this.send({ _tag: "Request", index, bytes: 0, hash: true, nodes: 0 })
    this.host.asked()
    this.host.wake()
  }

  /**
   * What we will not do is said at once, for who would wait for it: but that we download nothing not to a real peer, whose
   * sparse feeds take it for the end.
   */
  #writeIntent(isOurs: boolean): void {
    const { download, live, upload } = this.options
    const downloading = download || live || this.inquiry.isAuthors
    if (upload && (downloading || !isOurs)) return
    this.#saidDone = !downloading
    this.send({ _tag: "Info", uploading: upload, downloading })
  }

  #hasNothingMore(): boolean {
    const { inquiry, peer } = this
    if (this.claims.length > 0 || this.storing || inquiry.isHolding || inquiry.isSettling) return false
    return !peer.remoteUploading || this.swarm.downloads.isDone(peer)
  }

  /** What was given up counts as not there; so it is looked for once more. */
  #hasAll(): boolean {
    const { expired, ignoredWant, remoteLength } = this.peer
    if (ignoredWant || (!this.peer.remoteUploading && this.peer.openWants > 0)) return false
    return expired === 0 || this.core.bitfield.nextMissing(0, remoteLength) === remoteLength
  }

  #tellDownloaded(all: boolean): void {
    for (const answer of this.#waiting) answer(all)
    this.#waiting.clear()
  }

  /**
   * What we have towards a proof of the block, or will have when the answers to earlier requests are here. The real peer, which
   * answers in the order in which its disk does, is told only what we have: it remembers it, and would never send it again.
   */
  #digest(index: number, hash: boolean): number {
    if (!this.ordered || hash || index >= this.core.tip.length) {
      return TreeIndex.digest(this.core.bitfield, index)
    }
    const digest = TreeIndex.digest(this.#expected, index)
    this.#expected.add(index)
    this.#relying.add(index)
    return digest
  }

  /** A request is over: its block is stored, or will not come. */
  release(index: number): void {
    this.swarm.release(index, this.peer)
    this.#expected.remove(index)
    this.#relying.delete(index)
  }

  /** Whether an incomplete proof may be our own doing, who said that we would have more by now. From then on we say what we have. */
  forgive(index: number): boolean {
    if (!this.#relying.has(index)) return false
    this.ordered = false
    return true
  }

  /** What it does not have is told; the last word for what it asked for is its own Have. */
  #writeNews(): void {
    if (this.#changed.size > 0) {
      if (this.peer.remoteWants) this.peer.describe(this.#changed)
      this.#changed.clear()
    }
    const news = this.#news
    if (news.length === 0) return
    this.#news = []
    if (!this.peer.remoteWants) return
    for (const { start, end, held } of news) {
      if (held && end - start === 1 && this.peer.remote.has(start)) continue
      const range = { start, length: end - start }
      this.send(held ? { _tag: "Have", ...range, ack: false } : { _tag: "Unhave", ...range })
    }
  }

  /** When neither side wants anything more, it is over. Told twice, once as we end, and once if we never began. */
  #writeEnd(): void {
    const { peer } = this
    if (this.#isSilent && !this.#isInquiring) this.#writeInfo(this.options.upload)
    if (peer.downloading && this.#isDone()) {
      peer.downloading = false
      this.#writeInfo(true)
    }
    if (peer.downloading || peer.remoteDownloading || this.#isInquiring) return
    if (!this.#saidDone) this.#writeInfo(false)
    this.finish()
  }

  /** Says that nothing is downloaded, or will be. */
  #writeInfo(uploading: boolean): void {
    this.#saidDone = true
    this.send({ _tag: "Info", uploading, downloading: false })
  }

  /** Whether an author said nothing at first, lest the other side end before it has answered, and did not since. */
  get #isSilent(): boolean {
    return this.#isOurs && this.inquiry.isAuthors && !this.peer.downloading && !this.#saidDone
  }

  /** Whether an author may still hear of another log of its key. */
  get #isInquiring(): boolean {
    const { inquiry, peer } = this
    return inquiry.isAuthors && peer.remoteUploading && (inquiry.isOpen || peer.openWants > 0)
  }

  #isDone(): boolean {
    if (!this.#hasNothingMore()) return false
    // Who fetches single blocks may want another at any time: the other side, or whoever asked for them, ends it.
    return !this.core.sparse
  }

  /** Whether the other side still owes something: its going away now cuts something short. */
  get isOwed(): boolean {
    const { finished, inquiry, peer } = this
    if (!peer.remoteUploading || finished || !peer.downloading) return false
    return peer.inFlight > (inquiry.isComparing ? 1 : 0) || peer.openWants > 0
  }

  finish(): void {
    if (this.finished) return
    this.finished = true
    this.#gotAll = this.#hasNothingMore() && this.#hasAll()
    this.#tellDownloaded(this.#gotAll)
    this.claims = []
    this.#news = []
    this.#askWhatItHas()
    this.swarm.remove(this)
    if (this.isReady) this.host.onPeer("removed", this)
    this.host.wake()
  }
}
