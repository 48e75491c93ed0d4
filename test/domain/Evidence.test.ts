/** Evidence of a fork: its bytes, and that nothing but two signed logs that differ is any. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Either, Schema } from "effect"
import fc from "fast-check"
import * as Evidence from "../../src/domain/Evidence.js"
import * as FlatTree from "../../src/domain/FlatTree.js"
import * as Hash from "../../src/domain/Hash.js"
import * as Merkle from "../../src/domain/Merkle.js"
import type { TreeNode } from "../../src/domain/Node.js"
import { BadArgument, Crypto } from "../../src/index.js"
import { CryptoNode } from "../../src/node.js"
import * as Fork from "../../src/services/Fork.js"
import { bytes } from "../services/harness.js"

const crypto = await Effect.runPromise(Effect.provide(Crypto, CryptoNode.layer))
const keys = await Effect.runPromise(crypto.keyPair(new Uint8Array(32).fill(3)))
const { blake2b256 } = crypto
const parentOf = (left: TreeNode, right: TreeNode) => Hash.parent(blake2b256, left, right)
const holds = (evidence: Evidence.Evidence, key = keys.publicKey) =>
  Effect.runPromise(Fork.verifyWith(crypto, evidence, key))

/** All nodes of a log of `length` blocks that goes its own way from block `forkAt` on. */
const treeOf = (branch: string, forkAt: number, length: number) => {
  const roots: Array<TreeNode> = []
  const nodes = new Map<number, TreeNode>()
  for (let i = 0; i < length; i++) {
    const block = bytes(i < forkAt ? `block ${i}` : `${branch} ${i}`)
    Merkle.addLeaf(parentOf, roots, Hash.leaf(blake2b256, i, block), (node) => nodes.set(node.index, node))
  }
  return { roots, nodes }
}

/** What the key says of `position` in such a log. */
const signed = async (tree: ReturnType<typeof treeOf>, position: number): Promise<Evidence.SignedLog> => {
  const { length } = Merkle.tip(tree.roots)
  const signature = await Effect.runPromise(
    crypto.sign(Hash.rootHash(blake2b256, tree.roots), keys.secretKey)
  )
  const path = [tree.nodes.get(position)!]
  for (
    let node = position as FlatTree.Position;
    !tree.roots.some(({ index }) => index === node);
    node = FlatTree.parent(node)
  ) {
    path.push(tree.nodes.get(FlatTree.sibling(node))!)
  }
  const hashed = ({ hash, size }: TreeNode) => ({ hash, size })
  return { length, roots: tree.roots.map(hashed), signature, path: path.map(hashed) }
}

const drawn = fc.record({
  a: fc.integer({ min: 1, max: 70 }),
  b: fc.integer({ min: 1, max: 70 }),
  forkAt: fc.nat({ max: 70 }),
  at: fc.nat({ max: 1000 })
})

const evidenceOf = async ({ a, at, b, forkAt }: typeof drawn extends fc.Arbitrary<infer A> ? A : never) => {
  const trees = [treeOf("a", forkAt, a), treeOf("b", forkAt, b)] as const
  const both = [...trees[0].nodes.keys()].filter((position) => trees[1].nodes.has(position))
  const position = both[at % both.length]! as FlatTree.Position
  const evidence: Evidence.Evidence = {
    position,
    logs: [await signed(trees[0], position), await signed(trees[1], position)]
  }
  return { evidence, differ: forkAt < FlatTree.endBlock(position) }
}

