/** What the files of a feed prove: claims, and which stored nodes lead up to a trusted root. */
import { describe, expect, it } from "@effect/vitest"
import fc from "fast-check"
import { Bitfield } from "../../src/domain/Bitfield.js"
import * as FlatTree from "../../src/domain/FlatTree.js"
import type { Position } from "../../src/domain/FlatTree.js"
import type { TreeNode } from "../../src/domain/Node.js"
import * as Recovery from "../../src/domain/Recovery.js"
import { blake2b256 } from "../reference/blake2b256.js"
import { type RecursiveTree, recursiveTree } from "../reference/RecursiveTree.js"
import * as arbitrary from "./arbitraries.js"

const node = (tree: RecursiveTree, position: number) => tree.nodes.get(position) as TreeNode

const verifyUnder = (
  root: TreeNode,
  offset: number,
  stored: (position: Position) => TreeNode | undefined
): Recovery.Verified => {
  const found: Recovery.Verified = { positions: [], leaves: [] }
  Recovery.subtree(blake2b256, root, offset, stored, found)
  return found
}

describe("subtree", () => {
  const blocks = fc.array(arbitrary.block, { minLength: 1, maxLength: 40, size: "max" })

  it("finds every node and every leaf, with its place in data, when all is well", () => {
    fc.assert(
      fc.property(blocks, fc.nat({ max: 1000 }), (list, base) => {
        const tree = recursiveTree(list)
        const offsets = list.map((_, i) => list.slice(0, i).reduce((sum, block) => sum + block.length, base))
        let offset = base
        const positions: Array<number> = []
        const leaves: Array<Recovery.LocatedLeaf> = []
        for (const root of tree.roots) {
          const found = verifyUnder(node(tree, root.index), offset, (position) => node(tree, position))
          positions.push(...found.positions)
          leaves.push(...found.leaves)
          offset += root.size
        }
        expect(positions.sort((a, b) => a - b)).toEqual([...tree.nodes.keys()].sort((a, b) => a - b))
        expect(leaves).toEqual(list.map((_, i) => ({ leaf: node(tree, 2 * i), offset: offsets[i] })))
      }),
      { numRuns: 100 }
    )
  })

  const damage = fc.record({
    at: fc.nat(),
    how: fc.constantFrom("missing" as const, "hash" as const, "size" as const)
  })

  it("finds neither a damaged node, nor its sibling, nor anything below them, and all the rest", () => {
    fc.assert(
      fc.property(blocks, fc.array(damage, { minLength: 1, maxLength: 3 }), (list, damages) => {
        const tree = recursiveTree(list)
        const all = [...tree.nodes.keys()]
        const stored = new Map([...tree.nodes].map(([position, value]) => [position, value as TreeNode]))
        const damaged = new Set<number>()
        for (const { at, how } of damages) {
          const position = all[at % all.length]!
          if (damaged.has(position) || damaged.has(FlatTree.sibling(position as Position))) continue
          damaged.add(position)
          const { hash, index, size } = node(tree, position)
          if (how === "missing") stored.delete(position)
          else if (how === "hash") stored.set(position, { index, size, hash: hash.map((byte) => byte ^ 1) })
          else stored.set(position, { index, hash, size: size + 1 })
        }
        for (const root of tree.roots) {
          const found = verifyUnder(node(tree, root.index), 0, (position) => stored.get(position))
          const lost = (position: Position): boolean =>
            position !== root.index &&
            (damaged.has(position) ||
              damaged.has(FlatTree.sibling(position)) ||
              lost(FlatTree.parent(position)))
          const under = all.filter(
            (position) =>
              position >= FlatTree.leftSpan(root.index as Position) &&
              position <= FlatTree.rightSpan(root.index as Position)
          )
          const expected = under.filter((position) => !lost(position as Position)).sort((a, b) => a - b)
          expect(found.positions.sort((a, b) => a - b)).toEqual(expected)
          expect(found.leaves.map(({ leaf }) => Number(leaf.index))).toEqual(
            expected.filter((position) => position % 2 === 0)
          )
        }
      }),
      { numRuns: 200 }
    )
  })
})

describe("trustedChildren", () => {
  const tree = recursiveTree([Uint8Array.of(1), Uint8Array.of(2, 3), new Uint8Array(0)])
  const root = node(tree, 1)

  it("are those that hash to the node, with its size", () => {
    expect(Recovery.trustedChildren(blake2b256, root, (position) => node(tree, position))).toEqual([
      node(tree, 0),
      node(tree, 2)
    ])
  })

  it("are none when one is missing or other than it was", () => {
    const left = node(tree, 0)
    for (const other of [
      undefined,
      { ...left, size: 9 },
      { ...left, hash: new Uint8Array(32) },
      node(tree, 4)
    ]) {
      const stored = (position: Position) => (position === 0 ? other : node(tree, position))
      expect(Recovery.trustedChildren(blake2b256, root, stored)).toBeUndefined()
    }
    const wrongSum = { ...root, size: root.size + 1 }
    expect(Recovery.trustedChildren(blake2b256, wrongSum, (position) => node(tree, position))).toBeUndefined()
  })
})

const bitfieldOf = (blocks: number): Bitfield => {
  const bitfield = new Bitfield()
  for (let i = 0; i < blocks; i++) bitfield.setNode((2 * i) as Position)
  return bitfield
}

describe("claims", () => {
  it("says what each file claims", () => {
    const sizes = { bitfield: 32 + 3584, tree: 32 + 40 * 9, signatures: 32 + 64 * 5, data: 10 }
    expect(Recovery.claims(bitfieldOf(5), 3584, sizes)).toEqual({
      bits: 5,
      signatures: 5,
      wholeBits: Number.POSITIVE_INFINITY,
      treeEnd: 9
    })
  })

  it("of files that are missing or end in the middle of something", () => {
    const nothing = { bitfield: 0, tree: 0, signatures: 0, data: 0 }
    expect(Recovery.claims(bitfieldOf(0), 3584, nothing)).toEqual({
      bits: 0,
      signatures: 0,
      wholeBits: Number.POSITIVE_INFINITY,
      treeEnd: 0
    })
    const torn = { bitfield: 32 + 2 * 3584 + 1, tree: 32 + 79, signatures: 32 + 63, data: 0 }
    expect(Recovery.claims(bitfieldOf(3), 3584, torn)).toEqual({
      bits: 3,
      signatures: 0,
      wholeBits: 2 * 8192,
      treeEnd: 1
    })
    const headersTorn = { bitfield: 5, tree: 31, signatures: 31, data: 0 }
    expect(Recovery.claims(bitfieldOf(0), 3328, headersTorn)).toMatchObject({ signatures: 0, treeEnd: 0 })
  })

  it("rootsFit: the last root lies before the end", () => {
    for (let length = 0; length < 100; length++) {
      const roots = FlatTree.fullRoots(length)
      for (let end = 0; end < 210; end++) {
        const fits = length > 0 && roots.every((root) => root < end)
        expect(Recovery.rootsFit(length, end as Position)).toBe(fits)
      }
    }
  })
})
