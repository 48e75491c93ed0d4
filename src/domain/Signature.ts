/** What can be said of an Ed25519 signature without a key (RFC 8032): its second half is a number below the order of the group. */

import { fromHex } from "./Bytes.js"

/** 2^252 + 27742317777372353535851937790883648493, the least significant byte first. */
const ORDER = fromHex(`edd3f55c1a631258d69cf7a2def9de14${"00".repeat(15)}10`)!

/** Whether 64 bytes can be anybody's signature of anything; of random ones, one in sixteen can. */
export const isSignature = (bytes: Uint8Array): boolean => {
  for (let i = 31; i >= 0; i--) {
    const difference = bytes[32 + i]! - ORDER[i]!
    if (difference !== 0) return difference < 0
  }
  return false
}
