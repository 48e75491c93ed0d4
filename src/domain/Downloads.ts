/**
 * Who is asked for what: the requests of one feed, over all its peers.
 *
 * In this order: blocks that somebody waits for; a longer log or a byte's place; linear ranges, from their start; other ranges,
 * in groups of blocks from a random place, of some random places the one that fewest peers have. No block is asked of two
 * peers, unless the first is slow and the second has nothing better to do.
 */
import { BlockSet } from "./BlockSet.js"
import { type Peer, REGION_BLOCKS } from "./Peer.js"
import type { Random } from "./Random.js"
import type { Range, Wish } from "./Selection.js"

/** What is wanted (see `Demand`). */
export interface Wanted {
  readonly blocks: () => IterableIterator<number>
  readonly ranges: Iterable<Range>
  readonly wishes: Iterable<Wish>
}

/** What is held of the feed. */
export interface Held {
  readonly length: number
  readonly has: (block: number) => boolean
  /** The have-bits of blocks 8 `at` .. 8 `at` + 7. */
  readonly haveByte: (at: number) => number
  readonly nextMissing: (start: number, end: number) => number
}

/** A request to send to a peer; the digest of what we have joins it there. Which block byte `bytes` is in, if not 0, the peer tells. */
export interface Order {
  readonly index: number
  readonly bytes: number
  readonly hash: boolean
}

/** Blocks of a non-linear range that are asked of one peer in a row: their proofs overlap, and they are stored in one write. */
const GROUP_BLOCKS = 256
/** Places that are compared for their rarity. */
const CHOICES = 3
/** Milliseconds after which a request is slow, at least. */
const SLOW = 1000

interface Reservation {
  readonly peer: Peer
  readonly at: number
}

/** Where a peer is in a range that it is asked for. */
interface Place {
  next: number
  end: number
  /** What was so when nothing of it was left to ask of the peer: looked through again once that has changed, or time has passed. */
  nothing: { readonly freed: number; readonly version: number; readonly at: number } | undefined
}

export class Downloads {
  readonly peers = new Set<Peer>()
  readonly #reserved = new Map<number, Reservation>()
  readonly #places = new WeakMap<Peer, WeakMap<Range, Place>>()
  readonly #starts = new WeakMap<Range, number>()
  readonly #cleared = new BlockSet()
  readonly #wishesAsked = new WeakMap<Peer, WeakMap<Wish, number>>()
  /** How often a block became one that can be asked for again. */
  #freed = 0
  /** No request is older. */
  #oldestAt = Number.NEGATIVE_INFINITY

  constructor(
    readonly held: Held,
    readonly wanted: Wanted,
    readonly random: Random
  ) {}

  /** Blocks that are asked for, or came and are not stored yet. */
  get reserved(): number {
    return this.#reserved.size
  }

