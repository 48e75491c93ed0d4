/** What a side can tell of how far it is: whether all has come, what went over the connection. */
import { describe, expect } from "@effect/vitest"
import { Effect, Fiber, Option } from "effect"
import { Feed, NetworkMemory, Replication } from "../../src/index.js"
import { onEachStorage, someBlocks, source } from "../services/harness.js"

/** `from` is given live to whoever asks; answers the other end of the connection. */
const serving = (from: Feed.Feed) =>
  Effect.gen(function* () {
    const [near, far] = yield* NetworkMemory.pair()
    const replicator = yield* Replication.connect(near, {
      live: true,
      onFeed: () => Effect.succeed(Option.some([from, { download: false }] as const))
    })
    return { replicator, far, near }
  })

describe("downloaded", () => {
  onEachStorage("is true when all has come, with a side that goes on", () =>
    Effect.gen(function* () {
      const from = yield* source(someBlocks(500))
      const to = yield* Feed.open({ key: from.key })
      const { far, replicator } = yield* serving(from)
      const peer = yield* Effect.flatMap(Replication.connect(far, { live: true }), (it) => it.add(to))
      expect(yield* peer.downloaded).toBe(true)
      expect(yield* to.downloaded()).toBe(500)
      expect(peer.remoteLength).toBe(500)
      yield* from.append(new Uint8Array(3))
      yield* to.update(501)
      expect(yield* peer.downloaded).toBe(true)
      expect(yield* to.has(500)).toBe(true)
      expect(replicator.stats).toMatchObject({ uploadedBlocks: 501, downloadedBlocks: 0 })
      expect(replicator.stats.uploadedBytes).toBe(from.byteLength)
    })
  )

  onEachStorage("is true in a sparse feed as soon as it is known what there is", () =>
    Effect.gen(function* () {
      for (const count of [0, 20]) {
        const from = yield* source(someBlocks(count), 10 + count)
        const to = yield* Feed.open({ key: from.key, path: `sparse-${count}`, sparse: true })
        const { far } = yield* serving(from)
        const peer = yield* Effect.flatMap(Replication.connect(far, { live: true }), (it) => it.add(to))
        expect(yield* peer.downloaded).toBe(true)
        expect(peer.remoteLength).toBe(count)
        expect(yield* to.downloaded()).toBe(0)
      }
    })
  )

  onEachStorage("is false when the connection ends before", () =>
    Effect.gen(function* () {
      const from = yield* source(someBlocks(20))
      const to = yield* Feed.open({ key: from.key })
      const [near, far] = yield* NetworkMemory.pair()
      const replicator = yield* Replication.connect(far, { live: true })
      const peer = yield* replicator.add(to)
      const downloaded = yield* Effect.fork(peer.downloaded)
      yield* near.pull
      yield* near.end
      expect(yield* Fiber.join(downloaded)).toBe(false)
      yield* replicator.ended
      expect(yield* peer.downloaded).toBe(false)
    })
  )
})

describe("a side that only gives", () => {
  onEachStorage("lets one that is not live end, though it is live itself", () =>
    Effect.gen(function* () {
      const from = yield* source(someBlocks(20))
      const to = yield* Feed.open({ key: from.key })
      const { far, near, replicator } = yield* serving(from)
      const replicating = yield* Effect.fork(Replication.replicate(to, far))
      yield* replicator.ended
      yield* near.end
      yield* Fiber.join(replicating)
      expect(yield* to.downloaded()).toBe(20)
      expect(replicator.stats.uploadedBlocks).toBe(20)
    })
  )
})
