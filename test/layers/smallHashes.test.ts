/** Which of two hash functions is asked: the faster one for small inputs, once many have come and it is loaded. */
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Blake2b256 } from "../../src/domain/Hash.js"
import * as CryptoNoble from "../../src/layers/CryptoNoble.js"
import { SMALL, withSmallHashes } from "../../src/layers/cryptoSodium/smallHashes.js"
import * as CryptoSodiumWasm from "../../src/layers/CryptoSodiumWasm.js"
import { pseudoRandomBytes } from "../vectors/dsl.mjs"

const AFTER = 10

/** Tells who is asked, and answers by noble. */
const told = (asked: Array<string>, name: string): Blake2b256 => {
  return (parts, key, into) => {
    asked.push(name)
    return CryptoNoble.service.blake2b256(parts, key, into)
  }
}

const loading = (load: (faster: Blake2b256) => Promise<Blake2b256>) => {
  const asked: Array<string> = []
  let loads = 0
  const begin = (): Promise<Blake2b256> => {
    loads++
    return load(told(asked, "small"))
  }
  const blake2b = withSmallHashes(told(asked, "native"), begin, AFTER)
  return { asked, blake2b, loads: () => loads }
}

const small = [new Uint8Array(SMALL - 1), new Uint8Array(1)]
const large = [new Uint8Array(SMALL), new Uint8Array(1)]

it("loads after so many small inputs, once, and asks for no others", async () => {
  const { asked, blake2b, loads } = loading(async (faster) => faster)
  for (let i = 0; i < AFTER; i++) {
    blake2b(small)
    blake2b(large)
    blake2b(small, new Uint8Array(32))
  }
  await Promise.resolve()
  expect(loads()).toBe(0)
  blake2b(small)
  expect(loads()).toBe(1)
  blake2b(small)
  await Promise.resolve()
  expect(new Set(asked)).toEqual(new Set(["native"]))
  asked.length = 0
  blake2b(small)
  blake2b(large)
  blake2b(small, new Uint8Array(32))
  expect(asked).toEqual(["small", "native", "native"])
  expect(loads()).toBe(1)
})

it("goes on as before where nothing can be loaded", async () => {
  const { asked, blake2b, loads } = loading(() => Promise.reject(new Error("no WebAssembly")))
  for (let i = 0; i < 3 * AFTER; i++) {
    blake2b(small)
    await Promise.resolve()
  }
  expect([loads(), new Set(asked)]).toEqual([1, new Set(["native"])])
})

it.effect("gives the same digests by WebAssembly, of any size, in any parts, written where it is told", () =>
  Effect.gen(function* () {
    const wasm = yield* CryptoSodiumWasm.make
    const blake2b = withSmallHashes(CryptoNoble.service.blake2b256, async () => wasm.blake2b256, 0)
    blake2b([new Uint8Array(1)])
    yield* Effect.promise(() => Promise.resolve())
    for (let size = 0; size <= SMALL + 5; size++) {
      const bytes = pseudoRandomBytes(size, size)
      const expected = CryptoNoble.service.blake2b256([bytes])
      const cut = Math.floor(size / 3)
      const parts = [bytes.subarray(0, cut), bytes.subarray(cut, 2 * cut), bytes.subarray(2 * cut)]
      const into = new Uint8Array(32)
      expect(blake2b([bytes])).toEqual(expected)
      expect(blake2b(parts)).toEqual(expected)
      const answer = blake2b(parts, undefined, into)
      if (size <= SMALL) expect(answer).toBe(into)
      expect(answer).toEqual(expected)
    }
  })
)
