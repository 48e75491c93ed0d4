/** Which durations an option may be, and what is said of the others. */
import { describe, expect, it } from "@effect/vitest"
import { Duration } from "effect"
import { wrongDuration } from "../../src/services/wrongDuration.js"
import { wrongDurations } from "./harness.js"

describe("wrongDuration", () => {
  const taken: ReadonlyArray<Duration.DurationInput | undefined> = [
    undefined,
    0,
    -0,
    0.5,
    Number.POSITIVE_INFINITY,
    2n ** 80n,
    "0 millis",
    "-0 seconds",
    "1.5 seconds",
    [0, 0],
    [1, -1],
    [Number.POSITIVE_INFINITY, 0],
    Duration.zero,
    Duration.infinity,
    Duration.seconds(5)
  ]
  it.each(taken.map((input) => [input]))("takes %s", (input) => {
    expect(wrongDuration("get", "timeout", input)).toBeUndefined()
  })

  it.each(wrongDurations)("refuses %s", (input, says) => {
    expect(wrongDuration("get", "timeout", input)).toMatchObject({
      _tag: "BadArgument",
      message: `get: ${says}`
    })
  })
})
