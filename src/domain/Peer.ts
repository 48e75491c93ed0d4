/**
 * A peer: the other side of one feed on one connection, as a state machine. Messages, changes of our feed and ticks go in;
 * actions come out. No sockets, no clock (`now` is in milliseconds), no storage.
 *
 * What it has is known by its Haves, for the regions that we want (Want); what we may ask of it is decided by `Downloads`,
 * over all peers of the feed. All that a peer can make us hold is bounded: bits of `MOST_REGIONS` regions, `MOST_ASKS` asks.
 */
import { Either } from "effect"
import * as BitfieldRle from "./BitfieldRle.js"
import { BlockSet } from "./BlockSet.js"
import { ProtocolError } from "./Errors.js"
import type { Claim } from "./Proof.js"
import { Window } from "./Window.js"
import type * as Wire from "./Wire.js"

/** Blocks of one Want: what the peers ask for at a time. */
export const REGION_BLOCKS = 1_048_576
/** Regions whose bits are kept at a time, 128 KB each at most. */
const MOST_REGIONS = 32
/** Regions that are looked at in the life of a connection. */
const MOST_REGIONS_EVER = 16_384
/** Requests and Wants that wait for an answer; who asks for more at once is hostile. */
const MOST_ASKS = 16_384
/** A Want is answered for this many blocks at most. */
const MOST_DESCRIBED = 16 * REGION_BLOCKS
const PAGE_BLOCKS = 8192
/** No log is longer: the place of a node in the `tree` file is an exact number up to here. */
const MOST_BLOCKS = 2 ** 46

/** What a peer sees of our feed. */
export interface LocalFeed {
  readonly length: number
  readonly has: (block: number) => boolean
}

export interface PeerOptions {
  readonly live: boolean
  readonly download: boolean
  readonly upload: boolean
  readonly ack: boolean
  /** Begin to ask for blocks when the author's log is found to be longer elsewhere. Default true. */
  readonly catchUp?: boolean
  /** Blocks that were not asked for are stored too. */
  readonly allowPush: boolean
  readonly mostRequests: number | undefined
}

/** What the other side asks, to be answered when there is room for the answer. */
export type Ask =
  | { readonly _tag: "Request"; readonly request: Wire.Request }
  | { readonly _tag: "Describe"; readonly start: number; readonly length: number }

export type Action =
  | { readonly _tag: "Send"; readonly message: Wire.Message }
  /** Verify the claim and store it; tell `stored` or `released` of its index. */
  | { readonly _tag: "Store"; readonly claim: Claim }
  /** A request is over without a block: others may be asked for it. */
  | { readonly _tag: "Release"; readonly index: number }
  | { readonly _tag: "Acked"; readonly start: number; readonly length: number }
  | { readonly _tag: "Extension"; readonly id: number; readonly payload: Uint8Array }
  /** What it has changed, or what it wants to do. */
  | { readonly _tag: "Changed" }
  | { readonly _tag: "Fail"; readonly error: ProtocolError }

/** A request in flight: of a block, or of a leaf alone (`hash`), or of the block that holds a byte (`bytes` above 0). */
export interface InFlight {
  readonly index: number
  readonly hash: boolean
  readonly bytes: number
}

interface Sent extends InFlight {
  readonly at: number
  /** How many requests were sent with it. */
  readonly number: number
}

export interface PeerStats {
  uploadedBlocks: number
  uploadedBytes: number
  downloadedBlocks: number
  downloadedBytes: number
}

export class Peer {
  readonly remote = new BlockSet()
  readonly window: Window
  readonly stats: PeerStats = { uploadedBlocks: 0, uploadedBytes: 0, downloadedBlocks: 0, downloadedBytes: 0 }
  readonly asks: Array<Ask> = []
  /** The log is at least this long over there, in blocks. */
  remoteLength = 0
  /** Counts what it told us, so that what could not be asked is tried again only after news. */
  version = 0
  remoteDownloading = true
  remoteUploading = true
  /** Whether it wants to hear what we have. */
  remoteWants = false
  downloading: boolean
  /** Requests that were given up: nothing came for too long. */
  expired = 0
  /** When the first of them was, since the last answer came. */
  stalledSince: number | undefined
  /** Whether it left a Want without an answer. */
  ignoredWant = false
  /** Requests that were sent, and how many were when the window was last full. */
  #sent = 0
  #fullAt = 0
  /** Blocks whose requests were taken back. */
  readonly #cancelled = new Set<number>()
  readonly #inFlight = new Map<number, Sent>()
  /** Requests of leaves and of bytes, by their numbers: any number of bytes may be looked for from one block. */
  readonly #lookups = new Map<number, Sent>()
  /** When the last answer came, and when the latest of those requests was sent that were answered. */
  #answered = { at: Number.NEGATIVE_INFINITY, sent: Number.NEGATIVE_INFINITY }
  /** Regions that we wanted and whose bits are kept; whether the answer has come. */
  readonly #regions = new Map<number, boolean>()
  /** Regions that had nothing more for us: their bits are not kept. */
  readonly #exhausted = new Set<number>()

