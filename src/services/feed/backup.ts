/**
 * backup: a consistent copy of a feed, also while another process writes to it. What is copied is the log as it is when the copy begins:
 * below its end nothing changes any more, but for blocks that are cleared meanwhile.
 *
 *     source   opened read-only: the log that is signed, and the bits of that moment
 *     copied   blocks (each compared with its leaf), nodes that are held, signatures, then bits
 *     checked  by `repair` of the copy: from its signature down to every block; then it has its key, and is a feed
 */
import { Effect } from "effect"
import { Bitfield } from "../../domain/Bitfield.js"
import { equals, isBlank } from "../../domain/Bytes.js"
import * as Change from "../../domain/Change.js"
import { NotWritable, OpenRefused, type StorageError } from "../../domain/Errors.js"
import { FEED_PATH_RULE, isFeedPath } from "../../domain/FeedPath.js"
import * as FlatTree from "../../domain/FlatTree.js"
import type { Position } from "../../domain/FlatTree.js"
import * as Hash from "../../domain/Hash.js"
import { ENTRY_SIZE } from "../../domain/Node.js"
import * as Sleep from "../../domain/Sleep.js"
import { Crypto } from "../Crypto.js"
import { Storage, type StorageService } from "../Storage.js"
import { commit } from "./commit.js"
import type { FeedCore } from "./FeedCore.js"
import { hashAhead } from "./hashAhead.js"
import { identify } from "./identify.js"
import { makeCore, openCore } from "./open.js"
import { extentOf, type Run, readRun } from "./readBlocks.js"
import { readEntries } from "./readNodes.js"
import { refresh } from "./refresh.js"
import { type RepairError, type RepairReport, repair } from "./repair.js"
import { findSecretKey } from "./repairKeys.js"

export interface BackupOptions {
  /** Where the feed is in the storage that the effect is run with. Default: its root. */
  readonly path?: string
  /** The feed's key, where it is not stored. */
  readonly key?: Uint8Array
  /** The storage that the copy is made in. */
  readonly to: StorageService
  /** Where in there: no feed may be there. Default: its root. */
  readonly toPath?: string
  /**
   * Copy the secret key too. Whoever opens such a copy can write to it, from where it ends: if the feed has gone on meanwhile, that signs a
   * second history, and both are worthless. Default false.
   */
  readonly withSecretKey?: boolean
  /** Run after each stretch of some thousand blocks. */
  readonly onProgress?: (progress: BackupProgress) => Effect.Effect<void>
}

/** `copied` blocks of the `held` that there are to copy. */
export interface BackupProgress {
  readonly copied: number
  readonly held: number
}

export interface BackupReport {
  readonly key: Uint8Array
  /** Blocks, and bytes, in the log that the copy has. */
  readonly length: number
  readonly byteLength: number
  /** Blocks that the copy holds, and has been compared with its signature. */
  readonly blocks: number
  /** Blocks that were marked as held, but do not match the signed tree or cannot be proven: they are not in the copy. */
  readonly damaged: number
  /** Blocks that were cleared while the copy was made: they are not in it either. */
  readonly cleared: number
}

export type BackupError = RepairError | NotWritable

/** Copies the feed at a path into another storage, and verifies the copy. What an interrupted one leaves has no key, and is no feed. */
export const backup = (options: BackupOptions): Effect.Effect<BackupReport, BackupError, Crypto | Storage> =>
  Effect.gen(function* () {
    const crypto = yield* Crypto
    const source = yield* openCore({
      readOnly: true,
      sparse: true,
      ...(options.path !== undefined && { path: options.path }),
      ...(options.key !== undefined && { key: options.key })
    })
    const secretKey = options.withSecretKey === true ? yield* readSecretKey(source) : undefined
    const { byteLength, length } = source.tip
    const copied = yield* Effect.scoped(copyInto(source, options))
    const repaired = yield* repair({ key: source.key, ...at(options) }).pipe(
      Effect.provideService(Storage, options.to),
      Effect.provideService(Crypto, crypto)
    )
    if (secretKey !== undefined) yield* Effect.scoped(storeSecretKey(secretKey, options))
    return {
      key: Uint8Array.from(source.key),
      length,
      byteLength,
      blocks: heldIn(repaired),
      damaged: copied.damaged + repaired.blocks.dropped,
      cleared: copied.cleared
    }
  }).pipe(Effect.scoped)

