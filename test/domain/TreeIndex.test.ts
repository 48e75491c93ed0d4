/** Questions to the tree-bits, against the real peer's `lib/tree-index.js`: its captured answers, and the live code. */
import { describe, expect, it } from "@effect/vitest"
import fc from "fast-check"
import { Bitfield } from "../../src/domain/Bitfield.js"
import type { Position } from "../../src/domain/FlatTree.js"
import * as TreeIndex from "../../src/domain/TreeIndex.js"
import { knownAnswers } from "../reference/knownAnswers.js"
import { newBitfield, newTreeIndex, type PeerTreeIndex } from "../reference/peer.js"

/** The positions that `set` leaves held, and the end that the peer looks at. */
const heldNodes = (set: ReadonlyArray<number>, end: number): TreeIndex.HeldNodes => {
  const bitfield = new Bitfield()
  for (const position of set) bitfield.setNode(position as Position)
  return { hasNode: (position) => bitfield.hasNode(position), end }
}

describe("the peer's answers", () => {
  const cases = knownAnswers.treePlans.map((answer, i) => [`${answer.kind} ${i}`, answer] as const)

  it.each(cases)("%s", (_, answer) => {
    const held = heldNodes(answer.set, answer.bitLength)
    const positions = Array.from({ length: answer.bitLength + 64 }, (_, position) => position)
    expect(positions.filter((position) => held.hasNode(position as Position))).toEqual(answer.bits)
    expect(TreeIndex.length(held)).toBe(answer.blocks)
    expect(answer.digests.map((_, block) => TreeIndex.digest(held, block))).toEqual(answer.digests)
    expect(answer.bits.map((position) => 2 * TreeIndex.lengthAround(held, position as Position))).toEqual(
      answer.verifiedBy
    )
    for (const { digest, hash, plan, position } of answer.proofs) {
      const ours = TreeIndex.proofPlan(held, position / 2, { digest, hash })
      expect(ours && { ...ours, verifiedBy: 2 * ours.verifiedBy }).toEqual(plan ?? undefined)
    }
  })
})

const expectSame = (ours: TreeIndex.HeldNodes, peer: PeerTreeIndex, blocks: number, digest: number) => {
  expect(TreeIndex.length(ours)).toBe(peer.blocks())
  for (let block = 0; block < blocks; block++) {
    expect(TreeIndex.digest(ours, block)).toBe(peer.digest(2 * block))
    for (const options of [
      { digest: 0, hash: false },
      { digest, hash: true }
    ]) {
      const plan = TreeIndex.proofPlan(ours, block, options)
      expect(plan && { ...plan, verifiedBy: 2 * plan.verifiedBy }).toEqual(
        peer.proof(2 * block, options) ?? undefined
      )
    }
  }
  for (let position = 0 as Position; position < 2 * blocks; position++) {
    if (!ours.hasNode(position)) continue
    expect(2 * TreeIndex.lengthAround(ours, position)).toBe(peer.verifiedBy(position))
  }
}

describe("the live peer, on random bits", () => {
  it("the leaves of a log", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 200 }), fc.nat({ max: 4096 }), (blocks, digest) => {
        const bitfield = new Bitfield()
        const pages = newBitfield(
          3584,
          [new Uint8Array(3584)].map((page) => Buffer.from(page))
        )
        const peer = newTreeIndex(pages.tree)
        bitfield.pages.touch(0)
        for (let block = 0; block < blocks; block++) {
          bitfield.setNode((2 * block) as Position)
          peer.set(2 * block)
        }
        expect(TreeIndex.length(bitfield)).toBe(blocks)
        expectSame(bitfield, peer, blocks + 2, digest)
      }),
      { numRuns: 20 }
    )
  })

  it("positions that no log leaves behind", () => {
    const set = fc.array(fc.nat({ max: 255 }), { maxLength: 60 })
    fc.assert(
      fc.property(set, fc.nat({ max: 4096 }), (positions, digest) => {
        const bitfield = new Bitfield()
        const peer = newTreeIndex()
        for (const position of positions) {
          bitfield.setNode(position as Position)
          peer.set(position)
        }
        const ours = {
          hasNode: (position: Position) => bitfield.hasNode(position),
          end: peer.bitfield.length
        }
        expectSame(ours, peer, 130, digest)
      }),
      { numRuns: 30 }
    )
  })
})

const log = (blocks: number): TreeIndex.HeldNodes => ({
  hasNode: (position) => {
    let reach = 1
    while (((position + 1) / reach) % 2 === 0) reach *= 2
    return position + reach - 1 < 2 * blocks
  },
  end: 2 * blocks
})

describe("what a proof plan says", () => {
  it("nothing for a leaf that is not held", () => {
    expect(TreeIndex.proofPlan(log(5), 5)).toBeUndefined()
  })

  it("nothing more than the leaf for someone who has everything", () => {
    expect(TreeIndex.digest(log(5), 3)).toBe(1)
    expect(TreeIndex.proofPlan(log(5), 3, { digest: 1 })).toEqual({ nodes: [], verifiedBy: 0 })
    expect(TreeIndex.proofPlan(log(5), 3, { digest: 1, hash: true })).toEqual({ nodes: [6], verifiedBy: 0 })
  })

  it("siblings upwards, then the other roots", () => {
    expect(TreeIndex.proofPlan(log(7), 1)).toEqual({ nodes: [0, 5, 9, 12], verifiedBy: 7 })
  })

  it("a digest of any size ends, and changes only what is left out", () => {
    fc.assert(
      fc.property(fc.nat({ max: 99 }), fc.maxSafeNat(), (block, digest) => {
        const held = log(100)
        const all = TreeIndex.proofPlan(held, block)!
        const some = TreeIndex.proofPlan(held, block, { digest })!
        for (const position of some.nodes) expect(all.nodes).toContain(position)
      })
    )
  })
})
