/** Replication that is not live ends on both sides, whoever has what; and several feeds share a connection. In simulated time. */
import { beforeAll, describe, expect, it } from "@effect/vitest"
import { Cause, Effect, FastCheck as fc, Option } from "effect"
import { equals } from "../../src/domain/Bytes.js"
import { seedOf } from "../../src/domain/Random.js"
import {
  type Connection,
  Crypto,
  type CryptoService,
  Feed,
  NetworkMemory,
  Replication,
  StorageMemory
} from "../../src/index.js"
import { CryptoNode } from "../../src/node.js"
import { coreOf } from "../../src/services/feed/FeedCore.js"
import { currentSwarm } from "../../src/services/replication/Swarm.js"
import { transfer } from "../services/harness.js"
import { Simulation } from "./Simulation.js"
import { blockOf, seededCrypto } from "./world.js"

let crypto: CryptoService
beforeAll(async () => {
  crypto = await Effect.runPromise(Effect.provide(Crypto, CryptoNode.layer))
})

const { SIMULATION_RUNS } = process.env
const parameters = (runs: number): fc.Parameters<unknown> =>
  SIMULATION_RUNS === undefined
    ? { numRuns: runs, interruptAfterTimeLimit: 8000 }
    : { numRuns: Number(SIMULATION_RUNS) }
const TIMEOUT = 3600 * 1000

const openFeed = (options: Feed.OpenOptions) =>
  Effect.provide(Feed.open(options), StorageMemory.layer).pipe(
    Effect.provideService(Crypto, seededCrypto(crypto, 3))
  )

const author = (seed: number, count: number) =>
  Effect.gen(function* () {
    const feed = yield* openFeed(yield* crypto.keyPair(new Uint8Array(32).fill(seed)))
    const blocks = Array.from({ length: count }, (_, i) => blockOf(seed, i))
    // Some logs end in several batches: proofs end in different signatures.
    for (let at = 0; at < count; at += 7) yield* feed.appendBatch(blocks.slice(at, at + 7))
    return { feed, blocks }
  })

interface Link {
  readonly seed: number
  readonly latency: number
  readonly splitting: { readonly max: number } | undefined
  readonly bandwidth: number | undefined
}

const link: fc.Arbitrary<Link> = fc.record({
  seed: fc.nat(),
  latency: fc.constantFrom(0, 1, 80),
  splitting: fc.option(fc.record({ max: fc.integer({ min: 1, max: 2000 }) }), { nil: undefined }),
  bandwidth: fc.option(fc.integer({ min: 20_000, max: 1_000_000 }), { nil: undefined })
})

/** Runs `left` on the dialling end of a connection and `right` on the other, until both have ended. */
const overLink = <E, F>(
  options: Link,
  left: (connection: Connection) => Effect.Effect<void, E>,
  right: (connection: Connection) => Effect.Effect<void, F>
) =>
  Effect.scoped(
    Effect.gen(function* () {
      const net = yield* NetworkMemory.make(options)
      const done = yield* Effect.makeLatch()
      let failed: Cause.Cause<unknown> | undefined
      yield* net.host("right").listen({ port: 1 }, (connection) =>
        right(connection).pipe(
          Effect.tapErrorCause((cause) => Effect.sync(() => (failed = cause))),
          Effect.ensuring(done.open)
        )
      )
      yield* Effect.scoped(Effect.flatMap(net.host("left").connect({ host: "right", port: 1 }), left))
      yield* done.await
      expect(failed && Cause.pretty(failed)).toBeUndefined()
    })
  )

const leftAlone = (feed: Feed.Feed): void => {
  const core = coreOf(feed)
  expect(currentSwarm(core)).toBeUndefined()
  expect(core.listeners.size).toBe(0)
  expect(core.demand.listeners.size).toBe(0)
}

const simulate = <E>(seed: number, effect: Effect.Effect<void, E>): Promise<void> => {
  const clock = new Simulation({ seed, yielding: seed % 3 === 0 ? 0.02 : 0, limit: 600_000 })
  return clock.run(effect)
}

/** What a side has at first, of a log of so many blocks; all of it is the author. */
interface Side {
  readonly author: boolean
  readonly blocks: ReadonlyArray<number>
}

