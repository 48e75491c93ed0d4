/** Any conversation is heard alike, whoever has it: the real package with itself, with ours, and ours with ours. */
import { describe, expect, it } from "@effect/vitest"
import fc from "fast-check"
import { conversation, hold } from "./conversations.js"
import type { Kind } from "./streams.js"

const PAIRS: ReadonlyArray<readonly [Kind, Kind]> = [
  ["ours", "real"],
  ["real", "ours"],
  ["ours", "ours"]
]

describe("a conversation", () => {
  it("is heard as the real package hears it, in any split", () =>
    fc.assert(
      fc.asyncProperty(conversation, async (one) => {
        const expected = await hold(["real", "real"], one)
        for (const pair of PAIRS) expect(await hold(pair, one)).toEqual(expected)
      }),
      { numRuns: 150 }
    ))
})
