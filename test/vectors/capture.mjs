// Regenerates every vector from the real peer:
//
//   node test/vectors/capture.mjs [output directory]
//
// Every scenario runs on hypercore-7 with its default file storage in a fresh temporary directory,
// one operation at a time. The keys come from fixed seeds and nothing here depends on time or
// chance, so two runs give the same bytes.

import { createHash } from "node:crypto"
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { expandBatches } from "./dsl.mjs"
import { captureKnownAnswers } from "./known-answers.mjs"
import { scenarios } from "./scenarios.mjs"
import { stringify } from "./stringify.mjs"

const require = createRequire(import.meta.url)
// The peer's own dependencies, not whatever version happens to be installed at the top.
const requireOfPeer = createRequire(require.resolve("hypercore-7"))
const hypercore = require("hypercore-7")
const crypto = requireOfPeer("hypercore-crypto")

const versionOf = (name, load) => {
  const manifest = load(`${name}/package.json`)
  return `${manifest.name}@${manifest.version}`
}
const peer = versionOf("hypercore-7", require)
const storage = versionOf("random-access-file", requireOfPeer)

const FILES = ["key", "secret_key", "tree", "signatures", "bitfield", "data"]
const INLINE_LIMIT = 4096
// A bitfield is mostly zeros: its other bytes are listed when there are not more than this.
const NON_ZERO_LIMIT = 600

// The peer never answers in some broken states: say which scenario hangs instead of waiting.
const PATIENCE_MS = 120_000

/** The result of a function that takes a Node callback. */
const call = (run) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("The peer did not answer")), PATIENCE_MS)
    run((error, value) => {
      clearTimeout(timer)
      if (error) reject(error)
      else resolve(value)
    })
  })

const openFeed = (directory, key, options) =>
  call((done) => {
    const feed = hypercore(directory, key, options)
    // `ready` is silent about failures: those come as an event.
    feed.once("error", done)
    feed.ready(() => done(null, feed))
  })

const closeFeed = (feed) => call((done) => feed.close(done))

const appendAll = async (feed, operation) => {
  const appended = []
  for (const blocks of expandBatches(operation)) {
    const buffers = blocks.map((block) => Buffer.from(block))
    await call((done) => feed.append(buffers, done))
    for (const buffer of buffers) appended.push(buffer)
  }
  return appended
}

/** One block, or only its hash, from the source into the reader; returns what is compared. */
const downloadOne = async (source, reader, index, block) => {
  const hash = block === null
  const digest = reader.digest(index)
  const proof = await call((done) => source.proof(index, { digest, hash }, done))
  const positions = proof.nodes.map((node) => node.index)
  // `put` takes nodes off the list it is given, and the source's nodes are shared with its cache:
  // the reader gets fresh ones, as if they had come over the wire.
  const received = {
    nodes: proof.nodes.map(({ index, hash, size }) => ({ index, hash: Buffer.from(hash), size })),
    signature: proof.signature && Buffer.from(proof.signature)
  }
  // The public `put` encodes its value and throws on null; for a hash-only message the peer's
  // replication calls `_putBuffer` directly, and so do we.
  await call((done) => {
    if (hash) reader._putBuffer(index, null, received, null, done)
    else reader.put(index, block, received, done)
  })
  return {
    index,
    ...(hash && { hash: true }),
    digest,
    nodes: positions,
    signed: proof.signature !== null,
    length: reader.length
  }
}

const stateOf = (feed) => ({
  length: feed.length,
  byteLength: feed.byteLength,
  have: feed.downloaded()
})

const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex")

/** `data` with every byte of a block that is not held replaced with zero. */
const withoutHoles = (data, blocks, held) => {
  const copy = Buffer.from(data)
  let offset = 0
  blocks.forEach((block, i) => {
    if (!held[i]) copy.fill(0, Math.min(offset, copy.length), Math.min(offset + block.length, copy.length))
    offset += block.length
  })
  return copy
}

const readIfPresent = async (path) => {
  try {
    return await readFile(path)
  } catch (error) {
    if (error.code === "ENOENT") return null
    throw error
  }
}

/**
 * The bytes that are not zero, as `[offset, hex]` runs; up to three zeros do not end a run, so that
 * a run is not more trouble than the zeros it saves.
 */
const nonZeroRuns = (bytes) => {
  const runs = []
  for (let i = 0; i < bytes.length; i++) {
    if (bytes[i] === 0) continue
    const last = runs.at(-1)
    if (last && i - last.end <= 3) last.end = i + 1
    else runs.push({ start: i, end: i + 1 })
  }
  return runs.map(({ start, end }) => [start, bytes.toString("hex", start, end)])
}