const heldIn = ({ blocks }: RepairReport): number => blocks.kept + blocks.found

const at = ({ toPath }: BackupOptions) => (toPath === undefined ? {} : { path: toPath })

const openTarget = ({ to, toPath = "" }: BackupOptions) =>
  isFeedPath(toPath)
    ? to.open(toPath)
    : Effect.fail(new OpenRefused({ reason: "bad-path", detail: FEED_PATH_RULE }))

const readSecretKey = ({ crypto, files, key }: FeedCore) =>
  Effect.gen(function* () {
    const [stored] = yield* files.read([{ file: "secret_key", offset: 0, length: Sleep.SECRET_KEY_SIZE + 1 }])
    const found = yield* findSecretKey(crypto, key, stored!, undefined)
    return found.secretKey ?? (yield* new NotWritable({ reason: "no-secret-key" }))
  })

/** Last of all: there is nobody who could write to half a copy. */
const storeSecretKey = (secretKey: Uint8Array, options: BackupOptions) =>
  Effect.gen(function* () {
    const files = yield* openTarget(options)
    yield* files.lock
    yield* files.write([{ file: "secret_key", offset: 0, parts: [secretKey] }])
    yield* files.sync(["secret_key"])
  })

interface Copied {
  readonly damaged: number
  readonly cleared: number
}

/** A copy under way: `bits` are those of the moment when it began, without the blocks that did not come. */
interface Copying {
  readonly source: FeedCore
  readonly target: FeedCore
  readonly bits: Bitfield
  readonly length: number
}

const copyInto = (source: FeedCore, options: BackupOptions) =>
  Effect.gen(function* () {
    const { crypto, lifetime, scope } = source
    const files = yield* openTarget(options)
    const asked = { key: source.key, openExisting: false, storeSecretKey: false }
    yield* identify(files, crypto, asked)
    yield* files.lock
    yield* identify(files, crypto, asked)
    const bits = new Bitfield(source.bitfield.pages.copy())
    const target = yield* makeCore(
      { options: {}, files, crypto, lifetime, scope },
      { publicKey: source.key, secretKey: undefined },
      new Bitfield()
    )
    const { length } = source.tip
    const copying: Copying = { source, target, bits, length }
    yield* commit(target, { ...Change.none, writes: [...headers(source), ...claim(source)] })
    yield* copyTree(copying)
    yield* copySignatures(copying)
    const lost = yield* copyBlocks(copying, options)
    yield* commit(target, { ...Change.none, writes: pages(bits) })
    yield* files.sync(Sleep.FILES)
    return yield* judge(source, lost)
  })

const pages = (bits: Bitfield): Array<Change.Write> =>
  bits.pages.dirty().map(({ bytes, offset }) => ({
    file: "bitfield",
    offset: Sleep.HEADER_SIZE + offset,
    parts: [bytes]
  }))

const headers = ({ bitfield }: FeedCore): Array<Change.Write> => {
  const sizes = { signatures: Sleep.SIGNATURE_SIZE, tree: ENTRY_SIZE, bitfield: bitfield.pages.pageSize }
  return (["signatures", "tree", "bitfield"] as const).map((file) => ({
    file,
    offset: 0,
    parts: [Sleep.header(file, sizes[file])]
  }))
}

/** That a longer log was signed than is stored stays known: whoever gets the secret key must not write on from here. */
const claim = ({ claimedLength, tip }: FeedCore): Array<Change.Write> =>
  claimedLength > tip.length
    ? [Change.signatureWrite(claimedLength, new Uint8Array(Sleep.SIGNATURE_SIZE))]
    : []

const PIECE_ENTRIES = 4096

