/**
 * Crypto on libsodium compiled to WebAssembly: no native code, in browsers too. Small hashes take two thirds of what sodium-native takes, large ones and
 * Ed25519 twice to three times, XSalsa20 ten times; noble is seven to twenty times slower than this, but for XSalsa20. Loading it
 * waits for the compiler, some 25 ms.
 *
 * It calls the C functions themselves (`libsodium-sumo`) and not the wrappers made for them (`libsodium-wrappers-sumo`): those allocate
 * at each call, which triples what the hash of a tree node costs, and have no XSalsa20. So arguments and results lie in the module's
 * memory, at places set out once. Nothing here waits, so they serve one call after another.
 */
import { Data, Effect, Layer } from "effect"
import type { StreamCipher } from "../domain/Framing.js"
import { Crypto, type CryptoService } from "../services/Crypto.js"
import { totalLength } from "../domain/Bytes.js"
import { randomBytes } from "./randomBytes.js"

/** A byte's position in the module's memory. */
type Pointer = number

/** The parts of the module that this layer calls. A 64-bit number is two arguments, the low 32 bits first; 0 is success. */
interface Sodium {
  /** The module's memory. Another array after an allocation for which it had to grow. */
  readonly HEAPU8: Uint8Array
  _malloc(size: number): Pointer
  _free(at: Pointer): void
  _sodium_init(): number
  _crypto_generichash(
    digest: Pointer,
    digestSize: number,
    input: Pointer,
    size: number,
    sizeHigh: 0,
    key: 0,
    keySize: 0
  ): number
  _crypto_generichash_statebytes(): number
  _crypto_generichash_init(state: Pointer, key: Pointer, keySize: number, digestSize: number): number
  _crypto_generichash_update(state: Pointer, input: Pointer, size: number, sizeHigh: 0): number
  _crypto_generichash_final(state: Pointer, digest: Pointer, digestSize: number): number
  _crypto_sign_seed_keypair(publicKey: Pointer, secretKey: Pointer, seed: Pointer): number
  _crypto_sign_detached(
    signature: Pointer,
    signatureSize: 0,
    message: Pointer,
    size: number,
    sizeHigh: 0,
    secretKey: Pointer
  ): number
  _crypto_sign_verify_detached(
    signature: Pointer,
    message: Pointer,
    size: number,
    sizeHigh: 0,
    publicKey: Pointer
  ): number
  _crypto_stream_xsalsa20_xor_ic(
    out: Pointer,
    input: Pointer,
    size: number,
    sizeHigh: 0,
    nonce: Pointer,
    block: number,
    blockHigh: number,
    key: Pointer
  ): number
}

/** Makes an instance of the module, with a memory of its own. */
type Instantiate = (options: {
  readonly getRandomValue: () => number
  readonly printErr: () => void
}) => Promise<Sodium>

/** There is no WebAssembly here, or the page's policy forbids it. */
export class SodiumWasmUnavailable extends Data.TaggedError("SodiumWasmUnavailable")<{
  readonly cause: unknown
}> {
  override get message(): string {
    return "libsodium could not be compiled from WebAssembly: use CryptoNoble"
  }
}

const DIGEST_SIZE = 32
const SEED_SIZE = 32
const PUBLIC_KEY_SIZE = 32
const SECRET_KEY_SIZE = 64
const SIGNATURE_SIZE = 64
const KEY_SIZE = 32
const NONCE_SIZE = 24

/** What is copied in and worked on at once: small enough to stay in the processor's cache, and room for the leaf of a 64 KB block. */
const CHUNK_SIZE = 131_072

const CIPHER_BLOCK = 64
const TWO_32 = 0x1_0000_0000

/** Copies an argument to its place. A shorter one would leave part of an earlier call's there, for C knows no sizes. */
const put = (sodium: Sodium, at: Pointer, size: number, bytes: Uint8Array): void => {
  if (bytes.length !== size) throw new RangeError(`${bytes.length} bytes where libsodium takes ${size}`)
  sodium.HEAPU8.set(bytes, at)
}