/** The content itself, for a useful message when a test fails; only where it is short. */
const contentOf = (name, bytes) => {
  if (name === "bitfield") {
    const count = bytes.reduce((sum, byte) => sum + (byte === 0 ? 0 : 1), 0)
    return count <= NON_ZERO_LIMIT ? { nonZero: nonZeroRuns(bytes) } : {}
  }
  return bytes.length <= INLINE_LIMIT ? { base64: bytes.toString("base64") } : {}
}

const recordFiles = async (directory, heldData) => {
  const files = {}
  for (const name of FILES) {
    const bytes = await readIfPresent(join(directory, name))
    files[name] = bytes && {
      size: bytes.length,
      sha256: sha256(bytes),
      ...(name === "data" && heldData && { heldSha256: sha256(heldData(bytes)) }),
      ...contentOf(name, bytes)
    }
  }
  return files
}

/** A bitfield file that is only a header: the peer keeps the page size that it finds there. */
const bitfieldHeader = (pageSize) => {
  const header = Buffer.alloc(32)
  header.set([0x05, 0x02, 0x57, 0x00, 0x00])
  header.writeUInt16BE(pageSize, 5)
  return header
}

const captureScenario = async (scenario, root) => {
  const keyPair = crypto.keyPair(Buffer.from(scenario.seed, "hex"))
  const isReader = scenario.kind === "reader"
  const authorOptions = { secretKey: keyPair.secretKey }
  const options = isReader
    ? { sparse: true }
    : { ...authorOptions, ...(scenario.storeSecretKey === false && { storeSecretKey: false }) }

  const directory = join(root, "feed")
  await mkdir(directory)
  if (scenario.bitfieldPageSize !== undefined) {
    await writeFile(join(directory, "bitfield"), bitfieldHeader(scenario.bitfieldPageSize))
  }

  const open = () => openFeed(directory, keyPair.publicKey, options)
  let feed = await open()
  const source = isReader ? await openFeed(join(root, "source"), keyPair.publicKey, authorOptions) : null

  const blocks = []
  const downloads = []
  for (const operation of scenario.operations) {
    switch (operation.op) {
      case "append":
      case "source-append": {
        const target = operation.op === "append" ? feed : source
        for (const block of await appendAll(target, operation)) blocks.push(block)
        break
      }
      case "clear":
        await call((done) => feed.clear(operation.start, operation.end, {}, done))
        break
      case "reopen":
        await closeFeed(feed)
        feed = await open()
        break
      case "download":
        for (const index of operation.indices) {
          downloads.push(await downloadOne(source, feed, index, blocks[index]))
        }
        break
      case "download-hash":
        for (const index of operation.indices) {
          downloads.push(await downloadOne(source, feed, index, null))
        }
        break
      default:
        throw new Error(`Unknown operation: ${operation.op}`)
    }
  }

  const state = stateOf(feed)
  const held = blocks.map((_, i) => feed.bitfield.get(i))
  await closeFeed(feed)
  if (source) await closeFeed(source)

  const hasClear = scenario.operations.some(({ op }) => op === "clear")
  const heldData = hasClear ? (data) => withoutHoles(data, blocks, held) : null
  const files = await recordFiles(directory, heldData)

  const again = await open()
  const reopened = stateOf(again)
  await closeFeed(again)

  return {
    peer,
    storage,
    scenario,
    publicKey: keyPair.publicKey.toString("hex"),
    state,
    reopened,
    ...(isReader && { downloads }),
    files
  }
}

const main = async () => {
  const output = resolve(process.argv[2] ?? import.meta.dirname)
  await mkdir(output, { recursive: true })
  const written = new Map()
  const write = async (name, value) => {
    if (written.has(name)) throw new Error(`Two vectors are called ${name}`)
    const content = `${stringify(value)}\n`
    await writeFile(join(output, name), content)
    written.set(name, content.length)
  }

  await write("known-answers.json", { peer, ...captureKnownAnswers() })
  for (const scenario of scenarios) {
    const root = await mkdtemp(join(tmpdir(), "hypercore-vectors-"))
    try {
      await write(`${scenario.name}.json`, await captureScenario(scenario, root))
    } catch (error) {
      throw new Error(`Scenario ${scenario.name} failed`, { cause: error })
    } finally {
      await rm(root, { recursive: true, force: true })
    }
  }

  // A renamed scenario leaves its old vector behind: say so rather than delete a file unasked.
  for (const name of await readdir(output)) {
    if (name.endsWith(".json") && !written.has(name)) console.warn(`Not one of ours: ${name}`)
  }
  const total = [...written.values()].reduce((sum, size) => sum + size, 0)
  console.log(`${written.size} files, ${total} bytes`)
}

await main()
