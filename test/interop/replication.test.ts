/** Whole feeds, replicated with the real peers in another process: both sides end, and hold the same bytes. */
import { expect } from "@effect/vitest"
import { Effect } from "effect"
import { someBlocks } from "../services/harness.js"
import { openPeerFeed } from "./PeerProcess.js"
import {
  EACH_SIDE,
  expectBlocks,
  expectSameFiles,
  forEachPeer,
  type LinkOptions,
  linkFeeds,
  openOurs,
  openTheirs
} from "./links.js"

type Way = LinkOptions & { readonly encrypt?: boolean }

const linkOptions = ({ encrypt = true, ...link }: Way) => ({
  ...link,
  ours: { encrypt },
  theirs: { encrypt }
})

/** We have the blocks and they nothing; when both have ended, both have all. */
const weServe = (blocks: ReadonlyArray<Uint8Array>, way: Way = {}) =>
  Effect.gen(function* () {
    const ours = yield* openOurs()
    yield* ours.feed.appendBatch(blocks)
    const theirs = yield* openTheirs({ key: ours.feed.key })
    yield* (yield* linkFeeds(ours.feed, theirs.feed, linkOptions(way))).bothEnd
    expectBlocks(yield* theirs.feed.blocks(0, blocks.length), blocks)
    expect(yield* theirs.feed.audit).toEqual({ valid: blocks.length, invalid: 0 })
    expectSameFiles(ours.directory, theirs.directory)
  })

/** They have the blocks and we nothing. */
const theyServe = (blocks: ReadonlyArray<Uint8Array>, way: Way = {}) =>
  Effect.gen(function* () {
    const theirs = yield* openTheirs()
    yield* theirs.feed.append(blocks)
    const ours = yield* openOurs({ key: theirs.feed.key })
    yield* (yield* linkFeeds(ours.feed, theirs.feed, linkOptions(way))).bothEnd
    expectBlocks(yield* ours.feed.getBatch(0, blocks.length, { wait: false }), blocks)
    expect(yield* ours.feed.audit()).toEqual({ valid: blocks.length, invalid: 0 })
    expectSameFiles(ours.directory, theirs.directory)
  })

type Serving = ReturnType<typeof weServe> | ReturnType<typeof theyServe>
type Serve = (
  ...options: Parameters<typeof weServe>
) => Effect.Effect<void, Effect.Effect.Error<Serving>, Effect.Effect.Context<Serving>>

const serving: Record<(typeof EACH_SIDE)[number], Serve> = { ours: weServe, theirs: theyServe }

const inWords = ({ chunk, encrypt, listens, webSocket }: Way): string =>
  [
    `${listens} listen`,
    encrypt === true ? "encrypted" : "in clear",
    ...(webSocket === true ? ["over a WebSocket"] : []),
    ...(chunk === undefined ? [] : [`in chunks of ${chunk} bytes`])
  ].join(", ")

const ways: ReadonlyArray<Way> = [
  ...EACH_SIDE.flatMap((listens) => [true, false].map((encrypt) => ({ listens, encrypt }))),
  { listens: "ours", encrypt: true, chunk: 1 },
  { listens: "theirs", encrypt: false, chunk: 1 },
  { listens: "theirs", encrypt: true, chunk: 1_048_576 },
  { listens: "ours", encrypt: false, chunk: 1_048_576 },
  ...EACH_SIDE.map((listens) => ({ listens, encrypt: true, webSocket: true }))
]

forEachPeer((it, name) => {
  for (const serves of EACH_SIDE) {
    const serve = serving[serves]
    for (const way of ways) {
      it.scoped(`a whole feed: ${serves} serve, ${inWords(way)}`, () =>
        serve(someBlocks(way.chunk === 1 ? 40 : 120), way)
      )
    }
    it.scoped(`one block: ${serves} serve`, () => serve(someBlocks(1)))
    it.scoped(`blocks of all sizes: ${serves} serve`, () => {
      const sizes = [0, 1, 100_000, 0, 65_536, 100_000, 4096, 4095, 8_388_608 - 4096, 0, 100_000]
      const blocks = sizes.map((size, index) => new Uint8Array(size).fill(index + 1))
      return serve(blocks, { encrypt: serves === "ours" })
    })
  }

  it.scoped("answers that come out of order are understood", () =>
    Effect.gen(function* () {
      const blocks = someBlocks(1000)
      const theirs = yield* openPeerFeed({ disorder: true })
      yield* theirs.append(blocks)
      const ours = yield* openOurs({ key: theirs.key })
      yield* (yield* linkFeeds(ours.feed, theirs)).bothEnd
      expectBlocks(yield* ours.feed.getBatch(0, 1000, { wait: false }), blocks)
    })
  )

  it.scoped("two readers that both have all end at once", () =>
    Effect.gen(function* () {
      const blocks = someBlocks(20)
      const source = yield* openPeerFeed()
      yield* source.append(blocks)
      const ours = yield* openOurs({ key: source.key })
      yield* (yield* linkFeeds(ours.feed, source)).bothEnd
      const theirs = yield* openTheirs({ key: source.key })
      yield* (yield* linkFeeds(ours.feed, theirs.feed)).bothEnd
      yield* (yield* linkFeeds(ours.feed, theirs.feed)).bothEnd
      expectSameFiles(ours.directory, theirs.directory)
    })
  )

  it.scoped("a feed without blocks: we end, and so do they", () =>
    Effect.gen(function* () {
      const theirs = yield* openPeerFeed()
      const ours = yield* openOurs({ key: theirs.key })
      yield* (yield* linkFeeds(ours.feed, theirs)).bothEnd
      expect(ours.feed.length).toBe(0)
    })
  )

  // A minute for both ways with both; one way each tells as much.
  if (name === "hypercore-7") {
    it.scoped("20,000 blocks: theirs serve", () =>
      Effect.gen(function* () {
        const blocks = someBlocks(20_000)
        const theirs = yield* openPeerFeed()
        yield* theirs.append(blocks)
        const ours = yield* openOurs({ key: theirs.key })
        yield* (yield* linkFeeds(ours.feed, theirs)).bothEnd
        expectBlocks(yield* ours.feed.getBatch(0, 20_000, { wait: false }), blocks)
        expect(yield* ours.feed.audit()).toEqual({ valid: 20_000, invalid: 0 })
      })
    )
  } else {
    it.scoped("20,000 blocks: ours serve", () =>
      Effect.gen(function* () {
        const blocks = someBlocks(20_000)
        const ours = yield* openOurs()
        yield* ours.feed.appendBatch(blocks)
        const theirs = yield* openPeerFeed({ key: ours.feed.key })
        yield* (yield* linkFeeds(ours.feed, theirs)).bothEnd
        expect(yield* theirs.audit).toEqual({ valid: 20_000, invalid: 0 })
        expectBlocks(yield* theirs.blocks(0, 20_000), blocks)
      })
    )
  }
})
