/** A feed's six files as byte arrays: taken from a storage, cut, mixed, planted into a fresh one and opened. */
import { Effect, type Scope } from "effect"
import {
  CorruptStorage,
  Crypto,
  CryptoNoble,
  Feed,
  type FileName,
  Storage,
  StorageMemory,
  type StorageService,
  toHex
} from "../../src/index.js"
import { CryptoSodium } from "../../src/node.js"
import { FILES } from "../../src/domain/Sleep.js"

export type Image = Readonly<Record<FileName, Uint8Array>>

/** The files of a feed as they are now. */
export const takeImage = (storage: StorageService): Effect.Effect<Image> =>
  Effect.scoped(
    Effect.gen(function* () {
      const files = yield* storage.open("")
      const image = {} as Record<FileName, Uint8Array>
      for (const file of FILES) {
        const [bytes] = yield* files.read([{ file, offset: 0, length: yield* files.size(file) }])
        image[file] = bytes!
      }
      return image
    })
  ).pipe(Effect.orDie)

/** A fresh storage that holds the files. */
export const plant = (image: Image): Effect.Effect<StorageService> =>
  Effect.gen(function* () {
    const storage = yield* StorageMemory.make
    const files = yield* storage.open("")
    yield* files.lock
    for (const file of FILES) {
      if (image[file].length > 0) yield* files.write([{ file, offset: 0, parts: [image[file]] }])
    }
    return storage
  }).pipe(Effect.scoped, Effect.orDie)

/** The fast one where there is one: these tests verify thousands of signatures. */
export const crypto = await Effect.runPromise(
  Effect.orElseSucceed(CryptoSodium.make, () => CryptoNoble.service)
)

export const openOn = (
  storage: StorageService,
  options: Feed.OpenOptions = {}
): Effect.Effect<Feed.Feed, Feed.OpenError, Scope.Scope> =>
  Feed.open(options).pipe(Effect.provideService(Storage, storage), Effect.provideService(Crypto, crypto))

/** What is known of a log from its whole history: block i, and the only signature ever made for each length. */
export interface History {
  readonly blocks: ReadonlyArray<Uint8Array>
  readonly signatures: ReadonlyMap<number, string>
}

/** Every non-blank signature of an image, by the length it signs. */
export const signaturesIn = (image: Image): Map<number, string> => {
  const found = new Map<number, string>()
  for (let at = 32, length = 1; at + 64 <= image.signatures.length; at += 64, length++) {
    const entry = image.signatures.subarray(at, at + 64)
    if (entry.some((byte) => byte !== 0)) found.set(length, toHex(entry))
  }
  return found
}

export type Outcome =
  | { readonly _tag: "Refused"; readonly error: CorruptStorage }
  | { readonly _tag: "Opened"; readonly length: number; readonly held: ReadonlyArray<number> }

/** What else must succeed for a block that is held. */
export type CheckBlock = (feed: Feed.Feed, index: number) => Effect.Effect<unknown, unknown>

const problem = (detail: string) => Effect.die(new Error(detail))

/**
 * Opens an image and holds what comes of it to the promises: it opens with every held block reading as history has it and
 * its signature verifying, or is refused as corrupt; and if something can be appended, then only past every length that was ever signed.
 */
export const judge = (
  image: Image,
  history: History,
  options: Feed.OpenOptions = {},
  also: CheckBlock = () => Effect.void
): Effect.Effect<Outcome> =>
  Effect.gen(function* () {
    const storage = yield* plant(image)
    const opened = yield* Effect.either(openOn(storage, options))
    if (opened._tag === "Left") {
      if (opened.left._tag !== "CorruptStorage") return yield* Effect.die(opened.left)
      return { _tag: "Refused", error: opened.left } as const
    }
    const feed = opened.right
    const held = yield* checkHeld(feed, history, also)
    const { length } = feed
    if (length > 0) {
      const { index, signature } = yield* Effect.orDie(feed.signature())
      if (index !== length - 1) yield* problem(`the last signature is for block ${index} of ${length}`)
      yield* Effect.orDie(feed.verify(index, signature))
    }
    if (feed.writable) yield* checkAppend(feed, history)
    yield* Effect.orDie(feed.close)
    yield* checkReopen(storage, options, length)
    return { _tag: "Opened", length, held } as const
  }).pipe(Effect.scoped)

const checkHeld = (feed: Feed.Feed, history: History, also: CheckBlock) =>
  Effect.gen(function* () {
    const held: Array<number> = []
    if (feed.length > history.blocks.length) yield* problem(`length ${feed.length} was never reached`)
    for (let index = 0; index < feed.length; index++) {
      if (!(yield* feed.has(index))) continue
      const block = yield* feed.get(index)
      if (toHex(block) !== toHex(history.blocks[index]!))
        yield* problem(`block ${index} reads as other bytes`)
      yield* also(feed, index)
      held.push(index)
    }
    return held
  }).pipe(Effect.orDie)

const checkAppend = (feed: Feed.Feed, history: History) =>
  Effect.gen(function* () {
    yield* feed.append(new TextEncoder().encode("a block that history does not have"))
    const { signature } = yield* feed.signature()
    const before = history.signatures.get(feed.length)
    if (before !== undefined && before !== toHex(signature)) {
      yield* problem(`length ${feed.length} was signed a second time`)
    }
    const longest = Math.max(0, ...history.signatures.keys())
    if (feed.length <= longest) yield* problem(`wrote at ${feed.length - 1}, though ${longest} were signed`)
  }).pipe(Effect.orDie)

/** What was recovered is settled: opening once more finds nothing to do and the same log. */
const checkReopen = (storage: StorageService, options: Feed.OpenOptions, atLeast: number) =>
  Effect.gen(function* () {
    const before = yield* takeImage(storage)
    const feed = yield* openOn(storage, options)
    if (feed.length < atLeast) yield* problem(`reopened at ${feed.length} after ${atLeast}`)
    const report = yield* feed.audit()
    if (report.invalid > 0) yield* problem(`${report.invalid} held blocks do not match the tree`)
    yield* feed.close
    const after = yield* takeImage(storage)
    for (const file of FILES) {
      if (toHex(before[file]) !== toHex(after[file])) yield* problem(`reopening changed ${file} again`)
    }
  }).pipe(Effect.scoped, Effect.orDie)
