/** Static feeds of either side: the same files, carried and replicated to the other without a signature. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { Feed, toHex } from "../../src/index.js"
import { layer } from "../../src/node.js"
import { temporaryDirectory } from "../temporaryDirectory.js"
import { expectBlocks, expectSameFiles, forEachPeer, linkFeeds, openOurs, openTheirs } from "./links.js"
import { openPeer, peers } from "./peer.js"
import { forPeer, ofPeer } from "./proofs.js"

const blocks = Array.from({ length: 300 }, (_, index) => Buffer.from(`block ${index} `.repeat(index % 4)))
const batches = [blocks.slice(0, 1), blocks.slice(1, 100), blocks.slice(100)]
const wanted = [299, 0, 298, 1, 150, 151, 64]

/** Written and finalized by us; its directory. */
const ours = Effect.gen(function* () {
  const { directory, feed } = yield* openOurs({ static: true })
  for (const batch of batches) yield* feed.appendBatch(batch)
  yield* feed.finalize
  yield* feed.close
  return { directory, key: Buffer.from(feed.key) }
})

type Hypercore = (typeof peers)[number][1]

/** Written and finalized by a real peer; its directory. */
const theirs = (hypercore: Hypercore) =>
  Effect.gen(function* () {
    const directory = yield* temporaryDirectory
    const peer = yield* openPeer(hypercore, directory, { live: false })
    for (const batch of batches) yield* peer.append(batch)
    yield* peer.finalize
    yield* peer.close
    return { directory, key: Buffer.from(peer.feed.key) }
  })

const ofDirectory = (directory: string) => Effect.provide(layer({ directory }))

describe.each(peers)("%s", (_, hypercore) => {
  it.scoped("the files are the same, byte for byte", () =>
    Effect.gen(function* () {
      const [one, other] = [yield* ours, yield* theirs(hypercore)]
      expect(toHex(one.key)).toBe(toHex(other.key))
      for (const file of ["key", "data", "tree", "signatures", "bitfield"]) {
        const [left, right] = [one, other].map(({ directory }) => fs.readFileSync(path.join(directory, file)))
        expect(toHex(left!), file).toBe(toHex(right!))
      }
    })
  )

  it.scoped("theirs is opened here, and its blocks are put in another directory of ours", () =>
    Effect.gen(function* () {
      const { directory, key } = yield* theirs(hypercore)
      yield* Effect.gen(function* () {
        const feed = yield* Feed.open()
        expect([Buffer.from(feed.key), feed.length, feed.live, feed.writable]).toEqual([
          key,
          300,
          false,
          false
        ])
        expect(yield* feed.audit()).toEqual({ valid: 300, invalid: 0 })
      }).pipe(Effect.scoped, ofDirectory(directory))
      const source = yield* openPeer(hypercore, directory)
      const { feed } = yield* openOurs({ key, sparse: true })
      for (const index of wanted) {
        const proof = ofPeer(yield* source.proof(index, yield* feed.digest(index)))
        expect(proof.signature).toBe(undefined)
        yield* feed.put({ index, block: blocks[index]!, proof })
      }
      expect([feed.length, feed.live]).toEqual([300, false])
      expect(yield* feed.audit()).toEqual({ valid: wanted.length, invalid: 0 })
    })
  )

  it.scoped(
    "ours is opened there, and its blocks are put in another directory of theirs, which we open",
    () =>
      Effect.gen(function* () {
        const { directory, key } = yield* ours
        yield* Effect.scoped(
          Effect.gen(function* () {
            const { audit, feed } = yield* openPeer(hypercore, directory)
            expect([feed.key, feed.length, feed.live, feed.writable]).toEqual([key, 300, false, false])
            expect(yield* audit).toEqual({ valid: 300, invalid: 0 })
          })
        )
        const target = yield* temporaryDirectory
        yield* Effect.gen(function* () {
          const source = yield* Feed.open()
          const peer = yield* openPeer(hypercore, target, key, { sparse: true })
          for (const index of wanted) {
            const proof = yield* source.proof(index, { digest: peer.feed.digest(index) })
            yield* peer.put(index, blocks[index]!, forPeer(proof))
          }
          expect([peer.feed.length, peer.feed.live]).toEqual([300, false])
          yield* peer.close
        }).pipe(Effect.scoped, ofDirectory(directory))
        const { feed } = yield* openOurs({ directory: target, sparse: true })
        expect([feed.length, feed.live, yield* feed.downloaded()]).toEqual([300, false, wanted.length])
        expect(yield* feed.audit()).toEqual({ valid: wanted.length, invalid: 0 })
      })
  )
})

forEachPeer((it, name) => {
  const hypercore = peers.find(([version]) => version.startsWith(name.replace("-", "@")))![1]

  it.scoped("ours is replicated to them, whole", () =>
    Effect.gen(function* () {
      const { directory, key } = yield* ours
      const from = yield* openOurs({ directory })
      const to = yield* openTheirs({ key })
      yield* (yield* linkFeeds(from.feed, to.feed)).bothEnd
      expectBlocks(yield* to.feed.blocks(0, blocks.length), blocks)
      expect(yield* to.feed.audit).toEqual({ valid: blocks.length, invalid: 0 })
      expectSameFiles(from.directory, to.directory)
    })
  )

  it.scoped("theirs is replicated to us, whole", () =>
    Effect.gen(function* () {
      const { directory, key } = yield* theirs(hypercore)
      const from = yield* openTheirs({ directory })
      const to = yield* openOurs({ key })
      yield* (yield* linkFeeds(to.feed, from.feed)).bothEnd
      expectBlocks(yield* to.feed.getBatch(0, blocks.length, { wait: false }), blocks)
      expect([to.feed.live, yield* to.feed.audit()]).toEqual([false, { valid: blocks.length, invalid: 0 }])
      expectSameFiles(to.directory, from.directory)
    })
  )
})
