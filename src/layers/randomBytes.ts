/** Random bytes of Web Crypto, which browsers and Node have. */

/** What one call of `getRandomValues` gives at most. */
const MOST_AT_ONCE = 65_536

export const randomBytes = (length: number): Uint8Array => {
  const bytes = new Uint8Array(length)
  for (let start = 0; start < length; start += MOST_AT_ONCE) {
    globalThis.crypto.getRandomValues(bytes.subarray(start, start + MOST_AT_ONCE))
  }
  return bytes
}
