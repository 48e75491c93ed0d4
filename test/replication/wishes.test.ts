/** seek and update of a sparse feed over a connection: asked for once, however long they wait. */
import { describe, expect } from "@effect/vitest"
import { Effect } from "effect"
import { type Connection, Feed, NetworkMemory, Replication } from "../../src/index.js"
import {
  bytes,
  ended,
  expectWaiting,
  inMemory,
  memory,
  quiet,
  someBlocks,
  source,
  startWaiting
} from "../services/harness.js"

/** A sparse reader, live, and how often it wrote to the connection. */
const sparseReader = (from: Feed.Feed) =>
  Effect.gen(function* () {
    const to = yield* Effect.provide(Feed.open({ key: from.key, sparse: true }), memory)
    const [near, far] = yield* NetworkMemory.pair()
    const written = { pushes: 0 }
    const counted: Connection = {
      ...near,
      remote: near.remote,
      pull: near.pull,
      end: near.end,
      push: (arrays) => {
        written.pushes++
        return near.push(arrays)
      }
    }
    yield* Effect.forkScoped(Replication.replicate(from, far, { live: true }))
    yield* Effect.forkScoped(Replication.replicate(to, counted, { live: true }))
    yield* to.update(from.length)
    yield* quiet
    return { to, written }
  })

describe("what the other side cannot answer", () => {
  inMemory("is asked for once, and again when there is news", () =>
    Effect.gen(function* () {
      const from = yield* source(someBlocks(10))
      const { to, written } = yield* sparseReader(from)
      const before = written.pushes
      const seeking = yield* startWaiting(to.seek(from.byteLength + 3))
      const updating = yield* startWaiting(to.update(12))
      yield* quiet
      expect(written.pushes - before).toBeLessThanOrEqual(2)
      yield* from.append(bytes("1"))
      yield* quiet
      yield* expectWaiting(seeking)
      yield* expectWaiting(updating)
      yield* from.append(bytes("234"))
      expect(yield* ended(updating)).toBe(12)
      expect(yield* ended(seeking)).toEqual({ index: 11, offset: 2 })
    })
  )
})

describe("at the same time", () => {
  inMemory("any number of bytes are looked for", () =>
    Effect.gen(function* () {
      const blocks = someBlocks(40)
      const from = yield* source(blocks)
      const { to } = yield* sparseReader(from)
      const offsets = Array.from({ length: 30 }, (_, i) => Math.floor((i * from.byteLength) / 30))
      const fibers = yield* Effect.forEach(offsets, (offset) => Effect.fork(to.seek(offset)))
      yield* quiet
      for (const [i, fiber] of fibers.entries()) {
        expect(yield* ended(fiber)).toEqual(yield* from.seek(offsets[i]!))
      }
    })
  )
})

const heldBy = (feed: Feed.Feed) =>
  Effect.filter(
    Array.from({ length: feed.length }, (_, index) => index),
    (index) => feed.has(index)
  )

describe("with `block`", () => {
  inMemory("an update brings the block that ends a log of that length, and no other", () =>
    Effect.gen(function* () {
      const blocks = someBlocks(40)
      const from = yield* source(blocks)
      const to = yield* Effect.provide(Feed.open({ key: from.key, sparse: true }), memory)
      const [near, far] = yield* NetworkMemory.pair()
      yield* Effect.forkScoped(Replication.replicate(from, far, { live: true }))
      yield* Effect.forkScoped(Replication.replicate(to, near, { live: true }))
      expect(yield* to.update(40, { block: true })).toBe(40)
      expect(yield* heldBy(to)).toEqual([39])
      const longer = yield* startWaiting(to.update(42, { block: true }))
      yield* from.append(bytes("not yet"))
      yield* quiet
      yield* expectWaiting(longer)
      yield* from.append(bytes("now"))
      expect(yield* ended(longer)).toBe(42)
      expect(yield* heldBy(to)).toEqual([39, 41])
    })
  )

  inMemory("an update is answered by a longer log, though nobody has the block", () =>
    Effect.gen(function* () {
      const from = yield* source(someBlocks(40))
      yield* from.clear(19)
      const other = yield* Effect.provide(Feed.open({ key: from.key, sparse: true }), memory)
      const [near, far] = yield* NetworkMemory.pair()
      yield* Effect.forkScoped(Replication.replicate(from, far, { live: true }))
      yield* Effect.forkScoped(Replication.replicate(other, near, { live: true }))
      expect(yield* other.update(20, { block: true })).toBe(40)
      expect(yield* heldBy(other)).toEqual([])
    })
  )

  inMemory("a seek brings the block that holds the byte, and no other", () =>
    Effect.gen(function* () {
      const blocks = someBlocks(40)
      const from = yield* source(blocks)
      const { to } = yield* sparseReader(from)
      const offsets = Array.from({ length: 12 }, (_, i) => Math.floor(((i + 1) * from.byteLength) / 13))
      const fibers = yield* Effect.forEach(offsets, (offset) => Effect.fork(to.seek(offset, { block: true })))
      const found = new Set<number>()
      for (const [i, fiber] of fibers.entries()) {
        const at = yield* from.seek(offsets[i]!)
        expect(yield* ended(fiber)).toEqual(at)
        found.add(at.index)
      }
      yield* quiet
      expect(found.size).toBeGreaterThan(6)
      expect(yield* heldBy(to)).toEqual([...found].sort((a, b) => a - b))
      for (const index of found) expect(yield* to.get(index)).toEqual(blocks[index])
    })
  )
})
