/** What `bench/link.mjs` runs, from the sources. */
import { Context, Effect, Layer } from "effect"
import { Random } from "../../src/domain/Random.js"
import { Crypto, Feed, NetworkMemory, Replication, StorageMemory } from "../../src/index.js"
import { CryptoNode } from "../../src/node.js"
import { Simulation } from "../../test/replication/Simulation.js"

/** Bytes a second: 100 Mbit/s. */
const BANDWIDTH = 12_500_000
/** Milliseconds, one way. */
const LATENCY = 50
const PORT = 3282

const args = process.argv.slice(2)
const only = args.includes("--only") ? args[args.indexOf("--only") + 1] : undefined
const json = args.includes("--json")

const crypto = await Effect.runPromise(Effect.provide(Crypto, CryptoNode.layer))

/** Random bytes that a seed repeats: the same bytes on the wire in every run. */
const seeded = (seed) => {
  const random = new Random(seed)
  return {
    ...crypto,
    randomBytes: (length) => Effect.sync(() => Uint8Array.from({ length }, () => random.below(256)))
  }
}

const openFeed = (seed, options) =>
  Effect.flatMap(Layer.build(StorageMemory.layer), (storage) =>
    Effect.provide(Feed.open(options), Context.add(storage, Crypto, seeded(seed)))
  )

const makeSource = (size, count) =>
  Effect.gen(function* () {
    const feed = yield* openFeed(0, yield* crypto.keyPair(new Uint8Array(32).fill(1)))
    const block = new Uint8Array(size).fill(7)
    for (let at = 0; at < count; at += 1000) {
      yield* feed.appendBatch(Array.from({ length: Math.min(1000, count - at) }, () => block))
    }
    return feed
  })

/** Counts what a connection carries to us. */
const counting = (connection, count) => ({
  remote: connection.remote,
  push: connection.push,
  end: connection.end,
  pull: Effect.map(connection.pull, (arrays) => {
    for (const array of arrays) count.bytes += array.length
    return arrays
  })
})

/** Milliseconds from dialling until all of `readers` have all of it; `dials`: whom each of them dials, 0 being the source. */
const timeToAll = (size, count, dials, options) => {
  const clock = new Simulation({ seed: 1 })
  return clock.run(
    Effect.scoped(
      Effect.gen(function* () {
        const net = yield* NetworkMemory.make({
          seed: 1,
          latency: options.latency ?? LATENCY,
          bandwidth: BANDWIDTH
        })
        const feeds = [yield* makeSource(size, count)]
        for (let i = 0; i < dials.length; i++) {
          feeds.push(yield* openFeed(i + 1, { key: feeds[0].key }))
        }
        const wire = { bytes: 0 }
        const { maxRequests } = options
        const replication = { live: true, ...(maxRequests === undefined ? {} : { maxRequests }) }
        for (const [i, feed] of feeds.entries()) {
          yield* net
            .host(`${i}`)
            .listen({ port: PORT }, (connection) =>
              Replication.replicate(feed, counting(connection, wire), replication)
            )
        }
        const start = clock.now
        for (const [i, hosts] of dials.entries()) {
          for (const host of hosts) {
            yield* Effect.forkScoped(
              Effect.scoped(
                Effect.flatMap(net.host(`${i + 1}`).connect({ host: `${host}`, port: PORT }), (connection) =>
                  Replication.replicate(feeds[i + 1], counting(connection, wire), replication)
                )
              )
            )
          }
        }
        const times = yield* Effect.forEach(
          feeds.slice(1),
          (feed) => Effect.map(feed.download({ start: 0, end: count }), () => clock.now - start),
          { concurrency: "unbounded" }
        )
        return { size, count, milliseconds: Math.max(...times), first: Math.min(...times), wire: wire.bytes }
      })
    )
  )
}

const percent = (part) => `${(100 * part).toFixed(1)} %`
const say = (name, result, note = "") => {
  const { count, milliseconds, size } = result
  const payload = (size * count) / (BANDWIDTH * (milliseconds / 1000))
  if (json) return console.log(JSON.stringify({ name, ...result, payload }))
  const seconds = (milliseconds / 1000).toFixed(2)
  console.log(
    `${name.padEnd(24)} ${count} x ${size} B in ${seconds} s: ${percent(payload)} of the bandwidth${note}`
  )
}

const share = ({ milliseconds, wire }) =>
  `, ${percent(wire / (BANDWIDTH * (milliseconds / 1000)))} with proofs and frames`

const one = async (name, size, count) => {
  for (const maxRequests of [undefined, 16]) {
    const options = maxRequests === undefined ? {} : { maxRequests }
    const result = await timeToAll(size, count, [[0]], options)
    say(`${name}${maxRequests === undefined ? "" : ", 16 requests"}`, result, share(result))
  }
}

const READERS = 50

/** The source has two connections; each reader dials three that came before it. */
const graph = () => {
  const random = new Random(5)
  return Array.from({ length: READERS }, (_, i) =>
    i < 2 ? [0] : [...new Set([0, 1, 2].map(() => 1 + random.below(i)))]
  )
}

if (only === undefined || only === "64k") await one("64 KB", 65_536, 800)
if (only === undefined || only === "512") await one("512 B", 512, 100_000)
if (only === undefined || only === "swarm") {
  const star = Array.from({ length: READERS }, () => [0])
  say(`to ${READERS}, a star`, await timeToAll(65_536, 160, star, {}))
  say(`to ${READERS}, over each other`, await timeToAll(65_536, 160, graph(), {}))
}
