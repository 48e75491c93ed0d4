/** Two feeds of ours over a linked pair of connections. */
import { describe, expect } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { Feed, NetworkMemory, Replication } from "../../src/index.js"
import { bytes, expectFailure, memory, onEachStorage, someBlocks, source } from "../services/harness.js"

const reader = (key: Uint8Array, options: Feed.OpenOptions = {}) =>
  Effect.provide(Feed.open({ key, ...options }), memory)

const both = (
  a: Feed.Feed,
  b: Feed.Feed,
  options: Replication.Options = {},
  bOptions: Replication.Options = options
) =>
  Effect.scoped(
    Effect.gen(function* () {
      const [left, right] = yield* NetworkMemory.pair()
      yield* Effect.all(
        [Replication.replicate(a, left, options), Replication.replicate(b, right, bOptions)],
        {
          concurrency: "unbounded"
        }
      )
    })
  )

describe("a connection that nobody serves", () => {
  onEachStorage("is a failure, not a copy of nothing", () =>
    Effect.gen(function* () {
      const to = yield* Feed.open({ key: new Uint8Array(32).fill(7) })
      for (const live of [false, true]) {
        const [near, far] = yield* NetworkMemory.pair()
        const replication = yield* Effect.fork(Replication.replicate(to, far, { live }))
        yield* near.end
        yield* expectFailure(Fiber.join(replication), { _tag: "ProtocolError", reason: "ended-early" })
      }
    })
  )
})

describe("a whole feed", () => {
  for (const count of [0, 1, 2, 100, 3000]) {
    onEachStorage(`of ${count} blocks is copied, and both sides end`, () =>
      Effect.gen(function* () {
        const blocks = someBlocks(count)
        const from = yield* source(blocks)
        const to = yield* Feed.open({ key: from.key })
        yield* both(from, to)
        expect(to.length).toBe(count)
        expect(yield* to.getBatch(0, count, { wait: false })).toEqual(blocks)
        expect(yield* to.audit()).toEqual({ valid: count, invalid: 0 })
      })
    )
  }
  onEachStorage("without encryption", () =>
    Effect.gen(function* () {
      const from = yield* source(someBlocks(50))
      const to = yield* Feed.open({ key: from.key })
      yield* both(from, to, { encrypt: false })
      expect(yield* to.downloaded()).toBe(50)
    })
  )
})

describe("live", () => {
  onEachStorage("what is appended later arrives; get of a sparse feed asks for one block", () =>
    Effect.gen(function* () {
      const from = yield* source(someBlocks(10))
      const to = yield* Feed.open({ key: from.key, sparse: true })
      const fiber = yield* Effect.fork(both(from, to, { live: true }))
      yield* to.update(10)
      expect(yield* to.get(5)).toEqual(someBlocks(10)[5])
      expect(yield* to.downloaded()).toBe(1)
      const waiting = yield* Effect.fork(to.get(10))
      yield* from.append(bytes("later"))
      expect(yield* Fiber.join(waiting)).toEqual(bytes("later"))
      expect(yield* to.downloaded()).toBe(2)
      yield* Fiber.interrupt(fiber)
    })
  )
})
void reader
