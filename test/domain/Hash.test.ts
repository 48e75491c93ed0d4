/** The four formulas, against what the real peer computed and what FORMATS.md states. */
import { describe, expect, it } from "@effect/vitest"
import { toHex } from "../../src/domain/Bytes.js"
import * as Hash from "../../src/domain/Hash.js"
import * as Merkle from "../../src/domain/Merkle.js"
import type { TreeNode } from "../../src/domain/Node.js"
import * as CryptoNoble from "../../src/layers/CryptoNoble.js"
import { bytes, knownAnswers, node } from "../reference/knownAnswers.js"
import { expandBlocks } from "../vectors/dsl.mjs"

const { blake2b256 } = CryptoNoble.service
const parentOf = (left: TreeNode, right: TreeNode) => Hash.parent(blake2b256, left, right)
const text = (value: string) => new TextEncoder().encode(value)

describe("the peer's answers", () => {
  it.each(knownAnswers.leaves.map((answer) => [JSON.stringify(answer.block), answer] as const))(
    "leaf of %s",
    (_, { block, hash }) => {
      expect(toHex(Hash.leafHash(blake2b256, expandBlocks([block])[0]!))).toBe(hash)
    }
  )

  it.each(knownAnswers.parents.map((answer) => [answer.a.index, answer.b.index, answer] as const))(
    "parent of %i and %i",
    (_a, _b, { a, b, hash }) => {
      // Ours takes left and right; the peer sorts its arguments.
      const [left, right] = a.index < b.index ? [a, b] : [b, a]
      const parent = Hash.parent(blake2b256, node(left), node(right))
      expect(toHex(parent.hash)).toBe(hash)
      expect(parent.size).toBe(a.size + b.size)
      expect(parent.index).toBe((a.index + b.index) / 2)
    }
  )

  it.each(knownAnswers.rootHashes.map((answer) => [answer.roots.length, answer] as const))(
    "root hash over %i roots",
    (_, { hash, roots }) => {
      expect(toHex(Hash.rootHash(blake2b256, roots.map(node)))).toBe(hash)
    }
  )

  it.each(knownAnswers.keyPairs.map((answer) => [answer.publicKey, answer.discoveryKey] as const))(
    "discovery key of %s",
    (publicKey, discoveryKey) => {
      expect(toHex(Hash.discoveryKey(blake2b256, bytes(publicKey)))).toBe(discoveryKey)
    }
  )
})

describe("FORMATS, known answers", () => {
  it("leaf and parent of hello world, leaf of the empty block", () => {
    const hello = Hash.leaf(blake2b256, 0, text("hello world"))
    expect(toHex(hello.hash)).toMatch(/^ccfa4259.*90f7e2b7$/)
    const parent = Hash.parent(blake2b256, hello, Hash.leaf(blake2b256, 1, text("hello world")))
    expect(toHex(parent.hash)).toMatch(/^43563406/)
    expect(parent).toMatchObject({ index: 1, size: 22 })
    expect(toHex(Hash.leafHash(blake2b256, new Uint8Array(0)))).toBe(
      "5187b7a8021bf4f2c004ea3a54cfece1754f11c7624d2363c7f4cf4fddd1441e"
    )
  })

  it("discovery key of the pair from the seed 01 x 32", () => {
    const key = bytes("8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c")
    expect(toHex(Hash.discoveryKey(blake2b256, key))).toBe(
      "c1feb82a2b3ba065ffed9f6addcf19ac250793bcab748986a1b4272c62da20e6"
    )
  })

  it("root hash after a batch a, b, c, then an empty block, then hello", () => {
    const roots: Array<TreeNode> = []
    for (const [i, block] of ["a", "b", "c", "", "hello"].entries()) {
      Merkle.addLeaf(parentOf, roots, Hash.leaf(blake2b256, i, text(block)), () => undefined)
    }
    expect(toHex(Hash.rootHash(blake2b256, roots))).toBe(
      "fafcdfa61011a9b740c4074b9b7d412a563d9e7530f29fb639d75c0059ce1fda"
    )
  })
})

it("a block that spells out a parent's or a root's input does not hash to it", () => {
  const left = Hash.leaf(blake2b256, 0, text("left"))
  const right = Hash.leaf(blake2b256, 1, text("right"))
  const parent = Hash.parent(blake2b256, left, right)
  const forged = new Uint8Array([...left.hash, ...right.hash])
  expect(toHex(Hash.leafHash(blake2b256, forged))).not.toBe(toHex(parent.hash))
  expect(toHex(Hash.rootHash(blake2b256, [parent]))).not.toBe(toHex(parent.hash))
})
