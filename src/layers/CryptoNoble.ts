/** Crypto on @noble/hashes and @noble/ed25519: portable JavaScript that runs anywhere and needs nothing. */
import { Point, getPublicKey, hashes, sign, utils } from "@noble/ed25519"
import { xsalsa20 } from "@noble/ciphers/salsa.js"
import { blake2b } from "@noble/hashes/blake2.js"
import { sha512 } from "@noble/hashes/sha2.js"
import { Effect, Layer } from "effect"
import { concat, equals } from "../domain/Bytes.js"
import type { StreamCipher } from "../domain/Framing.js"
import { Crypto, type CryptoService } from "../services/Crypto.js"
import { randomBytes } from "./randomBytes.js"

hashes.sha512 = sha512

const DIGEST_SIZE = 32
const SEED_SIZE = 32
const GROUP_ORDER = 2n ** 252n + 27_742_317_777_372_353_535_851_937_790_883_648_493n

const littleEndian = (bytes: Uint8Array): bigint =>
  bytes.reduceRight((number, byte) => (number << 8n) | BigInt(byte), 0n)

/**
 * Verifies as libsodium does, `R = sB - kA` byte for byte and nothing of small order, where noble's own `verify` multiplies the
 * cofactor away: the owner of a key could else make signatures on which two peers differ. Throws on malformed points.
 */
const verifyAsSodium = (message: Uint8Array, signature: Uint8Array, publicKey: Uint8Array): boolean => {
  if (signature.length !== 64 || publicKey.length !== 32) return false
  const r = signature.subarray(0, 32)
  const s = littleEndian(signature.subarray(32))
  const key = Point.fromBytes(publicKey)
  if (s >= GROUP_ORDER || key.isSmallOrder() || Point.fromBytes(r).isSmallOrder()) return false
  const k = littleEndian(sha512(concat([r, publicKey, message]))) % GROUP_ORDER
  const expected = Point.BASE.multiply(s, false).add(key.negate().multiply(k, false))
  return equals(expected.toBytes(), r)
}

const CIPHER_BLOCK = 64

/** noble's cipher starts at whole blocks of 64 bytes: what a call leaves of its last block is kept for the next. */
const streamCipher = (givenKey: Uint8Array, givenNonce: Uint8Array): StreamCipher => {
  // Read again at each call, so they are copied: a nonce may be a view of bytes that came from a peer.
  const key = givenKey.slice()
  const nonce = givenNonce.slice()
  let block = 0
  let rest = new Uint8Array(0)
  return (bytes) => {
    const fromRest = Math.min(rest.length, bytes.length)
    for (let i = 0; i < fromRest; i++) bytes[i]! ^= rest[i]!
    rest = rest.subarray(fromRest)
    const whole = fromRest + CIPHER_BLOCK * Math.floor((bytes.length - fromRest) / CIPHER_BLOCK)
    if (whole > fromRest) {
      const blocks = bytes.subarray(fromRest, whole)
      xsalsa20(key, nonce, blocks, blocks, block)
      block += blocks.length / CIPHER_BLOCK
    }
    if (whole === bytes.length) return
    rest = xsalsa20(key, nonce, new Uint8Array(CIPHER_BLOCK), undefined, block++)
    for (let i = whole; i < bytes.length; i++) bytes[i]! ^= rest[i - whole]!
    rest = rest.subarray(bytes.length - whole)
  }
}

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
        return verifyAsSodium(message, signature, publicKey)
      } catch {
        return false // noble throws on malformed points; the contract says `false`
      }
    }),
  xsalsa20: streamCipher,
  randomBytes: (length) => Effect.sync(() => randomBytes(length))
}

export const layer: Layer.Layer<Crypto> = Layer.succeed(Crypto, service)
