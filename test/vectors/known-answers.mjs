// Known answers for single functions, computed with the peer's own code: its hypercore-crypto
// (hashes, key pairs, signatures) and its lib/tree-index.js (digests and proof plans).

import { createRequire } from "node:module"
import { expandBlocks, pseudoRandomBytes } from "./dsl.mjs"

const require = createRequire(import.meta.url)
const requireOfPeer = createRequire(require.resolve("hypercore-7"))
const crypto = requireOfPeer("hypercore-crypto")
const treeIndex = requireOfPeer("./lib/tree-index")
const sparseBitfield = requireOfPeer("sparse-bitfield")

const hex = (bytes) => Buffer.from(bytes).toString("hex")
const seedOf = (byte) => Buffer.alloc(32, byte)

// ---------------------------------------------------------------------------------------------
// Crypto

const keyPairs = () =>
  [0x00, 0x01, 0x02, 0xa5, 0xff].map((byte) => {
    const { publicKey, secretKey } = crypto.keyPair(seedOf(byte))
    return {
      seed: hex(seedOf(byte)),
      publicKey: hex(publicKey),
      secretKey: hex(secretKey),
      discoveryKey: hex(crypto.discoveryKey(publicKey))
    }
  })

const leafSpecs = [
  { hex: "" },
  { hex: "00" },
  { text: "hello world" },
  { text: "sm\u00f8rrebr\u00f8d \u{1f41f}" },
  // Around BLAKE2b's block of 128 bytes, counting the 9 bytes hashed before the data.
  { fill: { size: 118, seed: 1 } },
  { fill: { size: 119, seed: 2 } },
  { fill: { size: 120, seed: 3 } },
  { fill: { size: 65536, seed: 4 } }
]

const leaves = () =>
  leafSpecs.map((block) => ({
    block,
    hash: hex(crypto.data(Buffer.from(expandBlocks([block])[0])))
  }))

const node = (index, size, hashSeed) => ({
  index,
  size,
  hash: Buffer.from(pseudoRandomBytes(32, hashSeed))
})
const plain = ({ index, size, hash }) => ({ index, size, hash: hex(hash) })

const parents = () => {
  const hello = { index: 0, size: 11, hash: crypto.data(Buffer.from("hello world")) }
  const pairs = [
    [hello, { ...hello, index: 2 }],
    [node(1, 3, 1), node(5, 4, 2)],
    // The order of the positions counts, not the order of the arguments.
    [node(5, 4, 2), node(1, 3, 1)],
    [node(0, 0, 3), node(2, 0, 4)],
    // Sizes that need more than 32 bits, up to the largest sum that is exact.
    [node(3, 2 ** 32, 5), node(11, 2 ** 32 + 1, 6)],
    [node(7, 2 ** 52, 7), node(23, 2 ** 52 - 1, 8)]
  ]
  return pairs.map(([a, b]) => ({ a: plain(a), b: plain(b), hash: hex(crypto.parent(a, b)) }))
}

const rootLists = [
  [],
  [node(0, 5, 1)],
  [node(1, 10, 2)],
  [node(3, 100, 3), node(9, 50, 4), node(12, 7, 5)],
  [node(2 ** 40 - 1, 2 ** 50, 6), node(2 ** 41 + 2 ** 20 - 1, 2 ** 33, 7)]
]

const rootHashes = () =>
  rootLists.map((roots) => ({ roots: roots.map(plain), hash: hex(crypto.tree(roots)) }))

const signatures = () =>
  [0x01, 0x02, 0xa5].flatMap((byte) =>
    [Buffer.alloc(0), Buffer.from("hello world"), crypto.tree(rootLists[3])].map((message) => ({
      seed: hex(seedOf(byte)),
      message: hex(message),
      signature: hex(crypto.sign(message, crypto.keyPair(seedOf(byte)).secretKey))
    }))
  )

// ---------------------------------------------------------------------------------------------
// Digests and proof plans

/** Whole numbers below a limit, from the generator that also fills blocks. */
const randomSource = (seed) => {
  const bytes = pseudoRandomBytes(8192, seed)
  let used = 0
  return (limit) => {
    // The generator's top byte alone has short patterns modulo small numbers: use three.
    const value = bytes[used] * 65536 + bytes[used + 1] * 256 + bytes[used + 2]
    used += 3
    if (used > bytes.length - 3) throw new Error("Out of random bytes")
    return value % limit
  }
}

