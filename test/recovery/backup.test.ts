/** A copy of a feed, taken at any moment of its life: a valid prefix of its log, with all that was acknowledged before, and nothing to sign with. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import {
  Crypto,
  Feed,
  type FileName,
  Storage,
  StorageMemory,
  type StorageService,
  toHex
} from "../../src/index.js"
import { FILES } from "../../src/domain/Sleep.js"
import { instrumented } from "../services/InstrumentedStorage.js"
import { crypto, openOn, plant, takeImage } from "./images.js"

const text = (value: string) => new TextEncoder().encode(value)

const blockOf = (index: number) => text(index % 7 === 3 ? "" : `block ${index} `.repeat(1 + (index % 5)))

const blocksOf = (start: number, end: number) =>
  Array.from({ length: end - start }, (_, i) => blockOf(start + i))

const backupOn = (from: StorageService, to: StorageService, options: Partial<Feed.BackupOptions> = {}) =>
  Feed.backup({ ...options, to }).pipe(
    Effect.provideService(Storage, from),
    Effect.provideService(Crypto, crypto)
  )

/** An author's feed of `length` blocks, some of them in batches, some cleared. */
const authored = (length: number) =>
  Effect.gen(function* () {
    const storage = yield* StorageMemory.make
    const feed = yield* openOn(storage)
    for (let start = 0; start < length; start += 1 + (start % 5)) {
      yield* feed.appendBatch(blocksOf(start, Math.min(length, start + 1 + (start % 5))))
    }
    yield* feed.clear(4, 9)
    return { storage, feed }
  })

const differing = (a: Record<FileName, Uint8Array>, b: Record<FileName, Uint8Array>) =>
  FILES.filter((file) => toHex(a[file]) !== toHex(b[file]))

describe("a copy of a feed at rest", () => {
  it.scoped("has the same files but for the secret key, and cannot be written to", () =>
    Effect.gen(function* () {
      const { feed, storage } = yield* authored(100)
      const to = yield* StorageMemory.make
      const report = yield* backupOn(storage, to)
      expect(report).toEqual({
        key: feed.key,
        length: 100,
        byteLength: feed.byteLength,
        blocks: 95,
        damaged: 0,
        cleared: 0
      })
      const image = yield* takeImage(storage)
      expect(differing(image, yield* takeImage(to))).toEqual(["secret_key"])
      const copy = yield* openOn(to)
      expect([copy.writable, copy.length]).toEqual([false, 100])
      expect(yield* copy.audit()).toEqual({ valid: 95, invalid: 0 })
      // And back again, with the secret key from elsewhere.
      const back = yield* StorageMemory.make
      yield* backupOn(to, back)
      expect(differing(image, yield* takeImage(back))).toEqual(["secret_key"])
    })
  )

  it.scoped("has the secret key too, when that is asked for", () =>
    Effect.gen(function* () {
      const { storage } = yield* authored(20)
      const to = yield* StorageMemory.make
      yield* backupOn(storage, to, { withSecretKey: true, toPath: "a/b" })
      const copy = yield* openOn(to, { path: "a/b" })
      expect([copy.writable, copy.length]).toEqual([true, 20])
      yield* copy.close
      const reader = yield* StorageMemory.make
      yield* backupOn(storage, reader)
      const failed = yield* Effect.flip(backupOn(reader, yield* StorageMemory.make, { withSecretKey: true }))
      expect(failed).toMatchObject({ _tag: "NotWritable", reason: "no-secret-key" })
    })
  )

  it.scoped("of a sparse feed is as sparse", () =>
    Effect.gen(function* () {
      const { feed } = yield* authored(5000)
      const storage = yield* StorageMemory.make
      const reader = yield* openOn(storage, { key: feed.key, sparse: true })
      for (const index of [4999, 17, 18, 2048, 4100]) {
        const proof = yield* feed.proof(index, { digest: yield* reader.digest(index) })
        yield* reader.put({ index, proof, block: yield* feed.get(index) })
      }
      const to = yield* StorageMemory.make
      const seen: Array<Feed.BackupProgress> = []
      const onProgress = (progress: Feed.BackupProgress) => Effect.sync(() => void seen.push(progress))
      expect(yield* backupOn(storage, to, { onProgress })).toMatchObject({ length: 5000, blocks: 5 })
      expect(seen.at(-1)).toEqual({ copied: 5, held: 5 })
      expect(differing(yield* takeImage(storage), yield* takeImage(to))).toEqual([])
    })
  )

  it.scoped("of an empty feed is one", () =>
    Effect.gen(function* () {
      const storage = yield* StorageMemory.make
      const feed = yield* openOn(storage)
      const to = yield* StorageMemory.make
      expect(yield* backupOn(storage, to)).toMatchObject({ key: feed.key, length: 0, blocks: 0 })
      const copy = yield* openOn(to, { createIfMissing: false })
      expect([copy.writable, copy.length, copy.key]).toEqual([false, 0, feed.key])
    })
  )

  it.scoped("leaves out what is damaged, and keeps the claim of a longer log", () =>
    Effect.gen(function* () {
      const { feed, storage } = yield* authored(60)
      yield* feed.close
      const image = yield* takeImage(storage)
      image.data[200]! ^= 1
      // The last signature is another's.
      image.signatures[32 + 64 * 59 + 3]! ^= 1
      const to = yield* StorageMemory.make
      const report = yield* backupOn(yield* plant(image), to, { withSecretKey: true })
      expect(report.damaged).toBe(1)
      expect(report.length).toBeLessThan(60)
      const refused = yield* Effect.flip(openOn(to))
      expect(refused).toMatchObject({ _tag: "CorruptStorage" })
      const copy = yield* openOn(to, { readOnly: true })
      expect([copy.length, copy.claimedLength]).toEqual([report.length, 60])
      expect(yield* copy.audit()).toEqual({ valid: report.blocks, invalid: 0 })
    })
  )

  it.scoped("is not made over what is there, nor where there is none", () =>
    Effect.gen(function* () {
      const { feed, storage } = yield* authored(10)
      const before = yield* takeImage(storage)
      const other = yield* authored(3)
      for (const options of [{}, { key: feed.key }]) {
        const error = yield* Effect.flip(backupOn(storage, other.storage, options))
        expect(error).toMatchObject({ _tag: "OpenRefused", reason: "exists" })
      }
      const onto = yield* Effect.flip(backupOn(storage, storage))
      expect(onto).toMatchObject({ _tag: "OpenRefused", reason: "exists" })
      expect(differing(before, yield* takeImage(storage))).toEqual([])
      const empty = yield* StorageMemory.make
      const error = yield* Effect.flip(backupOn(empty, yield* StorageMemory.make))
      expect(error).toMatchObject({ _tag: "OpenRefused", reason: "missing" })
      const badPath = yield* Effect.flip(backupOn(storage, empty, { toPath: "../x" }))
      expect(badPath).toMatchObject({ _tag: "OpenRefused", reason: "bad-path" })
    })
  )
})

