/**
 * Every call that changes a file fails in turn, having done nothing, half or all of its work: the operation says so, what was
 * acknowledged stays, the feed goes on or says that it cannot, and an acknowledged signature is the only one of its length.
 */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import {
  type Feed,
  type FeedFiles,
  StorageError,
  StorageMemory,
  type StorageService
} from "../../src/index.js"
import { judge, openOn, plant, signaturesIn, takeImage } from "./images.js"

type Share = "nothing" | "half" | "all"

/** Fails call number `failAt` of those that change files, once, or from then on. */
interface Fault {
  readonly failAt: number
  readonly share: Share
  readonly lasting: boolean
}

const full = new StorageError({ reason: "full", operation: "write", file: "a full disk" })

const makeFaulty = (fault: Fault) =>
  Effect.map(StorageMemory.make, (memory) => {
    const state = { calls: 0, healed: false }
    const guard = (whole: Effect.Effect<void, StorageError>, half: Effect.Effect<void, StorageError>) =>
      Effect.suspend(() => {
        const call = state.calls++
        const hit = fault.lasting ? call >= fault.failAt : call === fault.failAt
        if (!hit || state.healed) return whole
        const done = { nothing: Effect.void, half, all: whole }[fault.share]
        return Effect.zipRight(done, Effect.fail(full))
      })
    const wrap = (files: FeedFiles): FeedFiles => ({
      ...files,
      write: (writes) => guard(files.write(writes), files.write(halfOf(writes))),
      truncate: (file, size) => guard(files.truncate(file, size), Effect.void),
      remove: (file, offset, length) => guard(files.remove(file, offset, length), Effect.void),
      sync: (names) => guard(files.sync(names), Effect.void)
    })
    const storage: StorageService = { open: (path) => Effect.map(memory.open(path), wrap) }
    return { storage, memory, state }
  })

/** The first half of the writes, the last of them cut in the middle of its first part. */
const halfOf: (writes: Parameters<FeedFiles["write"]>[0]) => Parameters<FeedFiles["write"]>[0] = (writes) => {
  const whole = writes.slice(0, Math.floor(writes.length / 2))
  const torn = writes[whole.length]
  const part = torn?.parts[0]
  return torn === undefined || part === undefined
    ? whole
    : [...whole, { ...torn, parts: [part.slice(0, Math.ceil(part.length / 2))] }]
}

const text = (value: string) => new TextEncoder().encode(value)

/** What the caller was told: the blocks that were appended, the batches that failed since, the signatures it could see. */
const useFeed = (feed: Feed.Feed) =>
  Effect.gen(function* () {
    const blocks: Array<Uint8Array> = []
    const signatures = new Map<number, string>()
    const cleared = new Set<number>()
    let failures = 0
    let failed: Array<ReadonlyArray<Uint8Array>> = []
    const append = (batch: ReadonlyArray<Uint8Array>) =>
      Effect.gen(function* () {
        const appended = yield* Effect.either(feed.appendBatch(batch))
        if (appended._tag === "Left") {
          expect(["StorageError", "NotWritable"]).toContain(appended.left._tag)
          expect(feed.length).toBe(blocks.length)
          failures++
          failed.push(batch)
          return
        }
        failed = []
        expect(appended.right).toBe(blocks.length)
        blocks.push(...batch)
        expect(feed.length).toBe(blocks.length)
      })
    for (let i = 0; i < 4; i++) {
      yield* append([text(`single ${i}`)])
      yield* append([text(`batch ${i}`), text(""), text("of three")])
      const wasCleared = yield* Effect.either(feed.clear(2 * i, 2 * i + 1))
      cleared.add(2 * i)
      if (wasCleared._tag === "Left") failures++
      const last = yield* Effect.either(feed.signature())
      if (last._tag === "Right")
        signatures.set(last.right.index + 1, Buffer.from(last.right.signature).toString("hex"))
    }
    return { blocks, cleared, failed, failures, signatures }
  })

