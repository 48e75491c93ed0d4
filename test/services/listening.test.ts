/** unsafeListen: called within the change, with the blocks that an event tells of. */
import { describe, expect } from "@effect/vitest"
import { Cause, Effect, Logger, Stream } from "effect"
import { Feed, type FeedEvent, type Origin } from "../../src/index.js"
import { coreOf } from "../../src/services/feed/FeedCore.js"
import { publish } from "../../src/services/feed/commit.js"
import { putAll } from "../../src/services/feed/put.js"
import {
  bytes,
  ended,
  inMemory,
  onEachStorage,
  openText,
  quiet,
  someBlocks,
  source,
  transfer
} from "./harness.js"

/** Notes what the feed tells, until `stop`. */
const noting = (feed: { readonly unsafeListen: Feed.Feed["unsafeListen"] }) => {
  const heard: Array<readonly [FeedEvent, Origin | undefined]> = []
  const stop = feed.unsafeListen((event, origin) => heard.push([event, origin]))
  return { heard, stop, tags: () => heard.map(([{ _tag }]) => _tag) }
}

describe("a listener", () => {
  onEachStorage(
    "is called within the change: it sees the feed as it is then, before who made it is answered",
    () =>
      Effect.gen(function* () {
        const feed = yield* openText()
        const seen: Array<unknown> = []
        feed.unsafeListen((event) => seen.push([event._tag, feed.length, feed.readable]))
        yield* Effect.map(feed.append("a"), (index) => seen.push(index))
        yield* feed.appendBatch(["b", "c"])
        yield* feed.clear(0)
        yield* feed.close
        expect(seen).toEqual([
          ["Append", 1, true],
          0,
          ["Append", 3, true],
          ["Clear", 3, true],
          ["Close", 3, false]
        ])
      })
  )

  onEachStorage(
    "hears nothing after it stopped, or the feed was closed; the same function can listen twice",
    () =>
      Effect.gen(function* () {
        const feed = yield* openText()
        const heard: Array<string> = []
        const listener = ({ _tag }: FeedEvent): void => void heard.push(_tag)
        const [stop, stopOther] = [feed.unsafeListen(listener), feed.unsafeListen(listener)]
        yield* feed.append("a")
        stop()
        stop()
        yield* feed.append("b")
        stopOther()
        yield* feed.append("c")
        expect(heard).toEqual(["Append", "Append", "Append"])
        yield* feed.close
        feed.unsafeListen(listener)()
        expect(heard).toHaveLength(3)
      })
  )

  inMemory("that throws is logged; the change, and others who listen, know nothing of it", () => {
    const messages: Array<string> = []
    const logger = Logger.make(({ cause, message }) => {
      messages.push(`${String(message)}: ${Cause.pretty(cause).split("\n")[0]}`)
    })
    return Effect.gen(function* () {
      const feed = yield* openText()
      feed.unsafeListen(() => {
        throw new Error("not my day")
      })
      const { tags } = noting(feed)
      expect([yield* feed.append("a"), yield* feed.append("b")]).toEqual([0, 1])
      expect(tags()).toEqual(["Append", "Append"])
      expect(yield* feed.get(1)).toBe("b")
      yield* quiet
      expect(messages).toEqual(
        Array(2).fill("a listener threw when it was told of Append: Error: not my day")
      )
    }).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
  })
})

describe("origins", () => {
  onEachStorage("come with each block that is new: its bytes, and nobody for what was put by hand", () =>
    Effect.gen(function* () {
      const blocks = someBlocks(5)
      const from = yield* source(blocks)
      const feed = yield* Feed.open({ key: from.key, sparse: true })
      const { heard } = noting(feed)
      yield* feed.put({ index: 4, proof: yield* from.proof(4, { hash: true }) })
      for (const index of [2, 3, 2]) yield* transfer(from, feed, index)
      expect(heard.map(([{ _tag }, origin]) => [_tag, origin])).toEqual([
        ["Append", undefined],
        ["Download", { block: blocks[2], from: undefined }],
        ["Download", { block: blocks[3], from: undefined }]
      ])
    })
  )

  onEachStorage("name who gave the blocks, of a batch too, whose log grew with it", () =>
    Effect.gen(function* () {
      const blocks = someBlocks(12)
      const from = yield* source(blocks)
      const feed = yield* Feed.open({ key: from.key, sparse: true })
      const { heard } = noting(feed)
      const peer = { name: "a peer" }
      const claims = yield* Effect.forEach([7, 1, 1, 10], (index) =>
        Effect.map(from.proof(index), (proof) => ({ index, proof, block: blocks[index]! }))
      )
      yield* putAll(coreOf(feed), claims, { from: peer })
      expect(
        heard.map(([event, origin]) => [event._tag === "Download" ? event.index : event._tag, origin])
      ).toEqual([
        ["Append", undefined],
        ...[7, 1, 10].map((index) => [index, { block: blocks[index], from: peer }])
      ])
      for (const [, origin] of heard.slice(1)) expect(origin?.from).toBe(peer)
    })
  )

  onEachStorage("are handed on as they are published", () =>
    Effect.gen(function* () {
      const feed = yield* openText()
      const { heard } = noting(feed)
      const event = { _tag: "Upload", index: 3, size: 1 } as const
      const origin = { block: bytes("x"), from: "a peer" }
      publish(coreOf(feed), event, origin)
      expect(heard).toEqual([[event, origin]])
    })
  )

  inMemory("are made only while somebody listens for them, and never kept by `events`", () =>
    Effect.gen(function* () {
      const from = yield* source(someBlocks(3))
      const feed = yield* Feed.open({ key: from.key, sparse: true })
      const core = coreOf(feed)
      const given: Array<Origin | undefined> = []
      core.listeners.add((event, origin) => {
        if (event._tag === "Download") given.push(origin)
      })
      const events = yield* Effect.fork(Stream.runCollect(Stream.take(feed.events, 2)))
      yield* quiet
      yield* transfer(from, feed, 0)
      const { stop } = noting(feed)
      yield* transfer(from, feed, 1)
      stop()
      yield* transfer(from, feed, 2)
      expect(given.map((origin) => origin?.block)).toEqual([undefined, someBlocks(2)[1], undefined])
      const kept = [...(yield* ended(events))]
      expect(kept.map((event) => Object.keys(event))).toEqual([
        ["_tag", "length", "byteLength"],
        ["_tag", "index", "size"]
      ])
    })
  )
})
