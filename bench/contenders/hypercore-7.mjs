/** hypercore 7.7.1, at its strongest: with native crypto. */
import { createRequire } from "node:module"
import { contender } from "./legacy.mjs"

const require = createRequire(import.meta.url)

/** What hypercore 7 itself gets when it asks for sodium-universal: must be the native module. */
const nativeCrypto = () => {
  const fromHypercore = createRequire(require.resolve("hypercore-7"))
  const fromCrypto = createRequire(fromHypercore.resolve("hypercore-crypto"))
  const fromSodium = createRequire(fromCrypto.resolve("sodium-universal"))
  if (fromCrypto("sodium-universal") !== fromSodium("sodium-native")) {
    throw new Error("hypercore-7 would run on sodium-javascript, not on sodium-native")
  }
  const sodium = fromSodium("sodium-native")
  giveStream(sodium)
  return `sodium-native ${fromSodium("sodium-native/package.json").version}`
}

/** The stream that hypercore-protocol 6 encrypts with had another interface in the sodium-native of its day. */
const giveStream = (sodium) => {
  sodium.crypto_stream_xor_instance ??= (nonce, key) => {
    const state = Buffer.alloc(sodium.crypto_stream_xor_STATEBYTES)
    sodium.crypto_stream_xor_init(state, nonce, key)
    return {
      update: (out, input) => sodium.crypto_stream_xor_update(state, out, input),
      final: () => {}
    }
  }
}

export const load = async () => {
  const crypto = nativeCrypto()
  const { version } = require("hypercore-7/package.json")
  return contender(require("hypercore-7"), { version, crypto })
}
