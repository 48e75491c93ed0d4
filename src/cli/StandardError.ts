/** Standard error: what is said beside the results. */
import { Effect } from "effect"

/** Ends once the line is written, or cannot be. */
export const writeLine = (line: string): Effect.Effect<void> =>
  Effect.async((resume) => {
    process.stderr.write(`${line}\n`, () => resume(Effect.void))
  })

/** One line a complaint. */
export const complain = (line: string): Effect.Effect<void> => writeLine(`hypercore: ${line}`)
