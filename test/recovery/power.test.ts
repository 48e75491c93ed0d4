/** What a loss of power leaves: each way in which a feed once lost what it had promised, found by the campaign, as a case of its own. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { seedOf } from "../../src/domain/Random.js"
import { type Feed, type FeedFiles, StorageError, type StorageService } from "../../src/index.js"
import * as StorageFaulty from "../../src/layers/StorageFaulty.js"
import { openOn, signaturesIn } from "./images.js"
import { emptyImage } from "./recording.js"

const power = { durability: "power" as const }
const one = (value: number) => Uint8Array.of(value + 1)
const many = (count: number) => Array.from({ length: count }, (_, i) => one(i % 200))

/** Opens copies of the machine whose power was cut now, each with other luck. */
const afterCuts = <A>(
  machine: StorageFaulty.StorageFaulty,
  count: number,
  check: (feed: Feed.Feed) => Effect.Effect<A, unknown>,
  options: Feed.OpenOptions = power
) =>
  Effect.forEach(
    Array.from({ length: count }, (_, seed) => seed),
    (seed) =>
      Effect.gen(function* () {
        const copy = yield* machine.fork(seed)
        yield* copy.crash("power")
        return yield* check(yield* openOn(copy.storage, options))
      }).pipe(Effect.scoped)
  )

const held = (feed: Feed.Feed) =>
  Effect.gen(function* () {
    expect(yield* feed.audit()).toMatchObject({ invalid: 0 })
    return yield* feed.downloaded()
  })

/** A storage of which the next write to `signatures` fails once, having been made. */
const failingOnce = (storage: StorageService) => {
  const state = { armed: false }
  const fail = Effect.suspend(() => {
    state.armed = false
    return Effect.fail(new StorageError({ reason: "io", operation: "write", file: "signatures" }))
  })
  const wrap = (files: FeedFiles): FeedFiles => ({
    ...files,
    write: (writes) =>
      Effect.flatMap(files.write(writes), () =>
        state.armed && writes.some(({ file }) => file === "signatures") ? fail : Effect.void
      )
  })
  const wrapped: StorageService = { open: (path) => Effect.map(storage.open(path), wrap) }
  return { state, storage: wrapped }
}

describe("the bitfield of an author", () => {
  it.scoped("keeps every block, whatever of its pages is stored", () =>
    Effect.gen(function* () {
      for (const batches of [
        [1, 1],
        [300, 1],
        [255, 1, 3],
        [8190, 1, 1, 1]
      ]) {
        const machine = yield* StorageFaulty.make({ seed: 1 })
        const feed = yield* openOn(machine.storage, power)
        for (const count of batches) yield* feed.appendBatch(many(count))
        expect(new Set(yield* afterCuts(machine, feed.length > 1000 ? 8 : 30, held))).toEqual(
          new Set([feed.length])
        )
      }
    })
  )

  it.scoped("does not take for a longer log what a file shows where it was to grow", () =>
    Effect.gen(function* () {
      for (let seed = 0; seed < 12; seed++) {
        const machine = yield* StorageFaulty.make({ seed, garbage: 1 })
        const feed = yield* openOn(machine.storage, power)
        yield* feed.appendBatch(many(1400))
        for (const found of yield* afterCuts(machine, 12, (opened) =>
          Effect.map(held(opened), (blocks) => [opened.length, blocks] as const)
        )) {
          expect(found).toEqual([1400, 1400])
        }
      }
    })
  )

  it.scoped("knows a cleared block, whose bytes are what they were, from a lost one", () =>
    Effect.gen(function* () {
      const machine = yield* StorageFaulty.make({ seed: 1 })
      const feed = yield* openOn(machine.storage, power)
      // Blocks of zeros and of nothing match their hash, whatever was freed.
      yield* feed.appendBatch([new Uint8Array(3), new Uint8Array(0), one(2), new Uint8Array(5)])
      yield* feed.clear(0, 2)
      yield* feed.append(one(4))
      for (const found of yield* afterCuts(machine, 20, (opened) =>
        Effect.forEach([0, 1, 2, 3, 4], (block) => opened.has(block))
      )) {
        expect(found).toEqual([false, false, true, true, true])
      }
    })
  )

  it.scoped("is stored by a clear that is tried again", () =>
    Effect.gen(function* () {
      const faults = [
        (machine: StorageFaulty.StorageFaulty) => machine.limit(0),
        (machine: StorageFaulty.StorageFaulty) => machine.fail({ writes: 1 }),
        // Written, and not synced: a sync that failed may have dropped it.
        (machine: StorageFaulty.StorageFaulty) => machine.fail({ syncs: 1 })
      ]
      for (const fault of faults) {
        const machine = yield* StorageFaulty.make({ seed: 1 })
        const feed = yield* openOn(machine.storage, power)
        yield* feed.append(one(0))
        yield* fault(machine)
        expect(yield* Effect.flip(feed.clear(0))).toMatchObject({ _tag: "StorageError" })
        yield* machine.limit()
        yield* machine.fail()
        yield* feed.clear(0)
        expect(new Set(yield* afterCuts(machine, 20, (opened) => opened.has(0)))).toEqual(new Set([false]))
      }
    })
  )
})

