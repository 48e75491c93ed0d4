/** hypercore 7.7.1 with the crypto that it has without native code: sodium-javascript. */
import { createRequire } from "node:module"
import { contender } from "./legacy.mjs"

const require = createRequire(import.meta.url)

/** What hypercore 7 and its protocol get when they ask for sodium-universal: must be JavaScript. */
const portableCrypto = () => {
  process.env.SODIUM_NATIVE = "disable"
  const fromHypercore = createRequire(require.resolve("hypercore-7"))
  const found = ["hypercore-crypto", "hypercore-protocol"].map((name) => {
    const fromPackage = createRequire(fromHypercore.resolve(name))
    const fromSodium = createRequire(fromPackage.resolve("sodium-universal"))
    if (fromPackage("sodium-universal") !== fromSodium("sodium-javascript")) {
      throw new Error(`${name} of hypercore-7 would not run on sodium-javascript`)
    }
    return fromSodium("sodium-javascript/package.json").version
  })
  return `sodium-javascript ${[...new Set(found)].join(" and ")}`
}

export const load = async () => {
  const crypto = portableCrypto()
  const { version } = require("hypercore-7/package.json")
  return contender(require("hypercore-7"), { version, crypto, fixturesOf: "hypercore-7", pace: "slow" })
}
