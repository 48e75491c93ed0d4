/** The packages with native code: loaded synchronously, and done without where they are not installed. */
import { describe, expect, it, vi } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { createRequire } from "node:module"
import * as CryptoNode from "../../src/layers/CryptoNode.js"
import * as CryptoSodium from "../../src/layers/CryptoSodium.js"
import * as CryptoSodiumWasm from "../../src/layers/CryptoSodiumWasm.js"
import { loadNative } from "../../src/layers/storageFile/loadNative.js"
import { Feed, StorageMemory } from "../../src/index.js"
import { layer } from "../../src/node.js"
import { Crypto } from "../../src/services/Crypto.js"
import { Storage } from "../../src/services/Storage.js"
import { temporaryDirectory } from "../temporaryDirectory.js"

/** What every `require` of Node's goes through. */
interface Loader {
  _load: (name: string, ...rest: ReadonlyArray<unknown>) => unknown
}
const loader = createRequire(import.meta.url)("node:module") as Loader

/** Runs `effect` as if these packages were not installed. */
const without = <A, E, R>(names: ReadonlyArray<string>, effect: Effect.Effect<A, E, R>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      const load = loader._load
      loader._load = (name, ...rest) => {
        if (names.includes(name)) throw new Error(`Cannot find module '${name}'`)
        return load.call(loader, name, ...rest)
      }
      return load
    }),
    () => effect,
    (load) => Effect.sync(() => void (loader._load = load))
  )

const { WebAssembly: compiler } = globalThis as unknown as {
  readonly WebAssembly: { readonly instantiate: () => Promise<unknown> }
}

/** Runs `effect` as on a page whose policy forbids to compile. */
const withoutWebAssembly = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => vi.spyOn(compiler, "instantiate").mockRejectedValue(new Error("forbidden here"))),
    () => effect,
    (spy) => Effect.sync(() => spy.mockRestore())
  )

describe("layers are built synchronously", () => {
  it.scoped("those of Node", () =>
    Effect.map(temporaryDirectory, (directory) => {
      const context = Effect.runSync(Effect.scoped(Layer.build(layer({ directory }))))
      expect(context.unsafeMap.has(Crypto.key) && context.unsafeMap.has(Storage.key)).toBe(true)
    })
  )

  it("and a feed in memory is opened, with sodium-native", () => {
    const services = Layer.merge(StorageMemory.layer, CryptoSodium.layer)
    const opened = Effect.runSync(Effect.provide(Effect.scoped(Feed.open()), services))
    expect([opened.crypto, opened.key.length]).toEqual(["sodium-native", 32])
  })
})

describe("where they are not installed", () => {
  it.effect("crypto is WebAssembly's, and that of sodium-native fails with why", () =>
    without(
      ["sodium-native"],
      Effect.gen(function* () {
        const error = yield* Effect.flip(CryptoSodium.make)
        expect(error).toMatchObject({
          _tag: "SodiumUnavailable",
          cause: { message: "Cannot find module 'sodium-native'" }
        })
        const crypto = yield* Effect.provide(Crypto, CryptoNode.layer)
        expect(crypto.name).toBe("libsodium-wasm")
      })
    )
  )

  it.effect("and what has to be had at once is noble's", () =>
    without(
      ["sodium-native"],
      Effect.sync(() => {
        expect(Effect.runSync(CryptoNode.make).name).toBe("noble")
      })
    )
  )

  it.effect("without WebAssembly it is noble's, and libsodium's fails with why", () =>
    without(
      ["sodium-native"],
      withoutWebAssembly(
        Effect.gen(function* () {
          const error = yield* Effect.flip(CryptoSodiumWasm.make)
          expect(error._tag).toBe("SodiumWasmUnavailable")
          expect(String(error.cause)).toContain("forbidden here")
          const crypto = yield* Effect.provide(Crypto, CryptoNode.layer)
          expect(crypto.name).toBe("noble")
        })
      )
    )
  )

  it.effect("nothing is locked, and freed ranges stay", () =>
    without(
      ["fd-lock", "fs-native-extensions"],
      Effect.gen(function* () {
        const native = yield* loadNative
        expect(() => native.lock(0)).toThrow("fd-lock is not installed")
        expect(() => native.punch(-1, 0, 1)).not.toThrow()
      })
    )
  )
})