const hasher = (sodium: Sodium, chunk: Pointer): CryptoService["blake2b256"] => {
  const state = sodium._malloc(sodium._crypto_generichash_statebytes())
  const digest = sodium._malloc(DIGEST_SIZE)
  let view = sodium.HEAPU8.subarray(digest, digest + DIGEST_SIZE)

  const answer = (into: Uint8Array | undefined): Uint8Array => {
    const { HEAPU8: heap } = sodium
    if (into === undefined) return heap.slice(digest, digest + DIGEST_SIZE)
    if (view.buffer !== heap.buffer) view = heap.subarray(digest, digest + DIGEST_SIZE)
    into.set(view)
    return into
  }

  /** In one call, a third faster for a tree node. */
  const hashWhole = (parts: ReadonlyArray<Uint8Array>, size: number): void => {
    const { HEAPU8: heap } = sodium
    let end = chunk
    for (let i = 0; i < parts.length; i++) {
      heap.set(parts[i]!, end)
      end += parts[i]!.length
    }
    sodium._crypto_generichash(digest, DIGEST_SIZE, chunk, size, 0, 0, 0)
  }

  const hashInPieces = (parts: ReadonlyArray<Uint8Array>, key: Uint8Array | undefined): void => {
    const { HEAPU8: heap } = sodium
    if (key !== undefined) heap.set(key, chunk)
    if (sodium._crypto_generichash_init(state, chunk, key?.length ?? 0, DIGEST_SIZE) !== 0) {
      throw new RangeError("a key of BLAKE2b has at most 64 bytes")
    }
    let filled = 0
    for (const part of parts) {
      for (let at = 0; at < part.length;) {
        const size = Math.min(part.length - at, CHUNK_SIZE - filled)
        heap.set(size === part.length ? part : part.subarray(at, at + size), chunk + filled)
        at += size
        filled += size
        if (filled < CHUNK_SIZE) continue
        sodium._crypto_generichash_update(state, chunk, filled, 0)
        filled = 0
      }
    }
    sodium._crypto_generichash_update(state, chunk, filled, 0)
    sodium._crypto_generichash_final(state, digest, DIGEST_SIZE)
  }

  return (parts, key, into) => {
    const size = totalLength(parts)
    if (key === undefined && size <= CHUNK_SIZE) hashWhole(parts, size)
    else hashInPieces(parts, key)
    return answer(into)
  }
}

/**
 * The cipher starts at whole blocks of 64 bytes. So the bytes are put where in its block the stream has got to: what is before them is
 * ciphered for nothing, but no rest of a key stream has to be kept.
 */
const streamCipher = (sodium: Sodium, chunk: Pointer): CryptoService["xsalsa20"] => {
  const keyAt = sodium._malloc(KEY_SIZE)
  const nonceAt = sodium._malloc(NONCE_SIZE)
  return (givenKey, givenNonce): StreamCipher => {
    const key = givenKey.slice()
    const nonce = givenNonce.slice()
    let position = 0
    return (bytes) => {
      const heap = sodium.HEAPU8
      put(sodium, keyAt, KEY_SIZE, key)
      put(sodium, nonceAt, NONCE_SIZE, nonce)
      for (let at = 0; at < bytes.length;) {
        const before = position % CIPHER_BLOCK
        const part = bytes.subarray(at, at + CHUNK_SIZE - before)
        const block = (position - before) / CIPHER_BLOCK
        heap.set(part, chunk + before)
        const [size, high] = [before + part.length, Math.floor(block / TWO_32)]
        sodium._crypto_stream_xsalsa20_xor_ic(chunk, chunk, size, 0, nonceAt, block % TWO_32, high, keyAt)
        part.set(heap.subarray(chunk + before, chunk + size))
        position += part.length
        at += part.length
      }
    }
  }
}

