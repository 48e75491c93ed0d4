/** signature, verify, rootHashes, proof, digest, put: what lets one feed trust another's blocks. */
import { describe, expect } from "@effect/vitest"
import { Effect } from "effect"
import { Crypto, Feed, type Proof, type TreeNode, toHex } from "../../src/index.js"
import {
  bytes,
  cutFile,
  expectFailure,
  failure,
  inMemory,
  keyPair,
  onEachStorage,
  openText,
  signedIndexes,
  someBlocks,
  source,
  stored,
  transfer
} from "./harness.js"

/** An author's feed signed at lengths 1, 4, 5, 11 and 12. */
const author = (seed = 1) =>
  Effect.gen(function* () {
    const blocks = someBlocks(12, `${seed}:`)
    const feed = yield* source([], seed)
    for (const [start, end] of [
      [0, 1],
      [1, 4],
      [4, 5],
      [5, 11],
      [11, 12]
    ] as const) {
      yield* feed.appendBatch(blocks.slice(start, end))
    }
    return { feed, blocks }
  })

const reader = (feed: Feed.Feed, path = "") => Feed.open({ key: feed.key, sparse: true, path })

const flipped = (content: Uint8Array, at = 0): Uint8Array => {
  const copy = content.slice()
  copy[at]! ^= 1
  return copy
}

describe("signature and verify", () => {
  onEachStorage("the signature for a block is the first at or after it", () =>
    Effect.gen(function* () {
      const feed = yield* Feed.open(yield* keyPair(1))
      const { feed: other, blocks } = yield* author()
      for (const [start, end] of [
        [0, 1],
        [1, 4],
        [4, 5],
        [5, 11],
        [11, 12]
      ] as const) {
        yield* feed.appendBatch(blocks.slice(start, end))
      }
      const indexes = yield* Effect.forEach(blocks, (_, i) => feed.signature(i))
      expect(indexes.map(({ index }) => index)).toEqual([0, 3, 3, 3, 4, 10, 10, 10, 10, 10, 10, 11])
      expect((yield* feed.signature()).index).toBe(11)
      for (const { index, signature } of indexes) {
        expect(signature).toHaveLength(64)
        yield* feed.verify(index, signature)
        yield* other.verify(index, signature)
        expect((yield* other.signature(index)).signature).toEqual(signature)
      }
    })
  )

  onEachStorage("a signature of a batch of 5000 is found from its start", () =>
    Effect.gen(function* () {
      const feed = yield* Feed.open()
      yield* feed.append(bytes("x"))
      yield* feed.appendBatch(Array.from({ length: 5000 }, () => bytes("y")))
      yield* feed.append(bytes("z"))
      expect((yield* feed.signature(1)).index).toBe(5000)
      expect((yield* feed.signature(5000)).index).toBe(5000)
      expect((yield* feed.signature(5001)).index).toBe(5001)
    })
  )

  onEachStorage("verify refuses every other signature and every other length", () =>
    Effect.gen(function* () {
      const { feed } = yield* author()
      const { feed: stranger } = yield* author(2)
      const { signature } = yield* feed.signature(11)
      for (let index = 0; index < 11; index++) {
        yield* expectFailure(feed.verify(index, signature), { _tag: "InvalidSignature", length: index + 1 })
      }
      const invalid = { _tag: "InvalidSignature", length: 12 }
      for (const at of [0, 31, 32, 63]) yield* expectFailure(feed.verify(11, flipped(signature, at)), invalid)
      for (const wrong of [
        signature.slice(1),
        new Uint8Array(0),
        new Uint8Array(64),
        new Uint8Array(65).fill(1),
        (yield* stranger.signature(11)).signature
      ]) {
        yield* expectFailure(feed.verify(11, wrong), invalid)
      }
      yield* expectFailure(feed.verify(12, signature), { _tag: "BlockUnavailable", reason: "out-of-range" })
    })
  )

  onEachStorage("an empty feed has neither signature nor roots", () =>
    Effect.gen(function* () {
      const feed = yield* openText()
      const unavailable = { _tag: "BlockUnavailable", reason: "out-of-range" }
      yield* expectFailure(feed.signature(), unavailable)
      yield* expectFailure(feed.rootHashes(0), unavailable)
      yield* expectFailure(feed.verify(0, new Uint8Array(64)), unavailable)
      yield* expectFailure(feed.proof(0), { _tag: "BlockUnavailable", index: 0 })
    })
  )

  onEachStorage("what a reader was not given is unavailable", () =>
    Effect.gen(function* () {
      const { feed: from } = yield* author()
      const feed = yield* reader(from)
      yield* transfer(from, feed, 3)
      yield* expectFailure(feed.rootHashes(4), { _tag: "BlockUnavailable", index: 4, reason: "not-held" })
      expect((yield* feed.signature(3)).index).toBe(11)
    })
  )
})

