/** What a link's speed does to replication over it, in simulated time. */
import { beforeAll, describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import {
  Crypto,
  type CryptoService,
  Feed,
  NetworkMemory,
  Replication,
  StorageMemory
} from "../../src/index.js"
import { CryptoNode } from "../../src/node.js"
import { Simulation } from "./Simulation.js"
import { seededCrypto } from "./world.js"

let crypto: CryptoService
beforeAll(async () => {
  crypto = await Effect.runPromise(Effect.provide(Crypto, CryptoNode.layer))
})

interface Link {
  readonly latency: number
  /** Bytes a second. */
  readonly bandwidth: number
}

const open = (options: Feed.OpenOptions) =>
  Effect.provide(Feed.open(options), StorageMemory.layer).pipe(
    Effect.provideService(Crypto, seededCrypto(crypto, 1))
  )

/** Copies `count` blocks of `size` bytes over a link; answers how long it took, in milliseconds, and how many blocks were sent. */
const copy = (
  link: Link,
  size: number,
  count: number,
  meanwhile?: (to: Feed.Feed) => Effect.Effect<unknown, unknown>
) => {
  const clock = new Simulation({ seed: 1 })
  const program = Effect.gen(function* () {
    const from = yield* open(yield* crypto.keyPair(new Uint8Array(32).fill(1)))
    yield* from.appendBatch(Array.from({ length: count }, () => new Uint8Array(size)))
    const to = yield* open({ key: from.key })
    const net = yield* NetworkMemory.make({ seed: 1, splitting: { min: 1000, max: 1460 }, ...link })
    yield* net
      .host("a")
      .listen({ port: 1 }, (connection) => Replication.replicate(from, connection, { live: true }))
    const start = clock.now
    const connection = yield* net.host("b").connect({ host: "a", port: 1 })
    if (meanwhile !== undefined) yield* Effect.forkScoped(meanwhile(to))
    yield* Effect.raceFirst(
      Replication.replicate(to, connection, { live: true }),
      to.download({ start: 0, end: count })
    )
    expect(yield* to.audit()).toEqual({ valid: count, invalid: 0 })
    return { time: clock.now - start, sent: Replication.stats(from).totals.uploadedBlocks }
  })
  return clock.run(Effect.scoped(program))
}

describe("a slow link", () => {
  it("takes its time: what is on its way is not given up, and is sent once", async () => {
    const { sent, time } = await copy({ latency: 50, bandwidth: 100_000 }, 65_536, 60)
    expect(sent).toBe(60)
    expect(time).toBeLessThan(1.05 * ((60 * 65_536) / 100) + 500)
  })

  it("may take longer for one block than others have to answer", async () => {
    const { sent, time } = await copy({ latency: 50, bandwidth: 20_000 }, 400_000, 5)
    expect(sent).toBe(5)
    expect(time).toBeLessThan(1.05 * 100_000 + 500)
  })

  it("brings a block once, whose leaf alone is asked for meanwhile", async () => {
    const { sent } = await copy({ latency: 50, bandwidth: 100_000 }, 65_536, 20, (to) =>
      Effect.all([to.update(20), to.update(20), to.seek(12 * 65_536 + 1)], { concurrency: "unbounded" })
    )
    expect(sent).toBe(20)
  })
})
