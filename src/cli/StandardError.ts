/** What is said beside the results. Ends once the line is written, or cannot be. */
import { Effect } from "effect"

export const writeLine = (line: string): Effect.Effect<void> =>
  Effect.async((resume) => {
    process.stderr.write(`${line}\n`, () => resume(Effect.void))
  })
