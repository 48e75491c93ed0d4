/** Our compat: hypercore 7's callback API on our feed. */
import hypercore from "effect-hypercore/compat"
import { createRequire } from "node:module"
import { contender } from "./legacy.mjs"

export const load = async () => {
  const { version } = createRequire(import.meta.url)("effect-hypercore/package.json")
  return contender(hypercore, { version, crypto: "sodium-native", fixturesOf: "ours" })
}
