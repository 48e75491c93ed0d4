/** Proofs: every honest one is accepted and teaches the truth; whatever is done to one, nothing else is ever accepted. */
import { describe, expect, it } from "@effect/vitest"
import { Either } from "effect"
import fc from "fast-check"
import { equals, toHex } from "../../src/domain/Bytes.js"
import { InvalidProof } from "../../src/domain/Errors.js"
import * as FlatTree from "../../src/domain/FlatTree.js"
import type { Position } from "../../src/domain/FlatTree.js"
import type { TreeNode } from "../../src/domain/Node.js"
import * as Proof from "../../src/domain/Proof.js"
import { Author, type Prover, prove, Reader, type Verdict } from "../reference/ProofPair.js"
import { pseudoRandomBytes } from "../vectors/dsl.mjs"

const author = new Author(Array.from({ length: 64 }, (_, i) => pseudoRandomBytes(i % 5, i)))

interface Get {
  /** Of the author's blocks; taken modulo the length at the time. */
  readonly n: number
  readonly length: number
  readonly hash: boolean
}

const get: fc.Arbitrary<Get> = fc.record({
  n: fc.nat({ max: 63 }),
  length: fc.integer({ min: 1, max: 64 }),
  hash: fc.boolean()
})

/** The claim that `prover` makes to `reader`. */
const claimTo = (reader: Reader, prover: Prover, index: number, hash: boolean): Proof.Claim => ({
  index,
  block: hash ? undefined : author.blocks[index],
  proof: prove(prover, index, { digest: reader.digest(index), hash })
})

/** A reader after some honest downloads from the author, whose log grows meanwhile. */
const readerAfter = (gets: ReadonlyArray<Get>): Reader => {
  const reader = new Reader()
  const growing = [...gets].sort((a, b) => a.length - b.length)
  for (const { hash, length, n } of growing) {
    expect(Either.isRight(reader.put(claimTo(reader, author.at(length), n % length, hash)))).toBe(true)
  }
  return reader
}

const plain = (node: TreeNode) => ({ index: node.index, size: node.size, hash: toHex(node.hash) })

const expectTrue = (nodes: Iterable<TreeNode>): void => {
  for (const node of nodes) expect(plain(node)).toEqual(plain(author.node(node.index)))
}

/** Refused, or proves nothing but what is true. */
const expectNoLie = (claim: Proof.Claim, verdict: Verdict): void => {
  if (Either.isLeft(verdict)) return
  expectTrue(verdict.right.nodes)
  expectTrue(verdict.right.roots ?? [])
  const block = author.blocks[claim.index]
  expect(block).toBeDefined()
  if (claim.block !== undefined) expect(toHex(claim.block)).toBe(toHex(block!))
}

describe("an honest proof", () => {
  it("is accepted, and every node that it brings is the author's", () => {
    fc.assert(
      fc.property(fc.array(get, { maxLength: 12 }), get, (before, { hash, n }) => {
        const reader = readerAfter(before)
        expectTrue(reader.nodes.values())
        const longest = Math.max(1, ...before.map(({ length }) => length))
        for (const length of [longest, Math.min(64, longest + 5), 64]) {
          const index = n % length
          const claim = claimTo(reader, author.at(length), index, hash)
          const verdict = reader.put(claim)
          if (Either.isLeft(verdict)) expect(verdict.left).toBeUndefined()
          expectTrue(reader.nodes.values())
          expect(reader.held.hasNode(FlatTree.leaf(index))).toBe(true)
        }
      }),
      { numRuns: 150 }
    )
  })

  it("stores every node whose bit it sets, and leads to a node that is held or to roots", () => {
    fc.assert(
      fc.property(fc.array(get, { minLength: 1, maxLength: 12 }), (gets) => {
        const reader = readerAfter(gets)
        for (let position = 0 as Position; position < 128; position++) {
          expect(reader.nodes.has(position)).toBe(reader.held.hasNode(position))
        }
      }),
      { numRuns: 100 }
    )
  })

  it("of a reader is as good as the author's", () => {
    fc.assert(
      fc.property(
        fc.array(get, { minLength: 1, maxLength: 8 }),
        fc.array(get, { maxLength: 5 }),
        (gets, before) => {
          const first = readerAfter(gets)
          const second = readerAfter(before)
          for (let index = 0; index < 64; index++) {
            if (!first.held.hasNode(FlatTree.leaf(index))) continue
            const verdict = second.put(claimTo(second, first, index, !first.held.has(index)))
            if (Either.isLeft(verdict)) expect({ index, left: verdict.left }).toEqual({ index })
          }
          expectTrue(second.nodes.values())
        }
      ),
      { numRuns: 100 }
    )
  })

  it("of the whole log, to someone with nothing, whatever the length", () => {
    for (let length = 1; length <= 64; length++) {
      for (const index of new Set([0, 1, length >> 1, length - 2, length - 1])) {
        if (index < 0 || index >= length) continue
        const reader = new Reader()
        const claim = claimTo(reader, author.at(length), index, false)
        const verdict = Either.getOrThrow(reader.put(claim))
        expectTrue(verdict.nodes)
        const roots = FlatTree.fullRoots(length).map((root) => plain(author.node(root)))
        expect(verdict.roots?.map(plain)).toEqual(roots)
      }
    }
  })
})