const withFault = (fault: Fault, durability: "process" | "power") =>
  Effect.gen(function* () {
    const { memory, state, storage } = yield* makeFaulty(fault)
    const used = yield* Effect.gen(function* () {
      const feed = yield* openOn(storage, { durability })
      const result = yield* useFeed(feed)
      const closed = yield* Effect.either(feed.close)
      return { ...result, key: feed.key, failures: result.failures + (closed._tag === "Left" ? 1 : 0) }
    }).pipe(Effect.scoped, Effect.either)
    if (used._tag === "Left") {
      // Opening failed: nothing was acknowledged. With the disk healed, a feed can be made, unless half a secret key is left.
      expect(used.left._tag).toBe("StorageError")
      state.healed = true
      const half = (yield* takeImage(memory)).secret_key.length === 32
      const again = yield* Effect.either(Effect.scoped(openOn(storage)))
      expect(again._tag).toBe(half ? "Left" : "Right")
      expect(half && !(durability === "power" && fault.lasting && fault.share === "half")).toBe(false)
      return { calls: state.calls, failures: 1 }
    }
    const { blocks, cleared, failed, signatures, key, failures } = used.right
    const image = yield* takeImage(memory)
    const stored = signaturesIn(image)
    for (const [length, signature] of signatures) expect(stored.get(length)).toBe(signature)
    // An append that failed once it was signed may have happened all the same: one of those since the last success.
    const outcomes = yield* Effect.forEach([[], ...failed], (batch) =>
      Effect.exit(judge(image, { blocks: [...blocks, ...batch], signatures: stored }, { key }))
    )
    const outcome = outcomes.find((exit) => exit._tag === "Success")?.value
    expect(outcome?._tag).toBe("Opened")
    if (outcome?._tag === "Opened") {
      expect(outcome.length).toBeGreaterThanOrEqual(blocks.length)
      for (let i = 0; i < blocks.length; i++) if (!cleared.has(i)) expect(outcome.held).toContain(i)
    }
    return { calls: state.calls, failures }
  })

describe.each(["process", "power"] as const)("durability %s", (durability) => {
  describe.each([false, true])("a fault that lasts: %s", (lasting) => {
    it.effect.each(["nothing", "half", "all"] as const)("having done %s", (share) =>
      Effect.gen(function* () {
        const { calls } = yield* withFault({ failAt: Number.POSITIVE_INFINITY, share, lasting }, durability)
        expect(calls).toBeGreaterThan(25)
        let noticed = 0
        for (let failAt = 0; failAt < calls; failAt++) {
          const { failures } = yield* withFault({ failAt, share, lasting }, durability)
          if (failures > 0) noticed++
        }
        // A bitfield that cannot be stored after a signature is no failure; nearly all others are.
        expect(noticed).toBeGreaterThan(calls / 2)
      })
    )
  })
})

/** Fails each write, or each sync, that reaches the bitfield while it is told to. */
const failingBitfield = Effect.map(StorageMemory.make, (memory) => {
  const state = { failing: "nothing" as "nothing" | "writes" | "syncs" }
  const storage: StorageService = {
    open: (path) =>
      Effect.map(memory.open(path), (files) => ({
        ...files,
        write: (writes) =>
          state.failing === "writes" && writes.some(({ file }) => file === "bitfield")
            ? Effect.fail(full)
            : files.write(writes),
        sync: (names) =>
          state.failing === "syncs" && names.includes("bitfield") ? Effect.fail(full) : files.sync(names)
      }))
  }
  return { storage, memory, state }
})

describe("a reader's put whose bits cannot be stored", () => {
  for (const [durability, failing] of [
    ["process", "writes"],
    ["power", "writes"],
    ["power", "syncs"]
  ] as const) {
    it.scoped(
      `is told of as a failure, nothing of it is held, and it can be done again: ${durability}, ${failing}`,
      () =>
        Effect.gen(function* () {
          const author = yield* openOn(yield* StorageMemory.make)
          yield* author.appendBatch(["a", "b", "c"].map(text))
          const { memory, state, storage } = yield* failingBitfield
          const options = { key: author.key, sparse: true, durability }
          const reader = yield* openOn(storage, options)
          const put = (index: number) =>
            Effect.gen(function* () {
              yield* reader.put({ index, block: yield* author.get(index), proof: yield* author.proof(index) })
            })
          const heldAfterACrash = Effect.gen(function* () {
            const feed = yield* openOn(yield* plant(yield* takeImage(memory)), options)
            return yield* Effect.filter([0, 1, 2], (index) => feed.has(index))
          }).pipe(Effect.scoped)
          yield* put(0)
          state.failing = failing
          for (let i = 0; i < 2; i++)
            expect(yield* Effect.flip(put(1))).toMatchObject({ _tag: "StorageError" })
          // After a crash it may have happened, but nobody was promised that.
          expect(yield* heldAfterACrash).toContain(0)
          expect(yield* reader.has(1)).toBe(false)
          state.failing = "nothing"
          yield* put(2)
          expect(yield* heldAfterACrash).toEqual([0, 2])
          yield* put(1)
          expect(yield* heldAfterACrash).toEqual([0, 1, 2])
          expect(yield* reader.audit()).toEqual({ valid: 3, invalid: 0 })
        })
    )
  }
})