  constructor(
    readonly options: PeerOptions,
    readonly local: LocalFeed
  ) {
    this.downloading = options.download
    this.window = new Window(options.mostRequests)
  }

  /** Requests in flight. */
  get inFlight(): number {
    return this.#inFlight.size + this.#lookups.size
  }

  /** What is asked for and was not answered yet, blocks first. */
  get requests(): ReadonlyArray<InFlight> {
    return [...this.#inFlight.values(), ...this.#lookups.values()].map(({ bytes, hash, index }) => ({
      index,
      hash,
      bytes
    }))
  }

  /** Requests that may be sent now. Who gave no answer for too long is tried with one at a time. */
  get free(): number {
    return (this.stalledSince === undefined ? this.window.limit : 1) - this.inFlight
  }

  /** Since when the block is asked of it, if it is. */
  askedAt(index: number): number | undefined {
    return this.#inFlight.get(index)?.at
  }

  /** Wants that were not answered yet. */
  get openWants(): number {
    let open = 0
    for (const answered of this.#regions.values()) if (!answered) open++
    return open
  }

  /** Whether the bits of a region are known, or were and had nothing more for us. */
  knows(region: number): boolean {
    return this.#regions.get(region) === true || this.#exhausted.has(region)
  }

  receive(message: Wire.Message, now: number): ReadonlyArray<Action> {
    switch (message._tag) {
      case "Info":
        this.remoteDownloading = message.downloading
        this.remoteUploading = message.uploading
        return changed
      case "Have":
        return this.#have(message)
      case "Unhave":
        return this.#unhave(message.start, message.length)
      case "Want":
        return this.#want(message)
      case "Request":
        this.#cancelled.delete(message.index)
        return this.options.upload ? this.#ask({ _tag: "Request", request: message }) : none
      case "Cancel":
        return this.#cancel(message)
      case "Data":
        return this.#data(message, now)
      case "Extension":
        return [{ _tag: "Extension", id: message.id, payload: message.payload }]
      default:
        return none
    }
  }

  /** Wants a region described, if it is not yet and there is room; `isExhausted` tells which regions make room. */
  wantRegion(region: number, isExhausted: (region: number) => boolean): ReadonlyArray<Action> {
    if (this.#regions.has(region) || this.#exhausted.has(region)) return none
    const actions: Array<Action> = []
    if (this.#regions.size >= MOST_REGIONS) {
      const done = [...this.#regions].find(([one, known]) => one !== 0 && known && isExhausted(one))?.[0]
      if (done === undefined || this.#exhausted.size >= MOST_REGIONS_EVER) return none
      const [start, end] = [done * REGION_BLOCKS, (done + 1) * REGION_BLOCKS]
      this.#regions.delete(done)
      this.#exhausted.add(done)
      this.remote.set(start, end, false)
      actions.push({ _tag: "Send", message: { _tag: "Unwant", start, length: REGION_BLOCKS } })
    }
    this.#regions.set(region, false)
    const start = region * REGION_BLOCKS
    actions.push({ _tag: "Send", message: { _tag: "Want", start, length: REGION_BLOCKS } })
    return actions
  }

  /** Regions that it knows are to be described to it anew. */
  describe(regions: Iterable<number>): void {
    for (const region of regions) {
      this.asks.push({ _tag: "Describe", start: region * REGION_BLOCKS, length: REGION_BLOCKS })
    }
  }

  /** Whether the request of a leaf or a byte that was sent as the `number`th may still be answered. */
  isAwaited(number: number): boolean {
    return this.#lookups.has(number)
  }

  /** The request of a leaf or a byte that was sent as the `number`th is not waited for any more, and may be sent again. */
  giveUp(number: number): void {
    if (this.#lookups.delete(number)) this.version++
  }

  /** A request is sent; answers its number. */
  requested(index: number, hash: boolean, bytes: number, now: number): number {
    const sent = { index, hash, bytes, at: now, number: ++this.#sent }
    if (isLookup(sent)) this.#lookups.set(sent.number, sent)
    else this.#inFlight.set(index, sent)
    if (this.free <= 0) this.#fullAt = this.#sent
    return sent.number
  }

  /**
   * Gives up what was asked for before `deadline`, and no longer counts on its coming from here. Answers come in order, mostly: as long as
   * some come, those to later requests are under way, on a slow link for long; those to earlier ones are not.
   */
  expire(deadline: number): ReadonlyArray<Action> {
    const actions: Array<Action> = []
    const last = this.#answered
    const isLate = ({ at }: Sent): boolean => at <= deadline && (last.at <= deadline || at < last.sent)
    for (const sent of this.#inFlight.values()) {
      if (!isLate(sent)) break
      if (last.at <= deadline) this.stalledSince ??= sent.at
      this.#inFlight.delete(sent.index)
      this.remote.set(sent.index, sent.index + 1, false)
      this.expired++
      actions.push({ _tag: "Release", index: sent.index })
    }
    for (const sent of this.#lookups.values()) {
      if (!isLate(sent)) break
      this.giveUp(sent.number)
    }
    return actions
  }

  /** Wants that nobody answered count as answered: with nothing. */
  settleWants(): void {
    if (this.openWants > 0) this.ignoredWant = true
    for (const region of this.#regions.keys()) this.#regions.set(region, true)
  }

  /** Takes back what was asked for of blocks [start, end): if they come all the same, they were not asked for. */
  cancel(start: number, end: number): ReadonlyArray<Action> {
    const actions: Array<Action> = []
    for (const index of this.#inFlight.keys()) {
      if (index < start || index >= end) continue
      this.#inFlight.delete(index)
      actions.push(
        { _tag: "Send", message: { _tag: "Cancel", index, bytes: 0, hash: false } },
        { _tag: "Release", index }
      )
    }
    return actions
  }

  /** Nothing is asked of it any more. */
  abandon(): void {
    this.#inFlight.clear()
    this.#lookups.clear()
  }

  #have(have: Wire.Have): ReadonlyArray<Action> {
    if (have.ack && have.bitfield === undefined) {
      return this.options.ack ? [{ _tag: "Acked", start: have.start, length: have.length }] : none
    }
    this.version++
    if (have.bitfield !== undefined) return this.#described(have.start, have.bitfield)
    const end = have.start + have.length
    if (end > MOST_BLOCKS) return failed("malformed", `a log of ${end} blocks`)
    this.remoteLength = Math.max(this.remoteLength, end)
    for (const region of this.#exhausted) {
      if (end > region * REGION_BLOCKS && have.start < (region + 1) * REGION_BLOCKS)
        this.#exhausted.delete(region)
    }
    this.#setKnown(have.start, end, true)
    return changed
  }

  #unhave(start: number, length: number): ReadonlyArray<Action> {
    if (start === 0 && length >= this.remoteLength) this.remoteLength = 0
    this.#setKnown(start, Math.min(start + length, MOST_BLOCKS), false)
    for (const { bytes, index, number } of this.#lookups.values()) {
      if (bytes === 0 && index >= start && index < start + length) this.#lookups.delete(number)
    }
    const released: Array<Action> = []
    for (const index of this.#inFlight.keys()) {
      if (index < start || index >= start + length) continue
      this.#inFlight.delete(index)
      released.push({ _tag: "Release", index })
    }
    return released.length === 0 ? changed : [...released, ...changed]
  }

  /** Only regions that we wanted are kept: the cost of a Have for 2^50 blocks is theirs. */
  #setKnown(start: number, end: number, held: boolean): void {
    for (const region of this.#regions.keys()) {
      const from = Math.max(start, region * REGION_BLOCKS)
      const to = Math.min(end, (region + 1) * REGION_BLOCKS)
      if (from < to) this.remote.set(from, to, held)
    }
  }

  #described(start: number, rle: Uint8Array): ReadonlyArray<Action> {
    const region = start / REGION_BLOCKS
    if (!this.#regions.has(region)) return none
    this.remote.set(start, start + REGION_BLOCKS, false)
    let end = 0
    const read = BitfieldRle.eachRun(rle, REGION_BLOCKS / 8, (at, count, literal) => {
      if (literal === undefined) this.remote.set(start + 8 * at, start + 8 * (at + count), true)
      else this.remote.write(start / 8 + at, literal)
      end = Math.max(end, 8 * at + (literal === undefined ? 8 * count : heldEnd(literal)))
    })
    if (Either.isLeft(read)) return [{ _tag: "Fail", error: read.left }]
    this.#regions.set(region, true)
    if (end > 0) this.remoteLength = Math.max(this.remoteLength, start + end)
    return changed
  }

  #want(want: Wire.Want): ReadonlyArray<Action> {
    const length = Math.min(want.length ?? MOST_DESCRIBED, MOST_DESCRIBED)
    if (want.start % PAGE_BLOCKS !== 0 || length % PAGE_BLOCKS !== 0 || !this.options.upload) return none
    const first = !this.remoteWants
    this.remoteWants = true
    const last = this.local.length - 1
    const actions: Array<Action> = []
    // It tells how long the log is, unless the answer will. Otherwise never: the real peer, heard of a last block that it holds before it
    // knows of others, can think that it has them all.
    if (first && last >= want.start + length && this.local.has(last)) {
      actions.push({ _tag: "Send", message: { _tag: "Have", start: last, length: 1, ack: false } })
    }
    return [...actions, ...this.#ask({ _tag: "Describe", start: want.start, length })]
  }

  #ask(ask: Ask): ReadonlyArray<Action> {
    if (this.asks.length >= MOST_ASKS) return failed("too-many", `more than ${MOST_ASKS} requests at a time`)
    this.asks.push(ask)
    return none
  }

  /** Noted, not looked for: who asks for thousands of blocks and takes each back would have us look at all for each. */
  #cancel(cancel: Wire.Cancel): ReadonlyArray<Action> {
    if (this.asks.length > 0 && this.#cancelled.size < MOST_ASKS) this.#cancelled.add(cancel.index)
    return none
  }

  /** Drops the asks that were taken back: called before their turn comes. */
  dropCancelled(): void {
    if (this.#cancelled.size === 0) return
    const kept = this.asks.filter((ask) => ask._tag !== "Request" || !this.#cancelled.has(ask.request.index))
    this.#cancelled.clear()
    this.asks.length = 0
    for (const ask of kept) this.asks.push(ask)
  }

  #data(data: Wire.Data, now: number): ReadonlyArray<Action> {
    const { index, value } = data
    const sent = this.#answeredBy(data)
    if (sent === undefined && (value === undefined || !this.options.allowPush)) {
      if (value === undefined || this.local.has(index)) return none
      return [{ _tag: "Send", message: { _tag: "Unhave", start: index, length: 1 } }]
    }
    if (sent !== undefined) {
      // Answers come many at a time: what counts is whether the window was full since this one was asked for.
      const full = sent.number <= this.#fullAt
      this.stalledSince = undefined
      this.#answered = { at: now, sent: Math.max(sent.at, this.#answered.sent) }
      if (isLookup(sent)) this.#lookups.delete(sent.number)
      else {
        this.#inFlight.delete(index)
        this.window.answered(now - sent.at, value?.length ?? 0, full, now)
      }
    }
    if (value !== undefined) {
      this.stats.downloadedBlocks++
      this.stats.downloadedBytes += value.length
    }
    const proof = { nodes: data.nodes, signature: data.signature }
    return [{ _tag: "Store", claim: { index, block: value, proof } }]
  }

  /** The request that `data` answers. Who asked for a byte does not know which block will be told of. */
  #answeredBy(data: Wire.Data): Sent | undefined {
    const isLeaf = data.value === undefined
    const sent = isLeaf ? undefined : this.#inFlight.get(data.index)
    if (sent !== undefined) return sent
    let seeking: Sent | undefined
    for (const sent of this.#lookups.values()) {
      if (sent.hash !== isLeaf) continue
      if (sent.bytes === 0 && sent.index === data.index) return sent
      if (sent.bytes > 0) seeking ??= sent
    }
    return seeking
  }
}

/** Whether it asks for more or less than just that block. */
const isLookup = ({ bytes, hash }: Sent): boolean => hash || bytes > 0

/** Past the last bit that is set; before all when none is. */
const heldEnd = (bytes: Uint8Array): number => {
  let at = bytes.length - 1
  while (at >= 0 && bytes[at] === 0) at--
  return at < 0 ? -Infinity : 8 * at + 8 - Math.log2(bytes[at]! & -bytes[at]!)
}

const none: ReadonlyArray<Action> = []
const changed: ReadonlyArray<Action> = [{ _tag: "Changed" }]

const failed = (reason: ProtocolError["reason"], detail: string): ReadonlyArray<Action> => [
  { _tag: "Fail", error: new ProtocolError({ reason, detail }) }
]
