/** setBits: what a change makes of the bitfield in memory. Those of a large batch are set page by page, with turns of the event loop in between. */
import { Effect } from "effect"
import { BLOCKS_A_PAGE } from "../../domain/Bitfield.js"
import * as BitfieldIndex from "../../domain/BitfieldIndex.js"
import type { BitChange } from "../../domain/Change.js"
import { Turn } from "../Turn.js"
import type { FeedCore } from "./FeedCore.js"

type WithBits = Pick<FeedCore, "bitfield">

/** Blocks whose bits are set in well under a millisecond. */
const MOST_AT_ONCE = 2 * BLOCKS_A_PAGE

/**
 * Sets the bits in the order given. What happened is stored by now, so whoever looks in between sees some of what is true. The caller holds
 * `core.writer`.
 */
export const setBits = (core: WithBits, bits: ReadonlyArray<BitChange>): Effect.Effect<void> =>
  bits.some(isLarge) ? setInTurns(core, bits) : Effect.sync(() => applyBits(core, bits))

const isLarge = (bit: BitChange): boolean =>
  (bit._tag === "Have" || bit._tag === "Leaves") && bit.end - bit.start > MOST_AT_ONCE

const setInTurns = Effect.fnUntraced(function* (core: WithBits, bits: ReadonlyArray<BitChange>) {
  const turn = new Turn()
  yield* turn.pass
  for (const bit of bits) {
    for (const piece of piecesOf(core, bit)) {
      yield* turn.giveWay
      applyBits(core, [piece])
    }
  }
})

/** The same, of a page each. Pages of which none is held are not looked at one by one: a sparse feed may know blocks 2^40 apart. */
function* piecesOf({ bitfield }: WithBits, bit: BitChange): Generator<BitChange> {
  if (!isLarge(bit) || (bit._tag !== "Have" && bit._tag !== "Leaves")) return yield bit
  for (let { start } = bit; start < bit.end;) {
    const first = bit._tag === "Have" && !bit.held ? bitfield.nextHeld(start, bit.end) : start
    const end = Math.min(bit.end, (Math.floor(first / BLOCKS_A_PAGE) + 1) * BLOCKS_A_PAGE)
    yield { ...bit, start, end }
    start = end
  }
}

/** The same, at once. */
export const applyBits = (core: WithBits, bits: ReadonlyArray<BitChange>): void => {
  const { bitfield } = core
  for (const bit of bits) {
    switch (bit._tag) {
      case "Have":
        bitfield.setHave(bit.start, bit.end, bit.held)
        break
      case "Leaves":
        bitfield.setLeaves(bit.start, bit.end)
        break
      case "Nodes":
        for (const position of bit.positions) bitfield.setNode(position)
        break
      case "ForgetFrom":
        bitfield.dropNodesFrom(bit.position)
        break
      case "ForgetBeyond":
        bitfield.dropNodesBeyond(bit.length)
        bitfield.setHave(bit.length, bitfield.end, false)
        break
      case "Take":
        bitfield.take(bit.bits)
        break
      case "Reindex":
        BitfieldIndex.rebuild(bitfield.pages)
        break
    }
  }
}
