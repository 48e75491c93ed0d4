/**
 * The honest peer, in a process of its own: a sparse reader that gets one block after another of those that the victim has, several at a
 * time. `{ port, key, blocks }` comes as its argument; it tells each 100 ms how many it got, and which took longest, in milliseconds.
 */
import { Effect, Layer } from "effect"
import { Feed, Replication, StorageMemory, fromHex } from "effect-hypercore"
import { CryptoSodium, NetworkTcp } from "effect-hypercore/node"

const AT_A_TIME = 8
const REPORT = 100
const { port, key, blocks } = JSON.parse(process.argv[2])

let got = 0
let longest = 0
const waiting = new Set()
setInterval(() => {
  const now = performance.now()
  for (const since of waiting.values()) longest = Math.max(longest, now - since.at)
  process.send({ got, longest })
  got = 0
  longest = 0
}, REPORT)
process.on("disconnect", () => process.exit(0))

/** All of them, far from each other: 7919 and what is asked for have no factor in common. */
let next = 0
const index = () => (next++ * 7919) % blocks

const getting = (feed) =>
  Effect.gen(function* () {
    while (true) {
      const asked = { at: performance.now() }
      waiting.add(asked)
      yield* feed.get(index())
      waiting.delete(asked)
      longest = Math.max(longest, performance.now() - asked.at)
      got++
    }
  })

const program = Effect.gen(function* () {
  const feed = yield* Feed.open({ key: fromHex(key), sparse: true })
  const connection = yield* NetworkTcp.make().connect({ host: "127.0.0.1", port })
  yield* Effect.fork(Replication.replicate(feed, connection, { live: true }))
  yield* Effect.all(
    Array.from({ length: AT_A_TIME }, () => getting(feed)),
    { concurrency: "unbounded" }
  )
})

const layer = Layer.merge(StorageMemory.layer, CryptoSodium.layer)
Effect.runPromise(Effect.provide(Effect.scoped(program), layer)).catch((error) => {
  console.error(error)
  process.exit(1)
})
