/** What is fuzzed: an input, and what must be true of what comes of it. */
import fc from "fast-check"

export interface Target<A> {
  readonly name: string
  /** Runs in `npm test`. */
  readonly runs: number
  readonly input: fc.Arbitrary<A>
  /** Throws, or rejects, where the oracle is not satisfied. */
  readonly check: (input: A) => void | Promise<void>
}

export type AnyTarget = Target<never>

export const target = <A>(
  name: string,
  runs: number,
  input: fc.Arbitrary<A>,
  check: (input: A) => void | Promise<void>
): AnyTarget => ({ name, runs, input, check }) as Target<A> as unknown as AnyTarget

export interface FuzzOptions {
  /** Runs for so long, as often as that goes, instead of as often as the target says. */
  readonly milliseconds?: number | undefined
  readonly seed?: number | undefined
}

/** Runs a target; how often. Fails with the seed and the path of what it found, shrunk. */
export const fuzz = async ({ check, input, runs }: AnyTarget, options: FuzzOptions = {}): Promise<number> => {
  const { milliseconds, seed } = options
  let count = 0
  await fc.assert(
    fc.asyncProperty(input, async (value) => {
      count++
      await check(value)
    }),
    {
      numRuns: milliseconds === undefined ? runs : Number.MAX_SAFE_INTEGER,
      ...(milliseconds === undefined ? {} : { interruptAfterTimeLimit: milliseconds }),
      ...(seed === undefined ? {} : { seed })
    }
  )
  return count
}
