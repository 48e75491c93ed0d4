/**
 * Crypto on `sodium-native` (libsodium through N-API): 10 to 20 times noble's speed; where many small hashes are made, these by libsodium in
 * WebAssembly. An optional peer dependency: the layer fails to build, with a reason, where it is not installed.
 */
import { Data, Effect, Layer } from "effect"
import { createRequire } from "node:module"
import { allocate, totalLength } from "../domain/Bytes.js"
import { Crypto, type CryptoService } from "../services/Crypto.js"
import { withSmallHashes } from "./cryptoSodium/smallHashes.js"
import * as CryptoSodiumWasm from "./CryptoSodiumWasm.js"

/** The parts of sodium-native's interface that this layer calls. */
interface Sodium {
  crypto_generichash(out: Uint8Array, input: Uint8Array, key?: Uint8Array): void
  crypto_generichash_batch(out: Uint8Array, parts: ReadonlyArray<Uint8Array>, key?: Uint8Array): void
  crypto_sign_keypair(publicKey: Uint8Array, secretKey: Uint8Array): void
  crypto_sign_seed_keypair(publicKey: Uint8Array, secretKey: Uint8Array, seed: Uint8Array): void
  crypto_sign_detached(signature: Uint8Array, message: Uint8Array, secretKey: Uint8Array): void
  crypto_sign_verify_detached(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean
  readonly crypto_stream_xor_STATEBYTES: number
  crypto_stream_xor_init(state: Uint8Array, nonce: Uint8Array, key: Uint8Array): void
  crypto_stream_xor_update(state: Uint8Array, out: Uint8Array, input: Uint8Array): void
  randombytes_buf(out: Uint8Array): void
}

/** `sodium-native` is not installed, or has no build for this machine. */
export class SodiumUnavailable extends Data.TaggedError("SodiumUnavailable")<{ readonly cause: unknown }> {
  override get message(): string {
    return "sodium-native could not be loaded: install it, or use CryptoNoble"
  }
}

const DIGEST_SIZE = 32
const SIGNATURE_SIZE = 64
const PUBLIC_KEY_SIZE = 32

/** Up to this size parts are laid out side by side: the copy takes less than telling native code of several arrays. */
const LAID_OUT_BELOW = 2048

const layout = new Uint8Array(LAID_OUT_BELOW)
/** What was hashed last, of `layout`: the next input is often as long. */
let laidOut = layout

const hashParts = (
  sodium: Sodium,
  digest: Uint8Array,
  parts: ReadonlyArray<Uint8Array>,
  key: Uint8Array | undefined
): void => {
  const size = totalLength(parts)
  if (size > LAID_OUT_BELOW) return sodium.crypto_generichash_batch(digest, parts, key)
  let end = 0
  for (let i = 0; i < parts.length; i++) {
    layout.set(parts[i]!, end)
    end += parts[i]!.length
  }
  if (laidOut.length !== size) laidOut = layout.subarray(0, size)
  sodium.crypto_generichash(digest, laidOut, key)
}

const makeService = (sodium: Sodium): CryptoService => ({
  name: "sodium-native",
  blake2b256: withSmallHashes(
    (parts, key, into) => {
      const digest = into ?? allocate(DIGEST_SIZE)
      if (parts.length === 1) sodium.crypto_generichash(digest, parts[0]!, key)
      else hashParts(sodium, digest, parts, key)
      return digest
    },
    () => Effect.runPromise(Effect.map(CryptoSodiumWasm.make, ({ blake2b256 }) => blake2b256))
  ),
  keyPair: (seed) =>
    Effect.sync(() => {
      const publicKey = new Uint8Array(32)
      const secretKey = new Uint8Array(64)
      if (seed === undefined) sodium.crypto_sign_keypair(publicKey, secretKey)
      else sodium.crypto_sign_seed_keypair(publicKey, secretKey, seed)
      return { publicKey, secretKey }
    }),
  sign: (message, secretKey) =>
    Effect.sync(() => {
      const signature = allocate(SIGNATURE_SIZE)
      sodium.crypto_sign_detached(signature, message, secretKey)
      return signature
    }),
  verify: (message, signature, publicKey) =>
    Effect.sync(() => {
      // sodium reads the first 64 bytes of a longer signature, and asserts on a shorter one.
      if (signature.length !== SIGNATURE_SIZE || publicKey.length !== PUBLIC_KEY_SIZE) return false
      return sodium.crypto_sign_verify_detached(signature, message, publicKey)
    }),
  xsalsa20: (key, nonce) => {
    const state = Buffer.alloc(sodium.crypto_stream_xor_STATEBYTES)
    sodium.crypto_stream_xor_init(state, nonce, key)
    return (bytes) => {
      if (bytes.length > 0) sodium.crypto_stream_xor_update(state, bytes, bytes)
    }
  },
  randomBytes: (length) =>
    Effect.sync(() => {
      const bytes = new Uint8Array(length)
      sodium.randombytes_buf(bytes)
      return bytes
    })
})

/** Loads sodium-native, synchronously; fails where it is not there. */
export const make: Effect.Effect<CryptoService, SodiumUnavailable> = Effect.try({
  // A name in a variable keeps bundlers from asking for an optional package.
  try: () => {
    const name = "sodium-native"
    return makeService(createRequire(import.meta.url)(name) as Sodium)
  },
  catch: (cause) => new SodiumUnavailable({ cause })
})

export const layer: Layer.Layer<Crypto, SodiumUnavailable> = Layer.effect(Crypto, make)
