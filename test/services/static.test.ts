/** Static feeds: nothing of them is signed, and the hash of what they hold in the end is their key. */
import { describe, expect } from "@effect/vitest"
import { Effect } from "effect"
import { Feed, type FeedEvent, NetworkMemory, Replication, toHex } from "../../src/index.js"
import { recursiveTree } from "../reference/RecursiveTree.js"
import { type Fault, type Instrument, type Step, withInstrument } from "./InstrumentedStorage.js"
import {
  bytes,
  expectFailure,
  keyPair,
  memory,
  onEachStorage,
  overwriteFile,
  someBlocks,
  stored,
  transfer
} from "./harness.js"

const blocks = someBlocks(11)
const key = (of = blocks) => toHex(recursiveTree(of).rootHash)
const open = (options: Feed.OpenOptions = {}) => Feed.open({ static: true, ...options })
const finalized = { _tag: "NotWritable", reason: "finalized" }

/** A finalized feed in a storage of its own. */
const finished = (of: ReadonlyArray<Uint8Array> = blocks) =>
  Effect.gen(function* () {
    const feed = yield* Effect.provide(open(), memory)
    if (of.length > 0) yield* feed.appendBatch(of)
    yield* feed.finalize
    return feed
  })

describe("until it is finalized, a static feed", () => {
  onEachStorage("has no key and no signatures, and is written as any other", () =>
    Effect.gen(function* () {
      const feed = yield* open()
      expect([feed.key.length, feed.discoveryKey.length, feed.secretKey]).toEqual([0, 0, undefined])
      expect([feed.live, feed.writable]).toEqual([false, true])
      expect(yield* feed.append(blocks[0]!)).toBe(0)
      expect(yield* feed.appendBatch(blocks.slice(1))).toBe(1)
      yield* feed.clear(4)
      expect(yield* feed.getBatch(0, 4)).toEqual(blocks.slice(0, 4))
      expect(yield* feed.audit()).toEqual({ valid: 10, invalid: 0 })
      expect(yield* feed.seek(feed.byteLength - 1)).toEqual({ index: 9, offset: 9 })
      const files = yield* stored()
      expect([files.key, files.secret_key, files.signatures.length]).toEqual(["", "", 64])
      yield* expectFailure(feed.signature(), { _tag: "BlockUnavailable", reason: "not-held" })
      yield* expectFailure(feed.verify(10, new Uint8Array(64)), { _tag: "InvalidSignature" })
    })
  )

  onEachStorage("has nothing to be replicated by, and nobody can verify its proofs", () =>
    Effect.gen(function* () {
      const feed = yield* open()
      yield* feed.appendBatch(blocks)
      const [left] = yield* NetworkMemory.pair()
      yield* expectFailure(Replication.replicate(feed, left), { _tag: "ProtocolError", reason: "no-key" })
      const { nodes, signature } = yield* feed.proof(3)
      expect([nodes.length > 0, signature]).toEqual([true, undefined])
      const reader = yield* Feed.open({ path: "reader", key: (yield* keyPair(1)).publicKey })
      yield* expectFailure(reader.put({ index: 3, block: blocks[3], proof: { nodes } }), {
        _tag: "InvalidProof",
        reason: "incomplete"
      })
    })
  )

  onEachStorage(
    "that was left cannot be opened again, but be written over, or opened by who knows its key",
    () =>
      Effect.gen(function* () {
        const left = yield* open()
        yield* left.appendBatch(blocks)
        yield* left.close
        const files = yield* stored()
        for (const options of [{}, { static: true }, { createIfMissing: false }]) {
          yield* expectFailure(Feed.open(options), { _tag: "CorruptStorage", file: "key" })
        }
        expect(yield* stored()).toEqual(files)
        yield* Effect.scoped(
          Effect.gen(function* () {
            const feed = yield* Feed.open({ key: recursiveTree(blocks).rootHash })
            expect([feed.length, feed.live, feed.writable]).toEqual([11, false, false])
          })
        )
        const anew = yield* open({ overwrite: true })
        expect([anew.length, anew.key.length, anew.writable]).toEqual([0, 0, true])
      })
  )

  onEachStorage("that was left empty is begun anew", () =>
    Effect.gen(function* () {
      yield* Effect.flatMap(open(), (feed) => feed.close)
      const feed = yield* open()
      yield* feed.append(blocks[0]!)
      expect(toHex(yield* feed.finalize)).toBe(key(blocks.slice(0, 1)))
    })
  )
})