/**
 * An empty tree index. A feed that has just been created has a tree bitfield of length 0, which
 * grows with the highest byte that is set; a reopened feed's always spans whole pages. `digest`
 * looks at that length, so both are here.
 */
const emptyTree = (paged) =>
  treeIndex(paged ? sparseBitfield({ pageSize: 2048, buffer: Buffer.alloc(2048) }) : undefined)

/** A tree index and the list of positions given to its `set`, in order. */
const recordedTree = (paged) => {
  const tree = emptyTree(paged)
  const set = []
  return {
    tree,
    set,
    add: (position) => {
      set.push(position)
      tree.set(position)
    }
  }
}

/** An author's tree: the leaves of the first blocks. */
const fullTree = (random, paged) => {
  const recorded = recordedTree(paged)
  const blocks = 1 + random(40)
  for (let i = 0; i < blocks; i++) recorded.add(2 * i)
  return { recorded, blocks }
}

/** A reader's tree after a few downloads from a full source. */
const downloadedTree = (random, paged) => {
  const source = fullTree(random, false)
  const recorded = recordedTree(paged)
  const downloads = 1 + random(6)
  for (let i = 0; i < downloads; i++) {
    const position = 2 * random(source.blocks)
    const digest = recorded.tree.digest(position)
    const { nodes } = source.recorded.tree.proof(position, { digest })
    for (const position of nodes) recorded.add(position)
    recorded.add(position)
  }
  return { recorded, blocks: source.blocks }
}

/** Positions that no real feed would have: what a damaged or hostile bitfield may hold. */
const arbitraryTree = (random, paged) => {
  const recorded = recordedTree(paged)
  const count = 1 + random(12)
  for (let i = 0; i < count; i++) recorded.add(random(64))
  return { recorded, blocks: 32 }
}

/** What a remote might send: its honest digest, nothing, or any number at all. */
const remoteDigest = (random, position) => {
  const choice = random(3)
  if (choice === 0) return 0
  if (choice === 1) return random(128)
  return downloadedTree(random, false).recorded.tree.digest(position)
}

const treeCase = (kind, make, seed) => {
  const random = randomSource(seed)
  const paged = random(2) === 1
  const { recorded, blocks } = make(random, paged)
  const { tree, set } = recorded
  const bits = []
  for (let i = 0; i < Math.min(tree.bitfield.length, 512); i++) if (tree.get(i)) bits.push(i)

  const proofs = []
  for (let i = 0; i < 6; i++) {
    // Mostly positions that are there: the others have no proof.
    const leaves = bits.filter((position) => position % 2 === 0)
    const known = leaves.length > 0 && random(5) > 0
    const position = known ? leaves[random(leaves.length)] : 2 * random(blocks + 2)
    const digest = remoteDigest(random, position)
    const hash = random(3) === 0
    const proof = tree.proof(position, { digest, hash })
    proofs.push({ position, digest, hash, plan: proof })
  }

  return {
    kind,
    set,
    bits,
    bitLength: tree.bitfield.length,
    blocks: tree.blocks(),
    // The digest for block 0, 1, 2, ...: some of them past the end.
    digests: Array.from({ length: blocks + 2 }, (_, i) => tree.digest(2 * i)),
    verifiedBy: bits.map((position) => tree.verifiedBy(position)),
    proofs
  }
}

const treePlans = () => {
  const cases = [treeCase("empty", (_, paged) => ({ recorded: recordedTree(paged), blocks: 2 }), 1)]
  for (let i = 0; i < 14; i++) {
    cases.push(treeCase("full", fullTree, 1000 + i))
    cases.push(treeCase("downloaded", downloadedTree, 2000 + i))
    cases.push(treeCase("arbitrary", arbitraryTree, 3000 + i))
  }
  return cases
}

export const captureKnownAnswers = () => ({
  keyPairs: keyPairs(),
  leaves: leaves(),
  parents: parents(),
  rootHashes: rootHashes(),
  signatures: signatures(),
  treePlans: treePlans()
})
