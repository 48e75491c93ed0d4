/** The crypto that callback code uses, where nobody can give it a layer: sodium-native when it loads, else noble. */
import { Effect } from "effect"
import { type CryptoService, discoveryKey } from "../index.js"
import * as CryptoNode from "../layers/CryptoNode.js"
import { randomBytes as drawBytes } from "../layers/randomBytes.js"
import { toBuffer } from "./toBuffer.js"

const KEY_SIZE = 32

let made: CryptoService | undefined

/** Made once, when it is first asked for. */
export const crypto = (): CryptoService => (made ??= Effect.runSync(CryptoNode.make))

/** Without an Effect: a feed draws some when it is made, and an Effect costs more than opening the feed's files. */
export const randomBytes = (length: number): Buffer => toBuffer(drawBytes(length))

/** Of any realm: a test runner may have a Uint8Array of its own. */
export const isBytes = (value: unknown): value is Uint8Array =>
  ArrayBuffer.isView(value) && (value as Uint8Array).BYTES_PER_ELEMENT === 1

/** Throws unless it is a feed's public key. */
export const checkKey = (key: unknown): void => {
  if (!isBytes(key) || key.length !== KEY_SIZE) throw new TypeError(`a feed's key has ${KEY_SIZE} bytes`)
}

/** The discovery key of a feed's 32-byte public key. */
export const discoveryKeyOf = (key: Uint8Array): Buffer => {
  checkKey(key)
  return toBuffer(discoveryKey(crypto().blake2b256, key))
}

/** Signing and verifying as the `crypto` option of a feed does them, where none was given. */
export const legacyCrypto = {
  sign(
    data: Uint8Array,
    secretKey: Uint8Array,
    callback: (error: Error | null, signature?: Buffer) => void
  ): void {
    callback(null, toBuffer(Effect.runSync(Effect.orDie(crypto().sign(data, secretKey)))))
  },
  verify(
    data: Uint8Array,
    signature: Uint8Array,
    key: Uint8Array,
    callback: (error: Error | null, valid?: boolean) => void
  ): void {
    callback(null, Effect.runSync(crypto().verify(data, signature, key)))
  }
}
