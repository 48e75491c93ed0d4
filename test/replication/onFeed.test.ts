/** Feeds that are opened as the other side asks for them, several on one connection. */
import { describe, expect } from "@effect/vitest"
import { Effect, Option } from "effect"
import { equals } from "../../src/domain/Bytes.js"
import { Feed, NetworkMemory, Replication } from "../../src/index.js"
import { atOnce, inMemory, memory, someBlocks, source } from "../services/harness.js"

const reader = (key: Uint8Array, options: Feed.OpenOptions = {}) =>
  Effect.provide(Feed.open({ key, ...options }), memory)

/** Answers with those of the feeds that are asked for. */
const among = (feeds: ReadonlyArray<Feed.Feed>) => (discoveryKey: Uint8Array) =>
  Effect.succeed(Option.fromNullable(feeds.find((feed) => equals(feed.discoveryKey, discoveryKey))))

/** A connection in pieces of any sizes up to `max`. */
const connected = (max: number, seed = 1) =>
  Effect.gen(function* () {
    const net = yield* NetworkMemory.make({ seed, splitting: { max } })
    const accepted: Array<Parameters<Parameters<ReturnType<typeof net.host>["listen"]>[1]>[0]> = []
    yield* net.host("a").listen({ port: 1 }, (connection) => {
      accepted.push(connection)
      return Effect.never
    })
    const near = yield* net.host("b").connect({ host: "a", port: 1 })
    yield* Effect.repeat(Effect.yieldNow(), { until: () => accepted.length > 0 })
    return [near, accepted[0]!] as const
  })

describe("what comes with the other side's first feed, before it is opened here,", () => {
  for (const max of [1, 2, 7, 100, 1e6]) {
    inMemory(`is read when it is, in pieces of up to ${max} bytes`, () =>
      Effect.gen(function* () {
        for (let seed = 0; seed < 10; seed++) {
          const from = yield* source(someBlocks(20))
          const to = yield* reader(from.key)
          yield* Effect.scoped(
            Effect.gen(function* () {
              const [near, far] = yield* connected(max, seed)
              yield* Replication.connect(far, { onFeed: among([from]) })
              yield* Replication.replicate(to, near)
            })
          )
          expect(yield* to.downloaded()).toBe(20)
        }
      })
    )
  }
})

inMemory("who hears the other side's end says its own: the other need not wait for it", () =>
  Effect.gen(function* () {
    const from = yield* source(someBlocks(5))
    const to = yield* reader(from.key)
    const [near, far] = yield* NetworkMemory.pair()
    const { ended } = yield* Replication.connect(far, { onFeed: among([from]) })
    yield* atOnce(Replication.replicate(to, near))
    yield* atOnce(ended)
    expect(yield* atOnce(far.pull)).toEqual([])
    expect(yield* atOnce(near.pull)).toEqual([])
  })
)
