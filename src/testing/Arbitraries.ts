/** What feeds are tested with, as fast-check draws it (`FastCheck` of `effect`): what fails is made small. */
import { FastCheck as fc } from "effect"
import type { Action } from "./History.js"

export interface HistoryOptions {
  /** Actions at most. 12 when absent. */
  readonly maxLength?: number
  /** What may end, at any step of an action. Nothing when absent. */
  readonly crashes?: ReadonlyArray<"process" | "power">
}

/** 32 bytes, of which a key pair is made. */
export const keySeed: fc.Arbitrary<Uint8Array> = fc.uint8Array({ minLength: 32, maxLength: 32 })

/** A block: mostly short; also empty, of zeros (which is what lost bytes read as), and longer than a sector. */
export const block: fc.Arbitrary<Uint8Array> = fc.oneof(
  { weight: 8, arbitrary: fc.uint8Array({ maxLength: 40 }) },
  { weight: 1, arbitrary: fc.nat(600).map((size) => new Uint8Array(size)) },
  { weight: 1, arbitrary: fc.uint8Array({ minLength: 500, maxLength: 1500 }) }
)

/** Blocks that are appended at once. */
export const batch: fc.Arbitrary<ReadonlyArray<Uint8Array>> = fc.array(block, { minLength: 1, maxLength: 6 })

/** What an author may do, in any order. */
export const history = (options: HistoryOptions = {}): fc.Arbitrary<ReadonlyArray<Action>> => {
  const { crashes = [], maxLength = 12 } = options
  const crash = fc.record({
    _tag: fc.constant("Crash" as const),
    kind: fc.constantFrom(...crashes),
    after: fc.option(fc.nat(30), { nil: undefined })
  })
  const action: fc.Arbitrary<Action> = fc.oneof(
    { weight: 6, arbitrary: batch.map((blocks) => ({ _tag: "Append" as const, blocks })) },
    {
      weight: 2,
      arbitrary: fc.record({
        _tag: fc.constant("Clear" as const),
        start: fc.nat(20),
        count: fc.integer({ min: 1, max: 6 })
      })
    },
    { weight: 1, arbitrary: fc.constant({ _tag: "Reopen" as const }) },
    ...(crashes.length > 0 ? [{ weight: 3, arbitrary: crash }] : [])
  )
  return fc.array(action, { minLength: 1, maxLength })
}
