/** This package, built, with portable crypto (libsodium in WebAssembly). `ours.mjs` describes the interface; the feeds on disk are the same. */
import { CryptoSodiumWasm } from "effect-hypercore"
import { contender } from "./feed.mjs"

export const load = () => contender(CryptoSodiumWasm.layer, { crypto: "libsodium-wasm", fixturesOf: "ours" })
