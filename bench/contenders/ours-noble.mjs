/** This package, built, with crypto in JavaScript alone (@noble). `ours.mjs` describes the interface; the feeds on disk are the same. */
import { CryptoNoble } from "effect-hypercore"
import { contender } from "./feed.mjs"

export const load = () => contender(CryptoNoble.layer, { crypto: "noble", fixturesOf: "ours" })
