/** hypercore 11: a promise API over RocksDB. It offers no audit on its public interface. */
import { createRequire } from "node:module"
import { createConnection, createServer } from "node:net"
import { basename, dirname } from "node:path"

const require = createRequire(import.meta.url)

const nativeCrypto = () => {
  const fromHypercore = createRequire(require.resolve("hypercore-11"))
  const fromCrypto = createRequire(fromHypercore.resolve("hypercore-crypto"))
  const fromSodium = createRequire(fromCrypto.resolve("sodium-universal"))
  if (fromCrypto("sodium-universal") !== fromSodium("sodium-native")) {
    throw new Error("hypercore-11 would not run on sodium-native")
  }
  return `sodium-native ${fromSodium("sodium-native/package.json").version}`
}

/** Opens a core to copy another into, and copies it over the stream that `connect` makes of it. */
const copy = async (Hypercore, to, key, length, connect) => {
  const core = new Hypercore(to, key)
  await core.ready()
  const end = connect(core)
  await core.download({ start: 0, end: length }).done()
  end()
  await core.close()
}

const replicate = (Hypercore, { core }, to) =>
  copy(Hypercore, to, core.key, core.length, (target) => {
    const from = core.replicate(true)
    const stream = target.replicate(false)
    for (const one of [from, stream]) one.on("error", () => {})
    from.pipe(stream).pipe(from)
    return () => stream.destroy()
  })

const serve = async ({ core }) => {
  const server = createServer((socket) => {
    const stream = core.replicate(false)
    for (const one of [socket, stream]) one.on("error", () => {})
    socket.pipe(stream).pipe(socket)
  })
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve))
  return { key: core.key.toString("hex"), port: server.address().port }
}

const clone = (Hypercore, to, key, port, length) =>
  copy(Hypercore, to, Buffer.from(key, "hex"), length, (target) => {
    const socket = createConnection(port, "127.0.0.1")
    const stream = target.replicate(true)
    for (const one of [socket, stream]) one.on("error", () => {})
    socket.pipe(stream).pipe(socket)
    return () => socket.destroy()
  })

/** Many cores of one program share a database, and are told apart by their keys: here the directory's name gives the seed. */
const keptTogether = (Hypercore) => {
  const fromHypercore = createRequire(require.resolve("hypercore-11"))
  const Storage = fromHypercore("hypercore-storage")
  const crypto = fromHypercore("hypercore-crypto")
  const storages = new Map()
  return (dir) => {
    const root = dirname(dir)
    if (!storages.has(root)) storages.set(root, new Storage(root))
    const seed = Buffer.alloc(32)
    seed.writeUInt32LE(Number(basename(dir)))
    const keyPair = crypto.keyPair(seed)
    return opened(new Hypercore(storages.get(root), keyPair.publicKey, { keyPair }))
  }
}

const opened = async (core) => {
  await core.ready()

  const appendAll = async (next) => {
    for (let blocks = next(); blocks !== undefined; blocks = next()) await core.append(blocks)
  }

  return {
    core,
    get length() {
      return core.length
    },
    get byteLength() {
      return core.byteLength
    },
    appendEach: appendAll,
    appendBatches: appendAll,
    appendConcurrently: (callers, next) =>
      Promise.all(Array.from({ length: callers }, () => appendAll(next))),
    getEach: async (nextIndex, onBlock) => {
      for (let index = nextIndex(); index >= 0; index = nextIndex()) onBlock(await core.get(index))
    },
    readStream: async (onBlock) => {
      const stream = core.createReadStream()
      const stopped = new Promise((resolve, reject) => {
        stream.once("error", reject)
        stream.once("close", resolve)
      })
      let going = true
      stream.on("data", (block) => {
        if (!going || onBlock(block)) return
        going = false
        stream.destroy()
      })
      await stopped
    },
    close: () => core.close()
  }
}

export const load = async () => {
  const crypto = nativeCrypto()
  const Hypercore = require("hypercore-11")
  const { version } = require("hypercore-11/package.json")
  return {
    version,
    crypto,
    supports: [],
    open: (dir) => opened(new Hypercore(dir)),
    openOneOfMany: keptTogether(Hypercore),
    replicate: (feed, to) => replicate(Hypercore, feed, to),
    serve,
    clone: (to, key, port, length) => clone(Hypercore, to, key, port, length)
  }
}
