/** What others are told of a reader's blocks while these are being stored, and when they cannot be. */
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import {
  Feed,
  type FeedEvent,
  Storage,
  StorageError,
  StorageMemory,
  type StorageService
} from "../../src/index.js"
import { CryptoNode } from "../../src/node.js"
import { coreOf } from "../../src/services/feed/FeedCore.js"
import { serve } from "../../src/services/feed/serve.js"
import { failure, memory, quiet, someBlocks, source } from "./harness.js"

const blocks = someBlocks(10)

/** A storage whose syncs of the bitfield do what `syncing` says. */
const withSync = (
  inner: StorageService,
  syncing: () => Effect.Effect<void, StorageError>
): StorageService => ({
  open: (path) =>
    Effect.map(inner.open(path), (files) => ({
      ...files,
      sync: (names) =>
        names.includes("bitfield") ? Effect.zipRight(syncing(), files.sync(names)) : files.sync(names)
    }))
})

const reader = (key: Uint8Array, storage: StorageService) =>
  Feed.open({ key, durability: "power" }).pipe(
    Effect.provideService(Storage, storage),
    Effect.provide(CryptoNode.layer)
  )

const putOf = (from: Feed.Feed, to: Feed.Feed, index: number) =>
  Effect.gen(function* () {
    yield* to.put({ index, block: yield* from.get(index), proof: yield* from.proof(index) })
  })

/** The blocks of all that a peer that asks is given. */
const given = (feed: Feed.Feed) =>
  Effect.map(
    serve(
      coreOf(feed),
      blocks.map((_, index) => ({ index, digest: 0, hash: false })),
      1_000_000
    ),
    ({ claims }) => claims.map(({ index }) => index)
  )

const failed = Effect.fail(new StorageError({ reason: "io", operation: "sync", file: "bitfield" }))

describe("a block whose bit is not stored for as good as was promised", () => {
  it.scoped("is given to nobody until it is", () =>
    Effect.gen(function* () {
      const author = yield* Effect.provide(source(blocks), memory)
      let syncing: Effect.Effect<void> = Effect.void
      const feed = yield* reader(
        author.key,
        withSync(yield* StorageMemory.make, () => syncing)
      )
      yield* putOf(author, feed, 9)
      const disk = yield* Deferred.make<void>()
      syncing = Deferred.await(disk)
      const events: Array<FeedEvent["_tag"]> = []
      feed.unsafeListen(({ _tag }) => events.push(_tag))
      const putting = yield* Effect.fork(putOf(author, feed, 3))
      yield* quiet
      expect(yield* given(feed)).toEqual([9])
      expect(events).toEqual([])
      yield* Deferred.succeed(disk, undefined)
      yield* Fiber.join(putting)
      expect(yield* given(feed)).toEqual([3, 9])
      expect(events).toEqual(["Download"])
    })
  )

  it.scoped("is not held when it cannot be stored, and can come again; what was held is", () =>
    Effect.gen(function* () {
      const author = yield* Effect.provide(source(blocks), memory)
      let syncing: Effect.Effect<void, StorageError> = Effect.void
      const feed = yield* reader(
        author.key,
        withSync(yield* StorageMemory.make, () => syncing)
      )
      yield* putOf(author, feed, 2)
      const events: Array<FeedEvent["_tag"]> = []
      feed.unsafeListen(({ _tag }) => events.push(_tag))
      yield* author.append(new Uint8Array(3))
      syncing = failed
      expect(yield* failure(putOf(author, feed, 10))).toMatchObject({ _tag: "StorageError", reason: "io" })
      expect(yield* failure(putOf(author, feed, 5))).toMatchObject({ _tag: "StorageError", reason: "io" })
      // The log is longer, which its signature says.
      expect([feed.length, ...events]).toEqual([11, "Append"])
      expect(yield* given(feed)).toEqual([2])
      syncing = Effect.void
      yield* putOf(author, feed, 5)
      expect(yield* given(feed)).toEqual([2, 5])
      expect(yield* feed.get(5, { wait: false })).toEqual(blocks[5])
    })
  )
})