  /** What to ask of `peer` now. Each order is reserved for it, until `release`. */
  fill(peer: Peer, now: number): ReadonlyArray<Order> {
    const orders: Array<Order> = []
    if (!peer.downloading || !peer.remoteUploading) return orders
    const room = () => peer.free - orders.length > 0
    this.#wishes(peer, now, orders, room)
    for (const index of this.wanted.blocks()) {
      if (!room()) return orders
      this.#urgent(peer, index, now, orders)
    }
    const others: Array<Range> = []
    for (const range of this.wanted.ranges) {
      if (!range.linear) others.push(range)
      else while (room() && this.#linear(peer, range, now, orders));
    }
    for (const range of others) while (room() && this.#grouped(peer, range, now, orders, room));
    if (room()) this.#takeOver(peer, now, orders, room)
    return orders
  }

  /** Whether the block is asked for, or came and is not stored yet. */
  isReserved(index: number): boolean {
    return this.#reserved.has(index)
  }

  /** The peer's request for a block is over: it is stored, or it will not come from there. Answers whether others may ask for it now. */
  release(index: number, peer: Peer): boolean {
    const freed = this.#freed
    if (this.#reserved.get(index)?.peer === peer) this.#handBack(index)
    return this.#freed > freed
  }

  /** A peer is gone. */
  remove(peer: Peer): void {
    this.peers.delete(peer)
    peer.abandon()
    // Those that came and were not stored are not in flight any more.
    for (const [index, reservation] of this.#reserved) {
      if (reservation.peer === peer) this.#handBack(index)
    }
  }

  /** What a peer took over and gives up is asked still of who was slow. */
  #handBack(index: number): void {
    this.#reserved.delete(index)
    if (this.held.has(index)) return
    for (const peer of this.peers) {
      const at = peer.askedAt(index)
      if (at === undefined) continue
      this.#reserved.set(index, { peer, at })
      this.#oldestAt = Math.min(this.#oldestAt, at)
    }
    if (!this.#reserved.has(index)) this.#freed++
  }

  /** Regions whose bits decide what can be asked of `peer`, the first always. */
  regions(peer: Peer): ReadonlyArray<number> {
    const regions = new Set([0])
    for (const index of this.wanted.blocks()) {
      if (index < peer.remoteLength) regions.add(Math.floor(index / REGION_BLOCKS))
    }
    for (const range of this.wanted.ranges) {
      const end = Math.min(range.end, peer.remoteLength)
      for (let at = this.#starts.get(range) ?? range.start; at < end;) {
        // Regions that are all held need no asking.
        const missing = this.held.nextMissing(at, end)
        if (missing >= end) break
        const region = Math.floor(missing / REGION_BLOCKS)
        regions.add(region)
        if (regions.size > 64) return [...regions]
        at = (region + 1) * REGION_BLOCKS
      }
    }
    for (const wish of this.wanted.wishes) {
      if (wish._tag === "Length" && wish.length <= peer.remoteLength) {
        for (const block of [wish.length, peer.remoteLength])
          regions.add(Math.floor((block - 1) / REGION_BLOCKS))
      }
    }
    return [...regions]
  }

  /** Whether the peer has nothing in the region that we lack. */
  isExhausted(peer: Peer, region: number): boolean {
    return this.#next(peer, region * REGION_BLOCKS, (region + 1) * REGION_BLOCKS, lacking) === undefined
  }

  /** Whether all that the peer has, as far as it is wanted, is held: nothing is asked, or can be asked, or is unknown. */
  isDone(peer: Peer): boolean {
    if (peer.inFlight > 0 || peer.openWants > 0) return false
    if (!this.regions(peer).every((region) => peer.knows(region))) return false
    for (const index of this.wanted.blocks()) if (peer.remote.has(index)) return false
    for (const range of this.wanted.ranges) {
      if (
        this.#next(peer, range.start, Math.min(range.end, peer.remoteLength), this.#kindOf(range)) !==
        undefined
      )
        return false
    }
    return true
  }

  /** Blocks that were cleared here: what follows the whole feed does not fetch them again. */
  cleared(start: number, end: number): void {
    this.#cleared.set(start, end, true)
    this.#freed++
  }

  #kindOf(range: Range): Kind {
    return range.end === Number.POSITIVE_INFINITY && !range.linear ? uncleared : lacking
  }

  #reserve(peer: Peer, index: number, now: number, orders: Array<Order>): boolean {
    if (this.#reserved.has(index)) return false
    this.#reserved.set(index, { peer, at: now })
    orders.push({ index, bytes: 0, hash: false })
    return true
  }

  /** A wish is asked of a peer once, and again after news of it; but the block that ends a longer log as any block is. */
  #wishes(peer: Peer, now: number, orders: Array<Order>, room: () => boolean): void {
    for (const wish of this.wanted.wishes) {
      if (!room()) return
      if (this.#hasLast(peer, wish)) {
        this.#urgent(peer, wish.length - 1, now, orders)
        continue
      }
      const asked = memo(this.#wishesAsked, peer)
      if (asked.get(wish) === peer.version) continue
      const index = this.#witness(peer, wish)
      if (index === undefined) continue
      asked.set(wish, peer.version)
      orders.push(
        wish._tag === "Byte"
          ? // No peer looks for byte 0: it would be a request of just that block.
            { index, bytes: wish.offset, hash: !wish.block || wish.offset === 0 }
          : { index, bytes: 0, hash: true }
      )
    }
  }

  /** Whether the wish is one for the block that ends a longer log, and the peer has it. */
  #hasLast(peer: Peer, wish: Wish): wish is Extract<Wish, { readonly _tag: "Length" }> {
    if (wish._tag !== "Length" || !wish.block || this.held.length >= wish.length) return false
    return peer.remote.has(wish.length - 1)
  }

  /** A block of the peer's whose proof may fulfil the wish. */
  #witness(peer: Peer, wish: Wish): number | undefined {
    if (wish._tag === "Byte") return this.#next(peer, wish.start, Math.min(wish.end, peer.remoteLength), any)
    if (this.held.length >= wish.length || peer.remoteLength < wish.length) return undefined
    // Never a guess: the real peer ends the connection when it has no such proof.
    return this.#next(peer, wish.length - 1, peer.remoteLength, any)
  }

