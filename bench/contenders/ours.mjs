/**
 * This package, with native crypto (sodium-native).
 *
 * TODO: fill in, importing the built package by its own name ("effect-hypercore" and
 * "effect-hypercore/node"). `load()` must return
 *
 *   {
 *     version,               // of this package
 *     crypto,                // what is really in use, e.g. "sodium-native 5.1.0"; throw if it isn't native
 *     supports: ["audit"],
 *     open: (dir) => Promise<Feed>,   // opens the feed in the directory, creating it if missing
 *   }
 *
 * and a Feed, being the same small interface for every contender, is
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
 * All but `length` return promises. The loops are inside the interface, so that a loop can be one
 * Effect run once (a fiber per loop, not a promise per block), as a program using this package
 * would be written. `open` should make a Scope which `close` closes.
 */
export const load = async () => {
  throw new Error("its contender file is still to be filled in")
}
