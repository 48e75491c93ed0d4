/** Every Crypto layer alone, then all of them on the same input. */
import { Point, hash } from "@noble/ed25519"
import { describe, expect, it } from "@effect/vitest"
import { Cause, Effect, type Layer } from "effect"
import fc from "fast-check"
import { concat, toHex } from "../../src/domain/Bytes.js"
import * as CryptoNoble from "../../src/layers/CryptoNoble.js"
import * as CryptoNode from "../../src/layers/CryptoNode.js"
import * as CryptoSodium from "../../src/layers/CryptoSodium.js"
import * as CryptoSodiumWasm from "../../src/layers/CryptoSodiumWasm.js"
import { Crypto, type CryptoService } from "../../src/services/Crypto.js"
import { crypto as peer } from "../reference/peer.js"
import { cryptoSuite } from "../suites/crypto.js"
import { pseudoRandomBytes } from "../vectors/dsl.mjs"

cryptoSuite("CryptoNoble", CryptoNoble.layer)
cryptoSuite("CryptoSodium", CryptoSodium.layer)
cryptoSuite("CryptoSodiumWasm", CryptoSodiumWasm.layer)
cryptoSuite("CryptoNode", CryptoNode.layer)

const noble = CryptoNoble.service
/** Runs with sodium-native, and with those that must do as it does. */
const withSodium = <A>(run: (sodium: CryptoService, others: ReadonlyArray<CryptoService>) => A): Promise<A> =>
  Effect.runPromise(
    Effect.zipWith(CryptoSodium.make, CryptoSodiumWasm.make, (sodium, wasm) => run(sodium, [noble, wasm]))
  )

it.effect("the names say which is which; on Node it is sodium where that is installed", () =>
  Effect.gen(function* () {
    const layers: ReadonlyArray<Layer.Layer<Crypto, unknown>> = [
      CryptoNoble.layer,
      CryptoSodium.layer,
      CryptoSodiumWasm.layer,
      CryptoNode.layer
    ]
    const names = yield* Effect.forEach(layers, (layer) =>
      Effect.map(Effect.provide(Crypto, layer), (crypto) => crypto.name)
    )
    expect(names).toEqual(["noble", "sodium-native", "libsodium-wasm", "sodium-native"])
  })
)

it.effect("WebAssembly signs with no part of an earlier key: a key of another size is a defect", () =>
  Effect.gen(function* () {
    const wasm = yield* CryptoSodiumWasm.make
    const { secretKey } = yield* wasm.keyPair()
    yield* wasm.sign(new Uint8Array(32), secretKey)
    for (const size of [0, 32, 63, 65]) {
      const cause = yield* Effect.flip(Effect.sandbox(wasm.sign(new Uint8Array(32), new Uint8Array(size))))
      expect(Cause.pretty(cause)).toContain(`${size} bytes where libsodium takes 64`)
    }
    expect(() => wasm.xsalsa20(new Uint8Array(32), new Uint8Array(8))(new Uint8Array(1))).toThrow(RangeError)
    expect(() => wasm.blake2b256([], new Uint8Array(65))).toThrow(RangeError)
  })
)

const order = 2n ** 252n + 27742317777372353535851937790883648493n
const littleEndian = (value: bigint) =>
  Uint8Array.from({ length: 32 }, (_, i) => Number((value >> BigInt(8 * i)) & 255n))
const number = (input: Uint8Array) => [...input].reduceRight((sum, byte) => sum * 256n + BigInt(byte), 0n)

const base = (scalar: bigint) => (scalar === 0n ? Point.ZERO : Point.BASE.multiply(scalar))