describe("finalize", () => {
  onEachStorage("makes the key of what the feed holds, stores it, and ends the writing", () =>
    Effect.gen(function* () {
      const feed = yield* open()
      yield* feed.appendBatch(blocks)
      const made = yield* feed.finalize
      expect(toHex(made)).toBe(key())
      expect([toHex(feed.key), feed.discoveryKey.length]).toEqual([key(), 32])
      expect([feed.live, feed.writable, feed.readable, feed.length]).toEqual([false, false, true, 11])
      yield* expectFailure(feed.append(bytes("more")), finalized)
      yield* expectFailure(feed.appendBatch([]), finalized)
      const files = yield* stored()
      expect([files.key, files.secret_key, files.signatures.length]).toEqual([key(), "", 64])
      expect(yield* feed.getBatch(0, 11)).toEqual(blocks)
      yield* feed.clear(2)
      expect(yield* feed.downloaded()).toBe(10)
    })
  )

  onEachStorage("whose feed is opened again, as it was left, by its key or without", () =>
    Effect.gen(function* () {
      const feed = yield* open()
      yield* feed.appendBatch(blocks)
      yield* feed.clear(4)
      const made = yield* feed.finalize
      const { discoveryKey } = feed
      yield* feed.close
      for (const options of [
        {},
        { key: made },
        { static: true },
        { readOnly: true },
        { openExisting: true }
      ]) {
        yield* Effect.scoped(
          Effect.gen(function* () {
            const again = yield* Feed.open(options)
            expect([again.key, again.discoveryKey]).toEqual([made, discoveryKey])
            expect([again.length, again.claimedLength, again.live, again.writable]).toEqual([
              11,
              11,
              false,
              false
            ])
            if (options.readOnly !== true) {
              expect(yield* again.audit()).toEqual({ valid: 10, invalid: 0 })
              yield* expectFailure(again.append(bytes("more")), finalized)
            }
          })
        )
      }
      yield* expectFailure(Feed.open({ key: new Uint8Array(32) }), {
        _tag: "OpenRefused",
        reason: "other-key"
      })
      yield* expectFailure(Feed.open({ openExisting: false }), { _tag: "OpenRefused", reason: "exists" })
    })
  )

  onEachStorage("comes after the appends before it, and before those after it", () =>
    Effect.gen(function* () {
      const feed = yield* open()
      const [first, made, late] = yield* Effect.all(
        [
          feed.appendBatch(blocks),
          Effect.zipRight(Effect.repeatN(Effect.yieldNow(), 20), feed.finalize),
          Effect.zipRight(Effect.repeatN(Effect.yieldNow(), 40), Effect.flip(feed.append(bytes("late"))))
        ],
        { concurrency: "unbounded" }
      )
      expect([first, toHex(made)]).toEqual([0, key()])
      expect(late).toMatchObject(finalized)
      expect(feed.length).toBe(11)
    })
  )

  onEachStorage("again, or of a feed that has a key, answers that and does nothing", () =>
    Effect.gen(function* () {
      const feed = yield* open({ path: "static" })
      yield* feed.append(blocks[0]!)
      const made = yield* feed.finalize
      made.fill(0)
      expect(yield* feed.finalize).toEqual(feed.key)
      const live = yield* Feed.open({ path: "live" })
      yield* live.append(blocks[0]!)
      const files = yield* stored("live")
      expect(yield* live.finalize).toEqual(live.key)
      expect(yield* stored("live")).toEqual(files)
      expect([yield* live.append(blocks[1]!), live.live, live.writable]).toEqual([1, true, true])
      const looking = yield* Feed.open({ path: "live", readOnly: true })
      expect(yield* looking.finalize).toEqual(live.key)
      yield* live.close
      yield* expectFailure(live.finalize, { _tag: "FeedClosed" })
    })
  )

  onEachStorage("of a feed without a block gives the key that all of those have", () =>
    Effect.gen(function* () {
      const feed = yield* open()
      expect(toHex(yield* feed.finalize)).toBe(key([]))
      yield* expectFailure(feed.append(bytes("more")), finalized)
      yield* feed.close
      const again = yield* Feed.open()
      expect([again.length, again.live, again.writable]).toEqual([0, false, false])
    })
  )

  onEachStorage("makes no static feed of one that a key is given or stored for", () =>
    Effect.gen(function* () {
      const { publicKey, secretKey } = yield* keyPair(1)
      const owner = yield* open({ path: "owner", secretKey })
      expect([owner.key, owner.live, owner.writable]).toEqual([publicKey, true, true])
      const reader = yield* open({ path: "reader", key: publicKey })
      expect([reader.key, reader.live, reader.writable]).toEqual([publicKey, true, false])
      const { key: made } = yield* Effect.scoped(Feed.open({ path: "made" }))
      const again = yield* open({ path: "made" })
      expect([again.key, again.live, again.writable]).toEqual([made, true, true])
      yield* expectFailure(open({ path: "none", createIfMissing: false }), { reason: "missing" })
      const kept = yield* open({ path: "kept", storeSecretKey: false })
      expect(kept.key.length).toBe(0)
    })
  )
})

