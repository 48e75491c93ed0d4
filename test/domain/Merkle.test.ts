/** The growing tree, against one that is built by recursion with the peer's hash functions, for every length 0 .. 300. */
import { describe, expect, it } from "@effect/vitest"
import fc from "fast-check"
import * as Append from "../../src/domain/Append.js"
import { arrays, LARGE } from "../../src/domain/ArrayPool.js"
import { concat, toHex } from "../../src/domain/Bytes.js"
import type { Change } from "../../src/domain/Change.js"
import * as Hash from "../../src/domain/Hash.js"
import * as Merkle from "../../src/domain/Merkle.js"
import { ENTRY_SIZE, type TreeNode, totalSize } from "../../src/domain/Node.js"
import * as Sleep from "../../src/domain/Sleep.js"
import * as CryptoNoble from "../../src/layers/CryptoNoble.js"
import { BytesFile } from "../reference/BytesFile.js"
import { crypto, type PeerNode } from "../reference/peer.js"
import { type RecursiveTree, recursiveTree, treeFile } from "../reference/RecursiveTree.js"
import { pseudoRandomBytes } from "../vectors/dsl.mjs"

const { blake2b256 } = CryptoNoble.service
const parentOf = (left: TreeNode, right: TreeNode) => Hash.parent(blake2b256, left, right)
const MAX_LENGTH = 300

/** Every seventh block is empty. */
const blocks = Array.from({ length: MAX_LENGTH }, (_, i) => pseudoRandomBytes(i % 7, i))

const plain = (node: TreeNode | PeerNode) => ({ index: node.index, size: node.size, hash: toHex(node.hash) })

/** A tree file that says what the peer's header says. */
const emptyTreeFile = (): BytesFile => {
  const file = new BytesFile()
  file.write(0, Sleep.header("tree", 40))
  return file
}

const store = (writes: Change["writes"], tree: BytesFile, data: BytesFile): void => {
  for (const write of writes) {
    expect(["tree", "data"]).toContain(write.file)
    const bytes = concat(write.parts)
    ;(write.file === "tree" ? tree : data).write(write.offset, bytes)
  }
}

const expectTip = (tip: Merkle.Tip, reference: RecursiveTree, length: number): void => {
  expect(tip.length).toBe(length)
  expect(tip.roots.map(plain)).toEqual(reference.roots.map(plain))
  expect(tip.byteLength).toBe(totalSize(tip.roots))
  expect(Merkle.tip(tip.roots)).toEqual(tip)
}

describe("addLeaf", () => {
  it("gives every node of the recursive tree, once, and its roots, for every length", () => {
    const roots: Array<TreeNode> = []
    const created = new Map<number, TreeNode>()
    for (let length = 1; length <= MAX_LENGTH; length++) {
      const leaf = Hash.leaf(blake2b256, length - 1, blocks[length - 1]!)
      Merkle.addLeaf(parentOf, roots, leaf, (node) => {
        expect(created.has(node.index)).toBe(false)
        created.set(node.index, node)
      })
      const reference = recursiveTree(blocks.slice(0, length))
      expect(roots.map(plain)).toEqual(reference.roots.map(plain))
      expect(created.size).toBe(reference.nodes.size)
      expectTip(Merkle.tip(roots), reference, length)
      expect(toHex(Hash.rootHash(blake2b256, roots))).toBe(toHex(reference.rootHash))
    }
    const reference = recursiveTree(blocks)
    for (const node of created.values()) {
      expect(plain(node)).toEqual(plain(reference.nodes.get(node.index)!))
    }
  })

  it("of no leaves is the empty tip", () => {
    expect(Merkle.tip([])).toEqual(Merkle.emptyTip)
    expect(toHex(Hash.rootHash(blake2b256, []))).toBe(toHex(crypto.tree([])))
  })
})

/** A function that writes digests where it is told to, as native ones do. */
const writing: Hash.Blake2b256 = (parts, key, into = new Uint8Array(32)) => {
  into.set(blake2b256(parts, key))
  return into
}

