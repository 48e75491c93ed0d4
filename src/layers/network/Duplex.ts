/**
 * One end of a connection over whatever moves bytes: who waits, what has arrived, what comes after an end or a break. A layer
 * extends it by five verbs, and tells it what happens: `arrived`, `ended`, `broke`, `drained`, `finished`. All of that
 * is synchronous; `pull` and `push` cost a few operations a batch.
 *
 * No array is lost to an interruption: a fiber takes arrays in the same step in which it hands them on, never when it is woken.
 */
import { Effect } from "effect"
import type { NetworkError } from "../../domain/Errors.js"
import type { Connection } from "../../services/Network.js"
import { CLOSED, type Fault, networkError } from "./Fault.js"

/** Fibers that wait for a change. Each looks again when woken. */
export class Waiters {
  #all: Array<() => void> = []

  /** Waits until `isOver` at a `wake`, then goes on with `then`. */
  wait<A, E>(isOver: () => boolean, then: Effect.Effect<A, E>): Effect.Effect<A, E> {
    return Effect.async((resume) => {
      if (isOver()) return resume(then)
      const wake = (): void => (isOver() ? resume(then) : void this.#all.push(wake))
      this.#all.push(wake)
      return Effect.sync(() => {
        this.#all = this.#all.filter((one) => one !== wake)
      })
    })
  }

  wake(): void {
    if (this.#all.length === 0) return
    const all = this.#all
    this.#all = []
    for (const wake of all) wake()
  }
}

export abstract class Duplex implements Connection {
  #arrays: Array<Uint8Array> = []
  /** Bytes that have arrived and were not pulled. */
  protected waiting = 0
  /** In how many arrays. */
  protected get waitingArrays(): number {
    return this.#arrays.length
  }

  #hasEnded = false
  #isEnding = false
  #isFinished = false
  #isClosed = false
  #fault: Fault | undefined
  #reader: ((effect: Connection["pull"]) => void) | undefined
  readonly #writers = new Waiters()

  constructor(readonly remote: string) {}

  /** Sends the arrays, none of them empty. Called while neither ending nor broken. */
  protected abstract send(arrays: ReadonlyArray<Uint8Array>): void
  /** Whether more must not be sent now; `drained` tells when that is over. */
  protected abstract isFull(): boolean
  /** Tells the other side that nothing follows; `finished` tells when that has left. */
  protected abstract finish(): void
  /** All that arrived was pulled: if arrivals were held up, let them come. */
  protected abstract resume(): void
  /** Lets go of everything, at once. Called once, at close or at a break. */
  protected abstract destroy(): void

  /** Bytes have arrived. */
  arrived(array: Uint8Array): void {
    if (array.length === 0 || this.#hasEnded || this.#fault !== undefined) return
    this.#arrays.push(array)
    this.waiting += array.length
    this.arrivedInTurn(this.#wake)
  }

  /** Calls `wake` when what arrives together has arrived: who pulls is to have all of it. At once, where it comes at once. */
  protected arrivedInTurn(wake: () => void): void {
    wake()
  }

  /** The other side has ended. */
  ended(): void {
    if (this.#fault !== undefined) return
    this.#hasEnded = true
    this.#wakeReader()
  }

  /** The first break counts. */
  broke(fault: Fault): void {
    if (this.#fault !== undefined) return
    this.#fault = fault
    this.destroy()
    this.#wakeReader()
    this.#writers.wake()
  }

  drained(): void {
    this.#writers.wake()
  }

  finished(): void {
    if (this.#fault !== undefined) return
    this.#isFinished = true
    this.#writers.wake()
  }

  protected get isEnding(): boolean {
    return this.#isEnding
  }

  protected get hasEnded(): boolean {
    return this.#hasEnded
  }

  /** Closed, too. */
  get isBroken(): boolean {
    return this.#fault !== undefined
  }

  #fail(operation: NetworkError["operation"], fault: Fault): Effect.Effect<never, NetworkError> {
    return Effect.fail(networkError(operation, this.remote, fault))
  }

  readonly #take = Effect.sync((): ReadonlyArray<Uint8Array> => {
    const taken = this.#arrays
    this.#arrays = []
    this.waiting = 0
    this.resume()
    return taken
  })

  readonly #mayPull = (): boolean => this.#arrays.length > 0 || this.#hasEnded || this.#fault !== undefined

  readonly pull: Connection["pull"] = Effect.suspend((): Connection["pull"] => {
    if (this.#isClosed) return this.#fail("pull", CLOSED)
    if (this.#arrays.length > 0) return this.#take
    if (this.#hasEnded) return NOTHING
    if (this.#fault !== undefined) return this.#fail("pull", this.#fault)
    return this.#waitToPull
  })

  /** Without a clean-up, which would double its cost: to resume a fiber that was interrupted does nothing. */
  readonly #waitToPull: Connection["pull"] = Effect.async((resume) => {
    if (this.#mayPull()) return resume(this.pull)
    const former = this.#reader
    this.#reader = resume
    former?.(Effect.dieMessage(`two pulls at once of the connection with ${this.remote}`))
  })

  readonly #wake = (): void => this.#wakeReader()

  #wakeReader(): void {
    const reader = this.#reader
    this.#reader = undefined
    reader?.(this.pull)
  }

  readonly #mayPush = (): boolean => this.#fault !== undefined || !this.isFull()

  readonly #pushed: Effect.Effect<void, NetworkError> = Effect.suspend(() => {
    if (this.#fault !== undefined) return this.#fail("push", this.#fault)
    if (!this.isFull()) return Effect.void
    return this.#writers.wait(this.#mayPush, this.#pushed)
  })

  readonly push: Connection["push"] = (arrays) =>
    Effect.suspend(() => {
      if (this.#fault !== undefined) return this.#fail("push", this.#fault)
      if (this.#isEnding) return this.#fail("push", CLOSED)
      this.send(arrays.every(isNotEmpty) ? arrays : arrays.filter(isNotEmpty))
      return this.#fault === undefined && !this.isFull() ? Effect.void : this.#pushed
    })

  readonly #hasFinished = (): boolean => this.#fault !== undefined || this.#isFinished

  readonly end: Connection["end"] = Effect.suspend(() => {
    if (this.#isFinished) return Effect.void
    if (this.#fault !== undefined) return this.#fail("end", this.#fault)
    if (!this.#isEnding) {
      this.#isEnding = true
      this.finish()
    }
    return this.#writers.wait(this.#hasFinished, this.end)
  })

  readonly close: Effect.Effect<void> = Effect.sync(() => this.unsafeClose())

  unsafeClose(): void {
    this.#isClosed = true
    this.broke(CLOSED)
    this.#wakeReader()
  }
}

const isNotEmpty = (array: Uint8Array): boolean => array.length > 0

const NOTHING: Effect.Effect<ReadonlyArray<Uint8Array>> = Effect.succeed([])