const signer = (sodium: Sodium, chunk: Pointer): Pick<CryptoService, "keyPair" | "sign" | "verify"> => {
  const seedAt = sodium._malloc(SEED_SIZE)
  const publicKeyAt = sodium._malloc(PUBLIC_KEY_SIZE)
  const secretKeyAt = sodium._malloc(SECRET_KEY_SIZE)
  const signatureAt = sodium._malloc(SIGNATURE_SIZE)

  /** Runs `use` with the message in memory: a root hash of 32 bytes, but nothing forbids a long one. */
  const withMessage = <A>(message: Uint8Array, use: (at: Pointer) => A): A => {
    const isLong = message.length > CHUNK_SIZE
    const at = isLong ? sodium._malloc(message.length) : chunk
    if (at === 0) throw new RangeError(`no memory for a message of ${message.length} bytes`)
    sodium.HEAPU8.set(message, at)
    const result = use(at)
    if (isLong) sodium._free(at)
    return result
  }

  return {
    keyPair: (seed) =>
      Effect.sync(() => {
        put(sodium, seedAt, SEED_SIZE, seed ?? randomBytes(SEED_SIZE))
        sodium._crypto_sign_seed_keypair(publicKeyAt, secretKeyAt, seedAt)
        return {
          publicKey: sodium.HEAPU8.slice(publicKeyAt, publicKeyAt + PUBLIC_KEY_SIZE),
          secretKey: sodium.HEAPU8.slice(secretKeyAt, secretKeyAt + SECRET_KEY_SIZE)
        }
      }),
    sign: (message, secretKey) =>
      Effect.sync(() =>
        withMessage(message, (at) => {
          put(sodium, secretKeyAt, SECRET_KEY_SIZE, secretKey)
          sodium._crypto_sign_detached(signatureAt, 0, at, message.length, 0, secretKeyAt)
          return sodium.HEAPU8.slice(signatureAt, signatureAt + SIGNATURE_SIZE)
        })
      ),
    verify: (message, signature, publicKey) =>
      Effect.sync(() => {
        if (signature.length !== SIGNATURE_SIZE || publicKey.length !== PUBLIC_KEY_SIZE) return false
        return withMessage(message, (at) => {
          put(sodium, signatureAt, SIGNATURE_SIZE, signature)
          put(sodium, publicKeyAt, PUBLIC_KEY_SIZE, publicKey)
          return sodium._crypto_sign_verify_detached(signatureAt, at, message.length, 0, publicKeyAt) === 0
        })
      })
  }
}

const makeService = (sodium: Sodium): CryptoService => {
  const chunk = sodium._malloc(CHUNK_SIZE)
  return {
    name: "libsodium-wasm",
    blake2b256: hasher(sodium, chunk),
    ...signer(sodium, chunk),
    xsalsa20: streamCipher(sodium, chunk),
    randomBytes: (length) => Effect.sync(() => randomBytes(length))
  }
}

const load = async (): Promise<CryptoService> => {
  // @ts-expect-error the package has no types
  const { default: instantiate } = (await import("libsodium-sumo")) as { readonly default: Instantiate }
  const sodium = await instantiate({
    // `sodium_init` wants some; nothing that is called here does.
    getRandomValue: () => new DataView(randomBytes(4).buffer).getUint32(0),
    // What it would print is in the error, too.
    printErr: () => {}
  })
  if (sodium._sodium_init() < 0) throw new Error("sodium_init failed")
  return makeService(sodium)
}

/** Compiles libsodium into an instance of its own, of 4 MB: make it once. Asynchronous; fails where there is no WebAssembly. */
export const make: Effect.Effect<CryptoService, SodiumWasmUnavailable> = Effect.tryPromise({
  try: load,
  catch: (cause) => new SodiumWasmUnavailable({ cause })
})

export const layer: Layer.Layer<Crypto, SodiumWasmUnavailable> = Layer.effect(Crypto, make)