/** All that the pool could give to somebody else, written over. */
const writeOverPool = (): void => {
  const taken: Array<Uint8Array> = []
  for (let size = LARGE; size <= 2 * MAX_LENGTH * ENTRY_SIZE; size += 1024)
    taken.push(arrays.take(size).fill(255))
  for (const array of taken) arrays.give(array)
}

describe.each([
  ["that answers fresh digests", blake2b256],
  ["that writes them where it is told", writing]
])("Append.plan by a hash function %s", (_, blake2b) => {
  it("block by block: roots, root hash and tree file at every length", () => {
    const tree = emptyTreeFile()
    const data = new BytesFile()
    let tip = Merkle.emptyTip
    for (let length = 1; length <= MAX_LENGTH; length++) {
      const plan = Append.plan(blake2b, tip, [blocks[length - 1]!])
      expect(plan.start).toBe(length - 1)
      tip = plan.tip
      store(plan.writes, tree, data)
      const reference = recursiveTree(blocks.slice(0, length))
      expectTip(tip, reference, length)
      expect(toHex(plan.rootHash)).toBe(toHex(reference.rootHash))
      expect(toHex(tree.bytes)).toBe(toHex(treeFile(reference, length)))
    }
    expect(toHex(data.bytes)).toBe(toHex(concat(blocks)))
  })

  it("everything at once: roots, root hash and tree file of every length", () => {
    for (let length = 1; length <= MAX_LENGTH; length++) {
      const all = blocks.slice(0, length)
      const plan = Append.plan(blake2b, Merkle.emptyTip, all)
      const tree = emptyTreeFile()
      const data = new BytesFile()
      store(plan.writes, tree, data)
      const reference = recursiveTree(all)
      expectTip(plan.tip, reference, length)
      expect(toHex(plan.rootHash)).toBe(toHex(reference.rootHash))
      expect(toHex(tree.bytes)).toBe(toHex(treeFile(reference, length)))
      expect(toHex(data.bytes)).toBe(toHex(concat(all)))
    }
  })

  it("batches of any sizes come to the same, and leave the tip before them as it was, and nothing of them in what is given back", () => {
    const batches = fc.array(fc.integer({ min: 1, max: 120 }), { minLength: 1, maxLength: 8 })
    fc.assert(
      fc.property(batches, (sizes) => {
        const tree = emptyTreeFile()
        const data = new BytesFile()
        let tip = Merkle.emptyTip
        for (const size of sizes) {
          const before = structuredClone(tip)
          const batch = blocks.slice(tip.length, Math.min(tip.length + size, MAX_LENGTH))
          if (batch.length === 0) break
          const planning = new Append.Planning(blake2b, tip, batch)
          expect(planning.proceed(Number.POSITIVE_INFINITY)).toBe(true)
          const { plan } = planning
          expect(tip).toEqual(before)
          store(plan.writes, tree, data)
          tip = plan.tip
          planning.release()
          writeOverPool()
        }
        const all = blocks.slice(0, tip.length)
        const reference = recursiveTree(all)
        expectTip(tip, reference, all.length)
        expect(toHex(tree.bytes)).toBe(toHex(treeFile(reference, all.length)))
        expect(toHex(data.bytes)).toBe(toHex(concat(all)))
      }),
      { numRuns: 50 }
    )
  })

  it("signed, it is a change that says the same", () => {
    const plan = Append.plan(blake2b, Merkle.emptyTip, blocks.slice(0, 5))
    const signature = new Uint8Array(64).fill(7)
    expect(Append.change(plan, signature)).toEqual({
      cut: [],
      writes: plan.writes,
      signature: { file: "signatures", offset: 32 + 64 * 4, parts: [signature] },
      bits: [
        { _tag: "Have", start: 0, end: 5, held: true },
        { _tag: "Leaves", start: 0, end: 5 }
      ],
      freed: undefined,
      tip: plan.tip,
      events: [{ _tag: "Append", length: 5, byteLength: plan.tip.byteLength }]
    })
  })
})
