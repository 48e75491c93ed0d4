import { describe, expect, it } from "@effect/vitest"
import fc from "fast-check"
import * as FlatTree from "../../src/domain/FlatTree.js"
import { flatTree } from "../reference/peer.js"
import * as SlowTree from "../reference/SlowTree.js"
import * as arbitrary from "./arbitraries.js"

const position = arbitrary.position.map((value) => value as FlatTree.Position)
const inner = position.filter((value) => value % 2 === 1)

describe("agrees with the package flat-tree and with a slow reference", () => {
  it("depth, offset", () => {
    fc.assert(
      fc.property(position, (p) => {
        expect(FlatTree.depth(p)).toBe(flatTree.depth(p))
        expect(BigInt(FlatTree.depth(p))).toBe(SlowTree.depth(BigInt(p)))
        expect(FlatTree.offset(p)).toBe(flatTree.offset(p))
        expect(FlatTree.isLeaf(p)).toBe(SlowTree.depth(BigInt(p)) === 0n)
      }),
      { numRuns: 2000 }
    )
  })

  it("parent, sibling, spans", () => {
    fc.assert(
      fc.property(position, (p) => {
        expect(FlatTree.parent(p)).toBe(flatTree.parent(p))
        expect(BigInt(FlatTree.parent(p))).toBe(SlowTree.parent(BigInt(p)))
        expect(FlatTree.sibling(p)).toBe(flatTree.sibling(p))
        expect(BigInt(FlatTree.sibling(p))).toBe(SlowTree.sibling(BigInt(p)))
        expect(FlatTree.leftSpan(p)).toBe(flatTree.leftSpan(p))
        expect(BigInt(FlatTree.leftSpan(p))).toBe(SlowTree.leftSpan(BigInt(p)))
        expect(FlatTree.rightSpan(p)).toBe(flatTree.rightSpan(p))
        expect(BigInt(FlatTree.rightSpan(p))).toBe(SlowTree.rightSpan(BigInt(p)))
      }),
      { numRuns: 2000 }
    )
  })

  it("children", () => {
    fc.assert(
      fc.property(inner, (p) => {
        expect(FlatTree.leftChild(p)).toBe(flatTree.leftChild(p))
        expect(BigInt(FlatTree.leftChild(p))).toBe(SlowTree.leftChild(BigInt(p)))
        expect(FlatTree.rightChild(p)).toBe(flatTree.rightChild(p))
        expect(BigInt(FlatTree.rightChild(p))).toBe(SlowTree.rightChild(BigInt(p)))
      }),
      { numRuns: 2000 }
    )
  })

  it("full roots", () => {
    fc.assert(
      fc.property(arbitrary.blockCount, (blocks) => {
        const roots = FlatTree.fullRoots(blocks)
        expect(roots).toEqual(flatTree.fullRoots(2 * blocks))
        expect(roots.map(BigInt)).toEqual(SlowTree.fullRoots(BigInt(blocks)))
      }),
      { numRuns: 2000 }
    )
  })

  it("everything below position 1000, and every length up to 300", () => {
    for (let p = 0 as FlatTree.Position; p < 1000; p++) {
      expect(FlatTree.depth(p)).toBe(flatTree.depth(p))
      expect(FlatTree.parent(p)).toBe(flatTree.parent(p))
      expect(FlatTree.sibling(p)).toBe(flatTree.sibling(p))
    }
    for (let blocks = 0; blocks <= 300; blocks++) {
      expect(FlatTree.fullRoots(blocks)).toEqual(flatTree.fullRoots(2 * blocks))
    }
  })
})

describe("round trips", () => {
  it("a position is at its depth and offset", () => {
    fc.assert(
      fc.property(position, (p) => {
        expect(FlatTree.at(FlatTree.depth(p), FlatTree.offset(p))).toBe(p)
        expect(FlatTree.offset(p, FlatTree.depth(p))).toBe(FlatTree.offset(p))
      })
    )
  })

  it("a parent's children are the node and its sibling", () => {
    fc.assert(
      fc.property(position, (p) => {
        const parent = FlatTree.parent(p)
        const children = [FlatTree.leftChild(parent), FlatTree.rightChild(parent)]
        expect(children).toEqual([p, FlatTree.sibling(p)].sort((a, b) => a - b))
        expect(FlatTree.sibling(FlatTree.sibling(p))).toBe(p)
      })
    )
  })

  it("a block is its leaf's", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 51 }), (block) => {
        const leaf = FlatTree.leaf(block)
        expect(FlatTree.isLeaf(leaf)).toBe(true)
        expect(FlatTree.block(leaf)).toBe(block)
        expect(FlatTree.firstBlock(leaf)).toBe(block)
        expect(FlatTree.endBlock(leaf)).toBe(block + 1)
      })
    )
  })

  it("full roots lie side by side and cover every block once", () => {
    fc.assert(
      fc.property(arbitrary.blockCount, (blocks) => {
        let end = 0
        for (const root of FlatTree.fullRoots(blocks)) {
          expect(FlatTree.firstBlock(root)).toBe(end)
          end = FlatTree.endBlock(root)
        }
        expect(end).toBe(blocks)
        const ones = blocks.toString(2).replaceAll("0", "").length
        expect(FlatTree.fullRoots(blocks)).toHaveLength(ones)
      })
    )
  })
})
