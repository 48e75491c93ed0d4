/** Crypto on @noble/hashes and @noble/ed25519: portable JavaScript that runs anywhere and needs nothing. */
import { hashes, getPublicKey, sign, utils, verify } from "@noble/ed25519"
import { blake2b } from "@noble/hashes/blake2.js"
import { sha512 } from "@noble/hashes/sha2.js"
import { Effect, Layer } from "effect"
import { Crypto, type CryptoService } from "../services/Crypto.js"

hashes.sha512 = sha512

const DIGEST_SIZE = 32
const SEED_SIZE = 32

export const service: CryptoService = {
  name: "noble",
  blake2b256: (parts, key) => {
    const hash = blake2b.create(key === undefined ? { dkLen: DIGEST_SIZE } : { dkLen: DIGEST_SIZE, key })
    for (const part of parts) hash.update(part)
    return hash.digest()
  },
  keyPair: (seed) =>
    Effect.sync(() => {
      const secret = seed ?? utils.randomSecretKey()
      const publicKey = getPublicKey(secret)
      const secretKey = new Uint8Array(2 * SEED_SIZE)
      secretKey.set(secret)
      secretKey.set(publicKey, SEED_SIZE)
      return { publicKey, secretKey }
    }),
  sign: (message, secretKey) => Effect.sync(() => sign(message, secretKey.subarray(0, SEED_SIZE))),
  verify: (message, signature, publicKey) =>
    Effect.sync(() => {
      try {
        // RFC 8032 strictly, as libsodium does; noble would also take ZIP-215 signatures.
        return verify(signature, message, publicKey, { zip215: false })
      } catch {
        return false // noble throws on malformed points; the contract says `false`
      }
    }),
  randomBytes: (length) => Effect.sync(() => globalThis.crypto.getRandomValues(new Uint8Array(length)))
}

export const layer: Layer.Layer<Crypto> = Layer.succeed(Crypto, service)
