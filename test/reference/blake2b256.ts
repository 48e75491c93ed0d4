/** The quickest BLAKE2b there is here: test/layers holds every implementation to the same answers. */
import { Effect } from "effect"
import * as CryptoNode from "../../src/layers/CryptoNode.js"
import { Crypto } from "../../src/services/Crypto.js"

export const { blake2b256 } = await Effect.runPromise(Effect.provide(Crypto, CryptoNode.layer))
