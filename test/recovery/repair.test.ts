/**
 * Files damaged anywhere and in any way are repaired, or refused typed. What is held after a repair reads as it was appended, and is
 * proven to anyone who asks; nothing was signed; a second repair finds nothing to do.
 */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Either, type Scope } from "effect"
import * as fc from "fast-check"
import {
  CorruptStorage,
  Crypto,
  Feed,
  type FileName,
  NetworkMemory,
  OpenRefused,
  Replication,
  Storage,
  StorageMemory,
  type StorageService,
  toHex
} from "../../src/index.js"
import { FILES } from "../../src/domain/Sleep.js"
import { coreOf } from "../../src/services/feed/FeedCore.js"
import { serve } from "../../src/services/feed/serve.js"
import { instrumented } from "../services/InstrumentedStorage.js"
import { type Damage, applyDamage, someDamages } from "./damages.js"
import { type History, type Image, crypto, openOn, plant, signaturesIn, takeImage } from "./images.js"

const text = (value: string) => new TextEncoder().encode(value)

/** A feed as it was at several moments. */
interface Subject {
  readonly key: Uint8Array
  readonly images: ReadonlyArray<Image>
  readonly history: History
}

const SEED = new Uint8Array(32).fill(7)

/** Singles, batches, empty blocks and clears, 69 blocks. */
const author: Effect.Effect<Subject> = Effect.gen(function* () {
  const storage = yield* StorageMemory.make
  const feed = yield* openOn(storage, yield* crypto.keyPair(SEED))
  const blocks: Array<Uint8Array> = []
  const images: Array<Image> = []
  for (let moment = 0; blocks.length < 69; moment++) {
    const batch = Array.from({ length: 1 + ((moment * 5) % 7) }, (_, i) =>
      text((moment + i) % 9 === 4 ? "" : `${moment}, ${i}: `.repeat(1 + ((moment + i) % 6)))
    )
    yield* feed.appendBatch(batch.slice(0, 69 - blocks.length))
    blocks.push(...batch.slice(0, 69 - blocks.length))
    if (moment % 4 === 3) yield* feed.clear(blocks.length - 9, blocks.length - 7)
    images.push(yield* takeImage(storage))
  }
  yield* feed.close
  const last = yield* takeImage(storage)
  return {
    key: feed.key,
    images: [...images, last],
    history: { blocks, signatures: signaturesIn(last) }
  }
}).pipe(Effect.scoped, Effect.orDie)

/** Who followed that feed: `wants` says which blocks were fetched at which length. */
const reader = (wants: (index: number, length: number) => boolean): Effect.Effect<Subject> =>
  Effect.gen(function* () {
    const { history, key } = yield* author
    const source = yield* openOn(yield* StorageMemory.make, yield* crypto.keyPair(SEED))
    const storage = yield* StorageMemory.make
    const feed = yield* openOn(storage, { key })
    const images: Array<Image> = []
    for (let length = 0; length < history.blocks.length;) {
      const end = Math.min(history.blocks.length, length + 1 + ((length * 3) % 8))
      yield* source.appendBatch(history.blocks.slice(length, end))
      length = end
      for (let index = length - 1; index >= 0; index--) {
        if (!wants(index, length) || (yield* feed.has(index))) continue
        const proof = yield* source.proof(index, { digest: yield* feed.digest(index) })
        yield* feed.put({ index, proof, block: yield* source.get(index) })
      }
      images.push(yield* takeImage(storage))
    }
    yield* feed.close
    const last = yield* takeImage(storage)
    return {
      key,
      images: [...images, last],
      history: { ...history, signatures: signaturesIn(last) }
    }
  }).pipe(Effect.scoped, Effect.orDie)

const subjects = {
  author,
  "a whole reader": reader(() => true),
  "a sparse reader": reader((index, length) => (index * 7 + length) % 11 === 0)
}

const repairOn = (storage: StorageService, options: Feed.RepairOptions = {}) =>
  Feed.repair(options).pipe(Effect.provideService(Storage, storage), Effect.provideService(Crypto, crypto))

