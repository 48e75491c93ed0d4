/**
 * Crypto: the primitives and nothing else. Formulas (leaf, parent, root, discovery key) live in
 * `domain/Hash`. Every layer gives the same bytes for the same input (but `randomBytes`).
 */
import { Context, type Effect } from "effect"
import type { NotWritable } from "../domain/Errors.js"
import type { StreamCipher } from "../domain/Framing.js"
import type { Blake2b256 } from "../domain/Hash.js"

/** `publicKey`: 32 bytes; `secretKey`: 64 bytes, seed then public key (RFC 8032). */
export interface KeyPair {
  readonly publicKey: Uint8Array
  readonly secretKey: Uint8Array
}

export interface CryptoService {
  /** Which implementation this is, for people: `sodium-native`, `noble`. */
  readonly name: string

  /**
   * BLAKE2b with a 32-byte digest over the parts as if concatenated; keyed when a key is given.
   * A plain synchronous function: an effect a hash would cost more than the hash.
   * The result is the caller's and nobody else's, though its `buffer` may be shared; the parts are only read. It is `into`, 32 bytes, where
   * that is given, or else fresh: a layer need not know of it.
   */
  readonly blake2b256: Blake2b256

  /**
   * The same of many inputs, each in parts, where that is faster than one after another (on other cores): `undefined` where it is not. A
   * layer may leave it out. The inputs must stay as they are until it ends.
   */
  readonly blake2b256All?: (
    inputs: ReadonlyArray<ReadonlyArray<Uint8Array>>
  ) => Effect.Effect<ReadonlyArray<Uint8Array>> | undefined

  /** An Ed25519 key pair, random or from a 32-byte seed. */
  readonly keyPair: (seed?: Uint8Array) => Effect.Effect<KeyPair>

  /**
   * The 64-byte Ed25519 signature of `message`. Deterministic. An effect that may fail (`signing-failed`), so that a key may live in a
   * device or service. The feed is not written, nor closed, until it has ended: give it a timeout where it may not.
   */
  readonly sign: (message: Uint8Array, secretKey: Uint8Array) => Effect.Effect<Uint8Array, NotWritable>

  /** Whether `signature` is `publicKey`'s over `message`. A malformed signature or key is `false`, never an error. */
  readonly verify: (
    message: Uint8Array,
    signature: Uint8Array,
    publicKey: Uint8Array
  ) => Effect.Effect<boolean>

  /**
   * The XSalsa20 key stream of a 32-byte key and a 24-byte nonce: each call of the function it gives XORs the bytes it is given, in
   * place, with the next bytes of the stream. Plain and synchronous, as `blake2b256` is.
   */
  readonly xsalsa20: (key: Uint8Array, nonce: Uint8Array) => StreamCipher

  /** `length` bytes nobody can predict. The only source of randomness in domain and services. */
  readonly randomBytes: (length: number) => Effect.Effect<Uint8Array>
}

export class Crypto extends Context.Tag("effect-hypercore/Crypto")<Crypto, CryptoService>() {}
