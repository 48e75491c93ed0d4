/** Runs histories by their seeds until so many have run, or the time is over, and says what it did. */
import { Cause, Effect, Exit } from "effect"
import { Random, seedOf } from "../../src/domain/Random.js"
import { Crypto, type CryptoService } from "../../src/index.js"
import { CryptoNode } from "../../src/node.js"
import type { InvariantBroken } from "../../src/testing/KnownLog.js"
import { seededCrypto } from "../replication/world.js"
import { AuthorRun } from "./AuthorRun.js"
import { BranchRun } from "./BranchRun.js"
import { addMachine, type Counts, noCounts } from "./Counts.js"
import { inSimulation } from "./inSimulation.js"
import { NetRun } from "./NetRun.js"
import { ReaderRun } from "./ReaderRun.js"

export interface Failure {
  readonly seed: number
  readonly message: string
  readonly trace: ReadonlyArray<string>
}

/** An author; by itself, or with a reader that takes its blocks by hand; one and readers over a net; two that have one key, and readers. */
export const KINDS = ["alone", "with a reader", "over a net", "two histories"] as const
export type Kind = (typeof KINDS)[number]

export const kindOf = (seed: number): Kind => {
  const drawn = new Random(seedOf(seed, "kind")).next()
  if (drawn < 0.35) return "alone"
  if (drawn < 0.6) return "with a reader"
  return drawn < 0.85 ? "over a net" : "two histories"
}

/** A run: what it does, what it has noted, and how it adds up what it did. */
interface Run {
  readonly play: Effect.Effect<void, InvariantBroken>
  readonly trace: ReadonlyArray<string>
  readonly count: () => void
}

const authorRun = (
  kind: Exclude<Kind, "two histories">,
  seed: number,
  steps: number,
  crypto: CryptoService,
  counts: Counts
): Effect.Effect<Run> =>
  Effect.map(AuthorRun.make(seed, crypto, counts), (author) => {
    const { keys, known, trace } = author
    const note = (what: string) => author.note(what)
    const withReader = Effect.flatMap(ReaderRun.make(seed, keys.publicKey, known, crypto, note), (reader) => {
      author.companion = reader
      return author.run(steps)
    })
    const overNet = Effect.gen(function* () {
      const net = yield* NetRun.make(author)
      author.companion = net
      yield* author.run(steps)
      yield* net.finish
    })
    return {
      trace,
      play:
        kind === "over a net"
          ? inSimulation(seed, overNet)
          : Effect.scoped(kind === "alone" ? author.run(steps) : withReader),
      count: () => {
        addMachine(counts, author.machine.counts)
        author.companion?.count(counts)
      }
    }
  })

const branchRun = (seed: number, steps: number, crypto: CryptoService, counts: Counts): Run => {
  const run = new BranchRun(seed, crypto, counts)
  return { play: inSimulation(seed, run.run(steps)), trace: run.trace, count: () => run.count() }
}

/** One run, and what it injected and checked added to `counts`. */
export const runOne = (seed: number, plain: CryptoService, counts: Counts, kind = kindOf(seed)) =>
  Effect.gen(function* () {
    const crypto = seededCrypto(plain, seedOf(seed, "random bytes"))
    const steps = 5 + (seed % 30)
    const run =
      kind === "two histories"
        ? branchRun(seed, Math.ceil(steps / 2), crypto, counts)
        : yield* authorRun(kind, seed, steps, crypto, counts)
    const exit = yield* Effect.exit(run.play)
    run.count()
    return { seed, trace: [kind, ...run.trace], message: messageOf(exit) }
  })

const messageOf = (exit: Exit.Exit<void, unknown>): string | undefined =>
  Exit.isSuccess(exit) ? undefined : Cause.pretty(exit.cause)

/** Runs until `isOver`; each failure is told at once. */
export const campaign = (
  seeds: Iterable<number>,
  isOver: () => boolean = () => false,
  tell: (failure: Failure) => void = () => undefined,
  kind?: Kind
) =>
  Effect.gen(function* () {
    const crypto = yield* Crypto
    const counts = noCounts()
    const failures: Array<Failure> = []
    let runs = 0
    for (const seed of seeds) {
      if (isOver()) break
      const { message, trace } = yield* runOne(seed, crypto, counts, kind)
      runs++
      if (message === undefined) continue
      const failure = { seed, message, trace }
      failures.push(failure)
      tell(failure)
    }
    return { runs, counts, failures }
  }).pipe(Effect.provide(CryptoNode.layer))