describe("two signed logs", () => {
  it("are evidence of each node that they differ in, and of no other", () =>
    fc.assert(
      fc.asyncProperty(drawn, async (one) => {
        const { differ, evidence } = await evidenceOf(one)
        expect(await holds(evidence)).toBe(differ)
        expect(await holds({ ...evidence, logs: [evidence.logs[1], evidence.logs[0]] })).toBe(differ)
        expect(await holds(evidence, new Uint8Array(32).fill(7))).toBe(false)
        expect(Either.getOrThrow(Fork.decode(Fork.encode(evidence)))).toEqual(evidence)
      }),
      { numRuns: 100 }
    ))

  it("are none once a bit of them is changed, unless it is of a size or a name that nothing signs", () =>
    fc.assert(
      fc.asyncProperty(drawn, fc.nat(), fc.nat({ max: 7 }), async (one, place, bit) => {
        const { evidence } = await evidenceOf({ ...one, forkAt: 0 })
        const encoded = Fork.encode(evidence)
        encoded[place % encoded.length]! ^= 1 << bit
        const decoded = Fork.decode(encoded)
        if (Either.isLeft(decoded)) return
        if (!(await holds(decoded.right))) return
        // What still holds says the same.
        const hashes = ({ logs }: Evidence.Evidence) => logs.map(({ path }) => path.map(({ hash }) => hash))
        expect(hashes(decoded.right)).toEqual(hashes(evidence))
      }),
      { numRuns: 300 }
    ))

  it("of one history are none, however their sizes are misstated", async () => {
    const tree = treeOf("a", 99, 8)
    const longer = treeOf("a", 99, 12)
    for (const position of [0, 1, 2, 3, 5, 14]) {
      const [one, other] = [await signed(tree, position), await signed(longer, position)]
      for (const by of [1, -1]) {
        const [node, sibling, ...rest] = other.path
        const path =
          sibling === undefined
            ? [{ ...node!, size: node!.size + by }]
            : [{ ...node!, size: node!.size + by }, { ...sibling, size: sibling.size - by }, ...rest]
        expect(await holds({ position, logs: [one, { ...other, path }] })).toBe(false)
      }
    }
  })
})

describe("bytes", () => {
  it("that are no evidence are refused, whatever they are", () =>
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (noise) => {
        const decoded = Fork.decode(Uint8Array.of(1, ...noise))
        if (Either.isRight(decoded)) expect(Fork.encode(decoded.right)).toBeInstanceOf(Uint8Array)
        else expect(decoded.left._tag).toBe("BadArgument")
        expect(Either.isLeft(Fork.decode(noise)) || noise[0] === 1).toBe(true)
      })
    ))

  it("that are cut off, or go on, are refused", async () => {
    const { evidence } = await evidenceOf({ a: 11, b: 21, forkAt: 3, at: 7 })
    const encoded = Fork.encode(evidence)
    for (let end = 0; end < encoded.length; end++) {
      expect(Either.isLeft(Fork.decode(encoded.subarray(0, end)))).toBe(true)
    }
    expect(Either.isLeft(Fork.decode(Uint8Array.of(...encoded, 0)))).toBe(true)
  })

  it("evidence that was made up by hand is none, and does no harm", async () => {
    const { evidence } = await evidenceOf({ a: 11, b: 21, forkAt: 3, at: 7 })
    const [a, b] = evidence.logs
    const odd: ReadonlyArray<Partial<Evidence.SignedLog>> = [
      { length: 0 },
      { length: -1 },
      { length: 2.5 },
      { length: 2 ** 53 },
      { roots: [] },
      { roots: [...b.roots, b.roots[0]!] },
      { path: [] },
      { path: [...b.path, b.path[0]!] },
      { path: Array.from({ length: 100 }, () => b.path[0]!) },
      { path: [{ hash: new Uint8Array(31), size: 1 }] },
      { path: [{ hash: b.path[0]!.hash, size: Number.MAX_SAFE_INTEGER }, ...b.path.slice(1)] },
      { signature: new Uint8Array(63) }
    ]
    for (const part of odd) expect(await holds({ ...evidence, logs: [a, { ...b, ...part }] })).toBe(false)
    for (const position of [-1, 0.5, 2 ** 40, Number.NaN]) {
      expect(await holds({ ...evidence, position })).toBe(false)
    }
  })
})

describe("what has not the form of evidence", () => {
  it("is refused in words, and shows nothing", async () => {
    const { evidence } = await evidenceOf({ a: 11, b: 21, forkAt: 0, at: 7 })
    const [a, b] = evidence.logs
    for (const given of [
      undefined,
      {},
      { ...evidence, position: Number.NaN },
      { ...evidence, logs: [a] },
      { ...evidence, logs: [a, { ...b, length: Number.POSITIVE_INFINITY }] },
      { ...evidence, logs: [a, { ...b, roots: [] }] },
      { ...evidence, logs: [a, { ...b, path: [{ hash: new Uint8Array(32), size: -1 }] }] }
    ]) {
      const wrong = given as Evidence.Evidence
      expect(await holds(wrong)).toBe(false)
      expect(() => Fork.encode(wrong)).toThrow(BadArgument)
      expect(Either.isLeft(Schema.encodeUnknownEither(Fork.schema)(wrong))).toBe(true)
    }
  })
})
