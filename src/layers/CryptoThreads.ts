/**
 * Hashing on other cores, around `CryptoSodium`: a large batch is shared out between the caller's thread and others, which begin with the
 * first such batch. Small ones stay where they are: giving a job away and taking its result costs some 50 us.
 */
import { Effect, Layer, type Scope } from "effect"
import { createRequire } from "node:module"
import { availableParallelism } from "node:os"
import { totalLength } from "../domain/Bytes.js"
import { Crypto, type CryptoService } from "../services/Crypto.js"
import * as CryptoSodium from "./CryptoSodium.js"
import { HashThread, type Input } from "./cryptoThreads/HashThread.js"

export interface CryptoThreadsOptions {
  /** Threads beside the caller's. Default: one less than there are cores, at most 3. */
  readonly threads?: number | undefined
}

/** Bytes from which on a batch is shared out, and of its inputs on average: below, what is won is lost again. */
const LEAST_BYTES = 256 * 1024
const LEAST_INPUT = 4096

const MOST_THREADS = 3

const defaultThreads = (): number => Math.min(availableParallelism() - 1, MOST_THREADS)

/**
 * How much of a batch each thread gets: as much as it has done when the caller's thread is through with its own part. Where other programs
 * have the cores it is little, and less than `LEAST_SHARE` nothing, for a while.
 */
class Share {
  #share: number
  #pause = 0

  constructor(readonly threads: number) {
    this.#share = 1 / (threads + 2)
  }

  /** The part of a batch for each thread; 0: none. */
  get next(): number {
    if (this.#pause === 0) return this.#share
    if (--this.#pause === 0) this.#share = 2 * LEAST_SHARE
    return 0
  }

  /** A thread was done in time, or had to be waited for. */
  learn(inTime: boolean): void {
    this.#share = Math.min(this.#share * (inTime ? 1.05 : 0.85), 1 / (this.threads + 1))
    if (this.#share < LEAST_SHARE) this.#pause = PAUSE
  }
}

const LEAST_SHARE = 0.1
/** Batches. */
const PAUSE = 64

interface Job {
  readonly thread: HashThread
  readonly inputs: ReadonlyArray<Input>
}

class Threads {
  #all: Array<HashThread> | undefined
  readonly #share: Share
  readonly #sodium = createRequire(import.meta.url).resolve("sodium-native")

  constructor(
    readonly count: number,
    readonly crypto: CryptoService
  ) {
    this.#share = new Share(count)
  }

  /** Those that are there for a job; the first call begins to make them. */
  #ready(): ReadonlyArray<HashThread> {
    this.#all ??= Array.from({ length: this.count }, () => new HashThread(this.#sodium))
    return this.#all.filter((thread) => thread.isReady)
  }

  close(): void {
    for (const thread of this.#all ?? []) thread.close()
    this.#all = []
  }

  readonly hashAll = (inputs: ReadonlyArray<Input>): Effect.Effect<ReadonlyArray<Uint8Array>> | undefined => {
    let bytes = 0
    for (const input of inputs) bytes += totalLength(input)
    if (bytes < LEAST_BYTES || bytes < LEAST_INPUT * inputs.length) return undefined
    const threads = this.#ready()
    const share = threads.length === 0 ? 0 : this.#share.next
    return share === 0 ? undefined : this.#hash(inputs, threads, share * bytes)
  }

  #hash(
    inputs: ReadonlyArray<Input>,
    threads: ReadonlyArray<HashThread>,
    share: number
  ): Effect.Effect<ReadonlyArray<Uint8Array>> {
    const hashOwn = (some: ReadonlyArray<Input>) => some.map((input) => this.crypto.blake2b256(input))
    const shared = Effect.suspend(() => {
      const jobs: Array<Job> = []
      let rest = inputs
      // Another batch may have come first.
      for (const thread of threads.filter(({ isReady }) => isReady)) {
        const count = thread.begin(rest, share)
        if (count > 0) jobs.push({ thread, inputs: rest.slice(0, count) })
        rest = rest.slice(count)
      }
      const own = hashOwn(rest)
      for (const { thread } of jobs) this.#share.learn(thread.isDone)
      const others = Effect.forEach(jobs, ({ inputs: given, thread }) =>
        Effect.map(thread.finish(given.length), (digests) => digests ?? hashOwn(given))
      )
      return Effect.map(others, (digests) => [...digests.flat(), ...own])
    })
    // A job that has begun is waited for, some milliseconds: a thread whose job nobody finishes would be lost.
    return Effect.uninterruptible(shared)
  }
}

/** The same crypto, which shares out large batches; the threads end with the scope. */
export const around = (
  crypto: CryptoService,
  options: CryptoThreadsOptions = {}
): Effect.Effect<CryptoService, never, Scope.Scope> => {
  const count = options.threads ?? defaultThreads()
  if (count <= 0) return Effect.succeed(crypto)
  return Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => new Threads(count, crypto)),
      (threads) => Effect.sync(() => threads.close())
    ),
    (threads) => ({ ...crypto, blake2b256All: threads.hashAll })
  )
}

export const layer = (options?: CryptoThreadsOptions): Layer.Layer<Crypto, CryptoSodium.SodiumUnavailable> =>
  Layer.scoped(
    Crypto,
    Effect.flatMap(CryptoSodium.make, (crypto) => around(crypto, options))
  )
