/**
 * Much more than fits through processes with a small heap: an author appends, a reader follows over TCP and looks at every block in order,
 * slower than it fetches them, and gives back what it has seen; a third process asks for everything and then reads no more. See
 * README.md, "Back-pressure".
 *
 *   node bench/pressure.mjs [--gb 10] [--heap 64] [--json]
 */
import { Effect, Layer, Stream } from "effect"
import { Feed, Replication, fromHex, toHex } from "effect-hypercore"
import { CryptoNode, NetworkTcp, StorageFile } from "effect-hypercore/node"
import { spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { createConnection, createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"

const { values: args } = parseArgs({
  options: {
    gb: { type: "string", default: "10" },
    heap: { type: "string", default: "64" },
    json: { type: "boolean", default: false },
    role: { type: "string" },
    dir: { type: "string" },
    key: { type: "string" },
    port: { type: "string" },
    blocks: { type: "string" }
  }
})

const BLOCK_SIZE = 65_536
const BATCH = 16
/** After so many blocks, 16 MB, the reader rests: it is slower than the link. */
const STRETCH = 256
const REST = "100 millis"
const MB = 1024 * 1024

const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`)

/** The most memory seen, looked at every 20 ms. */
const watchMemory = () => {
  const most = { rss: 0, heapUsed: 0, arrayBuffers: 0 }
  const look = () => {
    const now = process.memoryUsage()
    for (const kind of Object.keys(most)) most[kind] = Math.max(most[kind], now[kind])
  }
  setInterval(look, 20).unref()
  return () => {
    look()
    return Object.fromEntries(Object.entries(most).map(([kind, bytes]) => [kind, Math.round(bytes / MB)]))
  }
}

const layers = (directory) => Layer.merge(StorageFile.layer({ directory }), CryptoNode.layer)

const author = ({ blocks, dir }) =>
  Effect.gen(function* () {
    const memory = watchMemory()
    const feed = yield* Feed.open()
    const listener = yield* NetworkTcp.make().listen({ host: "127.0.0.1", port: 0 }, (connection) =>
      Replication.replicate(feed, connection, { live: true })
    )
    say({ key: toHex(feed.key), port: listener.address.port })
    for (let appended = 0; appended < blocks; appended += BATCH) {
      yield* feed.appendBatch(
        Array.from({ length: BATCH }, (_, i) => new Uint8Array(BLOCK_SIZE).fill(appended + i))
      )
    }
    say({ appended: feed.length, ...memory() })
    yield* Effect.async((resume) => {
      process.stdin.once("end", () => resume(Effect.void)).resume()
    })
    say({ served: feed.length, ...memory() })
  }).pipe(Effect.scoped, Effect.provide(layers(dir)))

const reader = ({ blocks, dir, key, port }) =>
  Effect.gen(function* () {
    const memory = watchMemory()
    const feed = yield* Feed.open({ key: fromHex(key) })
    const connection = yield* NetworkTcp.make().connect({ host: "127.0.0.1", port })
    yield* Effect.forkScoped(Replication.replicate(feed, connection, { live: true }))
    let seen = 0
    yield* Stream.runForEachChunk(feed.stream({ live: true, end: blocks }), (chunk) =>
      Effect.gen(function* () {
        const before = seen
        for (const block of chunk) {
          if (block.length !== BLOCK_SIZE || block[1] !== seen % 256)
            throw new Error(`block ${seen} is wrong`)
          seen++
        }
        yield* feed.clear(before, seen)
        if (Math.floor(before / STRETCH) < Math.floor(seen / STRETCH)) yield* Effect.sleep(REST)
      })
    )
    say({ seen, ...memory() })
  }).pipe(Effect.scoped, Effect.provide(layers(dir)))

/** A server that passes on what comes, both ways, until `stop`: from then on it reads nothing of what the other side sends. */
const relayTo = async (port) => {
  const upstream = createConnection(port, "127.0.0.1")
  const server = createServer((socket) => {
    for (const one of [socket, upstream]) one.on("error", () => {})
    socket.pipe(upstream).pipe(socket)
  })
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve))
  return { port: server.address().port, stop: () => upstream.unpipe().pause() }
}

/** Fetches the start of the feed, to have asked for more than was answered, and then leaves its socket full. */
const stuck = ({ dir, key, port }) =>
  Effect.gen(function* () {
    const feed = yield* Feed.open({ key: fromHex(key) })
    const relay = yield* Effect.promise(() => relayTo(port))
    const connection = yield* NetworkTcp.make().connect({ host: "127.0.0.1", port: relay.port })
    yield* Effect.forkScoped(Replication.replicate(feed, connection, { live: true }))
    yield* feed.get(10)
    relay.stop()
    say({ stuck: true })
    yield* Effect.never
  }).pipe(Effect.scoped, Effect.provide(layers(dir)))

const ROLES = { author, reader, stuck }

const run = (role, dir, more = {}) => {
  const options = Object.entries({ role, dir, ...more }).flatMap(([name, value]) => [`--${name}`, `${value}`])
  const file = fileURLToPath(import.meta.url)
  const child = spawn(process.execPath, [`--max-old-space-size=${args.heap}`, file, ...options], {
    stdio: ["pipe", "pipe", "inherit"]
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return {
    child,
    said: async () => {
      const { done, value } = await lines.next()
      if (done) throw new Error(`the ${role} ended`)
      return JSON.parse(value)
    }
  }
}

const main = async () => {
  const blocks = Math.ceil((Number(args.gb) * 1024 * MB) / BLOCK_SIZE / BATCH) * BATCH
  const root = mkdtempSync(join(tmpdir(), "effect-hypercore-pressure-"))
  const children = []
  const start = (...given) => {
    const started = run(...given)
    children.push(started.child)
    return started
  }
  try {
    const writing = start("author", join(root, "author"), { blocks })
    const { key, port } = await writing.said()
    const began = performance.now()
    const reading = start("reader", join(root, "reader"), { blocks, key, port })
    const leaving = start("stuck", join(root, "stuck"), { key, port })
    await leaving.said()
    await writing.said()
    const read = await reading.said()
    const seconds = (performance.now() - began) / 1000
    writing.child.stdin.end()
    const served = await writing.said()
    const result = {
      gb: (blocks * BLOCK_SIZE) / 1024 / MB,
      seconds,
      heapMB: Number(args.heap),
      reader: read,
      author: served
    }
    if (args.json) return say(result)
    process.stdout.write(
      `${result.gb} GB in ${seconds.toFixed(0)} s, heaps of ${args.heap} MB; the most memory, in MB:\n` +
        ["author", "reader"]
          .map((name) => {
            const { arrayBuffers, heapUsed, rss } = result[name]
            return `  ${name.padEnd(8)} resident ${rss}, heap ${heapUsed}, array buffers ${arrayBuffers}\n`
          })
          .join("")
    )
  } finally {
    for (const child of children) child.kill("SIGKILL")
    rmSync(root, { recursive: true, force: true })
  }
}

if (args.role === undefined) await main()
else {
  const options = { ...args, blocks: Number(args.blocks), port: Number(args.port) }
  await Effect.runPromise(ROLES[args.role](options))
  process.exit()
}
