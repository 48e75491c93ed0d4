/** Digests that count on answers under way: proofs that come in that order hold, and bring no node twice. */
import { describe, expect, it } from "@effect/vitest"
import { Either, FastCheck as fc } from "effect"
import { Expected } from "../../src/domain/Expected.js"
import type { Position } from "../../src/domain/FlatTree.js"
import * as TreeIndex from "../../src/domain/TreeIndex.js"
import { Author, prove, Reader } from "../reference/ProofPair.js"

const someBlock = (index: number) => new Uint8Array(index % 5).fill(index)

const MOST = 70
const author = new Author(Array.from({ length: MOST }, (_, index) => someBlock(index)))

/** A reader that knows the roots of a log of `length` blocks, and has the `first` block. */
const readerOf = (length: number, first: number) => {
  const reader = new Reader()
  const proof = prove(author.at(length), first)
  expect(Either.isRight(reader.put({ index: first, block: someBlock(first), proof }))).toBe(true)
  return reader
}

const orders = fc.integer({ min: 1, max: MOST }).chain((length) =>
  fc.record({
    length: fc.constant(length),
    first: fc.nat(length - 1),
    blocks: fc.uniqueArray(fc.nat(length - 1), { size: "max", maxLength: length }),
    /** How many answers come before the next request is sent, one after the other. */
    pauses: fc.array(fc.nat(4), { minLength: MOST, maxLength: MOST })
  })
)

const isSame = (expected: Expected, reader: Reader): boolean => {
  for (let position = 0; position < 2 * MOST; position++) {
    if (expected.hasNode(position as Position) !== reader.held.hasNode(position as Position)) return false
  }
  return true
}

describe("requests that count on the answers before them", () => {
  it("are proved when the answers come in order, and no node comes twice", () =>
    fc.assert(
      fc.property(orders, ({ blocks, first, length, pauses }) => {
        const reader = readerOf(length, first)
        const expected = new Expected(reader.held)
        const waiting: Array<{ readonly index: number; readonly digest: number }> = []
        const seen = new Set<number>()
        const answer = () => {
          const { digest, index } = waiting.shift()!
          const proof = prove(author.at(length), index, { digest })
          for (const node of proof.nodes) {
            expect(seen.has(node.index) || reader.held.hasNode(node.index)).toBe(false)
            seen.add(node.index)
          }
          expect(Either.isRight(reader.put({ index, block: someBlock(index), proof }))).toBe(true)
          expected.remove(index)
        }
        for (const [i, index] of blocks.entries()) {
          waiting.push({ index, digest: TreeIndex.digest(expected, index) })
          expected.add(index)
          for (let n = 0; n < pauses[i]! && waiting.length > 0; n++) answer()
        }
        while (waiting.length > 0) answer()
        expect(isSame(expected, reader)).toBe(true)
      })
    ))

  it("leave nothing expected when they are given up, in any order", () =>
    fc.assert(
      fc.property(orders, fc.nat(), ({ blocks, first, length }, turn) => {
        const reader = readerOf(length, first)
        const expected = new Expected(reader.held)
        for (const index of blocks) expected.add(index)
        const half = blocks.length === 0 ? 0 : turn % blocks.length
        for (const index of [...blocks.slice(half), ...blocks.slice(0, half)]) expected.remove(index)
        expect(isSame(expected, reader)).toBe(true)
      })
    ))
})
