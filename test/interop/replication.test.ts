/** Feeds kept alike with those of the real peers, in another process, over TCP. */
import { describe, expect, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { Feed } from "../../src/index.js"
import { layer as nodeLayer } from "../../src/node.js"
import { someBlocks } from "../services/harness.js"
import { temporaryDirectory } from "../temporaryDirectory.js"
import { type LinkOptions, linkFeeds } from "./links.js"
import { openPeerFeed, layer as peerProcess, peers } from "./PeerProcess.js"

/** One side has all, the other nothing; who listens and whether they encrypt makes no difference. */
const ways = (["ours", "theirs"] as const).flatMap((serves) =>
  (["ours", "theirs"] as const).flatMap((listens) =>
    [true, false].map((encrypt) => ({ serves, listens, encrypt }))
  )
)

/** A feed of ours in a directory of its own, or in the one given. */
const openOurs = (options: Feed.OpenOptions & { readonly directory?: string } = {}) =>
  Effect.gen(function* () {
    const directory = options.directory ?? (yield* temporaryDirectory)
    const feed = yield* Effect.provide(Feed.open(options), nodeLayer({ directory }))
    return { feed, directory }
  })

const openTheirs = (
  options: { readonly key?: Uint8Array; readonly options?: Record<string, unknown> } = {}
) =>
  Effect.gen(function* () {
    const directory = yield* temporaryDirectory
    return { feed: yield* openPeerFeed({ directory, ...options }), directory }
  })

const read = (directory: string, file: string) =>
  fs.readFileSync(path.join(directory, file)).toString("base64")

/** Two directories with the same feed, whole, are equal where it does not matter whose it is. */
const expectSameFiles = (left: string, right: string) => {
  for (const file of ["key", "data", "tree"]) expect(read(left, file), file).toBe(read(right, file))
}

describe.each(peers)("%s", (name) => {
  layer(peerProcess(name), { excludeTestServices: true })((it) => {
    for (const { encrypt, listens, serves } of ways) {
      it.scoped(
        `a whole feed: ${serves} serve, ${listens} listen, ${encrypt ? "encrypted" : "in clear"}`,
        () =>
          Effect.gen(function* () {
            const blocks = someBlocks(200)
            const link: LinkOptions = { listens, theirs: { encrypt } }
            if (serves === "ours") {
              const ours = yield* openOurs()
              yield* ours.feed.appendBatch(blocks)
              const theirs = yield* openTheirs({ key: ours.feed.key })
              yield* (yield* linkFeeds(ours.feed, theirs.feed, { ...link, ours: { encrypt } })).bothEnd
              expect(yield* theirs.feed.blocks(0, 200)).toEqual(blocks)
              expect(yield* theirs.feed.audit).toEqual({ valid: 200, invalid: 0 })
              expectSameFiles(ours.directory, theirs.directory)
            } else {
              const theirs = yield* openTheirs()
              yield* theirs.feed.append(blocks)
              const ours = yield* openOurs({ key: theirs.feed.key })
              yield* (yield* linkFeeds(ours.feed, theirs.feed, { ...link, ours: { encrypt } })).bothEnd
              expect(yield* ours.feed.getBatch(0, 200, { wait: false })).toEqual(blocks)
              expect(yield* ours.feed.audit()).toEqual({ valid: 200, invalid: 0 })
              expectSameFiles(ours.directory, theirs.directory)
            }
          })
      )
    }

    it.scoped("answers that come out of order are understood", () =>
      Effect.gen(function* () {
        const blocks = someBlocks(1000)
        const theirs = yield* openPeerFeed({ disorder: true })
        yield* theirs.append(blocks)
        const ours = yield* openOurs({ key: theirs.key })
        yield* (yield* linkFeeds(ours.feed, theirs)).bothEnd
        expect(yield* ours.feed.getBatch(0, 1000, { wait: false })).toEqual(blocks)
      })
    )
  })
})
