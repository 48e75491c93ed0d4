/** hypercore 11: a promise API over RocksDB. It offers no audit on its public interface. */
import { createRequire } from "node:module"

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

const open = async (Hypercore, dir) => {
  const core = new Hypercore(dir)
  await core.ready()

  const appendAll = async (next) => {
    for (let blocks = next(); blocks !== undefined; blocks = next()) await core.append(blocks)
  }

  return {
    get length() {
      return core.length
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
  return { version, crypto, supports: [], open: (dir) => open(Hypercore, dir) }
}
