/** Two histories of one key, and a log that is longer elsewhere, where the other side is a real peer in another process. */
import { expect } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { Fork, ForkDetected, type Feed } from "../../src/index.js"
import { CryptoNode } from "../../src/node.js"
import { failure } from "../services/harness.js"
import { history, put, told } from "../services/forks.js"
import { temporaryDirectory } from "../temporaryDirectory.js"
import { expectBlocks, forEachPeer, linkFeeds, openOurs, openTheirs } from "./links.js"
import { within } from "./PeerProcess.js"

/** Directories of an author with the blocks: its own, and a copy, as a backup is. */
const stored = (blocks: ReadonlyArray<Uint8Array>) =>
  Effect.gen(function* () {
    const { directory, feed } = yield* openOurs()
    yield* feed.appendBatch(blocks)
    yield* feed.close
    const copy = path.join(yield* temporaryDirectory, "feed")
    fs.cpSync(directory, copy, { recursive: true })
    return { directory, copy }
  })

/** Our author and theirs, restored from one backup, and what each appended since. */
const twins = (shared: number, ours: number, theirs: number) =>
  Effect.gen(function* () {
    const { copy, directory } = yield* stored(history("", shared, shared))
    const a = yield* openOurs({ directory })
    if (ours > shared) yield* a.feed.appendBatch(history("a", shared, ours).slice(shared))
    const b = yield* openTheirs({ directory: copy })
    if (theirs > shared) yield* b.feed.append(history("b", shared, theirs).slice(shared))
    return { ours: a.feed, theirs: b.feed }
  })

const LIVE = { ours: { live: true }, theirs: { live: true } }

const expectShown = (error: unknown, feed: Feed.Feed) =>
  Effect.gen(function* () {
    expect(error).toBeInstanceOf(ForkDetected)
    expect(feed.fork).toBeDefined()
    expect(yield* Fork.verify(feed.fork!, feed.key)).toBe(true)
  }).pipe(Effect.provide(CryptoNode.layer))

forEachPeer((it) => {
  for (const [shared, mine, theirLength] of [
    [5, 10, 12],
    [5, 9, 9],
    [5, 30, 8],
    [64, 65, 300]
  ] as const) {
    it.scoped(
      `an author finds that a twin went its own way at ${shared}: ${mine} blocks and ${theirLength}`,
      () =>
        Effect.gen(function* () {
          const { ours, theirs } = yield* twins(shared, mine, theirLength)
          const { ended } = yield* linkFeeds(ours, theirs, LIVE)
          yield* expectShown(yield* failure(within("the fork", ended)), ours)
          expect(yield* failure(ours.append(new Uint8Array(1)))).toBeInstanceOf(ForkDetected)
        })
    )
  }

  for (const theirLength of [12, 10, 7]) {
    it.scoped(
      `a reader of 10 blocks stops at another branch of ${theirLength}, and goes on with its own`,
      () =>
        Effect.gen(function* () {
          const { ours, theirs } = yield* twins(5, 10, theirLength)
          const reader = (yield* openOurs({ key: ours.key })).feed
          for (let index = 0; index < 10; index++) yield* put(reader, ours, index)
          const { ended } = yield* linkFeeds(reader, theirs, LIVE)
          yield* expectShown(yield* failure(within("the fork", ended)), reader)
          expectBlocks(yield* reader.getBatch(0, 10), history("a", 5, 10))
          expect(reader.length).toBe(10)
        })
    )
  }

  it.scoped(
    "an author that was restored from an old backup catches up with theirs, and appends after it",
    () =>
      Effect.gen(function* () {
        const { ours, theirs } = yield* twins(7, 7, 40)
        const whenStale = yield* told(ours, "Stale")
        const meeting = yield* linkFeeds(ours, theirs, LIVE)
        expect(yield* within("the news", whenStale)).toEqual({ _tag: "Stale", signedLength: 40 })
        expect(ours.writable && ours.length < 40).toBe(false)
        yield* within("the blocks", ours.download({ start: 0, end: 40 }))
        expect(yield* ours.append(new Uint8Array(3))).toBe(40)
        expectBlocks(yield* ours.getBatch(0, 40), history("b", 7, 40))
        expect(ours.fork).toBeUndefined()
        yield* meeting.finish
      })
  )

  it.scoped("nobody is alarmed by an honest peer that has less, or as much", () =>
    Effect.gen(function* () {
      const { ours, theirs } = yield* twins(9, 20, 9)
      const link = yield* linkFeeds(ours, theirs, LIVE)
      const waiting = yield* Effect.fork(Effect.exit(link.ended))
      yield* link.ask("finalize")
      expect(Exit.isSuccess(yield* Fiber.join(waiting))).toBe(true)
      expect([ours.fork, ours.signedLength, ours.writable]).toEqual([undefined, 20, true])
    })
  )
})
