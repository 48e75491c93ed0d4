/** The crypto that callback code uses, where nobody can give it a layer: sodium-native when it loads, else noble. */
import { Effect } from "effect"
import { type CryptoService, discoveryKey } from "../index.js"
import * as CryptoNode from "../layers/CryptoNode.js"
import { toBuffer } from "./toBuffer.js"

let made: CryptoService | undefined

/** Made once, when it is first asked for. */
export const crypto = (): CryptoService => (made ??= Effect.runSync(CryptoNode.make))

export const randomBytes = (length: number): Buffer =>
  toBuffer(Effect.runSync(crypto().randomBytes(length)))

/** The discovery key of a feed's 32-byte public key. */
export const discoveryKeyOf = (key: Uint8Array): Buffer => {
  if (!(key instanceof Uint8Array) || key.length !== 32) throw new TypeError("a feed's key has 32 bytes")
  return toBuffer(discoveryKey(crypto().blake2b256, key))
}