const flipBit = (bytes: Uint8Array, bit: number): Uint8Array => {
  const flipped = Uint8Array.from(bytes)
  flipped[bit >> 3]! ^= 128 >> (bit & 7)
  return flipped
}

/** The number with one of its 53 bits flipped. */
const flipNumber = (value: number, bit: number): number => Number(BigInt(value) ^ (1n << BigInt(bit)))

const replace = <A>(list: ReadonlyArray<A>, at: number, value: A): Array<A> =>
  list.map((old, i) => (i === at ? value : old))

const expectRefused = (reader: Reader, claim: Proof.Claim, what: string): void => {
  const verdict = reader.judge(claim)
  if (Either.isRight(verdict)) expect({ what, accepted: verdict.right.nodes }).toEqual({ what })
}

const everyFlip = (reader: Reader, claim: Proof.Claim): void => {
  const { block, index, proof } = claim
  const { nodes, signature } = proof
  const withNodes = (changed: ReadonlyArray<TreeNode>) => ({
    ...claim,
    proof: { ...proof, nodes: changed }
  })
  for (let bit = 0; bit < 8 * (block?.length ?? 0); bit++) {
    expectRefused(reader, { ...claim, block: flipBit(block!, bit) }, `block, bit ${bit}`)
  }
  for (let bit = 0; bit < 53; bit++) {
    expectRefused(reader, { ...claim, index: flipNumber(index, bit) }, `index, bit ${bit}`)
  }
  nodes.forEach((node, i) => {
    for (let bit = 0; bit < 256; bit++) {
      const flipped = { ...node, hash: flipBit(node.hash, bit) }
      expectRefused(reader, withNodes(replace(nodes, i, flipped)), `node ${i}, hash bit ${bit}`)
    }
    for (let bit = 0; bit < 53; bit++) {
      const size = { ...node, size: flipNumber(node.size, bit) }
      expectRefused(reader, withNodes(replace(nodes, i, size)), `node ${i}, size bit ${bit}`)
      const moved = { ...node, index: flipNumber(node.index, bit) as Position }
      expectRefused(reader, withNodes(replace(nodes, i, moved)), `node ${i}, index bit ${bit}`)
    }
  })
  if (signature === undefined) return
  for (let bit = 0; bit < 512; bit++) {
    const forged = { ...claim, proof: { nodes, signature: flipBit(signature, bit) } }
    expectRefused(reader, forged, `signature, bit ${bit}`)
  }
  expectRefused(reader, { ...claim, proof: { nodes } }, "no signature")
  expectRefused(reader, { ...claim, proof: { nodes, signature: signature.subarray(1) } }, "short signature")
}

describe("one bit flipped", () => {
  /** A block in the middle, one in the last root, a single block, and a full tree. */
  const cases = [
    [13, 5],
    [13, 12],
    [1, 0],
    [16, 9]
  ] as const

  it.each(cases)("anywhere in the proof for a log of %i of block %i: refused", (length, index) => {
    const reader = new Reader()
    const claim = claimTo(reader, author.at(length), index, false)
    expect(Either.isRight(reader.judge(claim))).toBe(true)
    everyFlip(reader, claim)
  })

  it.each(cases)("anywhere in the proof for a log of %i of leaf %i alone: refused", (length, index) => {
    const reader = new Reader()
    const claim = claimTo(reader, author.at(length), index, true)
    expect(Either.isRight(reader.judge(claim))).toBe(true)
    everyFlip(reader, claim)
  })

  it("anywhere in a leaf that the reader has: refused", () => {
    const reader = new Reader()
    reader.put(claimTo(reader, author.at(16), 8, false))
    const leaf = author.node(16 as Position)
    const claim = { index: 8, proof: { nodes: [leaf] } }
    expect(Either.isRight(reader.judge(claim))).toBe(true)
    everyFlip(reader, claim)
    expectRefused(reader, { ...claim, block: Uint8Array.of(1, 2, 3, 4) }, "another block")
  })

  it("anywhere in a proof that ends at a node the reader trusts: refused", () => {
    const reader = new Reader()
    reader.put(claimTo(reader, author.at(37), 9, false))
    for (const hash of [false, true]) {
      const claim = claimTo(reader, author.at(37), 14, hash)
      expect(claim.proof.signature).toBeUndefined()
      expect(claim.proof.nodes.length).toBeGreaterThan(1)
      everyFlip(reader, claim)
    }
  })
})