describe("rootHashes", () => {
  onEachStorage("are the roots of each length, and hash to what was signed", () =>
    Effect.gen(function* () {
      const { feed } = yield* author()
      const { blake2b256 } = yield* Crypto
      const positions = yield* Effect.forEach([0, 1, 2, 3, 4, 5, 6, 7, 11], (index) => feed.rootHashes(index))
      expect(positions.map((roots) => roots.map((root) => root.index))).toEqual([
        [0],
        [1],
        [1, 4],
        [3],
        [3, 8],
        [3, 9],
        [3, 9, 12],
        [7],
        [7, 19]
      ])
      for (const roots of positions) {
        for (const root of roots) expect(root.hash).toHaveLength(32)
      }
      const roots = yield* feed.rootHashes(11)
      expect(roots.reduce((sum, root) => sum + root.size, 0)).toBe(feed.byteLength)
      const [leaf] = yield* feed.rootHashes(0)
      const block = yield* feed.get(0)
      const length = new Uint8Array(9)
      length[8] = block.length
      expect(toHex(leaf!.hash)).toBe(toHex(blake2b256([length, block])))
    })
  )
})

describe("proof and put", () => {
  onEachStorage("a reader takes every block in any order, and ends with the author's tree", () =>
    Effect.gen(function* () {
      const { feed: from, blocks } = yield* author()
      const feed = yield* reader(from)
      for (const index of [7, 0, 11, 3, 4, 10, 1, 2, 9, 5, 8, 6]) {
        yield* transfer(from, feed, index)
        expect(yield* feed.get(index)).toEqual(blocks[index])
        expect([feed.length, feed.byteLength]).toEqual([12, from.byteLength])
      }
      expect(yield* feed.getBatch(0, 12)).toEqual(blocks)
      expect(yield* feed.audit()).toEqual({ valid: 12, invalid: 0 })
      expect(yield* feed.rootHashes(11)).toEqual(yield* from.rootHashes(11))
      yield* feed.close
      const again = yield* reader(from)
      expect(yield* again.getBatch(0, 12)).toEqual(blocks)
    })
  )

  onEachStorage("leaves out what the digest says is there", () =>
    Effect.gen(function* () {
      const { feed: from } = yield* author()
      const feed = yield* reader(from)
      expect(yield* feed.digest(0)).toBe(0)
      const full = yield* from.proof(0)
      expect(full.nodes.map((node) => node.index)).toEqual([2, 5, 11, 19])
      expect(full.signature).toHaveLength(64)
      yield* transfer(from, feed, 0)
      expect(yield* feed.digest(0)).toBe(1)
      const next = yield* from.proof(2, { digest: yield* feed.digest(2) })
      expect(next.nodes.map((node) => node.index)).toEqual([6])
      expect(next.signature).toBeUndefined()
    })
  )

  onEachStorage("a leaf without its block can be put first, the block later", () =>
    Effect.gen(function* () {
      const { feed: from, blocks } = yield* author()
      const feed = yield* reader(from)
      yield* feed.put({ index: 5, proof: yield* from.proof(5, { hash: true }) })
      expect([feed.length, yield* feed.has(5), yield* feed.downloaded()]).toEqual([12, false, 0])
      expect(yield* feed.digest(5)).toBe(1)
      const proof = yield* from.proof(5, { digest: 1 })
      expect(proof).toEqual({ nodes: [] })
      yield* feed.put({ index: 5, proof, block: blocks[5] })
      expect(yield* feed.get(5)).toEqual(blocks[5])
    })
  )

  onEachStorage("a feed proves to others what it was given, block or not", () =>
    Effect.gen(function* () {
      const { feed: from, blocks } = yield* author()
      const feed = yield* reader(from)
      yield* transfer(from, feed, 4)
      yield* feed.clear(4)
      const third = yield* reader(from, "third")
      yield* third.put({ index: 4, proof: yield* feed.proof(4), block: blocks[4] })
      expect(yield* third.get(4)).toEqual(blocks[4])
      yield* expectFailure(feed.proof(3), { _tag: "BlockUnavailable", index: 3, reason: "not-held" })
    })
  )

  onEachStorage("a reader's log grows with a proof of a longer one, never shrinks with an older one", () =>
    Effect.gen(function* () {
      const blocks = someBlocks(20)
      const from = yield* source(blocks.slice(0, 6))
      const old = { index: 2, proof: yield* from.proof(2), block: blocks[2] }
      yield* from.appendBatch(blocks.slice(6, 9))
      const newer = { index: 7, proof: yield* from.proof(7), block: blocks[7] }
      const feed = yield* reader(from)
      yield* feed.put(newer)
      expect(feed.length).toBe(9)
      yield* feed.put(old)
      expect([feed.length, feed.byteLength]).toEqual([9, from.byteLength])
      yield* from.appendBatch(blocks.slice(9))
      yield* transfer(from, feed, 19)
      expect([feed.length, feed.byteLength]).toEqual([20, from.byteLength])
      expect(yield* feed.getBatch(2, 3)).toEqual([blocks[2]])
      yield* feed.close
      const again = yield* reader(from)
      expect([again.length, yield* again.downloaded()]).toEqual([20, 3])
      yield* again.verify(19, (yield* again.signature()).signature)
    })
  )

  onEachStorage("putting a block again changes nothing", () =>
    Effect.gen(function* () {
      const { feed: from, blocks } = yield* author()
      const feed = yield* reader(from)
      const claim = { index: 6, proof: yield* from.proof(6), block: blocks[6] }
      yield* feed.put(claim)
      const before = yield* stored()
      yield* feed.put(claim)
      yield* feed.put({ ...claim, proof: { nodes: [] } })
      expect(yield* stored()).toEqual(before)
    })
  )

  onEachStorage("put does not change the claim it is given", () =>
    Effect.gen(function* () {
      const { feed: from, blocks } = yield* author()
      const feed = yield* reader(from)
      const claim = { index: 6, proof: yield* from.proof(6, { hash: true }) }
      const copy = structuredClone(claim)
      yield* feed.put(claim)
      expect(claim).toEqual(copy)
      yield* feed.put({ ...claim, block: blocks[6], proof: { nodes: [] } })
    })
  )

  onEachStorage("a block that was cleared or damaged is healed by put", () =>
    Effect.gen(function* () {
      const { feed: from, blocks } = yield* author()
      const author2 = yield* Feed.open(yield* keyPair(1))
      yield* author2.appendBatch(blocks)
      yield* author2.clear(0, 12)
      for (const index of [3, 0, 11]) {
        yield* author2.put({ index, block: blocks[index], proof: { nodes: [] } })
        expect(yield* author2.get(index)).toEqual(blocks[index])
      }
      expect(yield* author2.audit()).toEqual({ valid: 3, invalid: 0 })
      expect(from.key).toEqual(author2.key)
    })
  )

  onEachStorage("an author takes back its own longer history from a reader", () =>
    Effect.gen(function* () {
      const { feed: from, blocks } = yield* author()
      const feed = yield* Feed.open(yield* keyPair(1))
      yield* feed.append(blocks[0]!)
      for (let index = 1; index < 12; index++) yield* transfer(from, feed, index)
      expect([feed.length, feed.writable]).toEqual([12, true])
      expect(yield* feed.append(bytes("next"))).toBe(12)
      expect(yield* feed.getBatch(0, 13)).toEqual([...blocks, bytes("next")])
      yield* feed.close
      const again = yield* Feed.open()
      expect([again.length, yield* again.downloaded()]).toEqual([13, 13])
      expect(yield* again.audit()).toEqual({ valid: 13, invalid: 0 })
    })
  )

  onEachStorage("a proof whose leaf was lost from the file is CorruptStorage", () =>
    Effect.gen(function* () {
      const feed = yield* Feed.open(yield* keyPair(1))
      yield* feed.appendBatch(someBlocks(8))
      yield* cutFile("tree", 32 + 40 * 9)
      yield* expectFailure(feed.proof(2), { _tag: "CorruptStorage", file: "tree" })
    })
  )
})