const same = (a: Image, b: Image): ReadonlyArray<FileName> =>
  FILES.filter((file) => toHex(a[file]) !== toHex(b[file]))

/** Every held block reads as history has it, and is proven to one who has only the key, one at a time and together. */
const checkHeld = (feed: Feed.Feed, { history, key }: Subject) =>
  Effect.gen(function* () {
    const held: Array<number> = []
    for (let index = 0; index < feed.length; index++) {
      if (yield* feed.has(index)) held.push(index)
    }
    expect(feed.length).toBeLessThanOrEqual(history.blocks.length)
    expect(yield* feed.downloaded()).toBe(held.length)
    for (const index of held) {
      const block = yield* feed.get(index)
      expect(toHex(block)).toBe(toHex(history.blocks[index]!))
      const stranger = yield* openOn(yield* StorageMemory.make, { key })
      yield* stranger.put({ index, block, proof: yield* feed.proof(index) })
      yield* stranger.close
    }
    const served = yield* serve(
      coreOf(feed),
      held.map((index) => ({ index, digest: 0, hash: false })),
      1e9
    )
    expect(served.missing).toEqual([])
    return held
  })

/** What a repair leaves signed was signed before. */
const checkSignatures = (before: Image, after: Image, { signatures: signed }: History) => {
  const known = signaturesIn(before)
  for (const [length, signature] of signaturesIn(after)) {
    expect([known.get(length), signed.get(length)]).toContain(signature)
  }
}

const attempt = (image: Image, subject: Subject, options: Feed.RepairOptions = {}) =>
  Effect.gen(function* () {
    const storage = yield* plant(image)
    const result = yield* Effect.either(repairOn(storage, options))
    const after = yield* takeImage(storage)
    if (Either.isLeft(result)) {
      expect(result.left instanceof CorruptStorage || result.left instanceof OpenRefused).toBe(true)
      expect(same(image, after)).toEqual([])
      return undefined
    }
    checkSignatures(image, after, subject.history)
    const report = result.right
    expect(report.changed).toBe(same(image, after).length > 0)
    const again = yield* repairOn(storage, options)
    expect({ changed: again.changed, length: again.length }).toEqual({
      changed: false,
      length: report.length
    })
    expect(same(after, yield* takeImage(storage))).toEqual([])
    // Its owner may not be able to write, but whoever only reads can open it.
    const feed = yield* openOn(storage, { readOnly: true })
    expect(feed.length).toBe(report.length)
    const held = yield* checkHeld(feed, subject)
    expect(held.length).toBe(report.blocks.kept + report.blocks.found)
    yield* feed.close
    expect(same(after, yield* takeImage(storage))).toEqual([])
    return { report, held, storage }
  })

/** Signatures and bits of one earlier moment agree on a log that is shorter: nothing says that they are old. */
const isSetBack = (damages: ReadonlyArray<Damage>): boolean =>
  (["signatures", "bitfield"] as const).every((file) =>
    damages.some((damage) => damage.kind === "older" && damage.file === file)
  )

/** If something can be appended, then only past every length that was ever signed. */
const checkWritable = (storage: StorageService, { history, key }: Subject) =>
  Effect.gen(function* () {
    const opened = yield* Effect.either(openOn(storage, { key }))
    if (Either.isLeft(opened)) {
      expect(["CorruptStorage", "OpenRefused"]).toContain(opened.left._tag)
      return
    }
    const feed = opened.right
    if (feed.writable) {
      expect(feed.length).toBe(history.blocks.length)
      yield* feed.append(text("more"))
      for (const [length, signature] of history.signatures) {
        const now = yield* feed.signature(length - 1)
        if (now.index === length - 1) expect(toHex(now.signature)).toBe(signature)
      }
    }
    yield* feed.close
  })

const run = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>) => Effect.runPromise(Effect.scoped(effect))