describe("finalize on a storage that fails", () => {
  const fails = (operation: Step["operation"], file: Step["file"], fault: Fault) => {
    const state = { failing: false, steps: [] as Array<Step> }
    const instrument: Instrument = (step) => {
      state.steps.push(step)
      return state.failing && step.operation === operation && step.file === file ? fault : undefined
    }
    return { state, install: withInstrument(instrument) }
  }

  for (const file of ["key", "bitfield"] as const) {
    for (const fault of ["before", "torn", "after"] as const) {
      onEachStorage(`${file}, ${fault}, has not happened, and does the next time`, () =>
        Effect.gen(function* () {
          const { install, state } = fails("write", file, fault)
          const feed = yield* install(open())
          yield* feed.append(blocks[0]!)
          state.failing = true
          // Until then nobody depends on the bits.
          expect(yield* feed.append(blocks[1]!)).toBe(1)
          yield* expectFailure(feed.finalize, { _tag: "StorageError", file })
          expect([feed.key.length, feed.writable, (yield* stored()).key]).toEqual([0, true, ""])
          state.failing = false
          yield* feed.append(blocks[2]!)
          yield* feed.finalize
          yield* feed.close
          const again = yield* Feed.open()
          expect([toHex(again.key), again.length]).toEqual([key(blocks.slice(0, 3)), 3])
          expect(yield* again.audit()).toEqual({ valid: 3, invalid: 0 })
        })
      )
    }
  }

  onEachStorage(
    "has all synced before the key, and that at last, when it is to survive a loss of power",
    () =>
      Effect.gen(function* () {
        const { install, state } = fails("write", "key", "before")
        const feed = yield* install(open({ durability: "power" }))
        yield* feed.appendBatch(blocks)
        yield* feed.finalize
        const at = (operation: Step["operation"], file: Step["file"]) =>
          state.steps.findLastIndex((step) => step.operation === operation && step.file === file)
        for (const file of ["data", "tree", "bitfield"] as const) {
          expect(at("write", file)).toBeLessThan(at("sync", file))
          expect(at("sync", file)).toBeLessThan(at("write", "key"))
        }
        expect(at("write", "key")).toBeLessThan(at("sync", "key"))
      })
  )
})

