/**
 * This package, built, with native crypto (sodium-native).
 *
 * What `load` gives is the same small interface for every contender:
 *
 *   version, crypto        // of the package; what really signs and hashes, never a fallback
 *   supports               // "audit"; "sleep": its files are those of hypercore 6 and 7, whoever of these wrote them
 *   fixturesOf             // whose feeds it reads, when that one takes part
 *   pace                   // "slow": it gets smaller feeds
 *   open(directory)        // opens the feed there, creating it if missing
 *   openOneOfMany(dir)     // where many feeds are kept otherwise than in a directory each: the one that `dir` names
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
import { contender } from "./feed.mjs"

const { version } = createRequire(import.meta.url)("sodium-native/package.json")

export const load = () => contender(CryptoSodium.layer, { crypto: `sodium-native ${version}` })
