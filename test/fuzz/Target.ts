/** What is fuzzed: an input, and what must be true of what comes of it. */
import fc from "fast-check"

export interface Target<A> {
  readonly name: string
  /** Runs in `npm test`; `npm run fuzz` has as many as it is given. */
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

/** Runs a target; fails with the seed and the path of what it found, shrunk. */
export const fuzz = (
  { check, input, runs }: AnyTarget,
  numRuns: number = runs,
  seed?: number
): Promise<void> =>
  fc.assert(
    fc.asyncProperty(input, async (value) => {
      await check(value)
    }),
    { numRuns, ...(seed === undefined ? {} : { seed }) }
  )
