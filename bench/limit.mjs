/**
 * The physical limit of a workload: the crypto that it cannot do without, by the same native functions over the same bytes, and the same
 * bytes written to or read from one plain file, in order and in the largest pieces that the workload allows; each alone in a tight
 * loop, their times added. No tree is looked for, nothing is allocated, nobody waits. One thread: what has others do part of the work
 * may come above it.
 *
 * A limit gives the seconds of each part that one block takes.
 */
import { closeSync, openSync, readSync, readdirSync, rmSync, statSync, writeSync } from "node:fs"
import { createRequire } from "node:module"
import { join } from "node:path"
import { GB, KB, dataFile, indices } from "./fixtures.mjs"
import { touchPageCache } from "./pageCache.mjs"

const sodium = createRequire(import.meta.url)("sodium-native")

const NODE_SIZE = 40
const SIGNATURE_SIZE = 64
/** What a leaf's hash has before the block, what a parent's hash is of, and what is signed for ten roots. */
const LEAF_PREFIX = 9
const PARENT_INPUT = 73
const ROOTS_INPUT = 1 + 10 * 48
const MOST_AT_ONCE = 1024 * KB

/** Seconds that `work(i)` takes, over about `seconds` of it. */
const secondsOf = (work, seconds, most = Infinity) => {
  let done = 0
  const round = () => {
    const start = performance.now()
    let count = 0
    while (count < most && (count % 16 !== 0 || performance.now() - start < 1000 * seconds)) {
      work(done++)
      count++
    }
    return (performance.now() - start) / 1000 / count
  }
  round()
  return round()
}

// ---------------------------------------------------------------------------------------------
// Parts, in seconds

const hashing = (size, seconds) => {
  const [digest, input] = [Buffer.alloc(32), Buffer.alloc(size, 1)]
  return secondsOf(() => sodium.crypto_generichash(digest, input), seconds)
}

/** A block's leaf, and one parent: a tree has as many as it has leaves. */
const hashingBlock = (blockSize, seconds) =>
  hashing(LEAF_PREFIX + blockSize, seconds) + hashing(PARENT_INPUT, seconds)

const keyPair = () => {
  const pair = { publicKey: Buffer.alloc(32), secretKey: Buffer.alloc(64) }
  sodium.crypto_sign_keypair(pair.publicKey, pair.secretKey)
  return pair
}

/** The hash of the roots, and the signature over it. */
const signing = (seconds) => {
  const { secretKey } = keyPair()
  const [signature, message] = [Buffer.alloc(SIGNATURE_SIZE), Buffer.alloc(32)]
  const sign = secondsOf(() => sodium.crypto_sign_detached(signature, message, secretKey), seconds)
  return sign + hashing(ROOTS_INPUT, seconds)
}

const verifying = (seconds) => {
  const { publicKey, secretKey } = keyPair()
  const [signature, message] = [Buffer.alloc(SIGNATURE_SIZE), Buffer.alloc(32)]
  sodium.crypto_sign_detached(signature, message, secretKey)
  return secondsOf(() => sodium.crypto_sign_verify_detached(signature, message, publicKey), seconds)
}

const ciphering = (size, seconds) => {
  const state = Buffer.alloc(sodium.crypto_stream_xor_STATEBYTES)
  sodium.crypto_stream_xor_init(state, Buffer.alloc(24), Buffer.alloc(32))
  const bytes = Buffer.alloc(size)
  return secondsOf(() => sodium.crypto_stream_xor_update(state, bytes, bytes), seconds)
}

/** Bytes of a block with its two nodes. */
const storedSize = (blockSize) => blockSize + 2 * NODE_SIZE

/** `size` bytes appended to a file, at most `limit` of them. */
const writing = (dir, size, seconds, limit = GB) => {
  const file = join(dir, "..", `${process.pid}-limit`)
  const fd = openSync(file, "w")
  try {
    const pieces = Math.ceil(size / MOST_AT_ONCE)
    const piece = Buffer.alloc(Math.ceil(size / pieces), 1)
    return pieces * secondsOf(() => writeSync(fd, piece), seconds, Math.ceil(limit / piece.length))
  } finally {
    closeSync(fd)
    rmSync(file)
  }
}

const usingFile = (file, use) => {
  const fd = openSync(file, "r")
  try {
    return use(fd, statSync(file).size)
  } finally {
    closeSync(fd)
  }
}

/** `size` bytes of a file of such pieces, from a random one each time. */
const readingRandom = (file, size, seconds) =>
  usingFile(file, (fd, total) => {
    const random = indices(7, Math.floor(total / size))
    const into = Buffer.alloc(size)
    return secondsOf(() => readSync(fd, into, 0, size, random() * size), seconds)
  })

