/**
 * Directories whose files no disk should give: opened, repaired, copied. Each ends in a value or in a typed error, what can be read is what was written,
 * and nothing is signed twice.
 */
import { Effect, Redacted } from "effect"
import fc from "fast-check"
import { expect } from "vitest"
import { equals } from "../../src/domain/Bytes.js"
import { FILES } from "../../src/domain/Sleep.js"
import { Crypto, Feed, type FileName, Storage, StorageMemory, type StorageService } from "../../src/index.js"
import { type Image, crypto, openOn, plant, takeImage } from "../recovery/images.js"
import { mutated } from "./mutated.js"
import { BLOCKS, blocks, openAuthor, orTyped, run } from "./oracle.js"
import { type AnyTarget, target } from "./Target.js"

/** Feeds' files, once: of an author who has cleared some; of one who signed often; of a reader of either, and one of some blocks; of nobody. */
const images: ReadonlyArray<Image> = await run(
  Effect.gen(function* () {
    const author = yield* openAuthor
    yield* author.clear(3, 5)
    const whole = yield* takeImage(yield* Storage)
    const signed = yield* StorageMemory.make
    const often = yield* openOn(signed, { key: author.key, secretKey: Redacted.value(author.secretKey!) })
    for (let at = 0; at < BLOCKS; at += 3) yield* often.appendBatch(blocks.slice(at, at + 3))
    const some = yield* StorageMemory.make
    const reader = yield* openOn(some, { key: author.key })
    for (const index of [6, 19, 0]) {
      yield* reader.put({ index, block: blocks[index], proof: yield* often.proof(index) })
    }
    const finalized = yield* StorageMemory.make
    const fixed = yield* openOn(finalized, { static: true })
    yield* fixed.appendBatch(blocks)
    yield* fixed.finalize
    const stored = yield* Effect.all([signed, some, finalized].map(takeImage))
    return [whole, { ...whole, secret_key: new Uint8Array(0) }, ...stored]
  })
)

interface Directory {
  readonly image: Image
  /** As it was. */
  readonly sound: Image
  /** Whether one file alone was changed. */
  readonly isOne: boolean
}

const directory: fc.Arbitrary<Directory> = fc
  .tuple(fc.nat({ max: images.length - 1 }), fc.constantFrom(...FILES), fc.constantFrom(...FILES))
  .chain(([which, first, second]) => {
    const sound = images[which]!
    return fc
      .tuple(mutated(fc.constant(sound[first])), mutated(fc.constant(sound[second])), fc.boolean())
      .map(([one, other, both]) => ({
        image: { ...sound, ...(both ? { [second]: other } : {}), [first]: one },
        sound,
        isOne: !both
      }))
  })

/** Counts the bytes that are asked for and given. */
const counting = (storage: StorageService, read: (bytes: number) => void): StorageService => ({
  open: (path) =>
    Effect.map(storage.open(path), (files) => ({
      ...files,
      read: (ranges) =>
        Effect.tap(files.read(ranges), (all) => {
          for (const bytes of all) read(bytes.length)
        })
    }))
})

const sizeOf = (image: Image): number => FILES.reduce((sum, file: FileName) => sum + image[file].length, 0)

/** Looking for what is proven may try again and again, but not without end. */
const most = (image: Image): number => 200 * (sizeOf(image) + 10_000)

/** Blocks that can be read are those that were written. */
const expectRead = (feed: Feed.Feed) =>
  Effect.gen(function* () {
    expect(feed.length).toBeLessThanOrEqual(BLOCKS)
    for (let index = 0; index < feed.length; index++) {
      const block = orTyped("get", yield* Effect.exit(feed.get(index, { wait: false })))
      if (block !== undefined) expect(block).toEqual(blocks[index])
    }
  })

/** One damaged file, whichever it is, does not make an author sign a length again: all were signed. */
const expectSignedOnce = (feed: Feed.Feed, { isOne, sound }: Directory) =>
  Effect.gen(function* () {
    if (!feed.writable) return
    const index = orTyped("append", yield* Effect.exit(feed.append(blocks[0]!)))
    if (isOne && index !== undefined && equals(feed.key, sound.key)) expect(index).toBe(BLOCKS)
  })

