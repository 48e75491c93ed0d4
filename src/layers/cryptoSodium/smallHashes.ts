/**
 * Small hashes by WebAssembly, where many are made. Of the 0.33 us that sodium-native takes for a tree node two thirds are the call into native code and
 * its checks; WebAssembly takes 0.2 for all, and less up to some 600 bytes. Loading it takes 25 ms and 4 MB, so a program that hashes little
 * never does.
 */
import type { Blake2b256 } from "../../domain/Hash.js"
import { totalLength } from "../../domain/Bytes.js"

/** Bytes of an input that is small. */
export const SMALL = 600
/** Small hashes after which the other function is loaded: about as many save what loading costs. */
export const LOADS_AFTER = 100_000

/** `native`, until `load` has brought what hashes small inputs faster; for good where it cannot. */
export const withSmallHashes = (
  native: Blake2b256,
  load: () => Promise<Blake2b256>,
  loadsAfter = LOADS_AFTER
): Blake2b256 => {
  let small: Blake2b256 | undefined
  let count = 0
  const begin = (): void => {
    const loaded = (faster: Blake2b256): void => {
      small = faster
    }
    // Nobody waits for it: all goes on as before.
    load().then(loaded, () => {})
  }
  return (parts, key, into) => {
    if (key !== undefined || totalLength(parts) > SMALL) return native(parts, key, into)
    if (small !== undefined) return small(parts, undefined, into)
    if (count++ === loadsAfter) begin()
    return native(parts, undefined, into)
  }
}