/** A byte of a file that is read from its start to its end, again and again. */
const readingInOrder = (file, seconds) =>
  usingFile(file, (fd, total) => {
    const into = Buffer.alloc(MOST_AT_ONCE)
    const pieces = Math.max(1, Math.floor(total / into.length))
    const size = Math.min(total, into.length)
    return secondsOf((i) => readSync(fd, into, 0, size, (i % pieces) * size), seconds) / size
  })

// ---------------------------------------------------------------------------------------------
// Limits

/** `group` blocks share a signature and a write. */
const appending =
  (blockSize, groupOf, touch = 0) =>
  ({ dir, size }) => {
    if (touch > 0) touchPageCache(dir, touch)
    const group = groupOf(size)
    const seconds = size.seconds / 4
    const written = group * storedSize(blockSize) + SIGNATURE_SIZE
    return {
      hash: hashingBlock(blockSize, seconds),
      sign: signing(seconds) / group,
      write: writing(dir, written, seconds) / group
    }
  }

const getting =
  (blockSize) =>
  ({ dir, size }) => ({ read: readingRandom(dataFile(dir), blockSize, size.seconds) })

const streaming =
  (blockSize) =>
  ({ dir, size }) => ({ read: blockSize * readingInOrder(dataFile(dir), size.seconds) })

/** Blocks and leaves are read, and the blocks hashed. */
const auditing =
  (blockSize) =>
  ({ dir, size }) => ({
    read: storedSize(blockSize) * readingInOrder(dataFile(dir), size.seconds / 2),
    hash: hashing(LEAF_PREFIX + blockSize, size.seconds / 2)
  })

/** All files opened, the bitfield read, the last signature verified. */
const opening = ({ dir, size }) => {
  const files = readdirSync(dir).map((name) => join(dir, name))
  const bitfield = join(dir, "bitfield")
  const into = Buffer.alloc(statSync(bitfield).size)
  const read = () => {
    for (const file of files) {
      const fd = openSync(file, "r")
      readSync(fd, into, 0, file === bitfield ? into.length : SIGNATURE_SIZE, 0)
      closeSync(fd)
    }
  }
  return { read: secondsOf(read, size.seconds / 2), verify: verifying(size.seconds / 2) }
}

/** A block is read and encrypted here, decrypted, verified and written there. A whole log's proof ends in one signature. */
const replicatingParts =
  (blockSize) =>
  ({ dir, size }) => {
    const seconds = size.seconds / 4
    const group = Math.max(1, Math.floor(MOST_AT_ONCE / storedSize(blockSize)))
    return {
      read: storedSize(blockSize) * readingInOrder(dataFile(dir), seconds),
      cipher: ciphering(blockSize, seconds),
      hash: hashingBlock(blockSize, seconds),
      write: writing(dir, group * storedSize(blockSize), seconds) / group
    }
  }

const replicating = (blockSize) => (context) => {
  const { cipher, ...parts } = replicatingParts(blockSize)(context)
  return { ...parts, cipher: 2 * cipher }
}

/** Two processes work at the same time: the one that takes has more to do. The way between them counts for nothing. */
const taking = (blockSize) => (context) => {
  const { cipher, hash, write } = replicatingParts(blockSize)(context)
  return { cipher, hash, write }
}

/** What one operation is, in bytes of blocks, and what it takes. */
const LIMITS = {
  "append-one": [512, appending(512, () => 1)],
  "append-concurrent": [512, appending(512, () => 64)],
  "append-batch": [512, appending(512, (size) => size.batch)],
  "append-64k": [64 * KB, appending(64 * KB, () => 16, 1.5 * GB)],
  "get-512": [512, getting(512)],
  "get-512-5m": [512, getting(512)],
  "get-64k": [64 * KB, getting(64 * KB)],
  "stream-512": [512, streaming(512)],
  "audit-512": [512, auditing(512)],
  "open-1m": [0, opening],
  "open-10m": [0, opening],
  "replicate-512": [512, replicating(512)],
  "replicate-64k": [64 * KB, replicating(64 * KB)],
  "replicate-tcp": [64 * KB, taking(64 * KB)]
}

/** Names of the workloads that have a limit. */
export const limited = Object.keys(LIMITS)

export const limitOf = (name, context) => {
  const [bytes, measure] = LIMITS[name]
  const parts = measure(context)
  const seconds = Object.values(parts).reduce((sum, part) => sum + part, 0)
  return { ops: 1, bytes, seconds, parts }
}
