/** A thread that hashes beside the main one. Used by one batch at a time; when it dies, whoever waits for it hears of it. */
import { Effect } from "effect"
import { Worker } from "node:worker_threads"
import { allocate, totalLength } from "../../domain/Bytes.js"
import { ENTRIES, ENTRY_SIZE, INPUTS, MOST_INPUTS, type ThreadData, work } from "./work.js"

/** The parts of what is hashed, as if concatenated. */
export type Input = ReadonlyArray<Uint8Array>

/** Bytes of one job. */
const MOST_BYTES = 4 * 1024 * 1024
/** Milliseconds that the main thread waits for a job without letting others have their turn: it would be hashing as long itself. */
const WAIT = 2

const SOURCE = `(${work.toString()})(require("node:worker_threads").workerData, require("node:worker_threads").parentPort, require)`

export class HashThread {
  readonly #shared = new SharedArrayBuffer(INPUTS + MOST_BYTES)
  readonly #state = new Int32Array(this.#shared, 0, 4)
  readonly #view = new DataView(this.#shared)
  readonly #bytes = new Uint8Array(this.#shared)
  readonly #worker: Worker
  readonly #waiting = new Set<() => void>()
  #isUp = false
  #isDead = false
  #ended: Promise<number> | undefined
  #job = 0
  /** Whether a batch uses it. */
  busy = false

  /** `sodium`: where sodium-native is. */
  constructor(sodium: string) {
    const workerData: ThreadData = {
      shared: this.#shared,
      sodium,
      entries: ENTRIES,
      entrySize: ENTRY_SIZE,
      inputs: INPUTS
    }
    this.#worker = new Worker(SOURCE, { eval: true, workerData, stdin: false })
    // It keeps no process alive: who waits for it keeps its own.
    this.#worker.unref()
    this.#worker.on("message", () => {
      this.#isUp = true
      this.#wake()
    })
    for (const event of ["error", "exit"]) {
      this.#worker.on(event, () => {
        this.#isDead = true
        this.#wake()
      })
    }
  }

  get isReady(): boolean {
    return this.#isUp && !this.#isDead && !this.busy
  }

  /** Calls back when it takes its first job. */
  whenUp(callback: () => void): void {
    this.#worker.once("message", callback)
  }

  /** Ends the thread. */
  close(): void {
    this.#isDead = true
    this.#ended = this.#worker.terminate()
    this.#wake()
  }

  /** Ends when the thread has, after `close`. */
  get ended(): Effect.Effect<void> {
    return Effect.promise(async () => void (await this.#ended))
  }

  /** Gives it the first inputs, some `share` bytes of them; answers how many. */
  begin(inputs: ReadonlyArray<Input>, share: number): number {
    let count = 0
    let at = INPUTS
    const end = INPUTS + Math.min(share, MOST_BYTES)
    for (; count < inputs.length && count < MOST_INPUTS; count++) {
      const input = inputs[count]!
      const length = totalLength(input)
      if (at + length > end) break
      this.#view.setUint32(ENTRIES + count * ENTRY_SIZE, length, true)
      for (const part of input) {
        this.#bytes.set(part, at)
        at += part.length
      }
    }
    if (count === 0) return 0
    this.busy = true
    this.#state[2] = count
    this.#job = Atomics.add(this.#state, 0, 1) + 1
    Atomics.notify(this.#state, 0)
    return count
  }

  /**
   * The digests of the job's `count` inputs; `undefined` when the thread died over it. To be run to its end: until then the thread is busy,
   * and its memory the job's.
   */
  finish(count: number): Effect.Effect<ReadonlyArray<Uint8Array> | undefined> {
    const done = Effect.suspend(() => {
      if (!this.#isDead) Atomics.wait(this.#state, 1, this.#job - 1, WAIT)
      return this.isDone || this.#isDead ? Effect.void : this.#later
    })
    return Effect.map(done, () => {
      this.busy = false
      return this.isDone ? this.#digests(count) : undefined
    })
  }

  /** Whether the job that was given last is done. */
  get isDone(): boolean {
    return Atomics.load(this.#state, 1) === this.#job
  }

  /** The thread's message comes in its turn. */
  readonly #later = Effect.async<void>((resume) => {
    const look = (): void => {
      if (!this.isDone && !this.#isDead) return
      this.#waiting.delete(look)
      this.#worker.unref()
      resume(Effect.void)
    }
    this.#waiting.add(look)
    this.#worker.ref()
    look()
  })

  #digests(count: number): ReadonlyArray<Uint8Array> {
    return Array.from({ length: count }, (_, i) => {
      const at = ENTRIES + i * ENTRY_SIZE + 4
      const digest = allocate(32)
      digest.set(this.#bytes.subarray(at, at + 32))
      return digest
    })
  }

  #wake(): void {
    for (const look of this.#waiting) look()
  }
}