const lists = (nodes: ReadonlyArray<TreeNode>, alien: TreeNode): ReadonlyArray<ReadonlyArray<TreeNode>> => [
  ...nodes.map((_, i) => nodes.toSpliced(i, 1)),
  ...nodes.map((node, i) => nodes.toSpliced(i, 0, node)),
  ...nodes.map((_, i) => nodes.toSpliced(i, 0, alien)),
  ...nodes.slice(1).map((node, i) => nodes.with(i, node).with(i + 1, nodes[i]!)),
  nodes.toReversed()
]

const alienAt = (index: number) => ({
  index: index as Position,
  size: 5,
  hash: new Uint8Array(32).fill(index + 1)
})

describe("nodes left out, doubled, swapped, added", () => {
  it("refused by a reader who has nothing, but for more after a complete proof, which is ignored", () => {
    const alien = alienAt(999)
    for (const [length, index] of [
      [13, 5],
      [64, 40],
      [63, 62]
    ] as const) {
      for (const hash of [false, true]) {
        const reader = new Reader()
        const claim = claimTo(reader, author.at(length), index, hash)
        for (const nodes of lists(claim.proof.nodes, alien)) {
          const same = nodes.every((node, i) => node === claim.proof.nodes[i])
          if (same && nodes.length === claim.proof.nodes.length) continue
          const changed = { ...claim, proof: { ...claim.proof, nodes } }
          const verdict = reader.judge(changed)
          if (Either.isLeft(verdict)) continue
          expect(nodes.slice(0, claim.proof.nodes.length)).toEqual(claim.proof.nodes)
          expect(verdict).toEqual(reader.judge(claim))
        }
      }
    }
  })

  it("what follows a complete proof is never stored", () => {
    for (let index = 0; index < 200; index++) {
      const reader = new Reader()
      reader.put(claimTo(reader, author.at(13), 2, false))
      for (const block of [5, 12]) {
        const claim = claimTo(reader, author.at(13), block, false)
        const nodes = [...claim.proof.nodes, alienAt(index), alienAt(index + 1)]
        const verdict = reader.put({ ...claim, proof: { ...claim.proof, nodes } })
        if (Either.isRight(verdict)) expectTrue(verdict.right.nodes)
        expectTrue(reader.nodes.values())
      }
    }
  })
})

/** Something done to an honest claim, by someone who knows the log and does not have the key. */
type Tampering =
  | { readonly kind: "block"; readonly bytes: Uint8Array }
  | { readonly kind: "index" | "signatureOf"; readonly to: number }
  | { readonly kind: "drop" | "double" | "swap" | "toTruth"; readonly at: number; readonly to: number }
  | { readonly kind: "hash" | "size" | "position"; readonly at: number; readonly bit: number }
  | { readonly kind: "insert"; readonly at: number; readonly node: TreeNode }
  | { readonly kind: "shift"; readonly at: number; readonly to: number; readonly by: number }

const anyNode: fc.Arbitrary<TreeNode> = fc.record({
  index: fc.nat({ max: 140 }).map((position) => position as Position),
  hash: fc.uint8Array({ minLength: 32, maxLength: 32 }),
  size: fc.nat({ max: 300 })
})
const small = fc.nat({ max: 20 })
const tampering: fc.Arbitrary<Tampering> = fc.oneof(
  fc.record({ kind: fc.constant("block" as const), bytes: fc.uint8Array({ maxLength: 6 }) }),
  fc.record({ kind: fc.constantFrom("index" as const, "signatureOf" as const), to: fc.nat({ max: 70 }) }),
  fc.record({
    kind: fc.constantFrom("drop" as const, "double" as const, "swap" as const, "toTruth" as const),
    at: small,
    to: fc.nat({ max: 126 })
  }),
  fc.record({
    kind: fc.constantFrom("hash" as const, "size" as const, "position" as const),
    at: small,
    bit: fc.nat({ max: 255 })
  }),
  fc.record({ kind: fc.constant("insert" as const), at: small, node: anyNode }),
  fc.record({ kind: fc.constant("shift" as const), at: small, to: small, by: fc.nat({ max: 10 }) })
)