const side: fc.Arbitrary<Side> = fc.record({
  author: fc.nat(4).map((n) => n === 0),
  blocks: fc.uniqueArray(fc.nat(59), { size: "max", maxLength: 60 })
})

const makeSide = (from: Feed.Feed, { author, blocks }: Side) =>
  Effect.gen(function* () {
    if (author) return from
    const feed = yield* openFeed({ key: from.key })
    for (const block of blocks) if (block < from.length) yield* transfer(from, feed, block)
    return feed
  })

describe("replication that is not live", () => {
  it(
    "ends on both sides, each with all that either had",
    () =>
      fc.assert(
        fc.asyncProperty(
          link,
          fc.nat(60),
          fc.tuple(side, side).filter(([a, b]) => !a.author || !b.author),
          fc.boolean(),
          (options, count, [a, b], encrypt) =>
            simulate(
              options.seed,
              Effect.scoped(
                Effect.gen(function* () {
                  const { blocks, feed: from } = yield* author(1, count)
                  const left = yield* makeSide(from, a)
                  const right = yield* makeSide(from, b)
                  const held = (feed: Feed.Feed) =>
                    Effect.filter(blocks.keys(), (block) => feed.has(block)).pipe(Effect.orDie)
                  const both = new Set([...(yield* held(left)), ...(yield* held(right))])
                  const all = [...both].sort((x, y) => x - y)
                  yield* overLink(
                    options,
                    (connection) => Replication.replicate(left, connection, { encrypt }),
                    (connection) => Replication.replicate(right, connection, { encrypt })
                  )
                  expect(yield* held(left)).toEqual(all)
                  expect(yield* held(right)).toEqual(all)
                  for (const feed of [left, right]) {
                    expect(yield* feed.audit()).toEqual({ valid: yield* feed.downloaded(), invalid: 0 })
                    leftAlone(feed)
                  }
                })
              )
            )
        ),
        parameters(60)
      ),
    TIMEOUT
  )
})

describe("several feeds on one connection", () => {
  it(
    "are opened as they are asked for, and each comes whole",
    () =>
      fc.assert(
        fc.asyncProperty(
          link,
          fc.array(fc.record({ count: fc.nat(40), ours: fc.boolean(), added: fc.nat(3000) }), {
            minLength: 1,
            maxLength: 8
          }),
          (options, feeds) =>
            simulate(
              options.seed,
              Effect.scoped(
                Effect.gen(function* () {
                  const here: Array<Feed.Feed> = []
                  const there: Array<Feed.Feed> = []
                  for (const [i, { count, ours }] of feeds.entries()) {
                    const { feed } = yield* author(i + 1, count)
                    const copy = yield* openFeed({ key: feed.key })
                    here.push(ours ? feed : copy)
                    there.push(ours ? copy : feed)
                  }
                  const among = (all: ReadonlyArray<Feed.Feed>) => (key: Uint8Array) =>
                    Effect.succeed(Option.fromNullable(all.find((feed) => equals(feed.discoveryKey, key))))
                  const copied = Effect.forEach(
                    [...here, ...there],
                    (feed, i) => feed.download({ start: 0, end: feeds[i % feeds.length]!.count }),
                    { concurrency: "unbounded" }
                  )
                  const session =
                    (own: ReadonlyArray<Feed.Feed>, isFirst: boolean) => (connection: Connection) =>
                      Effect.scoped(
                        Effect.gen(function* () {
                          const replicator = yield* Replication.connect(connection, {
                            live: true,
                            onFeed: among(own)
                          })
                          for (const [i, feed] of isFirst ? own.entries() : []) {
                            yield* Effect.sleep(feeds[i]!.added)
                            yield* replicator.add(feed)
                          }
                          if (isFirst) yield* copied
                          else yield* replicator.ended
                        })
                      ).pipe(Effect.provideService(Crypto, seededCrypto(crypto, seedOf(7, `${isFirst}`))))
                  yield* overLink(options, session(here, true), (connection) =>
                    Effect.catchTag(session(there, false)(connection), "NetworkError", () => Effect.void)
                  )
                  for (const [i, feed] of [...here, ...there].entries()) {
                    const { count } = feeds[i % feeds.length]!
                    expect(yield* feed.audit()).toEqual({ valid: count, invalid: 0 })
                    leftAlone(feed)
                  }
                })
              )
            )
        ),
        parameters(30)
      ),
    TIMEOUT
  )
})
