/** The bits of a large change are set in pieces, with turns of the event loop in between: what comes of it is the same. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, FastCheck as fc } from "effect"
import { BLOCKS_A_PAGE, Bitfield } from "../../src/domain/Bitfield.js"
import type { BitChange } from "../../src/domain/Change.js"
import { applyBits, setBits } from "../../src/services/feed/setBits.js"
import { WorkClock } from "../replication/WorkClock.js"

/** Milliseconds between two turns: what `Turn` allows, and a piece. */
const MOST = 10

const bytesOf = ({ pages }: Bitfield) =>
  pages.dirty().map(({ bytes, offset }) => ({ offset, bytes: Buffer.from(bytes).toString("base64") }))

/** A bitfield of which setting a page takes a millisecond. */
class SlowBitfield extends Bitfield {
  constructor(readonly clock: WorkClock) {
    super()
  }

  override setHave(start: number, end: number, held: boolean): boolean {
    // Pages of which nothing is held are only looked at.
    const pages = held ? Math.ceil((end - start) / BLOCKS_A_PAGE) : this.#pagesWithin(start, end)
    this.clock.spend(pages)
    return super.setHave(start, end, held)
  }

  #pagesWithin(start: number, end: number): number {
    const [first, last] = [Math.floor(start / BLOCKS_A_PAGE), Math.ceil(end / BLOCKS_A_PAGE)]
    const holds = (k: number) => this.pages.words(this.pages.have, k)?.some((word) => word !== 0) === true
    return this.pages.numbers().filter((k) => first <= k && k < last && holds(k)).length
  }

  override setLeaves(start: number, end: number): void {
    this.clock.spend(Math.ceil((end - start) / BLOCKS_A_PAGE))
    super.setLeaves(start, end)
  }
}

const range = fc.tuple(fc.nat(12 * BLOCKS_A_PAGE), fc.nat(40 * BLOCKS_A_PAGE)).map(([start, length]) => ({
  start,
  end: start + length
}))
const bitChange: fc.Arbitrary<BitChange> = fc.oneof(
  range.map(({ end, start }) => ({ _tag: "Leaves" as const, start, end })),
  fc.tuple(range, fc.boolean()).map(([{ end, start }, held]) => ({ _tag: "Have" as const, start, end, held }))
)

describe("setBits", () => {
  it.effect.prop(
    "sets what setting all at once does, a page at a time",
    [fc.array(bitChange, { maxLength: 4 })],
    ([bits]) =>
      Effect.gen(function* () {
        const atOnce = new Bitfield()
        applyBits({ bitfield: atOnce }, bits)
        const clock = new WorkClock()
        const bitfield = new SlowBitfield(clock)
        yield* Effect.withClock(setBits({ bitfield }, bits), clock)
        expect(bytesOf(bitfield)).toEqual(bytesOf(atOnce))
        expect(bitfield.end).toBe(atOnce.end)
        expect(clock.longest).toBeLessThanOrEqual(MOST)
      })
  )

  it.effect("clears what little is held of a range that is far too long to go through", () =>
    Effect.gen(function* () {
      const bitfield = new Bitfield()
      const far = 2 ** 40
      applyBits({ bitfield }, [
        { _tag: "Have", start: 5, end: 9, held: true },
        { _tag: "Have", start: far, end: far + 3, held: true }
      ])
      yield* setBits({ bitfield }, [{ _tag: "Have", start: 6, end: far + 1, held: false }])
      expect(bitfield.nextHeld(0, far)).toBe(5)
      expect(bitfield.nextHeld(6, far + 3)).toBe(far + 1)
    })
  )
})
