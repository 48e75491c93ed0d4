/**
 * hypercore 7.7.1: a CommonJS callback API.
 *
 * "Awaited" here means a chain of callbacks: the next call is made in the callback of the last one.
 * That spares it a promise per call and is never slower than wrapping each call in a promise.
 */
import { createRequire } from "node:module"

const require = createRequire(import.meta.url)

/** What hypercore 7 itself gets when it asks for sodium-universal: must be the native module. */
const nativeCrypto = () => {
  const fromHypercore = createRequire(require.resolve("hypercore-7"))
  const fromCrypto = createRequire(fromHypercore.resolve("hypercore-crypto"))
  const fromSodium = createRequire(fromCrypto.resolve("sodium-universal"))
  if (fromCrypto("sodium-universal") !== fromSodium("sodium-native")) {
    throw new Error("hypercore-7 would run on sodium-javascript, not on sodium-native")
  }
  return `sodium-native ${fromSodium("sodium-native/package.json").version}`
}

/** Runs `step(done, finish)`: `done` goes round again, `finish` ends it. */
const loop = (step) =>
  new Promise((resolve, reject) => {
    const next = (error, value) => {
      if (error) reject(error)
      else step(next, resolve, value)
    }
    next(null)
  })

const promised = (work) =>
  new Promise((resolve, reject) => {
    work((error, value) => (error ? reject(error) : resolve(value)))
  })

const open = async (hypercore, dir) => {
  const feed = hypercore(dir)
  await new Promise((resolve, reject) => {
    feed.once("error", reject)
    feed.ready(() => {
      feed.removeListener("error", reject)
      resolve()
    })
  })

  const appendAll = (next) =>
    loop((again, finish) => {
      const blocks = next()
      if (blocks === undefined) finish()
      else feed.append(blocks, again)
    })

  return {
    get length() {
      return feed.length
    },
    appendEach: appendAll,
    appendBatches: appendAll,
    appendConcurrently: (callers, next) =>
      Promise.all(Array.from({ length: callers }, () => appendAll(next))),
    getEach: (nextIndex, onBlock) => {
      let first = true
      return loop((again, finish, block) => {
        if (first) first = false
        else onBlock(block)
        const index = nextIndex()
        if (index < 0) finish()
        else feed.get(index, again)
      })
    },
    readStream: async (onBlock) => {
      const stream = feed.createReadStream()
      const stopped = new Promise((resolve, reject) => {
        stream.once("error", reject)
        stream.once("end", resolve)
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
    audit: () => promised((done) => feed.audit(done)),
    close: () => promised((done) => feed.close(done))
  }
}

export const load = async () => {
  const crypto = nativeCrypto()
  const hypercore = require("hypercore-7")
  const { version } = require("hypercore-7/package.json")
  return { version, crypto, supports: ["audit"], open: (dir) => open(hypercore, dir) }
}