const tamperNodes = (nodes: ReadonlyArray<TreeNode>, how: Tampering): ReadonlyArray<TreeNode> => {
  if (how.kind === "insert") return nodes.toSpliced(how.at % (nodes.length + 1), 0, how.node)
  if (nodes.length === 0 || !("at" in how)) return nodes
  const at = how.at % nodes.length
  const node = nodes[at]!
  switch (how.kind) {
    case "drop":
      return nodes.toSpliced(at, 1)
    case "double":
      return nodes.toSpliced(how.to % (nodes.length + 1), 0, node)
    case "swap":
      return nodes.with(at, nodes[how.to % nodes.length]!).with(how.to % nodes.length, node)
    case "toTruth":
      return nodes.with(at, author.node(how.to as Position))
    case "hash":
      return nodes.with(at, { ...node, hash: flipBit(node.hash, how.bit) })
    case "size":
      return nodes.with(at, { ...node, size: flipNumber(node.size, how.bit % 10) })
    case "position":
      return nodes.with(at, { ...node, index: flipNumber(node.index, how.bit % 8) as Position })
    case "shift": {
      const other = how.to % nodes.length
      const more = nodes.with(at, { ...node, size: node.size + how.by })
      const less = more[other]!
      return more.with(other, { ...less, size: Math.max(0, less.size - how.by) })
    }
  }
}

const tamper = (claim: Proof.Claim, how: Tampering): Proof.Claim => {
  if (how.kind === "block") return claim.block === undefined ? claim : { ...claim, block: how.bytes }
  if (how.kind === "index") return { ...claim, index: how.to }
  const { nodes, signature } = claim.proof
  if (how.kind === "signatureOf") {
    return { ...claim, proof: { nodes, signature: author.signature(Math.max(1, how.to % 65)) } }
  }
  return { ...claim, proof: { nodes: tamperNodes(nodes, how), signature } }
}

describe("tampered with", () => {
  const tamperings = fc.array(tampering, { minLength: 1, maxLength: 4 })

  it("a proof with its block is refused, or proves nothing but the truth", () => {
    fc.assert(
      fc.property(fc.array(get, { maxLength: 6 }), get, tamperings, (before, { length, n }, how) => {
        const reader = readerAfter(before)
        const claim = how.reduce(tamper, claimTo(reader, author.at(length), n % length, false))
        expectNoLie(claim, reader.put(claim))
        expectTrue(reader.nodes.values())
      }),
      { numRuns: 1500 }
    )
  })

  it("a proof of a leaf alone is refused, or leads to the true hashes, sizes and roots above the pair of leaves", () => {
    fc.assert(
      fc.property(fc.array(get, { maxLength: 6 }), get, tamperings, (before, { length, n }, how) => {
        const reader = readerAfter(before)
        const claim = how.reduce(tamper, claimTo(reader, author.at(length), n % length, true))
        const verdict = reader.judge(claim)
        if (Either.isLeft(verdict)) return
        for (const node of [...verdict.right.nodes, ...(verdict.right.roots ?? [])]) {
          const truth = author.node(node.index)
          expect(toHex(node.hash)).toBe(toHex(truth.hash))
          // A leaf's size is in its hash, but only its block shows it: see the next test.
          if (!FlatTree.isLeaf(node.index)) expect(node.size).toBe(truth.size)
        }
      }),
      { numRuns: 1500 }
    )
  })

  it("leaf sizes that a hash-only proof misstates do not keep the blocks out later", () => {
    // A parent's hash covers the sum of its children's sizes: what one leaf gains the other may lose.
    const reader = new Reader()
    const claim = claimTo(reader, author.at(16), 8, true)
    const [leaf, sibling, ...rest] = claim.proof.nodes
    const nodes = [{ ...leaf!, size: leaf!.size + 1 }, { ...sibling!, size: sibling!.size - 1 }, ...rest]
    expect([leaf!.index, sibling!.index]).toEqual([16, 18])
    reader.put({ ...claim, proof: { ...claim.proof, nodes } })
    for (const index of [8, 9]) {
      const verdict = reader.put(claimTo(reader, author.at(16), index, false))
      expect({ index, accepted: Either.isRight(verdict) }).toEqual({ index, accepted: true })
    }
    expectTrue(reader.nodes.values())
  })
})

