/** Proofs carried between implementations, and sparse feeds opened by the other. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as path from "node:path"
import { Feed } from "../../src/index.js"
import { layer } from "../../src/node.js"
import { temporaryDirectory } from "../temporaryDirectory.js"
import { openPeer, peers } from "./peer.js"
import { forPeer, ofPeer } from "./proofs.js"

const LENGTH = 9000
const blockOf = (index: number): Buffer => Buffer.from(`block ${index} `.repeat(index % 4))
const blocks = Array.from({ length: LENGTH }, (_, index) => blockOf(index))

/** Blocks in an order that meets empty readers, neighbours, other roots and blocks that are there already. */
const wanted = [4321, 0, 8999, 8998, 4320, 1, 8192, 8191, 4321, 77, 76, 78, 6000]

describe.each(peers)("%s", (_, hypercore) => {
  it.scoped("its proofs are put here; it then opens the sparse directory", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const source = yield* openPeer(hypercore, path.join(directory, "source"))
      yield* source.append(blocks.slice(0, 5000))
      yield* source.append(blocks.slice(5000))
      yield* Effect.gen(function* () {
        const reader = yield* Feed.open({ path: "reader", key: source.feed.key, sparse: true })
        for (const index of wanted) {
          const proof = yield* source.proof(index, yield* reader.digest(index))
          yield* reader.put({ index, block: blockOf(index), proof: ofPeer(proof) })
        }
        expect(reader.length).toBe(LENGTH)
        expect(yield* reader.audit()).toEqual({ valid: new Set(wanted).size, invalid: 0 })
      }).pipe(Effect.scoped, Effect.provide(layer({ directory })))
      const sparse = yield* openPeer(hypercore, path.join(directory, "reader"), { sparse: true })
      expect([sparse.feed.length, sparse.feed.writable]).toEqual([LENGTH, false])
      for (const index of wanted) expect(yield* sparse.get(index)).toEqual(blockOf(index))
      expect(yield* sparse.verifyLast).toBe(true)
      expect(yield* sparse.audit).toEqual({ valid: new Set(wanted).size, invalid: 0 })
    })
  )

  it.scoped("our proofs are put there; we then open the sparse directory", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      yield* Effect.gen(function* () {
        const source = yield* Feed.open({ path: "source" })
        yield* source.appendBatch(blocks.slice(0, 5000))
        yield* source.appendBatch(blocks.slice(5000))
        const peer = yield* openPeer(hypercore, path.join(directory, "reader"), Buffer.from(source.key), {
          sparse: true
        })
        for (const index of wanted) {
          const proof = yield* source.proof(index, { digest: peer.feed.digest(index) })
          yield* peer.put(index, blockOf(index), forPeer(proof))
        }
        yield* peer.close
        const reader = yield* Feed.open({ path: "reader", key: source.key, sparse: true })
        expect([reader.length, reader.writable]).toEqual([LENGTH, false])
        for (const index of wanted) expect(Buffer.from(yield* reader.get(index))).toEqual(blockOf(index))
        const { index, signature } = yield* reader.signature()
        yield* reader.verify(index, signature)
        expect(yield* reader.audit()).toEqual({ valid: new Set(wanted).size, invalid: 0 })
        // And on: what it lacks comes from the source.
        for (const next of [3, 4444, 8997]) {
          const proof = yield* source.proof(next, { digest: yield* reader.digest(next) })
          yield* reader.put({ index: next, block: yield* source.get(next), proof })
        }
        expect(yield* reader.downloaded()).toBe(new Set(wanted).size + 3)
      }).pipe(Effect.scoped, Effect.provide(layer({ directory })))
    })
  )
})
