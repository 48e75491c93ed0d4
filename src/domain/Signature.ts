/** What can be said of an Ed25519 signature without a key (RFC 8032): its second half is a number below the order of the group. */

/** 2^252 + 27742317777372353535851937790883648493, the least significant byte first. */
const ORDER = Uint8Array.of(
  0xed,
  0xd3,
  0xf5,
  0x5c,
  0x1a,
  0x63,
  0x12,
  0x58,
  0xd6,
  0x9c,
  0xf7,
  0xa2,
  0xde,
  0xf9,
  0xde,
  0x14,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  0x10
)

/** Whether 64 bytes can be anybody's signature of anything; of random ones, one in sixteen can. */
export const isSignature = (bytes: Uint8Array): boolean => {
  for (let i = 31; i >= 0; i--) {
    const difference = bytes[32 + i]! - ORDER[i]!
    if (difference !== 0) return difference < 0
  }
  return false
}