/** Its entries but for those that reach past its end: the remains of a write that was cut off, or a later log's. */
const copyTree = ({ length, source, target }: Copying): Effect.Effect<void, StorageError> =>
  Effect.gen(function* () {
    const end = 2 * length - 1
    for (let first = 0; first < end; first += PIECE_ENTRIES) {
      const last = Math.min(end, first + PIECE_ENTRIES) - 1
      const entries = yield* readEntries(source.files, first as Position, last as Position)
      for (let position = first; position <= last; position++) {
        if (FlatTree.endBlock(position as Position) <= length) continue
        const start = ENTRY_SIZE * (position - first)
        entries.fill(0, start, start + ENTRY_SIZE)
      }
      // A sparse feed's tree is mostly holes.
      if (!isBlank(entries)) {
        const offset = Sleep.nodeOffset(first as Position)
        yield* commit(target, { ...Change.none, writes: [{ file: "tree", offset, parts: [entries] }] })
      }
      yield* Effect.yieldNow()
    }
  })

const copySignatures = ({ length, source, target }: Copying): Effect.Effect<void, StorageError> =>
  Effect.gen(function* () {
    for (let first = 0; first < length; first += PIECE_ENTRIES) {
      const count = Math.min(length - first, PIECE_ENTRIES)
      const range = {
        file: "signatures" as const,
        offset: Sleep.signatureOffset(first),
        length: Sleep.SIGNATURE_SIZE * count
      }
      const [bytes] = yield* source.files.read([range])
      if (!isBlank(bytes!)) {
        yield* commit(target, { ...Change.none, writes: [{ ...range, parts: [bytes!] }] })
      }
      yield* Effect.yieldNow()
    }
  })

const STRETCH_BLOCKS = 2048
const STRETCH_BYTES = 2 * 1024 * 1024

/** Answers which blocks did not come: they are not held in the copy. */
const copyBlocks = ({ bits, length, source, target }: Copying, { onProgress }: BackupOptions) =>
  Effect.gen(function* () {
    const held = bits.count(0, length)
    const lost = new Bitfield()
    let copied = 0
    for (let start = 0; (start = bits.nextHeld(start, length)) < length;) {
      const end = bits.nextMissing(start, Math.min(length, start + STRETCH_BLOCKS))
      const good = yield* readMatching(source, start, end)
      if (good.blocks.length > 0) {
        const writes = [{ file: "data" as const, offset: good.offset, parts: good.blocks }]
        yield* commit(target, { ...Change.none, writes })
        copied += good.blocks.length
        start += good.blocks.length
      } else {
        bits.setHave(start, start + 1, false)
        lost.setHave(start, start + 1, true)
        start++
      }
      if (onProgress !== undefined) yield* onProgress({ copied, held })
      yield* Effect.yieldNow()
    }
    return lost
  })

/** Tells blocks that whoever writes to the feed has cleared since the copy began from those that are damaged. */
const judge = (source: FeedCore, lost: Bitfield): Effect.Effect<Copied> =>
  Effect.gen(function* () {
    const all = lost.count(0, source.tip.length)
    if (all === 0) return { cleared: 0, damaged: 0 }
    yield* Effect.ignore(refresh(source))
    let damaged = 0
    const { length } = source.tip
    for (let block = -1; (block = lost.nextHeld(block + 1, length)) < length;) {
      if (source.bitfield.has(block)) damaged++
    }
    return { cleared: all - damaged, damaged }
  })

/** Blocks from `start` on that match their leaves, up to the first that does not; and where they lie. */
const readMatching = (source: FeedCore, start: number, end: number) =>
  Effect.gen(function* () {
    const run = yield* readAsStored(source, start, end)
    const offset = (yield* extentOf(source, start))?.offset ?? 0
    const ahead = hashAhead(source.crypto, run.blocks)
    const blake2b = ahead === undefined ? source.crypto.blake2b256 : yield* ahead
    let count = 0
    while (
      count < run.blocks.length &&
      run.blocks[count]!.length === run.sizes[count] &&
      equals(Hash.leafHash(blake2b, run.blocks[count]!), run.hashes[count]!)
    ) {
      count++
    }
    return { blocks: run.blocks.slice(0, count), offset }
  })

const nothing = (start: number): Run => ({ start, sizes: [], blocks: [], hashes: [] })

const readAsStored = (source: FeedCore, start: number, end: number): Effect.Effect<Run, StorageError> =>
  Effect.catchTag(readRun(source, start, end, STRETCH_BYTES), "CorruptStorage", () =>
    // A missing leaf further on fails the whole stretch: shorten it to the one block.
    end - start === 1 ? Effect.succeed(nothing(start)) : readAsStored(source, start, start + 1)
  )
