/** This package, built, with portable crypto (@noble). `ours.mjs` describes the interface; the feeds on disk are the same. */
import { CryptoNoble } from "effect-hypercore"
import { createRequire } from "node:module"
import { buildServices, clone, openFeed, replicate, serve } from "./feed.mjs"

const require = createRequire(import.meta.url)

export const load = async () => {
  const services = await buildServices(CryptoNoble.layer)
  return {
    version: require("effect-hypercore/package.json").version,
    crypto: "noble",
    fixturesOf: "ours",
    supports: ["audit"],
    open: (directory) => openFeed(services, directory),
    replicate: (feed, to) => replicate(services, feed, to),
    serve,
    clone: (to, key, port) => clone(services, to, key, port)
  }
}