/** Every way to change one thing in a claim. */
const tampered = (claim: { index: number; proof: Proof; block: Uint8Array }) => {
  const { index, proof, block } = claim
  const withNodes = (nodes: ReadonlyArray<TreeNode>) => ({ ...claim, proof: { ...proof, nodes } })
  const changeNode = (i: number, change: (node: TreeNode) => Partial<TreeNode>) =>
    withNodes(proof.nodes.map((node, at) => (at === i ? { ...node, ...change(node) } : node)))
  type Index = TreeNode["index"]
  return [
    ["another block", { ...claim, block: flipped(block) }],
    ["a longer block", { ...claim, block: Uint8Array.from([...block, 0]) }],
    ["an empty block", { ...claim, block: new Uint8Array(0) }],
    ["the next index", { ...claim, index: index + 1 }],
    ["another index", { ...claim, index: index + 8 }],
    ["no nodes", withNodes([])],
    ["no signature", { ...claim, proof: { nodes: proof.nodes } }],
    ["another signature", { ...claim, proof: { ...proof, signature: flipped(proof.signature!) } }],
    ["a blank signature", { ...claim, proof: { ...proof, signature: new Uint8Array(64) } }],
    ["a short signature", { ...claim, proof: { ...proof, signature: proof.signature!.slice(1) } }],
    ["an empty signature", { ...claim, proof: { ...proof, signature: new Uint8Array(0) } }],
    ...proof.nodes.flatMap(
      (node, i) =>
        [
          [`node ${node.index} missing`, withNodes(proof.nodes.filter((_, at) => at !== i))],
          [`node ${node.index} of another hash`, changeNode(i, ({ hash }) => ({ hash: flipped(hash) }))],
          [`node ${node.index} of a short hash`, changeNode(i, ({ hash }) => ({ hash: hash.slice(1) }))],
          [`node ${node.index} one byte larger`, changeNode(i, ({ size }) => ({ size: size + 1 }))],
          [`node ${node.index} of negative size`, changeNode(i, () => ({ size: -1 }))],
          [`node ${node.index} of no size`, changeNode(i, () => ({ size: Number.NaN }))],
          [`node ${node.index} of 2^53 bytes`, changeNode(i, () => ({ size: 2 ** 53 }))],
          [
            `node ${node.index} of the largest size`,
            changeNode(i, () => ({ size: Number.MAX_SAFE_INTEGER }))
          ],
          [`node ${node.index} elsewhere`, changeNode(i, ({ index }) => ({ index: (index + 2) as Index }))],
          [`node ${node.index} at -1`, changeNode(i, () => ({ index: -1 as Index }))],
          [`node ${node.index} at 2^60`, changeNode(i, () => ({ index: (2 ** 60) as Index }))]
        ] as const
    )
  ] as const
}

