/** The default on Node: sodium-native when it is there, else noble; a debug log and `Crypto.name` say which. */
import { Effect, Layer } from "effect"
import { Crypto, type CryptoService } from "../services/Crypto.js"
import * as CryptoNoble from "./CryptoNoble.js"
import * as CryptoSodium from "./CryptoSodium.js"

/** Synchronous: `Effect.runSync` may run it. */
export const make: Effect.Effect<CryptoService> = CryptoSodium.make.pipe(
  Effect.orElseSucceed(() => CryptoNoble.service),
  Effect.tap((crypto) => Effect.logDebug(`effect-hypercore: crypto is ${crypto.name}`))
)

export const layer: Layer.Layer<Crypto> = Layer.effect(Crypto, make)