describe("any damage to any file", () => {
  for (const [name, make] of Object.entries(subjects)) {
    it(`of ${name}`, { timeout: 120_000 }, async () => {
      const subject = await Effect.runPromise(make)
      const seen = { refused: 0, repaired: 0, untouched: 0 }
      await fc.assert(
        fc.asyncProperty(someDamages, async (damages: ReadonlyArray<Damage>) => {
          const last = subject.images[subject.images.length - 1]!
          const image = damages.reduce(
            (before, damage) => applyDamage(before, damage, subject.images.slice(0, -1)),
            last
          )
          await run(
            Effect.gen(function* () {
              const repaired = yield* attempt(image, subject)
              if (repaired === undefined) seen.refused++
              else {
                if (repaired.report.changed) seen.repaired++
                else seen.untouched++
                if (!isSetBack(damages)) yield* checkWritable(repaired.storage, subject)
              }
            })
          )
        }),
        { numRuns: 80 }
      )
      expect(seen.repaired).toBeGreaterThan(30)
    })
  }
})

const byteOf = (image: Image, file: FileName, at: number): Image => {
  const copy = image[file].slice()
  copy[at]! ^= 0x10
  return { ...image, [file]: copy }
}

const zeroed = (image: Image, file: FileName, start: number, end: number): Image => ({
  ...image,
  [file]: image[file].slice().fill(0, start, end)
})

const entryOf = (position: number) => 32 + 40 * position

const LENGTH = 69

/** The held blocks of the author's last image. */
const heldBy = (image: Image) =>
  Effect.gen(function* () {
    const feed = yield* openOn(yield* plant(image), { readOnly: true })
    const held: Array<number> = []
    for (let index = 0; index < feed.length; index++) if (yield* feed.has(index)) held.push(index)
    yield* feed.close
    return held
  })

/** Repairs the author's files after `damage`; all that was held is held again. */
const mends = (
  name: string,
  damage: (image: Image) => Image,
  expected: (report: Feed.RepairReport) => unknown,
  options: Feed.RepairOptions = {}
) =>
  it.scoped(name, () =>
    Effect.gen(function* () {
      const subject = yield* author
      const last = subject.images.at(-1)!
      const repaired = yield* attempt(damage(last), subject, options)
      // An empty block that was cleared is as good as held, once its mark is lost.
      const isLasting = (index: number) => subject.history.blocks[index]!.length > 0
      expect(repaired!.held.filter(isLasting)).toEqual((yield* heldBy(last)).filter(isLasting))
      expect(repaired!.report).toMatchObject({ length: LENGTH, claimedLength: LENGTH })
      expected(repaired!.report)
      const feed = yield* openOn(repaired!.storage)
      expect([feed.writable, feed.length]).toEqual([true, LENGTH])
      yield* feed.append(text("more"))
    })
  )

describe("an author's files are mended whole", () => {
  mends(
    "as they are: nothing is done",
    (image) => image,
    (report) => expect(report).toMatchObject({ changed: false, files: [], secretKey: "sound" })
  )
  mends(
    "without a bitfield",
    (image) => ({ ...image, bitfield: new Uint8Array(0) }),
    (report) => expect([report.blocks.kept, report.files]).toEqual([0, ["bitfield"]])
  )
  mends(
    "the mark of a held block among others that are, by what the index says",
    (image) => byteOf(image, "bitfield", 32 + image.bitfield.subarray(32).indexOf(0xff)),
    // With it an empty one that was cleared.
    (report) => expect(report.blocks).toMatchObject({ found: 2, dropped: 0 })
  )
  mends(
    "every parent of the tree lost, the roots too",
    (image) => {
      const tree = image.tree.slice()
      for (let position = 1; entryOf(position) < tree.length; position += 2) {
        tree.fill(0, entryOf(position), entryOf(position + 1))
      }
      return { ...image, tree }
    },
    (report) => expect([report.lengthBefore, report.nodes.mended]).toEqual([1, 68 - 2])
  )
  mends(
    "a leaf damaged in its hash, its sibling in its size",
    (image) => byteOf(image, "tree", entryOf(8)),
    (report) => expect(report.nodes).toMatchObject({ mended: 1, dropped: 0 })
  )
  mends(
    "a leaf damaged in its size",
    (image) => byteOf(image, "tree", entryOf(8) + 38),
    (report) => expect(report.nodes).toMatchObject({ mended: 1, dropped: 0 })
  )
  mends(
    "the last leaf, a root, lost",
    (image) => ({ ...image, tree: image.tree.slice(0, entryOf(2 * (LENGTH - 1)) + 3) }),
    (report) => expect(report.nodes.mended).toBe(1)
  )
  mends(
    "the headers and the key damaged",
    (image) => {
      const headers = ["tree", "signatures", "bitfield"] as const
      return headers.reduce((before, file) => byteOf(before, file, 2), byteOf(image, "key", 5))
    },
    (report) => expect(report.files).toEqual(["key", "signatures", "tree", "bitfield"])
  )
  mends(
    "the public half of the secret key damaged",
    (image) => byteOf(image, "secret_key", 40),
    (report) => expect([report.secretKey, report.files]).toEqual(["mended", ["secret_key"]])
  )
  mends(
    "an earlier signature damaged: it is dropped",
    (image) => byteOf(image, "signatures", 32 + 20),
    (report) => expect(report.signatures).toMatchObject({ mended: 0, dropped: 1 })
  )
  mends(
    "half of the last signature damaged, and a root: it is what it was",
    (image) => {
      const { length } = image.signatures
      const roots = zeroed(image, "tree", entryOf(63), entryOf(64))
      return zeroed(roots, "signatures", length - 40, length)
    },
    (report) => expect(report.signatures).toMatchObject({ mended: 1, dropped: 0 })
  )
})

