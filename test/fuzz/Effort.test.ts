/** The judge of the fuzzing: it sees a decoder that looks too often or allocates too much. */
import { expect, it } from "@effect/vitest"
import { within } from "./Effort.js"

it("counts looks and allocations", () => {
  const bytes = Uint8Array.of(1, 2, 3)
  const sum = (all: Uint8Array): number => all[0]! + all[1]! + all[2]!
  expect(within({ looks: 3, allocated: 0 }, bytes, sum)).toBe(6)
  expect(() => within({ looks: 2, allocated: 0 }, bytes, sum)).toThrow()
  const copy = (all: Uint8Array): Uint8Array => {
    const own = new Uint8Array(all.length)
    own.set(all)
    return own
  }
  expect(within({ looks: 10, allocated: 3 }, bytes, copy)).toEqual(bytes)
  expect(() => within({ looks: 10, allocated: 2 }, bytes, copy)).toThrow()
  expect(within({ looks: 0, allocated: 0 }, bytes, (all) => all instanceof Uint8Array)).toBe(true)
})
