import { Effect } from "effect"

/** Lets the event loop see to signals: reading is synchronous, and the feed's own yields go to other fibers only. */
export const turn = Effect.async<void>((resume) => {
  setImmediate(() => resume(Effect.void))
})