describe("malformed", () => {
  const reader = new Reader()
  const honest = claimTo(reader, author.at(13), 5, false)
  const bad = [
    -1,
    -0.5,
    0.5,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    2 ** 53,
    2 ** 60
  ]

  const expectInvalid = (claim: Proof.Claim): void => {
    const plan = Proof.plan(reader.held, claim)
    expect(Either.isLeft(plan)).toBe(true)
    if (Either.isLeft(plan)) expect(plan.left).toBeInstanceOf(InvalidProof)
  }

  it.each([...bad, 2 ** 52])("index %d", (index) => expectInvalid({ ...honest, index }))

  it.each(bad)("a node's index or size %d, wherever it is", (value) => {
    const { nodes } = honest.proof
    for (let at = 0; at <= nodes.length; at++) {
      const node = nodes[at] ?? { index: 3 as Position, size: 3, hash: new Uint8Array(32) }
      for (const changed of [
        { ...node, index: value as Position },
        { ...node, size: value }
      ]) {
        expectInvalid({ ...honest, proof: { ...honest.proof, nodes: nodes.toSpliced(at, 1, changed) } })
      }
    }
  })

  it.each([0, 3, 31, 33, 64])("a hash of %i bytes, wherever it is", (length) => {
    const { nodes } = honest.proof
    for (let at = 0; at <= nodes.length; at++) {
      const node = nodes[at] ?? { index: 3 as Position, size: 3, hash: new Uint8Array(32) }
      const changed = { ...node, hash: new Uint8Array(length) }
      expectInvalid({ ...honest, proof: { ...honest.proof, nodes: nodes.toSpliced(at, 1, changed) } })
    }
  })

  it("neither a block nor its leaf", () => {
    expectInvalid({ ...honest, block: undefined })
    expectInvalid({ ...honest, block: undefined, proof: { nodes: [] } })
  })

  it("sizes that add up to more than a number holds", () => {
    const max = Number.MAX_SAFE_INTEGER
    const { nodes } = honest.proof
    for (let at = 0; at < nodes.length; at++) {
      const changed = nodes.with(at, { ...nodes[at]!, size: max })
      const verdict = reader.judge({ ...honest, proof: { ...honest.proof, nodes: changed } })
      expect(Either.isLeft(verdict) && verdict.left).toBeInstanceOf(InvalidProof)
    }
  })

  it("anything at all is answered, never thrown at", () => {
    const number = fc.oneof(
      fc.nat({ max: 200 }),
      fc.integer(),
      fc.maxSafeInteger(),
      fc.double(),
      fc.constantFrom(...bad)
    )
    const node = fc.record({
      index: number.map((value) => value as Position),
      size: number,
      hash: fc.oneof(fc.uint8Array({ minLength: 32, maxLength: 32 }), fc.uint8Array())
    })
    const claim = fc.record({
      index: number,
      block: fc.option(fc.uint8Array(), { nil: undefined }),
      proof: fc.record({
        nodes: fc.array(node),
        signature: fc.option(fc.oneof(fc.uint8Array(), fc.uint8Array({ minLength: 64, maxLength: 64 })), {
          nil: undefined
        })
      })
    })
    const readers = [new Reader(), readerAfter([{ n: 5, length: 13, hash: false }])]
    fc.assert(
      fc.property(fc.constantFrom(...readers), claim, (judge, value) => {
        expectNoLie(value, judge.judge(value))
      }),
      { numRuns: 3000 }
    )
  })
})

it("a stored node that cannot be read fails the check", () => {
  const reader = new Reader()
  reader.put(claimTo(reader, author.at(13), 5, false))
  const claim = claimTo(reader, author.at(13), 6, false)
  const plan = Either.getOrThrow(Proof.plan(reader.held, claim))
  expect(plan.reads.length).toBeGreaterThan(0)
  for (const lost of plan.reads) {
    const verdict = Proof.check(
      (parts) => {
        expect(equals(parts[0]!, new Uint8Array(0))).toBe(false)
        return new Uint8Array(32)
      },
      plan,
      (position) => (position === lost ? undefined : reader.nodes.get(position))
    )
    expect(Either.isLeft(verdict) && verdict.left).toBeInstanceOf(InvalidProof)
  }
})