/** Runs `effect` before each read of the files. */
const before = (storage: StorageService, effect: Effect.Effect<unknown>): StorageService => ({
  open: (path) =>
    Effect.map(storage.open(path), (files) => ({
      ...files,
      read: (ranges) => Effect.zipRight(effect, files.read(ranges))
    }))
})

describe("a copy of a feed that is written meanwhile", () => {
  it.scoped("at any step of the copy the writer appends and clears: the copy is the log as it was", () =>
    Effect.gen(function* () {
      const { feed, storage } = yield* authored(200)
      let step = 0
      let written = feed.length
      const write = Effect.suspend((): Effect.Effect<unknown, Feed.AppendError | Feed.ClearError> => {
        if (++step % 3 > 0) return Effect.void
        return step % 2 === 0 ? feed.append(blockOf(written++)) : feed.clear((step * 7) % 200)
      })
      const busy = before(storage, Effect.orDie(write))
      for (let round = 0; round < 20; round++) {
        const acknowledged = feed.length
        const to = yield* StorageMemory.make
        const report = yield* backupOn(busy, to)
        expect(report.length).toBeGreaterThanOrEqual(acknowledged)
        expect(report.damaged).toBe(0)
        const copy = yield* openOn(to)
        expect(copy.length).toBe(report.length)
        expect(yield* copy.audit()).toEqual({ valid: report.blocks, invalid: 0 })
        for (let index = 0; index < copy.length; index++) {
          if (yield* copy.has(index)) expect(yield* copy.get(index)).toEqual(blockOf(index))
          // What is not in the copy was cleared.
          else expect(yield* feed.has(index)).toBe(false)
        }
        yield* copy.close
      }
      expect(written).toBeGreaterThan(220)
    })
  )

  it.scoped("one that fails half-way has no key, and is not taken for a feed", () =>
    Effect.gen(function* () {
      const { storage } = yield* authored(50)
      for (let failing = 0; ; failing++) {
        const memory = yield* StorageMemory.make
        let step = 0
        const full = instrumented(memory, ({ operation }) =>
          operation === "write" && step++ === failing ? "torn" : undefined
        )
        const result = yield* Effect.either(backupOn(storage, full))
        if (result._tag === "Right") {
          expect(failing).toBeGreaterThan(5)
          return
        }
        expect(result.left._tag).toBe("StorageError")
        const opened = yield* Effect.either(openOn(memory, { readOnly: true }))
        if (opened._tag === "Right") expect(opened.right.length).toBe(50)
        else expect(["CorruptStorage", "OpenRefused"]).toContain(opened.left._tag)
      }
    })
  )
})
