/** Standard error: one line a complaint. */
import { Effect } from "effect"

/** Ends once the line is written, or cannot be. */
export const complain = (line: string): Effect.Effect<void> =>
  Effect.async((resume) => {
    process.stderr.write(`hypercore: ${line}\n`, () => resume(Effect.void))
  })
