/** A simulated connection: two ends, a line each way, and the ways in which it breaks. */
import { Random, seedOf } from "../../domain/Random.js"
import { Duplex } from "../network/Duplex.js"
import { Adversary, type Tampering } from "./Adversary.js"
import { type Arrival, Line, type Surroundings } from "./Line.js"

/** What the adversary did; or that the connection was cut, or left with one end. */
export type LinkEvent = Tampering | "cuts" | "halfOpen"

export interface LinkOptions {
  readonly around: Surroundings
  readonly seed: number
  /** Whether nothing gets from one side to the other now. */
  readonly isBlocked: () => boolean
  /** Bytes under way or not pulled, in one direction, before a pusher is held up. */
  readonly bufferSize: number
  readonly cuts: { readonly meanBytes: number; readonly silent: number } | undefined
  readonly adversary: { readonly meanBytes: number } | undefined
  /** Whether the adversary is there now. */
  readonly isTampering: () => boolean
  /** Told of each thing that happens to the connection. */
  readonly onEvent: (event: LinkEvent) => void
}

export class LinkEnd extends Duplex {
  /** Gone without a word: nothing that it sent arrives any more, and nothing arrives at it. */
  hasVanished = false
  other: LinkEnd = this
  readonly line: Line
  readonly #adversary: Adversary | undefined

  constructor(
    remote: string,
    readonly link: Link,
    seed: number
  ) {
    super(remote)
    const { adversary, around, isBlocked, onEvent } = link.options
    this.#adversary =
      adversary && new Adversary(adversary.meanBytes, new Random(seedOf(seed, "adversary")), onEvent)
    this.line = new Line(around, new Random(seed), {
      isBlocked,
      arrive: (arrival) => this.other.#hear(arrival)
    })
  }

  /** What arrives here when this end is closed is dropped; that it is gone is on its way to the other. */
  #hear(arrival: Arrival): void {
    if (typeof arrival === "string") {
      const last = this.#adversary?.last()
      if (last !== undefined) this.#take(last)
      this.ended()
      if (arrival === "end") return
      this.finished()
      return this.broke({ reason: "reset" })
    }
    if (this.#adversary === undefined) return this.#take(arrival)
    for (const piece of this.#adversary.pass(arrival, this.link.options.isTampering())) this.#take(piece)
  }

  #take(piece: Uint8Array): void {
    const left = this.link.takeBytes(piece.length)
    this.arrived(left === piece.length ? piece : piece.subarray(0, left))
    if (left < piece.length) this.link.cutByChance(this)
  }

  protected send(arrays: ReadonlyArray<Uint8Array>): void {
    if (this.other.hasVanished) this.line.underWay += arrays.reduce((sum, { length }) => sum + length, 0)
    else this.line.give(arrays)
  }

  protected isFull(): boolean {
    return this.line.underWay + this.other.waiting >= this.link.options.bufferSize
  }

  protected finish(): void {
    if (!this.other.hasVanished) this.line.giveLast("end")
    this.finished()
  }

  protected resume(): void {
    this.other.drained()
  }

  protected destroy(): void {
    this.link.endBroke(this)
  }

  /** Closed: what was pushed still arrives, then the end. */
  leave(): void {
    if (!this.other.hasVanished) this.line.giveLast("gone")
  }
}

export class Link {
  readonly ends: readonly [LinkEnd, LinkEnd]
  #isCut = false
  /** Bytes, both ways, that still get through. */
  #bytesLeft = Infinity
  readonly #random: Random

  constructor(
    readonly options: LinkOptions,
    names: readonly [string, string],
    /** Called when neither end is open any more. */
    readonly onGone: (link: Link) => void
  ) {
    const left = new LinkEnd(names[1], this, seedOf(options.seed, "left"))
    const right = new LinkEnd(names[0], this, seedOf(options.seed, "right"))
    left.other = right
    right.other = left
    this.ends = [left, right]
    this.#random = new Random(seedOf(options.seed, "cuts"))
    // The distribution of what has no memory: a cut is as likely at any byte.
    if (options.cuts !== undefined) {
      this.#bytesLeft = Math.floor(-Math.log(1 - this.#random.next()) * options.cuts.meanBytes)
    }
  }

  /** How many of `size` bytes still get through. */
  takeBytes(size: number): number {
    const taken = Math.min(size, this.#bytesLeft)
    this.#bytesLeft -= taken
    return taken
  }

  cutByChance(end: LinkEnd): void {
    if (this.#random.next() >= this.options.cuts!.silent) return this.cut()
    this.vanish(this.#random.next() < 0.5 ? end : end.other)
  }

  /** Both ends hear of it at once. */
  cut(): void {
    if (!this.#isCut) this.options.onEvent("cuts")
    this.#isCut = true
    for (const end of this.ends) end.line.clear()
    for (const end of this.ends) end.broke({ reason: "reset" })
  }

  /** One end is gone and the other hears nothing. */
  vanish(end: LinkEnd): void {
    if (!end.hasVanished) this.options.onEvent("halfOpen")
    end.hasVanished = true
    for (const one of this.ends) one.line.clear()
    end.broke({ reason: "reset" })
  }

  endBroke(end: LinkEnd): void {
    if (!end.hasVanished && !this.#isCut) end.leave()
    if (!end.other.isBroken) return
    for (const one of this.ends) one.line.clear()
    this.onGone(this)
  }
}