describe("noble, WebAssembly and sodium-native agree", () => {
  const parts = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 6 })
  const key = fc.option(fc.uint8Array({ minLength: 32, maxLength: 32 }), { nil: undefined })
  const seed = fc.uint8Array({ minLength: 32, maxLength: 32 })

  it("on hashes", () =>
    withSodium((sodium, others) =>
      fc.assert(
        fc.property(parts, key, (input, secret) => {
          const digest = toHex(sodium.blake2b256(input, secret))
          for (const other of others) expect(toHex(other.blake2b256(input, secret))).toBe(digest)
        }),
        { numRuns: 500 }
      )
    ))

  it("on hashes of many lengths, around the blocks of 128 bytes and what WebAssembly is given at once", () =>
    withSodium((sodium, others) => {
      const chunks = [131_071, 131_072, 131_073, 262_144]
      for (const length of [
        ...Array.from({ length: 400 }, (_, i) => i),
        4096,
        65_536,
        ...chunks,
        1_000_003
      ]) {
        const whole = pseudoRandomBytes(length, length)
        const digest = toHex(sodium.blake2b256([whole]))
        for (const other of others) {
          expect(toHex(other.blake2b256([whole]))).toBe(digest)
          expect(toHex(other.blake2b256([whole.subarray(0, 9), whole.subarray(9)]))).toBe(digest)
        }
      }
    }))

  it("on signatures of a message for which WebAssembly's memory must grow; what it had there stays", () =>
    withSodium((sodium, others) => {
      const long = pseudoRandomBytes(9_000_000, 1)
      const pair = Effect.runSync(sodium.keyPair(pseudoRandomBytes(32, 2)))
      const signature = Effect.runSync(sodium.sign(long, pair.secretKey))
      for (const other of others) {
        expect(toHex(Effect.runSync(other.sign(long, pair.secretKey)))).toBe(toHex(signature))
        expect(Effect.runSync(other.verify(long, signature, pair.publicKey))).toBe(true)
        expect(Effect.runSync(other.verify(long.subarray(1), signature, pair.publicKey))).toBe(false)
        expect(toHex(other.blake2b256([long]))).toBe(toHex(sodium.blake2b256([long])))
      }
    }))

  it("on keys and signatures, and with the peer", () =>
    withSodium((sodium, others) =>
      fc.assert(
        fc.property(seed, fc.uint8Array(), (from, message) => {
          const pair = Effect.runSync(sodium.keyPair(from))
          const signature = Effect.runSync(sodium.sign(message, pair.secretKey))
          for (const other of others) {
            const { publicKey, secretKey } = Effect.runSync(other.keyPair(from))
            expect(toHex(publicKey)).toBe(toHex(pair.publicKey))
            expect(toHex(secretKey)).toBe(toHex(pair.secretKey))
            expect(toHex(Effect.runSync(other.sign(message, secretKey)))).toBe(toHex(signature))
            expect(Effect.runSync(other.verify(message, signature, publicKey))).toBe(true)
          }
          expect(peer.verify(Buffer.from(message), Buffer.from(signature), Buffer.from(pair.publicKey))).toBe(
            true
          )
        }),
        { numRuns: 30 }
      )
    ))

  it("on rubbish", () =>
    withSodium((sodium, others) => {
      const rubbish = fc.oneof(
        fc.uint8Array({ maxLength: 80 }),
        fc.uint8Array({ minLength: 64, maxLength: 64 })
      )
      const anyKey = fc.oneof(seed, fc.uint8Array({ maxLength: 40 }))
      fc.assert(
        fc.property(fc.uint8Array(), rubbish, anyKey, (message, signature, publicKey) => {
          const verdicts = [sodium, ...others].map((one) =>
            Effect.runSync(one.verify(message, signature, publicKey))
          )
          expect(verdicts).toEqual([false, false, false])
        }),
        { numRuns: 200 }
      )
    }))

  /**
   * The owner of a key can make signatures on which verifiers differ, by adding a point of small order to R or to the
   * public key: with the cofactor multiplied away they hold, without it they do not. Two peers of one feed must not differ.
   */
  it("on signatures with a part of small order", () =>
    withSodium((sodium, others) => {
      // A point of order 8, and its multiples.
      const eighth = Point.fromHex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")
      const torsion = [Point.ZERO, eighth, eighth.double(), eighth.double().double()]
      const secret = 0x1234567890abcdefn
      const nonces = [0n, ...Array.from({ length: 8 }, (_, i) => BigInt(1000 + i))]
      const message = Uint8Array.of(1, 2, 3)
      for (const nonce of nonces) {
        for (const toR of torsion) {
          for (const toKey of torsion) {
            const r = base(nonce).add(toR).toBytes()
            const key = base(secret).add(toKey).toBytes()
            const k = number(hash(concat([r, key, message]))) % order
            const signature = concat([r, littleEndian((nonce + k * secret) % order)])
            const verdict = (one: CryptoService) => Effect.runSync(one.verify(message, signature, key))
            const bySodium = verdict(sodium)
            const what = `nonce ${nonce}, ${toR.toHex()} added to R, ${toKey.toHex()} to the key`
            expect({ what, verdicts: others.map(verdict) }).toEqual({ what, verdicts: [bySodium, bySodium] })
            if (toR === Point.ZERO && toKey === Point.ZERO) expect(bySodium).toBe(nonce !== 0n)
          }
        }
      }
    }))
})