  /** What somebody waits for is taken over from who is slow before anything else is asked for. */
  #urgent(peer: Peer, index: number, now: number, orders: Array<Order>): boolean {
    if (!peer.remote.has(index) || this.held.has(index)) return false
    if (this.#isSlow(peer, index, now)) this.#reserved.delete(index)
    return this.#reserve(peer, index, now, orders)
  }

  /** Whether the block is asked of another peer, who is slow to answer. */
  #isSlow(peer: Peer, index: number, now: number): boolean {
    const reservation = this.#reserved.get(index)
    if (reservation === undefined || reservation.peer === peer) return false
    if (peer.askedAt(index) !== undefined) return false
    return now - reservation.at >= Math.max(SLOW, 4 * reservation.peer.window.latency)
  }

  #linear(peer: Peer, range: Range, now: number, orders: Array<Order>): boolean {
    const end = Math.min(range.end, peer.remoteLength)
    if (end <= range.start) return false
    const start = this.held.nextMissing(this.#starts.get(range) ?? range.start, end)
    this.#starts.set(range, start)
    if (this.#isSlow(peer, start, now) && this.#urgent(peer, start, now, orders)) return true
    const place = this.#place(peer, range, start, end)
    if (this.#isSpent(peer, place, now)) return false
    if (place.next < start) place.next = start
    const index = this.#next(peer, place.next, end, unasked) ?? this.#next(peer, start, place.next, unasked)
    if (index === undefined) return this.#spend(peer, place, now)
    place.next = index + 1
    return this.#reserve(peer, index, now, orders)
  }

  /** Orders what there is room for of the group that the peer is at, or of a new one. */
  #grouped(peer: Peer, range: Range, now: number, orders: Array<Order>, room: () => boolean): boolean {
    const end = Math.min(range.end, peer.remoteLength)
    if (end <= range.start) return false
    const start = this.held.nextMissing(this.#starts.get(range) ?? range.start, end)
    this.#starts.set(range, start)
    if (start >= end) return false
    const kind = this.#kindOf(range) === uncleared ? unclearedUnasked : unasked
    const place = this.#place(peer, range, 0, 0)
    if (this.#isSpent(peer, place, now)) return false
    let index = this.#next(peer, place.next, Math.min(place.end, end), kind)
    if (index === undefined) {
      index = this.#newGroup(peer, start, end, kind)
      if (index === undefined) return this.#spend(peer, place, now)
      place.end = index - (index % GROUP_BLOCKS) + GROUP_BLOCKS
    }
    const groupEnd = Math.min(place.end, end)
    while (index !== undefined) {
      place.next = index + 1
      this.#reserve(peer, index, now, orders)
      index = room() ? this.#next(peer, place.next, groupEnd, kind) : undefined
    }
    return true
  }

  /** Whether nothing of the range was left to ask of the peer, and nothing has changed since. */
  #isSpent(peer: Peer, { nothing }: Place, now: number): boolean {
    if (nothing === undefined || nothing.freed !== this.#freed) return false
    return nothing.version === peer.version && now - nothing.at < SLOW
  }

  #spend(peer: Peer, place: Place, now: number): false {
    place.nothing = { freed: this.#freed, version: peer.version, at: now }
    return false
  }

  /** First block of the rarest of some groups that something can be asked of. */
  #newGroup(peer: Peer, start: number, end: number, kind: Kind): number | undefined {
    let best: number | undefined
    let rarity = Number.POSITIVE_INFINITY
    for (let choice = 0; choice < (this.peers.size > 1 ? CHOICES : 1); choice++) {
      const random = start + this.random.below(end - start)
      const from = Math.max(start, random - (random % GROUP_BLOCKS))
      const index = this.#next(peer, from, end, kind) ?? this.#next(peer, start, from, kind)
      if (index === undefined) return undefined
      let count = 0
      for (const other of this.peers) if (other.remote.has(index)) count++
      if (count < rarity) {
        best = index
        rarity = count
      }
    }
    return best
  }

  /** Requests that others are slow to answer, oldest first. */
  #takeOver(peer: Peer, now: number, orders: Array<Order>, room: () => boolean): void {
    if (now - this.#oldestAt < SLOW) return
    this.#oldestAt = now
    for (const [index, { at }] of this.#reserved) {
      this.#oldestAt = Math.min(this.#oldestAt, at)
      if (!room() || now - at < SLOW) return
      if (this.#isSlow(peer, index, now)) this.#urgent(peer, index, now, orders)
    }
  }

  #place(peer: Peer, range: Range, next: number, end: number): Place {
    const places = memo(this.#places, peer)
    let place = places.get(range)
    if (place === undefined) {
      place = { next, end, nothing: undefined }
      places.set(range, place)
    }
    return place
  }

  /** First block of [start, end) that the peer has and that is of the kind. */
  #next(peer: Peer, start: number, end: number, kind: Kind): number | undefined {
    const endByte = Math.ceil(end / 8)
    for (let at = Math.floor(start / 8); at < endByte; at++) {
      let bits = peer.remote.byte(at)
      if (bits === 0) {
        at = peer.remote.nextHeldByte(at, endByte)
        if (at >= endByte) return undefined
        bits = peer.remote.byte(at)
      }
      if (kind.lacking) bits &= ~this.held.haveByte(at)
      if (kind.uncleared) bits &= ~this.#cleared.byte(at)
      if (8 * at < start) bits &= 0xff >> (start - 8 * at)
      while (bits !== 0) {
        const bit = Math.clz32(bits) - 24
        const index = 8 * at + bit
        if (index >= end) return undefined
        if (!kind.unasked || !(this.#reserved.has(index) || peer.askedAt(index) !== undefined)) return index
        bits &= ~(128 >> bit)
      }
    }
    return undefined
  }
}

/** Blocks that we do not hold, that we did not clear ourselves, that nobody is asked for. */
interface Kind {
  readonly lacking: boolean
  readonly uncleared: boolean
  readonly unasked: boolean
}

const any: Kind = { lacking: false, uncleared: false, unasked: false }
const lacking: Kind = { lacking: true, uncleared: false, unasked: false }
const uncleared: Kind = { lacking: true, uncleared: true, unasked: false }
const unasked: Kind = { lacking: true, uncleared: false, unasked: true }
const unclearedUnasked: Kind = { lacking: true, uncleared: true, unasked: true }

const memo = <K extends object, V extends object, W>(
  map: WeakMap<K, WeakMap<V, W>>,
  key: K
): WeakMap<V, W> => {
  let found = map.get(key)
  if (found === undefined) {
    found = new WeakMap()
    map.set(key, found)
  }
  return found
}
