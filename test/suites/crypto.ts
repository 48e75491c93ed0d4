/** What every Crypto layer must do: the contract in `src/services/Crypto.ts`, and the same bytes from all of them. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import fc from "fast-check"
import { createRequire } from "node:module"
import { concat, toHex } from "../../src/domain/Bytes.js"
import * as Hash from "../../src/domain/Hash.js"
import { Crypto, type CryptoService } from "../../src/services/Crypto.js"
import { bytes, knownAnswers, node } from "../reference/knownAnswers.js"
import { expandBlocks, pseudoRandomBytes } from "../vectors/dsl.mjs"

const text = (value: string) => new TextEncoder().encode(value)

/** BLAKE2b with a digest of 32 bytes: from the reference implementation's and libsodium's own outputs. */
const BLAKE2B = [
  ["", "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8"],
  ["abc", "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319"]
] as const

/** The order of the group, 2^252 + 27742317777372353535851937790883648493, little-endian. */
const GROUP_ORDER = bytes("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")

/** Encodings of the points of small order, canonical and not: as public keys they "verify" what nobody signed. */
const SMALL_ORDER = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"
].flatMap((hex) => {
  const even = bytes(hex)
  const odd = even.slice()
  odd[31]! |= 0x80
  return [even, odd]
})

/** `a + b` of little-endian numbers. */
const addLittleEndian = (a: Uint8Array, b: Uint8Array): Uint8Array => {
  let carry = 0
  return a.map((byte, i) => {
    const sum = byte + b[i]! + carry
    carry = sum >> 8
    return sum & 0xff
  })
}

/** The bytes with bit `bit`, counted round, flipped. */
const flip = (input: Uint8Array, bit: number): Uint8Array => {
  const changed = input.slice()
  changed[(bit >> 3) % input.length]! ^= 1 << (bit & 7)
  return changed
}

interface Sodium {
  readonly crypto_stream_xor: (out: Uint8Array, input: Uint8Array, nonce: Uint8Array, key: Uint8Array) => void
}

const sodium = createRequire(import.meta.url)("sodium-native") as Sodium

/** `input` and the key stream XORed, by libsodium in one call. */
const xsalsa20OfSodium = (input: Uint8Array, nonce: Uint8Array, key: Uint8Array): Uint8Array => {
  const out = new Uint8Array(input.length)
  if (input.length > 0) sodium.crypto_stream_xor(out, input, nonce, key)
  return out
}

const part = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  fc.uint8Array({ minLength: 100, maxLength: 300 }),
  fc.constant(new Uint8Array(0))
)