describe("put of what is not true", () => {
  onEachStorage("cannot move a block that is held by misstating the size of its leaf", () =>
    Effect.gen(function* () {
      const from = yield* source(someBlocks(5))
      const feed = yield* reader(from)
      yield* transfer(from, feed, 4)
      yield* from.append(bytes("block 5"))
      // Without the block, hashes bind the sizes of leaves 8 and 10 only in their sum.
      const proof = yield* from.proof(5, { hash: true })
      const moved = new Map([
        [8, -1],
        [10, 1]
      ])
      const nodes = proof.nodes.map((node) => ({ ...node, size: node.size + (moved.get(node.index) ?? 0) }))
      expect(nodes.map((node) => node.index)).toEqual(expect.arrayContaining([8, 10]))
      yield* expectFailure(feed.put({ index: 5, proof: { ...proof, nodes } }), { _tag: "InvalidSignature" })
      expect(yield* feed.get(4)).toEqual(yield* from.get(4))
      yield* feed.put({ index: 5, proof })
      expect(yield* feed.audit()).toEqual({ valid: 1, invalid: 0 })
    })
  )

  onEachStorage("is InvalidProof or InvalidSignature, and stores nothing", () =>
    Effect.gen(function* () {
      const { feed: from } = yield* author()
      const feed = yield* reader(from)
      const before = yield* stored()
      const claim = { index: 2, proof: yield* from.proof(2), block: yield* from.get(2) }
      const all = tampered(claim)
      expect(all.length).toBeGreaterThan(40)
      for (const [name, changed] of all) {
        const error = yield* failure(feed.put(changed))
        expect([name, error._tag]).toEqual([name, expect.stringMatching(/^Invalid(Proof|Signature)$/)])
        expect([feed.length, feed.byteLength, yield* feed.downloaded()]).toEqual([0, 0, 0])
        expect(yield* stored()).toEqual(before)
      }
      yield* feed.put(claim)
      expect(feed.length).toBe(12)
    })
  )

  onEachStorage("also in a feed that has other parts of the tree", () =>
    Effect.gen(function* () {
      const { feed: from } = yield* author()
      const claim = { index: 2, proof: yield* from.proof(2), block: yield* from.get(2) }
      const passed: Array<string> = []
      for (const [i, [name, changed]] of tampered(claim).entries()) {
        const feed = yield* reader(from, `${i}`)
        yield* transfer(from, feed, 9)
        const before = yield* stored(`${i}`)
        const exit = yield* Effect.exit(feed.put(changed))
        if (exit._tag === "Success") {
          passed.push(name)
          expect([changed.index, changed.block]).toEqual([2, claim.block])
          expect(yield* feed.audit()).toEqual({ valid: 2, invalid: 0 })
        } else {
          expect([name, yield* failure(exit)]).toMatchObject([
            name,
            { _tag: expect.stringMatching(/^Invalid(Proof|Signature)$/) }
          ])
          expect(yield* stored(`${i}`)).toEqual(before)
        }
        yield* feed.close
      }
      // The way up ends at node 7, which this feed trusts: what comes after it is not looked at.
      expect(passed.map((name) => name.replace(/ .*(signature)/, " $1"))).toEqual([
        ...["no", "another", "a", "a", "an"].map((article) => `${article} signature`),
        ...["missing", "of another hash", "one byte larger", "of the largest size", "elsewhere"].map(
          (change) => `node 19 ${change}`
        )
      ])
    })
  )

  onEachStorage("another author's proof of the same length is InvalidSignature", () =>
    Effect.gen(function* () {
      const { feed: from } = yield* author()
      const { feed: stranger, blocks } = yield* author(2)
      const feed = yield* reader(from)
      const claim = { index: 5, proof: yield* stranger.proof(5), block: blocks[5] }
      yield* expectFailure(feed.put(claim), { _tag: "InvalidSignature", length: 12 })
      expect(feed.length).toBe(0)
    })
  )

  onEachStorage("a short history proven true is not stored as a longer one's signature", () =>
    Effect.gen(function* () {
      const blocks = someBlocks(9)
      const from = yield* source(blocks.slice(0, 5))
      const short = { index: 4, proof: yield* from.proof(4), block: blocks[4] }
      yield* from.appendBatch(blocks.slice(5))
      const feed = yield* reader(from)
      yield* transfer(from, feed, 8)
      yield* feed.put(short)
      expect(signedIndexes((yield* stored()).signatures)).toEqual([4, 8])
      yield* feed.verify(8, (yield* feed.signature(5)).signature)
      yield* feed.verify(4, (yield* feed.signature(4)).signature)
    })
  )

  inMemory("bad indexes and blocks that are no bytes are typed too", () =>
    Effect.gen(function* () {
      const { feed: from, blocks } = yield* author()
      const feed = yield* reader(from)
      const proof = yield* from.proof(2)
      for (const index of [-1, 0.5, Number.NaN, 2 ** 52, Number.POSITIVE_INFINITY]) {
        yield* expectFailure(feed.put({ index, proof, block: blocks[2] }), { _tag: "InvalidProof" })
      }
      yield* expectFailure(feed.put({ index: 2, proof: { nodes: [] } }), { _tag: "InvalidProof", index: 2 })
      const text = "text" as unknown as Uint8Array
      yield* expectFailure(feed.put({ index: 2, proof, block: text }), {
        _tag: "BadArgument"
      })
      expect(feed.length).toBe(0)
    })
  )
})
