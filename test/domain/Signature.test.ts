import { expect, it } from "@effect/vitest"
import { Effect, FastCheck as fc } from "effect"
import { isSignature } from "../../src/domain/Signature.js"
import { CryptoNoble } from "../../src/index.js"

/** The number, least significant byte first, behind 32 bytes of anything. */
const withNumber = (number: bigint): Uint8Array =>
  Uint8Array.from({ length: 64 }, (_, i) => (i < 32 ? 7 : Number((number >> BigInt(8 * (i - 32))) & 255n)))

const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n

it("is a number below the order of the group", () => {
  for (const number of [0n, 1n, ORDER - 1n, 2n ** 252n]) expect(isSignature(withNumber(number))).toBe(true)
  for (const number of [ORDER, ORDER + 1n, 2n ** 253n, 2n ** 256n - 1n]) {
    expect(isSignature(withNumber(number))).toBe(false)
  }
})

it.effect("so is every signature that is made", () =>
  Effect.gen(function* () {
    const { secretKey } = yield* CryptoNoble.service.keyPair(new Uint8Array(32).fill(1))
    for (const message of fc.sample(fc.uint8Array({ maxLength: 40 }), { numRuns: 20, seed: 1 })) {
      expect(isSignature(yield* CryptoNoble.service.sign(message, secretKey))).toBe(true)
    }
  })
)
