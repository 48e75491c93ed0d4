/**
 * This package, built, with native crypto (sodium-native).
 *
 * What `load` gives is the same small interface for every contender:
 *
 *   version, crypto        // of the package; what really signs and hashes, never a fallback
 *   supports               // workloads beyond the common ones, such as "audit"
 *   open(directory)        // opens the feed there, creating it if missing
 *
 * and a feed is
 *
 *   length                               // a getter
 *   appendEach(next)                     // next(): Buffer | undefined. Appends one block, waits, asks again
 *   appendConcurrently(callers, next)    // `callers` such loops at the same time over the same `next`
 *   appendBatches(next)                  // next(): Buffer[] | undefined. One append per array, waits, asks again
 *   getEach(nextIndex, onBlock)          // nextIndex(): number, below zero ends it. One get, waits, onBlock(block)
 *   readStream(onBlock)                  // streams from block 0; stops when onBlock(block) returns false
 *   audit()                              // { valid, invalid }
 *   close()
 *
 * All but `length` return promises. The loops are inside, so that each contender runs them as its users would.
 */
import { CryptoSodium } from "effect-hypercore/node"
import { createRequire } from "node:module"
import { buildServices, clone, openFeed, replicate, serve } from "./feed.mjs"

const require = createRequire(import.meta.url)

export const load = async () => {
  const services = await buildServices(CryptoSodium.layer)
  return {
    version: require("effect-hypercore/package.json").version,
    crypto: `sodium-native ${require("sodium-native/package.json").version}`,
    supports: ["audit"],
    open: (directory) => openFeed(services, directory),
    replicate: (feed, to) => replicate(services, feed, to),
    serve,
    clone: (to, key, port) => clone(services, to, key, port)
  }
}
