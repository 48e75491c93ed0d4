/**
 * All that an open feed's connections share: who is asked for what, whom to tell what has happened. It comes with the first
 * connection of a feed and goes with the last; the feed itself knows nothing of it but `events` and `demand`.
 */
import { readUint64 } from "../../domain/Bytes.js"
import { Downloads } from "../../domain/Downloads.js"
import type { FeedEvent } from "../../domain/FeedEvent.js"
import type { Peer, PeerStats } from "../../domain/Peer.js"
import { Random } from "../../domain/Random.js"
import type { Source } from "../feed/Availability.js"
import type { FeedCore } from "../feed/FeedCore.js"

/** Milliseconds after which all look for something to ask, as long as anything happens: who is slow by then is not waited for. */
const LOOK_AGAIN = 100

/** The feed on one of its connections. */
export interface Participant {
  readonly peer: Peer
  /** There may be something new to ask for. */
  readonly look: () => void
  /** Blocks [start, end) have come, or gone: the other side is told, if it wants to know. */
  readonly tell: (start: number, end: number, held: boolean) => void
  /** Requests of blocks [start, end) are taken back. */
  readonly cancel: (start: number, end: number) => void
  /** The feed was closed. */
  readonly closed: () => void
}

const swarms = new WeakMap<FeedCore, Swarm>()

export class Swarm {
  readonly members = new Set<Participant>()
  readonly downloads: Downloads
  readonly totals: PeerStats = {
    uploadedBlocks: 0,
    uploadedBytes: 0,
    downloadedBlocks: 0,
    downloadedBytes: 0
  }
  /** Blocks up to here were told of when they were appended. */
  #told: number
  /** When all were last made to look, by `passed`. */
  #lookedAt = Number.NEGATIVE_INFINITY

  constructor(
    readonly core: FeedCore,
    seed: number
  ) {
    const { bitfield, demand } = core
    this.#told = core.tip.length
    this.downloads = new Downloads(
      {
        get length() {
          return core.tip.length
        },
        has: (block) => bitfield.has(block),
        haveByte: (at) => bitfield.haveByte(at),
        nextMissing: (start, end) => bitfield.nextMissing(start, end)
      },
      { blocks: () => demand.blocks(), ranges: demand.ranges, wishes: demand.wishes },
      new Random(seed)
    )
  }

  add(member: Participant): void {
    if (this.members.size === 0) {
      this.core.availability.source = this.#source
      this.#told = this.core.tip.length
      this.core.listeners.add(this.#heard)
      this.core.demand.listeners.add(this.#wake)
    }
    this.members.add(member)
    this.downloads.peers.add(member.peer)
  }

  remove(member: Participant): void {
    if (!this.members.delete(member)) return
    this.downloads.remove(member.peer)
    this.#wake()
    this.core.availability.changed()
    if (this.members.size > 0) return
    this.core.availability.source = undefined
    this.core.listeners.delete(this.#heard)
    this.core.demand.listeners.delete(this.#wake)
    swarms.delete(this.core)
  }

  /** What the peers that are connected have, together. */
  readonly #source: Source = (() => {
    const { members } = this
    return {
      get remoteLength() {
        let longest = 0
        for (const { peer } of members) longest = Math.max(longest, peer.remoteLength)
        return longest
      },
      has: (index) => {
        for (const { peer } of members) if (peer.remote.has(index)) return true
        return false
      }
    }
  })()

  /** Takes back the requests of blocks [start, end), whoever they were sent to. */
  cancel(start: number, end: number): void {
    for (const member of this.members) member.cancel(start, end)
  }

  /** A member's request of a block is over. That of a block which is stored gives the others nothing to ask, unless it was the last. */
  release(index: number, peer: Peer): void {
    if (this.downloads.release(index, peer) || this.downloads.reserved === 0) this.#wake()
  }

  /** A member looks for something to ask: from time to time so do the others, for which there may be more by now. */
  passed(now: number): void {
    if (now - this.#lookedAt < LOOK_AGAIN) return
    this.#lookedAt = now
    this.#wake()
  }

  readonly #wake = (): void => {
    for (const member of this.members) member.look()
  }

  readonly #heard = (event: FeedEvent): void => {
    switch (event._tag) {
      case "Append": {
        const start = this.#told
        this.#told = Math.max(start, event.length)
        // A log that grew by a proof has no new blocks yet.
        if (this.core.bitfield.nextMissing(start, event.length) === event.length) {
          for (const member of this.members) member.tell(start, event.length, true)
        }
        break
      }
      case "Download":
        // Counted before anyone who waits for the block is woken. (What a read-only feed finds, another process stored.)
        if (!this.core.readOnly) {
          this.totals.downloadedBlocks++
          this.totals.downloadedBytes += event.size
        }
        for (const member of this.members) member.tell(event.index, event.index + 1, true)
        // Who asked for it looks again, and wakes the others where that is of use: a hundred that look at each of a million blocks are too many.
        if (this.downloads.isReserved(event.index)) return
        break
      case "Clear": {
        // Whoever clears up to 2^53 clears what there is.
        const end = Math.min(event.end, this.core.tip.length)
        this.downloads.cleared(event.start, end)
        for (const member of this.members) member.tell(event.start, end, false)
        break
      }
      case "Close":
        for (const member of this.members) member.closed()
        break
      case "Upload":
        return // nothing to ask for, or to tell
      default:
        break
    }
    this.#wake()
  }
}

/** The swarm of an open feed, for who joins it at once. `seed`: 8 random bytes, for its choices if it is new. */
export const swarmOf = (core: FeedCore, seed: Uint8Array): Swarm => {
  const existing = swarms.get(core)
  if (existing !== undefined) return existing
  const swarm = new Swarm(core, readUint64(seed.fill(0, 0, 2), 0))
  swarms.set(core, swarm)
  return swarm
}

/** The swarm of a feed that has connections. */
export const currentSwarm = (core: FeedCore): Swarm | undefined => swarms.get(core)
