/** Runs histories by their seeds until so many have run, or the time is over, and says what it did. */
import { Cause, Effect } from "effect"
import { Crypto } from "../../src/index.js"
import { CryptoNode } from "../../src/node.js"
import { AuthorRun, type Counts, noCounts } from "./AuthorRun.js"

export interface Failure {
  readonly seed: number
  readonly message: string
  readonly trace: ReadonlyArray<string>
}

/** One run, and what it injected and checked added to `counts`. */
export const runOne = (seed: number, crypto: Crypto["Type"], counts: Counts) =>
  Effect.gen(function* () {
    const run = yield* AuthorRun.make(seed, crypto, counts)
    const exit = yield* Effect.exit(Effect.scoped(run.run(5 + (seed % 30))))
    run.add(run.machine.counts)
    if (run.reader !== undefined) {
      run.add(run.reader.machine.counts)
      counts.fetched += run.reader.fetched
    }
    const { trace } = run
    return { seed, trace, message: exit._tag === "Success" ? undefined : Cause.pretty(exit.cause) }
  })

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
