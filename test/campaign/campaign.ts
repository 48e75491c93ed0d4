/** Runs histories by their seeds until so many have run, or the time is over, and says what it did. */
import { Cause, Effect, Exit } from "effect"
import { Random, seedOf } from "../../src/domain/Random.js"
import { Crypto, type CryptoService } from "../../src/index.js"
import { CryptoNode } from "../../src/node.js"
import type { InvariantBroken } from "../../src/testing/KnownLog.js"
import { seededCrypto } from "../replication/world.js"
import { AuthorRun } from "./AuthorRun.js"
import { addMachine, type Counts, noCounts } from "./Counts.js"
import { inSimulation } from "./inSimulation.js"
import { NetRun } from "./NetRun.js"
import { ReaderRun } from "./ReaderRun.js"

export interface Failure {
  readonly seed: number
  readonly message: string
  readonly trace: ReadonlyArray<string>
}

/** An author; by itself, or with a reader that takes its blocks by hand; an author and readers over a net. */
export const KINDS = ["alone", "with a reader", "over a net"] as const
export type Kind = (typeof KINDS)[number]

export const kindOf = (seed: number): Kind => {
  const drawn = new Random(seedOf(seed, "kind")).next()
  return drawn < 0.4 ? "alone" : drawn < 0.7 ? "with a reader" : "over a net"
}

type Run = Effect.Effect<void, InvariantBroken>

const alone = (author: AuthorRun, steps: number): Run => Effect.scoped(author.run(steps))

const withReader = (author: AuthorRun, steps: number): Run =>
  Effect.gen(function* () {
    const { crypto, keys, known, seed } = author
    author.companion = yield* ReaderRun.make(seed, keys.publicKey, known, crypto, (what) => author.note(what))
    yield* author.run(steps)
  }).pipe(Effect.scoped)

/** In simulated time, at whose end nothing may be left. */
const overNet = (author: AuthorRun, steps: number): Run =>
  inSimulation(
    author.seed,
    Effect.gen(function* () {
      const net = yield* NetRun.make(author)
      author.companion = net
      yield* author.run(steps)
      yield* net.finish
    })
  )

const RUNS = { alone, "with a reader": withReader, "over a net": overNet }

/** One run, and what it injected and checked added to `counts`. */
export const runOne = (seed: number, plain: CryptoService, counts: Counts) =>
  Effect.gen(function* () {
    const kind = kindOf(seed)
    const crypto = seededCrypto(plain, seedOf(seed, "random bytes"))
    const author = yield* AuthorRun.make(seed, crypto, counts)
    const exit = yield* Effect.exit(RUNS[kind](author, 5 + (seed % 30)))
    addMachine(counts, author.machine.counts)
    author.companion?.count(counts)
    return { seed, trace: [kind, ...author.trace], message: messageOf(exit) }
  })

const messageOf = (exit: Exit.Exit<void, unknown>): string | undefined =>
  Exit.isSuccess(exit) ? undefined : Cause.pretty(exit.cause)

/** Runs until `isOver`; each failure is told at once. */
export const campaign = (
  seeds: Iterable<number>,
  isOver: () => boolean = () => false,
  tell: (failure: Failure) => void = () => undefined
) =>
  Effect.gen(function* () {
    const crypto = yield* Crypto
    const counts = noCounts()
    const failures: Array<Failure> = []
    let runs = 0
    for (const seed of seeds) {
      if (isOver()) break
      const { message, trace } = yield* runOne(seed, crypto, counts)
      runs++
      if (message === undefined) continue
      const failure = { seed, message, trace }
      failures.push(failure)
      tell(failure)
    }
    return { runs, counts, failures }
  }).pipe(Effect.provide(CryptoNode.layer))