describe("what cannot be proven", () => {
  it.scoped("damaged blocks, and leaves that nothing tells of, are dropped, and come from a peer", () =>
    Effect.gen(function* () {
      const subject = yield* subjects["a whole reader"]
      const last = subject.images.at(-1)!
      // Leaves 20 to 30 with the parents between them, and the bytes of a block.
      const image = zeroed(byteOf(last, "data", 700), "tree", entryOf(40), entryOf(61))
      const repaired = yield* attempt(image, subject)
      const { held, report, storage } = repaired!
      expect(report.length).toBe(LENGTH)
      expect(report.blocks.dropped).toBeGreaterThan(8)
      expect(held.length + report.blocks.dropped).toBe(LENGTH)
      const feed = yield* openOn(storage)
      const source = yield* openOn(yield* StorageMemory.make, yield* crypto.keyPair(SEED))
      yield* source.appendBatch(subject.history.blocks)
      const [a, b] = yield* NetworkMemory.pair()
      yield* Effect.all([Replication.replicate(source, a), Replication.replicate(feed, b)], {
        concurrency: 2
      })
      expect(yield* feed.downloaded()).toBe(LENGTH)
      expect(yield* feed.audit()).toEqual({ valid: LENGTH, invalid: 0 })
      expect(yield* checkHeld(feed, subject)).toHaveLength(LENGTH)
    })
  )

  it.scoped("an owner without the last signature's roots stays refused until a peer has given the rest", () =>
    Effect.gen(function* () {
      const subject = yield* author
      const image = { ...subject.images.at(-1)!, tree: subject.images[4]!.tree }
      const repaired = yield* attempt(image, subject)
      expect(repaired!.report).toMatchObject({ claimedLength: LENGTH, secretKey: "sound" })
      expect(repaired!.report.length).toBeLessThan(LENGTH)
      const refused = yield* Effect.flip(openOn(repaired!.storage))
      expect(refused).toMatchObject({ _tag: "CorruptStorage", file: "tree" })
      const reading = yield* repairOn(repaired!.storage, { asReader: true })
      expect(reading).toMatchObject({ claimedLength: LENGTH, secretKey: "removed", changed: true })
      const feed = yield* openOn(repaired!.storage)
      expect([feed.writable, feed.length]).toEqual([false, reading.length])
      const source = yield* openOn(yield* StorageMemory.make, yield* crypto.keyPair(SEED))
      yield* source.appendBatch(subject.history.blocks)
      const [a, b] = yield* NetworkMemory.pair()
      yield* Effect.all([Replication.replicate(source, a), Replication.replicate(feed, b)], {
        concurrency: 2
      })
      yield* feed.close
      const { secretKey } = yield* crypto.keyPair(SEED)
      const again = yield* openOn(repaired!.storage, { secretKey })
      expect([again.writable, again.length]).toEqual([true, LENGTH])
    })
  )

  it.scoped("cut anywhere, the tree leaves no block that is held and not proven", () =>
    Effect.gen(function* () {
      for (const make of [author, subjects["a sparse reader"]]) {
        const subject = yield* make
        const image = subject.images.at(-1)!
        for (let size = image.tree.length - 1; size > 0; size -= 117) {
          yield* attempt({ ...image, tree: image.tree.slice(0, size) }, subject)
        }
      }
    })
  )

  it.scoped("somebody else's files are left as they are", () =>
    Effect.gen(function* () {
      const { images, key } = yield* author
      const strange = text("not a feed at all, but long enough for a header or two of those that a feed has")
      const image = { ...images.at(-1)!, tree: strange, signatures: strange, bitfield: strange }
      const storage = yield* plant(image)
      expect(yield* Effect.flip(repairOn(storage))).toMatchObject({ _tag: "CorruptStorage" })
      expect(same(image, yield* takeImage(storage))).toEqual([])
      // A reader whose key is damaged is told apart from one who has nothing that is signed.
      const wrong = { ...byteOf(images.at(-1)!, "key", 9), secret_key: none }
      const readers = yield* plant(wrong)
      expect(yield* Effect.flip(repairOn(readers))).toMatchObject({ _tag: "CorruptStorage", file: "key" })
      expect(same(wrong, yield* takeImage(readers))).toEqual([])
      expect(yield* repairOn(readers, { key })).toMatchObject({ length: LENGTH, files: ["key"] })
      const nothing = yield* plant({ ...images.at(-1)!, ...noKeys, ...noEntries })
      expect(yield* Effect.flip(repairOn(nothing, { key }))).toMatchObject({ reason: "missing" })
    })
  )
})

