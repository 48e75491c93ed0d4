/** A legacy caller and an Effect program share one open feed, made by either. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Stream } from "effect"
import { fromFeed } from "../../src/compat/index.js"
import { CryptoNoble, Feed, NetworkMemory, Replication, StorageMemory } from "../../src/index.js"
import { type AnyFeed, called, ends, join, once, ours, ram } from "./peers.js"
import { author, key } from "./scenario.js"

const layers = Layer.merge(StorageMemory.layer, CryptoNoble.layer)

interface Shared {
  readonly feed: Feed.Feed
  readonly legacy: AnyFeed
}

const viaFromFeed = Effect.map(Feed.open(), (feed): Shared => ({
  feed,
  legacy: fromFeed<unknown>(feed, { valueEncoding: "utf-8" })
}))

const viaEffect = Effect.suspend(() => {
  const legacy = author(ours)
  return Effect.map(legacy.effect, (feed): Shared => ({ feed, legacy }))
})

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = (block: Uint8Array): string => new TextDecoder().decode(block)

const ways: ReadonlyArray<readonly [string, typeof viaFromFeed | typeof viaEffect]> = [
  ["hypercore.fromFeed(feed)", viaFromFeed],
  ["legacy.effect", viaEffect]
]

it.scopedLive("a feed that was closed before is closed to callbacks, too", () =>
  Effect.gen(function* () {
    const feed = yield* Feed.open()
    yield* feed.close
    const legacy = fromFeed(feed)
    const told: Array<string> = []
    legacy.on("close", () => told.push("close"))
    const calls = ["first", "second"].map((name) =>
      called((done) => legacy.close(done)).then(() => told.push(name))
    )
    yield* Effect.promise(() => Promise.all(calls))
    expect(told).toEqual(["close", "first", "second"])
    expect([legacy.opened, legacy.closed, legacy.writable]).toEqual([true, true, false])
  }).pipe(Effect.provide(layers))
)

describe.each(ways)("one feed by %s", (_, share) => {
  const test = (name: string, body: (shared: Shared) => Effect.Effect<unknown, unknown>): void =>
    it.scopedLive(name, () => Effect.flatMap(share, body).pipe(Effect.provide(layers)))

  test("is the same to both", ({ feed, legacy }) =>
    Effect.gen(function* () {
      yield* Effect.promise(() => legacy.ready())
      expect(legacy.key).toEqual(Buffer.from(feed.key))
      expect(legacy.discoveryKey).toEqual(Buffer.from(feed.discoveryKey))
      expect([legacy.opened, legacy.writable, legacy.readable, legacy.live]).toEqual([true, true, true, true])
      expect(legacy.secretKey).toHaveLength(64)
      expect(yield* legacy.effect).toBe(feed)
    }))

  test("has what each appends", ({ feed, legacy }) =>
    Effect.gen(function* () {
      expect(yield* feed.append(bytes("effect"))).toBe(0)
      expect(yield* Effect.promise(() => legacy.append("legacy"))).toBe(1)
      expect(text(yield* feed.get(1))).toBe("legacy")
      expect(yield* Effect.promise(() => legacy.get(0))).toBe("effect")
      expect([feed.length, legacy.length, feed.byteLength, legacy.byteLength]).toEqual([2, 2, 12, 12])
    }))

  test("tells both of what each does", ({ feed, legacy }) =>
    Effect.gen(function* () {
      yield* Effect.promise(() => legacy.ready())
      const heard: Array<unknown> = []
      for (const name of ["append", "clear"]) legacy.on(name, (...values) => heard.push([name, ...values]))
      const started = yield* Effect.makeLatch()
      const events = yield* Effect.fork(
        Stream.runCollect(Stream.take(Stream.onStart(feed.events, started.open), 3))
      )
      yield* started.await
      // The subscription is made in the turn after.
      yield* Effect.yieldNow()
      yield* feed.append(bytes("a"))
      yield* Effect.promise(() => legacy.append("b"))
      yield* feed.clear(0, 1)
      expect(heard).toEqual([["append"], ["append"], ["clear", 0, 1]])
      expect([...(yield* Fiber.join(events))].map(({ _tag }) => _tag)).toEqual(["Append", "Append", "Clear"])
    }))

  test("ends the waits of one with what the other appends", ({ feed, legacy }) =>
    Effect.gen(function* () {
      yield* Effect.promise(() => legacy.ready())
      const waiting = legacy.get(0)
      const grown = yield* Effect.fork(feed.update(2))
      yield* feed.append(bytes("a"))
      expect(yield* Effect.promise(() => waiting)).toBe("a")
      yield* Effect.promise(() => legacy.append("b"))
      expect(yield* Fiber.join(grown)).toBe(2)
    }))

  test("is closed for both when the legacy caller closes it", ({ feed, legacy }) =>
    Effect.gen(function* () {
      const closed = once(legacy, "close")
      yield* Effect.promise(() => legacy.close())
      yield* Effect.promise(() => closed)
      expect((yield* Effect.flip(feed.get(0)))._tag).toBe("FeedClosed")
      expect(feed.readable).toBe(false)
    }))

  test("is closed for both when the Effect program closes it", ({ feed, legacy }) =>
    Effect.gen(function* () {
      yield* Effect.promise(() => legacy.ready())
      const closed = once(legacy, "close")
      yield* feed.close
      yield* Effect.promise(() => closed)
      expect([legacy.closed, legacy.readable, legacy.writable]).toEqual([true, false, false])
      const error = yield* Effect.promise(() => legacy.get(0).catch((cause: unknown) => cause))
      expect((error as Error).message).toBe("Feed is closed")
    }))

  test("is replicated by the legacy caller", ({ feed, legacy }) =>
    Effect.gen(function* () {
      yield* feed.append(bytes("a"))
      const reader = ours(ram, Buffer.from(feed.key), { valueEncoding: "utf-8" })
      yield* Effect.promise(() => reader.ready())
      const streams = [legacy.replicate(), reader.replicate()] as const
      const over = ends(...streams)
      join(...streams)
      yield* Effect.promise(() => over)
      expect(yield* Effect.promise(() => reader.get(0))).toBe("a")
    }))

  test("is replicated by the Effect program, and the legacy caller hears of it", ({ feed, legacy }) =>
    Effect.gen(function* () {
      yield* feed.append(bytes("a"))
      const clone = yield* Feed.open({ path: "clone", key: feed.key })
      const reader = fromFeed<string>(clone, { valueEncoding: "utf-8" })
      yield* Effect.promise(() => reader.ready())
      const downloads: Array<unknown> = []
      reader.on("download", (...values) => downloads.push(values))
      const uploads: Array<unknown> = []
      legacy.on("upload", (...values) => uploads.push(values))
      const [one, two] = yield* NetworkMemory.pair()
      yield* Effect.all([Replication.replicate(feed, one), Replication.replicate(clone, two)], {
        concurrency: 2
      })
      expect(yield* Effect.promise(() => reader.get(0))).toBe("a")
      // The peer is none of the façade's.
      expect(downloads).toEqual([[0, Buffer.from("a"), null]])
      expect(uploads).toEqual([[0, Buffer.from("a"), null]])
      expect(reader.stats!.totals).toMatchObject({ downloadedBlocks: 1, downloadedBytes: 1 })
    }).pipe(Effect.scoped, Effect.provide(layers)))
})

describe("legacy.effect", () => {
  it.live("fails as the callbacks do where the feed cannot be opened", () =>
    Effect.gen(function* () {
      const legacy = ours(ram, key, { createIfMissing: false })
      const error = yield* Effect.promise(() => once(legacy, "error"))
      expect(yield* Effect.flip(legacy.effect)).toBe(error)
      expect((error as Error).message).toBe("No hypercore is stored here")
    })
  )

  it.live("may be asked for before the feed is open, more than once", () =>
    Effect.gen(function* () {
      const legacy = author(ours)
      const [one, two] = yield* Effect.all([legacy.effect, legacy.effect], { concurrency: 2 })
      expect(one).toBe(two)
      yield* Effect.promise(() => called((done) => legacy.append("a", done)))
      expect(text(yield* one.get(0))).toBe("a")
    })
  )
})
