/**
 * One direction of a simulated connection: bytes that are given to it arrive later, in order, perhaps in other pieces.
 *
 * A piece leaves when those before it have, at `bandwidth`, and arrives its latency later, never before the one ahead of it, at a
 * whole millisecond. When a line has neither latency nor bandwidth, pieces arrive as they are given, without a fiber or a timer.
 */
import { type Clock, Effect, FiberId, type Fiber } from "effect"
import type { Random } from "../../domain/Random.js"
import type { Waiters } from "../network/Duplex.js"

/** How every connection of a net behaves. */
export interface Conditions {
  /** Milliseconds one way, between two bounds. */
  readonly latency: readonly [min: number, max: number]
  /** Bytes a millisecond. */
  readonly bandwidth: number
  /** Sizes of pieces; absent: arrays arrive as they were pushed. */
  readonly pieces: readonly [min: number, max: number] | undefined
}

/** What a line needs of its net. */
export interface Surroundings {
  readonly clock: Clock.Clock
  readonly conditions: Conditions
  /** Runs the fiber of a line that has something under way. */
  readonly run: (arrivals: Effect.Effect<void>) => Fiber.RuntimeFiber<void>
  /** Woken when `isBlocked` may answer otherwise. */
  readonly changes: Waiters
}

/** Bytes; or that nothing follows; or that nothing follows and nothing is listened to any more. */
export type Arrival = Uint8Array | "end" | "gone"

export interface Receiver {
  readonly arrive: (arrival: Arrival) => void
  /** Whether nothing gets through now: it arrives later. */
  readonly isBlocked: () => boolean
}

interface Piece {
  /** When it arrives, if the one ahead of it has. */
  readonly at: number
  readonly arrival: Arrival
}

const sizeOf = (arrival: Arrival): number => (typeof arrival === "string" ? 0 : arrival.length)

export const drawLatency = ({ latency: [min, max] }: Conditions, random: Random): number =>
  min === max ? min : min + random.next() * (max - min)

/** Small and large sizes alike: as many between 1 and 10 as between 100,000 and a million. */
const drawSize = ([min, max]: readonly [number, number], random: Random): number =>
  Math.min(max, Math.floor(min * ((max + 1) / min) ** random.next()))

/** The same bytes in pieces of drawn sizes: parts of arrays, or several joined. */
const recut = (
  arrays: ReadonlyArray<Uint8Array>,
  sizes: readonly [number, number],
  random: Random
): ReadonlyArray<Uint8Array> => {
  const pieces: Array<Uint8Array> = []
  let left = arrays.reduce((sum, { length }) => sum + length, 0)
  let index = 0
  let offset = 0
  while (left > 0) {
    const size = Math.min(left, drawSize(sizes, random))
    left -= size
    const first = arrays[index]!
    if (offset + size < first.length) {
      pieces.push(first.subarray(offset, offset + size))
      offset += size
      continue
    }
    const piece = new Uint8Array(size)
    for (let filled = 0; filled < size;) {
      const part = arrays[index]!.subarray(offset, offset + size - filled)
      piece.set(part, filled)
      filled += part.length
      offset += part.length
      if (offset < arrays[index]!.length) continue
      index++
      offset = 0
    }
    pieces.push(piece)
  }
  return pieces
}

export class Line {
  /** Bytes given that have not arrived. */
  underWay = 0
  #pieces: Array<Piece> = []
  #next = 0
  #freeAt = 0
  #isRunning = false
  #fiber: Fiber.RuntimeFiber<void> | undefined

  constructor(
    readonly around: Surroundings,
    readonly random: Random,
    readonly receiver: Receiver
  ) {}

  give(arrays: ReadonlyArray<Uint8Array>): void {
    const { pieces } = this.around.conditions
    const now = this.around.clock.unsafeCurrentTimeMillis()
    for (const array of pieces === undefined ? arrays : recut(arrays, pieces, this.random)) {
      this.#give(array, now)
    }
    this.#start()
  }

  giveLast(arrival: "end" | "gone"): void {
    this.#give(arrival, this.around.clock.unsafeCurrentTimeMillis())
    this.#start()
  }

  /** What is under way is lost. */
  clear(): void {
    this.#pieces = []
    this.#next = 0
    this.#isRunning = false
    this.#fiber?.unsafeInterruptAsFork(FiberId.none)
  }

  #give(arrival: Arrival, now: number): void {
    const { bandwidth } = this.around.conditions
    const size = sizeOf(arrival)
    this.#freeAt = Math.max(this.#freeAt, now) + size / bandwidth
    const at = Math.ceil(this.#freeAt + drawLatency(this.around.conditions, this.random))
    this.underWay += size
    this.#pieces.push({ at, arrival })
  }

  get #head(): Piece | undefined {
    return this.#pieces[this.#next]
  }

  #start(): void {
    if (this.#isRunning) return
    this.#arriveUntil(this.around.clock.unsafeCurrentTimeMillis())
    if (this.#head === undefined) return
    this.#isRunning = true
    this.#fiber = this.around.run(Effect.interruptible(this.#arrivals))
  }

  #arriveUntil(now: number): void {
    for (
      let head = this.#head;
      head !== undefined && head.at <= now && !this.receiver.isBlocked();
      head = this.#head
    ) {
      this.#next++
      if (this.#next === this.#pieces.length) {
        this.#pieces = []
        this.#next = 0
      }
      this.underWay -= sizeOf(head.arrival)
      this.receiver.arrive(head.arrival)
    }
  }

  readonly #mayGoOn = (): boolean => !this.receiver.isBlocked() || this.#head === undefined

  readonly #arrivals: Effect.Effect<void> = Effect.suspend(() => {
    const now = this.around.clock.unsafeCurrentTimeMillis()
    this.#arriveUntil(now)
    const head = this.#head
    if (head === undefined) {
      this.#isRunning = false
      return Effect.void
    }
    if (head.at > now) return Effect.zipRight(Effect.sleep(head.at - now), this.#arrivals)
    return this.around.changes.wait(this.#mayGoOn, this.#arrivals)
  })
}