export const cryptoSuite = (name: string, layer: Layer.Layer<Crypto, unknown>): void => {
  const test = (about: string, run: (crypto: CryptoService) => Effect.Effect<void, unknown>) =>
    it.effect(about, () => Effect.orDie(Effect.provide(Effect.flatMap(Crypto, run), layer)))

  /** A property of the service; `check` is asked with many inputs. */
  const testProperty = <A>(
    about: string,
    arbitrary: fc.Arbitrary<A>,
    check: (crypto: CryptoService, value: A) => Effect.Effect<void, unknown>,
    numRuns = 100
  ) =>
    test(about, (crypto) =>
      Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(arbitrary, (value) => Effect.runPromise(check(crypto, value))),
          { numRuns }
        )
      )
    )

  describe(`${name}: BLAKE2b-256`, () => {
    for (const [message, digest] of BLAKE2B) {
      test(`of ${JSON.stringify(message)}`, (crypto) =>
        Effect.sync(() => {
          expect(toHex(crypto.blake2b256([text(message)]))).toBe(digest)
          expect(toHex(crypto.blake2b256(message.split("").map(text)))).toBe(digest)
        }))
    }

    testProperty("is of the parts as if concatenated, keyed or not", fc.array(part), (crypto, parts) =>
      Effect.sync(() => {
        const key = pseudoRandomBytes(32, parts.length)
        const whole = concat(parts)
        expect(toHex(crypto.blake2b256(parts))).toBe(toHex(crypto.blake2b256([whole])))
        expect(toHex(crypto.blake2b256(parts, key))).toBe(toHex(crypto.blake2b256([whole], key)))
        expect(toHex(crypto.blake2b256(parts, key))).not.toBe(toHex(crypto.blake2b256(parts)))
      })
    )

    testProperty(
      "is written where the caller wants it, or that stays as it is",
      fc.array(part),
      (crypto, parts) =>
        Effect.sync(() => {
          const digest = toHex(crypto.blake2b256(parts))
          const around = new Uint8Array(96)
          const into = around.subarray(32, 64)
          const given = crypto.blake2b256(parts, undefined, into)
          expect(toHex(given)).toBe(digest)
          expect(toHex(around)).toBe(
            `${"00".repeat(32)}${given === into ? digest : "00".repeat(32)}${"00".repeat(32)}`
          )
        })
    )

    test("gives a fresh array each time, and leaves its input alone", (crypto) =>
      Effect.sync(() => {
        const input = [text("a"), text("bc")]
        const first = crypto.blake2b256(input)
        const digest = toHex(first)
        first.fill(0)
        const second = crypto.blake2b256(input)
        crypto.blake2b256([text("other")])
        expect(toHex(second)).toBe(digest)
        expect(second).toHaveLength(32)
        // Nobody else's bytes, whether or not the memory around them is shared.
        const third = crypto.blake2b256([text("other")])
        const others = [crypto.blake2b256(input), third].map(toHex)
        second.fill(0xff)
        expect([toHex(third), toHex(crypto.blake2b256(input))]).toEqual([others[1], others[0]])
        expect(toHex(first)).toBe("00".repeat(32))
        expect(input).toEqual([text("a"), text("bc")])
      }))

    test("the peer's leaves, parents, root hashes and discovery keys", (crypto) =>
      Effect.sync(() => {
        const { blake2b256 } = crypto
        for (const { block, hash } of knownAnswers.leaves) {
          expect(toHex(Hash.leafHash(blake2b256, expandBlocks([block])[0]!))).toBe(hash)
        }
        for (const { a, b, hash } of knownAnswers.parents) {
          const [left, right] = a.index < b.index ? [a, b] : [b, a]
          expect(toHex(Hash.parent(blake2b256, node(left), node(right)).hash)).toBe(hash)
        }
        for (const { hash, roots } of knownAnswers.rootHashes) {
          expect(toHex(Hash.rootHash(blake2b256, roots.map(node)))).toBe(hash)
        }
        for (const { discoveryKey, publicKey } of knownAnswers.keyPairs) {
          expect(toHex(Hash.discoveryKey(blake2b256, bytes(publicKey)))).toBe(discoveryKey)
        }
      }))
  })

  describe(`${name}: Ed25519`, () => {
    test("the peer's key pairs", (crypto) =>
      Effect.gen(function* () {
        for (const { publicKey, secretKey, seed } of knownAnswers.keyPairs) {
          const pair = yield* crypto.keyPair(bytes(seed))
          expect(toHex(pair.publicKey)).toBe(publicKey)
          expect(toHex(pair.secretKey)).toBe(secretKey)
        }
      }))

    test("the peer's signatures", (crypto) =>
      Effect.gen(function* () {
        for (const { message, seed, signature } of knownAnswers.signatures) {
          const { publicKey, secretKey } = yield* crypto.keyPair(bytes(seed))
          expect(toHex(yield* crypto.sign(bytes(message), secretKey))).toBe(signature)
          expect(yield* crypto.verify(bytes(message), bytes(signature), publicKey)).toBe(true)
        }
      }))

    test("a key pair without a seed is new each time, and works", (crypto) =>
      Effect.gen(function* () {
        const seen = new Set<string>()
        for (let i = 0; i < 20; i++) {
          const { publicKey, secretKey } = yield* crypto.keyPair()
          expect([publicKey.length, secretKey.length]).toEqual([32, 64])
          expect(toHex(secretKey.subarray(32))).toBe(toHex(publicKey))
          seen.add(toHex(secretKey))
          const again = yield* crypto.keyPair(secretKey.subarray(0, 32))
          expect(toHex(again.publicKey)).toBe(toHex(publicKey))
        }
        expect(seen.size).toBe(20)
      }))

    const signed = fc.record({
      seed: fc.uint8Array({ minLength: 32, maxLength: 32 }),
      message: fc.uint8Array({ maxLength: 200 }),
      bit: fc.nat()
    })

    testProperty(
      "what was signed verifies; one bit of anything changed, it does not",
      signed,
      (crypto, { bit, message, seed }) =>
        Effect.gen(function* () {
          const { publicKey, secretKey } = yield* crypto.keyPair(seed)
          const signature = yield* crypto.sign(message, secretKey)
          expect(signature).toHaveLength(64)
          expect(toHex(yield* crypto.sign(message, secretKey))).toBe(toHex(signature))
          expect(yield* crypto.verify(message, signature, publicKey)).toBe(true)
          expect(yield* crypto.verify(message, flip(signature, bit), publicKey)).toBe(false)
          expect(yield* crypto.verify(message, signature, flip(publicKey, bit))).toBe(false)
          const other = message.length === 0 ? text("x") : flip(message, bit)
          expect(yield* crypto.verify(other, signature, publicKey)).toBe(false)
        }),
      30
    )

    for (const length of [0, 1, 32, 63, 65, 128]) {
      test(`a signature resized to ${length} bytes is \`false\`, never an error`, (crypto) =>
        Effect.gen(function* () {
          const message = text("hello")
          const { publicKey, secretKey } = yield* crypto.keyPair(new Uint8Array(32).fill(1))
          const resized = new Uint8Array(length)
          resized.set((yield* crypto.sign(message, secretKey)).subarray(0, length))
          expect(yield* crypto.verify(message, resized, publicKey)).toBe(false)
        }))
    }

    test("a malformed signature or key is `false`, never an error", (crypto) =>
      Effect.gen(function* () {
        const message = text("hello")
        const { publicKey, secretKey } = yield* crypto.keyPair(new Uint8Array(32).fill(1))
        const signature = yield* crypto.sign(message, secretKey)
        for (const length of [0, 1, 31, 33, 64]) {
          const resized = new Uint8Array(length)
          resized.set(publicKey.subarray(0, length))
          expect(yield* crypto.verify(message, signature, resized)).toBe(false)
        }
        for (const fill of [0, 0x7f, 0x80, 0xff]) {
          expect(yield* crypto.verify(message, new Uint8Array(64).fill(fill), publicKey)).toBe(false)
          expect(yield* crypto.verify(message, signature, new Uint8Array(32).fill(fill))).toBe(false)
        }
      }))

    test("a second signature made from the first is `false`: S must be below the group's order", (crypto) =>
      Effect.gen(function* () {
        const message = text("hello")
        const { publicKey, secretKey } = yield* crypto.keyPair(new Uint8Array(32).fill(1))
        const signature = yield* crypto.sign(message, secretKey)
        const other = signature.slice()
        other.set(addLittleEndian(signature.subarray(32), GROUP_ORDER), 32)
        expect(yield* crypto.verify(message, other, publicKey)).toBe(false)
      }))

    test("a public key of small order verifies nothing", (crypto) =>
      Effect.gen(function* () {
        for (const key of SMALL_ORDER) {
          for (const r of SMALL_ORDER) {
            const signature = new Uint8Array(64)
            signature.set(r)
            for (const message of ["", "a", "b", "c"]) {
              expect(yield* crypto.verify(text(message), signature, key)).toBe(false)
            }
          }
        }
      }))
  })

  describe(`${name}: XSalsa20`, () => {
    const keyed = fc.record({
      key: fc.uint8Array({ minLength: 32, maxLength: 32 }),
      nonce: fc.uint8Array({ minLength: 24, maxLength: 24 })
    })
    const sizes = fc.array(
      fc.oneof(fc.nat({ max: 10 }), fc.nat({ max: 200 }), fc.constantFrom(0, 63, 64, 65, 128)),
      {
        maxLength: 20
      }
    )

    test("the key stream of NaCl's own test", (crypto) =>
      Effect.sync(() => {
        // The first 32 bytes of the stream of NaCl's "firstkey" and "nonce".
        const key = bytes("1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389")
        const nonce = bytes("69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37")
        const stream = new Uint8Array(32)
        crypto.xsalsa20(key, nonce)(stream)
        expect(toHex(stream)).toBe("eea6a7251c1e72916d11c2cb214d3c252539121d8e234e652d651fa4c8cff880")
      }))

    testProperty(
      "in any split of the calls, at any alignment, is libsodium's stream, in place",
      fc.tuple(keyed, sizes, fc.nat({ max: 9 })),
      (crypto, [{ key, nonce }, parts, offset]) =>
        Effect.sync(() => {
          const length = parts.reduce((sum, size) => sum + size, 0)
          const input = pseudoRandomBytes(length, offset)
          const around = new Uint8Array(offset + length + 7).fill(0xee)
          around.set(input, offset)
          const cipher = crypto.xsalsa20(key, nonce)
          let at = offset
          for (const size of parts) {
            cipher(around.subarray(at, at + size))
            at += size
          }
          expect(toHex(around.subarray(offset, at))).toBe(toHex(xsalsa20OfSodium(input, nonce, key)))
          expect(around.filter((byte, i) => (i < offset || i >= at) && byte !== 0xee)).toHaveLength(0)
          const whole = input.slice()
          crypto.xsalsa20(key, nonce)(whole)
          expect(toHex(whole)).toBe(toHex(around.subarray(offset, at)))
        }),
      300
    )

    testProperty("two streams do not disturb each other", fc.tuple(keyed, keyed), (crypto, keys) =>
      Effect.sync(() => {
        const inputs = keys.map((_, i) => pseudoRandomBytes(300, i))
        const ciphers = keys.map(({ key, nonce }) => crypto.xsalsa20(key, nonce))
        const outputs = inputs.map((input) => input.slice())
        for (let at = 0; at < 300; at += 50) {
          for (const i of [0, 1]) ciphers[i]!(outputs[i]!.subarray(at, at + 50))
        }
        for (const [i, { key, nonce }] of keys.entries()) {
          expect(toHex(outputs[i]!)).toBe(toHex(xsalsa20OfSodium(inputs[i]!, nonce, key)))
        }
      })
    )

    test("decrypts what it encrypted; nothing is left as it was", (crypto) =>
      Effect.sync(() => {
        const [key, nonce] = [pseudoRandomBytes(32, 1), pseudoRandomBytes(24, 2)]
        const message = pseudoRandomBytes(1000, 3)
        const changed = message.slice()
        crypto.xsalsa20(key, nonce)(changed)
        expect(toHex(changed)).not.toBe(toHex(message))
        crypto.xsalsa20(key, nonce)(changed)
        expect(toHex(changed)).toBe(toHex(message))
      }))

    test("keeps neither key nor nonce: both may be overwritten at once", (crypto) =>
      Effect.sync(() => {
        const [key, nonce] = [pseudoRandomBytes(32, 1), pseudoRandomBytes(24, 2)]
        const expected = toHex(xsalsa20OfSodium(new Uint8Array(200), nonce, key))
        const cipher = crypto.xsalsa20(key, nonce)
        const out = new Uint8Array(200)
        cipher(out.subarray(0, 10))
        key.fill(0)
        nonce.fill(0)
        cipher(out.subarray(10))
        expect(toHex(out)).toBe(expected)
      }))

    test("a long stream, in large and in odd parts", (crypto) =>
      Effect.sync(() => {
        const [key, nonce] = [pseudoRandomBytes(32, 5), pseudoRandomBytes(24, 6)]
        const input = pseudoRandomBytes(3_000_000, 7)
        const expected = xsalsa20OfSodium(input, nonce, key)
        for (const size of [65_536, 99_991, 3_000_000]) {
          const out = input.slice()
          const cipher = crypto.xsalsa20(key, nonce)
          for (let at = 0; at < out.length; at += size) cipher(out.subarray(at, at + size))
          expect(Buffer.compare(out, expected)).toBe(0)
        }
      }))

    test("of nothing moves nothing", (crypto) =>
      Effect.sync(() => {
        const [key, nonce] = [pseudoRandomBytes(32, 1), pseudoRandomBytes(24, 2)]
        const cipher = crypto.xsalsa20(key, nonce)
        const out = new Uint8Array(100)
        cipher(new Uint8Array(0))
        cipher(out.subarray(0, 30))
        cipher(out.subarray(30, 30))
        cipher(out.subarray(30))
        expect(toHex(out)).toBe(toHex(xsalsa20OfSodium(new Uint8Array(100), nonce, key)))
      }))
  })

  describe(`${name}: random bytes`, () => {
    test("are as many as asked for, and others each time", (crypto) =>
      Effect.gen(function* () {
        for (const length of [0, 1, 24, 32, 1000, 65_536]) {
          expect(yield* crypto.randomBytes(length)).toHaveLength(length)
        }
        const seen = new Set<string>()
        for (let i = 0; i < 50; i++) seen.add(toHex(yield* crypto.randomBytes(16)))
        expect(seen.size).toBe(50)
        const many = yield* crypto.randomBytes(4096)
        expect(new Set(many).size).toBeGreaterThan(200)
      }))

    test("more than a Web Crypto call gives at once", (crypto) =>
      Effect.gen(function* () {
        const many = yield* crypto.randomBytes(200_000)
        expect(many).toHaveLength(200_000)
        expect(new Set(many.subarray(199_000)).size).toBeGreaterThan(200)
      }))
  })
}
