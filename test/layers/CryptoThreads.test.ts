/** Hashing on other cores: the same digests, whoever made them, and whatever becomes of the thread. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import {
  Crypto,
  type CryptoService,
  Feed,
  NetworkMemory,
  Replication,
  StorageMemory
} from "../../src/index.js"
import * as CryptoSodium from "../../src/layers/CryptoSodium.js"
import * as CryptoThreads from "../../src/layers/CryptoThreads.js"
import { HashThread } from "../../src/layers/cryptoThreads/HashThread.js"
import { createRequire } from "node:module"
import { cryptoSuite } from "../suites/crypto.js"
import { pseudoRandomBytes } from "../vectors/dsl.mjs"

cryptoSuite("CryptoThreads", CryptoThreads.layer({ threads: 1 }))

const sodium = createRequire(import.meta.url).resolve("sodium-native")
const crypto = Effect.runSync(CryptoSodium.make)

const inputs = (sizes: ReadonlyArray<number>) =>
  sizes.map((size, i) => [pseudoRandomBytes(9, i), pseudoRandomBytes(size, i)])
const digestsOf = (all: ReadonlyArray<ReadonlyArray<Uint8Array>>) => all.map((one) => crypto.blake2b256(one))

/** A thread that is ready. */
const thread = Effect.acquireRelease(
  Effect.async<HashThread>((resume) => {
    const one = new HashThread(sodium)
    one.whenUp(() => resume(Effect.succeed(one)))
  }),
  (one) => Effect.sync(() => one.close())
)

describe("a thread", () => {
  it.scoped("hashes what it is given, as far as it takes it", () =>
    Effect.gen(function* () {
      const one = yield* thread
      const all = inputs([0, 1, 65_536, 100_000, 7])
      expect(one.begin(all, 200_000)).toBe(5)
      expect(yield* one.finish(5)).toEqual(digestsOf(all))
      expect(one.begin(all, 65_600)).toBe(3)
      expect(one.isReady).toBe(false)
      expect(yield* one.finish(3)).toEqual(digestsOf(all.slice(0, 3)))
      expect(one.isReady).toBe(true)
      expect(one.begin(inputs([5_000_000]), 10_000_000)).toBe(0)
      expect(one.isReady).toBe(true)
    })
  )

  it.scoped("that dies is told from one that is slow", () =>
    Effect.gen(function* () {
      const one = yield* thread
      one.close()
      // Ended, it takes no job up any more.
      yield* one.ended
      expect(one.begin(inputs([70_000]), 100_000)).toBe(1)
      expect(yield* one.finish(1)).toBeUndefined()
    })
  )
})

describe("a batch that is shared out", () => {
  const batch = inputs(Array.from({ length: 40 }, (_, i) => 20_000 + i))

  it.scoped("has the digests of its inputs, in order", () =>
    Effect.gen(function* () {
      const shared = yield* CryptoThreads.around(crypto, { threads: 2 })
      const expected = digestsOf(batch)
      let times = 0
      // The first calls find no thread yet.
      while (times < 5) {
        const digests = shared.blake2b256All!(batch)
        if (digests === undefined) yield* Effect.promise(() => new Promise(setImmediate))
        else {
          expect(yield* digests).toEqual(expected)
          times++
        }
      }
    })
  )

  it.scoped("leaves no thread behind when its caller is interrupted", () =>
    Effect.gen(function* () {
      // The caller's own part takes no time: the thread is waited for.
      const idle: CryptoService = { ...crypto, blake2b256: () => new Uint8Array(32) }
      const shared = yield* CryptoThreads.around(idle, { threads: 1 })
      const large = inputs(Array.from({ length: 40 }, () => 400_000))
      let digests = shared.blake2b256All!(large)
      while (digests === undefined) {
        yield* Effect.promise(() => new Promise(setImmediate))
        digests = shared.blake2b256All!(large)
      }
      const fiber = yield* Effect.fork(digests)
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(fiber)
      expect(shared.blake2b256All!(large)).toBeDefined()
    })
  )

  it.scoped("is not, when it is small, or of small inputs", () =>
    Effect.gen(function* () {
      const shared = yield* CryptoThreads.around(crypto, { threads: 1 })
      expect(shared.blake2b256All!(inputs([4096, 4096]))).toBeUndefined()
      expect(shared.blake2b256All!(inputs(Array.from({ length: 4000 }, () => 512)))).toBeUndefined()
      expect((yield* CryptoThreads.around(crypto, { threads: 0 })).blake2b256All).toBeUndefined()
    })
  )
})

it.scoped("a feed has the same tree with it, and audits it", () =>
  Effect.gen(function* () {
    let shared = 0
    const threads = yield* CryptoThreads.around(crypto, { threads: 1 })
    const counting: CryptoService = {
      ...threads,
      blake2b256All: (all) => {
        const digests = threads.blake2b256All!(all)
        if (digests !== undefined) shared++
        return digests
      }
    }
    const keys = yield* crypto.keyPair(new Uint8Array(32).fill(5))
    const [one, other] = yield* Effect.forEach([counting, crypto], (service) =>
      Feed.open(keys).pipe(Effect.provide(StorageMemory.layer), Effect.provideService(Crypto, service))
    )
    for (let i = 0; shared < 4; i++) {
      const blocks = Array.from({ length: 10 }, (_, n) => pseudoRandomBytes(40_000 + i, n))
      yield* one!.appendBatch(blocks)
      yield* other!.appendBatch(blocks)
      // A thread needs its turn to be there.
      yield* Effect.promise(() => new Promise(setImmediate))
    }
    const { length } = one!
    expect(yield* one!.rootHashes(length - 1)).toEqual(yield* other!.rootHashes(length - 1))
    expect(yield* one!.audit()).toEqual({ valid: length, invalid: 0 })
    const reader = yield* Feed.open({ key: keys.publicKey }).pipe(
      Effect.provide(StorageMemory.layer),
      Effect.provideService(Crypto, counting)
    )
    const [near, far] = yield* NetworkMemory.pair()
    yield* Effect.all([Replication.replicate(other!, near), Replication.replicate(reader, far)], {
      concurrency: "unbounded"
    })
    expect(yield* reader.getBatch(0, length)).toEqual(yield* other!.getBatch(0, length))
  })
)