describe("a signature", () => {
  it.scoped("that was taken back does not come back", () =>
    Effect.gen(function* () {
      const machine = yield* StorageFaulty.make({ seed: 1 })
      const { state, storage } = failingOnce(machine.storage)
      const feed = yield* openOn(storage, power)
      yield* feed.append(one(0))
      state.armed = true
      yield* Effect.flip(feed.append(one(1)))
      yield* feed.append(one(2))
      for (const last of yield* afterCuts(machine, 30, (opened) => opened.get(1, { wait: false })))
        expect(last).toEqual(one(2))
      const synced = yield* machine.contents("", "synced")
      const signed = signaturesIn({ ...emptyImage, signatures: synced.get("signatures")! })
      expect([...signed.keys()]).toEqual([1, 2])
    })
  )

  it.scoped("where garbage is, that is none, is made again", () =>
    Effect.gen(function* () {
      const machine = yield* StorageFaulty.make({ seed: 1 })
      const feed = yield* openOn(machine.storage, power)
      yield* feed.append(one(0))
      const { signature } = yield* feed.signature()
      yield* feed.close
      const files = yield* machine.storage.open("")
      yield* files.lock
      yield* files.write([{ file: "signatures", offset: 32, parts: [new Uint8Array(64).fill(0xfe)] }])
      yield* machine.crash("process")
      const again = yield* openOn(machine.storage, power)
      expect(again.length).toBe(1)
      expect((yield* again.signature()).signature).toEqual(signature)
    })
  )
})

describe("the secret key", () => {
  it.effect("is there for good before the key, wherever the making of a feed is cut off, and once more", () =>
    Effect.gen(function* () {
      let opened = 0
      for (let after = 0; after < 20; after++) {
        for (let luck = 0; luck < 8; luck++) {
          const machine = yield* StorageFaulty.make({ seed: seedOf(luck, `${after}`) })
          // Killed first: what is stored then looks as if it were there for good.
          yield* machine.crashAfter(after, luck % 2 === 0 ? "process" : "power")
          yield* Effect.exit(Effect.scoped(openOn(machine.storage, power)))
          yield* machine.crashAfter(luck, "power")
          yield* Effect.exit(Effect.scoped(openOn(machine.storage, power)))
          yield* machine.crashAfter(undefined, "power")
          const last = yield* Effect.either(Effect.scoped(openOn(machine.storage, power)))
          // Half a secret key may be a stranger's file; a key without one could never be written to.
          if (last._tag === "Left") expect(last.left).toMatchObject({ file: "secret_key" })
          else {
            expect(last.right.secretKey).toBeDefined()
            opened++
          }
        }
      }
      expect(opened).toBeGreaterThan(100)
    })
  )
})

describe("a reader", () => {
  it.scoped("has every block that it was told it has", () =>
    Effect.gen(function* () {
      const author = yield* openOn((yield* StorageFaulty.make({ seed: 1 })).storage)
      const machine = yield* StorageFaulty.make({ seed: 2 })
      const options = { key: author.key, sparse: true, ...power }
      const reader = yield* openOn(machine.storage, options)
      for (let i = 0; i < 12; i++) {
        yield* author.append(one(i))
        // Each comes with a signature of its own.
        yield* reader.put({ index: i, block: one(i), proof: yield* author.proof(i) })
      }
      expect(new Set(yield* afterCuts(machine, 30, held, options))).toEqual(new Set([12]))
    })
  )
})