const files = target("files of a feed", 120, directory, (given) =>
  run(
    Effect.gen(function* () {
      let read = 0
      const storage = counting(yield* plant(given.image), (count) => (read += count))
      const feed = orTyped("open", yield* Effect.exit(openOn(storage)))
      expect(read).toBeLessThan(most(given.image))
      if (feed === undefined) return
      for (let index = 0; index < feed.length; index++) {
        orTyped("get", yield* Effect.exit(feed.get(index, { wait: false })))
        orTyped("proof", yield* Effect.exit(feed.proof(index)))
      }
      orTyped("seek", yield* Effect.exit(feed.seek(40, { wait: false })))
      orTyped("signature", yield* Effect.exit(feed.signature()))
      const audited = orTyped("audit", yield* Effect.exit(feed.audit()))
      // What can be read since then is what was written, or damage was found. (A damaged tree may no longer tell where a block lies.)
      const again = audited && audited.invalid > 0 ? yield* feed.audit() : audited
      if (again?.invalid === 0) yield* expectRead(feed)
      yield* expectSignedOnce(feed, given)
    })
  )
)

const repairOn = (storage: StorageService, options: Feed.RepairOptions) =>
  Effect.exit(Feed.repair(options)).pipe(
    Effect.provideService(Storage, storage),
    Effect.provideService(Crypto, crypto)
  )

const repairOptions = fc.record({ dryRun: fc.boolean(), asReader: fc.boolean(), isKeyGiven: fc.boolean() })

const repairs = target(
  "files of a feed that is repaired",
  20,
  fc.tuple(directory, repairOptions),
  ([given, { asReader, dryRun, isKeyGiven }]) =>
    run(
      Effect.gen(function* () {
        const { image, sound } = given
        let read = 0
        const storage = counting(yield* plant(image), (count) => (read += count))
        const options = isKeyGiven ? { key: sound.key } : {}
        const report = orTyped("repair", yield* repairOn(storage, { ...options, asReader, dryRun }))
        expect(read).toBeLessThan(most(image))
        const after = yield* takeImage(storage)
        expect(sizeOf(after)).toBeLessThan(most(image))
        // What is refused, or only looked at, is left as it is.
        if (report === undefined || dryRun) return expect(after).toEqual(image)
        expect(report.length).toBeLessThanOrEqual(BLOCKS)
        const again = orTyped("repair", yield* repairOn(storage, options))
        expect(again).toMatchObject({ changed: false, length: report.length })
        expect(yield* takeImage(storage)).toEqual(after)
        const feed = orTyped("open", yield* Effect.exit(openOn(storage, options)))
        if (feed === undefined) return
        expect(feed.length).toBeGreaterThanOrEqual(report.length)
        const { kept, found } = report.blocks
        // An owner's opening may prove more than was left here.
        const valid = feed.length > report.length ? yield* feed.downloaded() : kept + found
        expect(yield* feed.audit()).toEqual({ valid, invalid: 0 })
        yield* expectRead(feed)
        yield* expectSignedOnce(feed, given)
      })
    )
)

const backups = target(
  "files of a feed that is copied, and copied back",
  20,
  fc.tuple(directory, fc.boolean()),
  ([given, withSecretKey]) =>
    run(
      Effect.gen(function* () {
        const { image } = given
        let read = 0
        const from = counting(yield* plant(image), (count) => (read += count))
        const copyOf = (storage: StorageService) =>
          Effect.gen(function* () {
            const to = yield* StorageMemory.make
            const copied = Feed.backup({ to, withSecretKey }).pipe(
              Effect.provideService(Storage, storage),
              Effect.provideService(Crypto, crypto)
            )
            return { to, report: orTyped("backup", yield* Effect.exit(copied)) }
          })
        const { report, to } = yield* copyOf(from)
        expect(read).toBeLessThan(most(image))
        expect(yield* takeImage(from)).toEqual(image)
        const copy = yield* takeImage(to)
        expect(sizeOf(copy)).toBeLessThan(most(image))
        if (report === undefined) return expect(copy.key.length).toBe(0)
        expect(copy.secret_key.length).toBe(withSecretKey ? 64 : 0)
        // A copy is sound: its own copy is the same.
        const restored = yield* copyOf(to)
        expect(restored.report).toEqual({ ...report, damaged: 0, cleared: 0 })
        const feed = orTyped("open", yield* Effect.exit(openOn(restored.to)))
        if (feed === undefined) return
        expect(yield* feed.audit()).toEqual({ valid: report.blocks, invalid: 0 })
        yield* expectRead(feed)
        yield* expectSignedOnce(feed, given)
      })
    )
)

export const directories: ReadonlyArray<AnyTarget> = [files, repairs, backups]
