/** Every Crypto layer alone, then all of them on the same input. */
import { Point, hash } from "@noble/ed25519"
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import fc from "fast-check"
import { concat, toHex } from "../../src/domain/Bytes.js"
import * as CryptoNoble from "../../src/layers/CryptoNoble.js"
import * as CryptoNode from "../../src/layers/CryptoNode.js"
import * as CryptoSodium from "../../src/layers/CryptoSodium.js"
import { Crypto, type CryptoService } from "../../src/services/Crypto.js"
import { crypto as peer } from "../reference/peer.js"
import { cryptoSuite } from "../suites/crypto.js"
import { pseudoRandomBytes } from "../vectors/dsl.mjs"

cryptoSuite("CryptoNoble", CryptoNoble.layer)
cryptoSuite("CryptoSodium", CryptoSodium.layer)
cryptoSuite("CryptoNode", CryptoNode.layer)

const noble = CryptoNoble.service
const withSodium = <A>(run: (sodium: CryptoService) => A): Promise<A> =>
  Effect.runPromise(Effect.map(CryptoSodium.make, run))

it.effect("the names say which is which; on Node it is sodium where that is installed", () =>
  Effect.gen(function* () {
    const names = yield* Effect.forEach([CryptoNoble.layer, CryptoSodium.layer, CryptoNode.layer], (layer) =>
      Effect.map(Effect.provide(Crypto, layer), (crypto) => crypto.name)
    )
    expect(names).toEqual(["noble", "sodium-native", "sodium-native"])
  })
)

const order = 2n ** 252n + 27742317777372353535851937790883648493n
const littleEndian = (value: bigint) =>
  Uint8Array.from({ length: 32 }, (_, i) => Number((value >> BigInt(8 * i)) & 255n))
const number = (input: Uint8Array) => [...input].reduceRight((sum, byte) => sum * 256n + BigInt(byte), 0n)

const base = (scalar: bigint) => (scalar === 0n ? Point.ZERO : Point.BASE.multiply(scalar))

describe("noble and sodium agree", () => {
  const parts = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 6 })
  const key = fc.option(fc.uint8Array({ minLength: 32, maxLength: 32 }), { nil: undefined })
  const seed = fc.uint8Array({ minLength: 32, maxLength: 32 })

  it("on hashes", () =>
    withSodium((sodium) =>
      fc.assert(
        fc.property(parts, key, (input, secret) => {
          const digest = toHex(sodium.blake2b256(input, secret))
          expect(toHex(noble.blake2b256(input, secret))).toBe(digest)
        }),
        { numRuns: 500 }
      )
    ))

  it("on hashes of many lengths, around the blocks of 128 bytes", () =>
    withSodium((sodium) => {
      for (const length of [...Array.from({ length: 400 }, (_, i) => i), 4096, 65_536, 1_000_003]) {
        const input = [pseudoRandomBytes(length, length)]
        expect(toHex(noble.blake2b256(input))).toBe(toHex(sodium.blake2b256(input)))
      }
    }))

  it("on keys and signatures, and with the peer", () =>
    withSodium((sodium) =>
      fc.assert(
        fc.property(seed, fc.uint8Array(), (from, message) => {
          const pair = Effect.runSync(sodium.keyPair(from))
          const other = Effect.runSync(noble.keyPair(from))
          expect(toHex(other.publicKey)).toBe(toHex(pair.publicKey))
          expect(toHex(other.secretKey)).toBe(toHex(pair.secretKey))
          const signature = Effect.runSync(sodium.sign(message, pair.secretKey))
          expect(toHex(Effect.runSync(noble.sign(message, pair.secretKey)))).toBe(toHex(signature))
          expect(peer.verify(Buffer.from(message), Buffer.from(signature), Buffer.from(pair.publicKey))).toBe(
            true
          )
          expect(Effect.runSync(noble.verify(message, signature, pair.publicKey))).toBe(true)
        }),
        { numRuns: 30 }
      )
    ))

  it("on rubbish", () =>
    withSodium((sodium) => {
      const rubbish = fc.oneof(
        fc.uint8Array({ maxLength: 80 }),
        fc.uint8Array({ minLength: 64, maxLength: 64 })
      )
      const anyKey = fc.oneof(seed, fc.uint8Array({ maxLength: 40 }))
      fc.assert(
        fc.property(fc.uint8Array(), rubbish, anyKey, (message, signature, publicKey) => {
          const verdicts = [noble, sodium].map((one) =>
            Effect.runSync(one.verify(message, signature, publicKey))
          )
          expect(verdicts).toEqual([false, false])
        }),
        { numRuns: 200 }
      )
    }))

  /**
   * The owner of a key can make signatures on which verifiers differ, by adding a point of small order to R or to the
   * public key: with the cofactor multiplied away they hold, without it they do not. Two peers of one feed must not differ.
   */
  it("on signatures with a part of small order", () =>
    withSodium((sodium) => {
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
            const [byNoble, bySodium] = [noble, sodium].map((one) =>
              Effect.runSync(one.verify(message, signature, key))
            )
            const what = `nonce ${nonce}, ${toR.toHex()} added to R, ${toKey.toHex()} to the key`
            expect({ what, byNoble }).toEqual({ what, byNoble: bySodium })
            if (toR === Point.ZERO && toKey === Point.ZERO) expect(bySodium).toBe(nonce !== 0n)
          }
        }
      }
    }))
})