const none = new Uint8Array(0)
const noKeys = { key: none, secret_key: none }
const noEntries = { tree: none, signatures: none, bitfield: none }

it.scoped("a dry run tells what a repair does, stores nothing and takes no lock", () =>
  Effect.gen(function* () {
    const subject = yield* author
    const last = subject.images.at(-1)!
    const image = zeroed(byteOf(byteOf(last, "key", 3), "data", 300), "tree", entryOf(60), entryOf(64))
    const storage = yield* plant(image)
    const told = yield* Effect.scoped(
      Effect.gen(function* () {
        // Somebody writes.
        const files = yield* storage.open("")
        yield* files.lock
        expect(yield* Effect.flip(repairOn(storage))).toMatchObject({ reason: "locked" })
        return yield* repairOn(storage, { dryRun: true })
      })
    )
    expect(same(image, yield* takeImage(storage))).toEqual([])
    expect(told.changed).toBe(true)
    expect(yield* repairOn(storage)).toEqual(told)
    expect(yield* repairOn(storage, { dryRun: true })).toMatchObject({ changed: false })
  })
)

it.scoped("a repair that fails at any write is done by the next one", () =>
  Effect.gen(function* () {
    const { images } = yield* author
    const headers = byteOf(byteOf(images.at(-1)!, "key", 3), "tree", 4)
    const signed = byteOf(byteOf(headers, "signatures", 32 + 9), "data", 300)
    const image = { ...zeroed(signed, "tree", entryOf(60), entryOf(64)), bitfield: none }
    const whole = yield* plant(image)
    yield* repairOn(whole)
    const expected = yield* takeImage(whole)
    for (let failing = 0; ; failing++) {
      const storage = yield* plant(image)
      let step = 0
      const faulty = instrumented(storage, ({ operation }) =>
        (operation === "write" || operation === "sync" || operation === "truncate") && step++ === failing
          ? "torn"
          : undefined
      )
      const result = yield* Effect.either(repairOn(faulty))
      yield* repairOn(storage)
      expect(same(expected, yield* takeImage(storage))).toEqual([])
      if (Either.isRight(result)) {
        expect(failing).toBeGreaterThan(6)
        return
      }
      expect(result.left).toMatchObject({ _tag: "StorageError" })
    }
  })
)
