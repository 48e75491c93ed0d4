/**
 * The default on Node: sodium-native when it is there, else libsodium in WebAssembly, else noble; a debug log and `Crypto.name` say which.
 */
import { Effect, Layer } from "effect"
import { Crypto, type CryptoService } from "../services/Crypto.js"
import * as CryptoNoble from "./CryptoNoble.js"
import * as CryptoSodium from "./CryptoSodium.js"
import * as CryptoSodiumWasm from "./CryptoSodiumWasm.js"

const sayWhich = (crypto: CryptoService) => Effect.logDebug(`effect-hypercore: crypto is ${crypto.name}`)

/** Synchronous, so that `Effect.runSync` may run it: without WebAssembly, whose loading is not. */
export const make: Effect.Effect<CryptoService> = CryptoSodium.make.pipe(
  Effect.orElseSucceed(() => CryptoNoble.service),
  Effect.tap(sayWhich)
)

/** Synchronous only with sodium-native. */
export const layer: Layer.Layer<Crypto> = Layer.effect(
  Crypto,
  CryptoSodium.make.pipe(
    Effect.orElse(() => CryptoSodiumWasm.make),
    Effect.orElseSucceed(() => CryptoNoble.service),
    Effect.tap(sayWhich)
  )
)