describe("who has the key of a static feed", () => {
  onEachStorage(
    "gets its blocks from another, by proofs that no signature comes with, and has all then",
    () =>
      Effect.gen(function* () {
        const from = yield* finished()
        const feed = yield* Feed.open({ key: from.key, sparse: true })
        const heard: Array<FeedEvent["_tag"]> = []
        feed.unsafeListen(({ _tag }) => heard.push(_tag))
        // Nothing tells what it is before there is a block.
        expect(feed.live).toBe(true)
        for (const index of [7, 0, 10, 9, 1, 8, 2, 6, 3, 5, 4]) {
          expect((yield* from.proof(index, { digest: yield* feed.digest(index) })).signature).toBe(undefined)
          yield* transfer(from, feed, index)
          expect([feed.live, feed.writable, feed.length]).toEqual([false, false, 11])
        }
        expect(heard).toEqual(["Append", ...Array<string>(11).fill("Download"), "Sync"])
        expect(yield* feed.getBatch(0, 11)).toEqual(blocks)
        yield* expectFailure(feed.append(bytes("more")), finalized)
        // And gives them on.
        const next = yield* Feed.open({ path: "next", key: from.key, sparse: true })
        yield* transfer(feed, next, 5)
        expect(yield* next.get(5)).toEqual(blocks[5])
      })
  )

  onEachStorage("opens its own again, whole or in part", () =>
    Effect.gen(function* () {
      const from = yield* finished()
      const read = Feed.open({ key: from.key, sparse: true })
      for (const [held, indexes] of [
        [2, [10, 3]],
        [11, blocks.keys()]
      ] as const) {
        yield* Effect.scoped(
          Effect.gen(function* () {
            const feed = yield* read
            for (const index of indexes) yield* transfer(from, feed, index)
          })
        )
        yield* Effect.scoped(
          Effect.gen(function* () {
            const again = yield* Feed.open()
            expect([again.length, again.live, again.key]).toEqual([11, false, from.key])
            expect(yield* again.audit()).toEqual({ valid: held, invalid: 0 })
          })
        )
      }
    })
  )

  onEachStorage("takes nothing else: no forged block, no other log, no signature", () =>
    Effect.gen(function* () {
      const from = yield* finished()
      const feed = yield* Feed.open({ key: from.key, sparse: true })
      const proof = yield* from.proof(3)
      const other = yield* finished([...blocks, bytes("one more")])
      const claims = [
        { index: 3, block: bytes("forged"), proof },
        { index: 3, block: blocks[3], proof: yield* other.proof(3) },
        { index: 3, block: blocks[3], proof: { ...proof, signature: new Uint8Array(64) } }
      ]
      for (const claim of claims) yield* Effect.flip(feed.put(claim))
      expect([feed.length, (yield* stored()).data]).toEqual([0, ""])
    })
  )

  onEachStorage("can fetch again what damage took, and find it at the next opening", () =>
    Effect.gen(function* () {
      const from = yield* finished()
      const read = Feed.open({ key: from.key, sparse: true })
      const fetch = Effect.scoped(
        Effect.gen(function* () {
          const feed = yield* read
          for (const index of blocks.keys()) yield* transfer(from, feed, index)
          return feed.claimedLength
        })
      )
      yield* fetch
      // A root, which no other node tells.
      yield* overwriteFile("tree", new Uint8Array(40).fill(1), 32 + 40 * 20)
      expect(yield* fetch).toBe(11)
      const again = yield* read
      expect([again.length, yield* again.downloaded()]).toEqual([11, 11])
    })
  )

  onEachStorage("replicates it, whole or one block", () =>
    Effect.gen(function* () {
      const many = someBlocks(500)
      const from = yield* finished(many)
      const both = (to: Feed.Feed, until: Effect.Effect<unknown, unknown>, options: Replication.Options) =>
        Effect.scoped(
          Effect.gen(function* () {
            const [left, right] = yield* NetworkMemory.pair()
            const ends = [
              Replication.replicate(from, left, options),
              Replication.replicate(to, right, options)
            ]
            yield* Effect.raceFirst(Effect.all(ends, { concurrency: "unbounded" }), until)
          })
        )
      const whole = yield* Feed.open({ path: "whole", key: from.key })
      yield* both(whole, Effect.never, {})
      expect(yield* whole.getBatch(0, 500, { wait: false })).toEqual(many)
      const sparse = yield* Feed.open({ path: "sparse", key: from.key, sparse: true })
      const wanted = Effect.zipRight(sparse.update(1), sparse.get(123))
      yield* both(sparse, wanted, { live: true })
      expect([yield* sparse.downloaded(), sparse.length, sparse.live]).toEqual([1, 500, false])
    })
  )
})
