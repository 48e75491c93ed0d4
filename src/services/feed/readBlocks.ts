/** Reading held blocks: from the tree's sizes to byte extents, then one read of `data`. */
import { Effect, Either } from "effect"
import { MAX_BLOCK_SIZE } from "../../domain/Append.js"
import { arrays, LARGE } from "../../domain/ArrayPool.js"
import { empty, equals, isBlank, readUint64 } from "../../domain/Bytes.js"
import { CorruptStorage, type StorageError } from "../../domain/Errors.js"
import * as FlatTree from "../../domain/FlatTree.js"
import * as Hash from "../../domain/Hash.js"
import { ENTRY_SIZE, HASH_SIZE } from "../../domain/Node.js"
import type { Extent, KnownSizes } from "../../domain/Offsets.js"
import type { Read } from "../Storage.js"
import type { FeedCore } from "./FeedCore.js"
import { readEntries, readNodes } from "./readNodes.js"

/** Where block `index` lies in `data`; `undefined` when nodes on the way are not stored. */
export const extentOf = (
  core: FeedCore,
  index: number,
  known?: KnownSizes
): Effect.Effect<Extent | undefined, StorageError> => {
  const cached = core.offsets.cached(index)
  if (cached !== undefined) return Effect.succeed(cached)
  const plan = core.offsets.plan(index, known)
  return Effect.map(core.files.read(plan.ranges), (read) => core.offsets.finish(plan, read, known))
}

/**
 * A range of `data`, as storage reads it, but nothing of one that is larger than a block and does not lie in the file whole: it comes from
 * a damaged size, and what is there of it may be all the memory there is.
 */
export const readData = (
  core: FeedCore,
  offset: number,
  length: number
): Effect.Effect<ReadonlyArray<Uint8Array>, StorageError> => {
  const end = offset + length
  if (!Number.isSafeInteger(end)) return Effect.succeed([empty])
  const read = core.files.read([{ file: "data", offset, length }])
  if (length <= MAX_BLOCK_SIZE) return read
  return Effect.flatMap(core.files.size("data"), (size) => (end <= size ? read : Effect.succeed([empty])))
}

const corrupt = (file: string, detail: string) => Effect.fail(new CorruptStorage({ file, detail }))

/** The bytes of a held block; what `gone` answers when it is cleared while it is read. */
export const readBlock = <E>(
  core: FeedCore,
  index: number,
  gone: () => Effect.Effect<Uint8Array, E>
): Effect.Effect<Uint8Array, StorageError | CorruptStorage | E> =>
  Effect.flatMap(
    extentOf(core, index),
    (extent): Effect.Effect<Uint8Array, StorageError | CorruptStorage | E> => {
      if (extent?.size === undefined)
        return corrupt("tree", `the nodes that locate block ${index} are missing`)
      const { offset, size } = extent
      if (size === 0) return Effect.succeed(new Uint8Array(0))
      return Effect.flatMap(readData(core, offset, size), ([block]) =>
        isPlausible(block!, size) ? Effect.succeed(block!) : checkRead(core, index, block!, gone)
      )
    }
  )

const lost = (index: number) =>
  corrupt("data", `block ${index} is marked as held, but its bytes are lost; an audit clears it`)

const isPlausible = (block: Uint8Array, size: number): boolean =>
  block.length === size && size > 0 && (block[0] !== 0 || !isBlank(block))

/**
 * A block that reads short or as zeros may be a hole: bytes that a crash lost, or that were freed while the bitfield that says
 * so was lost. Its hash tells. Other blocks are not hashed again at each read, which would cost more than the read: `audit` does.
 */
const checkRead = <E>(
  core: FeedCore,
  index: number,
  block: Uint8Array,
  gone: () => Effect.Effect<Uint8Array, E>
): Effect.Effect<Uint8Array, StorageError | CorruptStorage | E> =>
  Effect.flatMap(
    readNodes(core.files, [FlatTree.leaf(index)]),
    ([leaf]): Effect.Effect<Uint8Array, CorruptStorage | E> => {
      const isSound = leaf !== undefined && equals(leaf.hash, Hash.leafHash(core.crypto.blake2b256, block))
      if (isSound) return Effect.succeed(block)
      return core.bitfield.has(index) ? lost(index) : gone()
    }
  )

/** Consecutive blocks, with the sizes and hashes that the tree has for them. */
export interface Run {
  readonly start: number
  readonly sizes: ReadonlyArray<number>
  readonly blocks: ReadonlyArray<Uint8Array>
  readonly hashes: ReadonlyArray<Uint8Array>
}

/** How blocks are read: all as views of one array; or, where all are large, each in an array of its own, or of the pool. */
export type Arrays = "together" | "apart" | "pooled"

/**
 * Reads held blocks from `start` on, not past `end`, as many as fit in `bytes` (at least one), in one read of `tree` and
 * one of `data`. Blocks that cannot be read whole come back short.
 */
export const readRun = (
  core: FeedCore,
  start: number,
  end: number,
  bytes: number,
  how: Arrays = "together"
): Effect.Effect<Run, StorageError | CorruptStorage> =>
  Effect.gen(function* () {
    const extent = yield* extentOf(core, start)
    if (extent?.size === undefined) {
      return yield* corrupt("tree", `the nodes that locate block ${start} are missing`)
    }
    const entries = yield* readEntries(core.files, FlatTree.leaf(start), FlatTree.leaf(end - 1))
    const sizes = yield* leafSizes(entries, start, end, bytes)
    const hashes = hashesOf(sizes, entries)
    if (how !== "together" && sizes.every((size) => size >= LARGE && size <= MAX_BLOCK_SIZE)) {
      const blocks = yield* readApart(core, extent.offset, sizes, how === "pooled")
      return { start, sizes, blocks, hashes }
    }
    const total = sizes.reduce((sum, size) => sum + size, 0)
    const [data] = yield* readData(core, extent.offset, total)
    return { start, sizes, blocks: cut(sizes, data!), hashes }
  })

const readApart = (core: FeedCore, start: number, sizes: ReadonlyArray<number>, isPooled: boolean) => {
  let offset = start
  const ranges = sizes.map((length): Read => {
    const into = isPooled ? arrays.take(length) : undefined
    const range = { file: "data", offset, length, into } as const
    offset += length
    return range
  })
  return Effect.map(core.files.read(ranges), (read) => {
    for (const [i, { into }] of ranges.entries()) {
      if (into !== undefined && read[i]!.buffer !== into.buffer) arrays.give(into)
    }
    return read
  })
}

/** Sizes of the blocks from `start` on, by their leaves in `entries`, until `bytes` are reached. */
const leafSizes = (
  entries: Uint8Array,
  start: number,
  end: number,
  bytes: number
): Either.Either<Array<number>, CorruptStorage> => {
  const sizes: Array<number> = []
  let total = 0
  for (let i = 0; i < end - start; i++) {
    const entry = 2 * ENTRY_SIZE * i
    const size = entry + ENTRY_SIZE <= entries.length ? readUint64(entries, entry + HASH_SIZE) : Number.NaN
    if (Number.isNaN(size)) {
      return Either.left(
        new CorruptStorage({ file: "tree", detail: `the leaf of block ${start + i} is missing` })
      )
    }
    if (sizes.length > 0 && total + size > bytes) break
    sizes.push(size)
    total += size
  }
  return Either.right(sizes)
}

const cut = (sizes: ReadonlyArray<number>, data: Uint8Array): ReadonlyArray<Uint8Array> => {
  let offset = 0
  return sizes.map((size) => data.subarray(offset, (offset += size)))
}

const hashesOf = (sizes: ReadonlyArray<number>, entries: Uint8Array): ReadonlyArray<Uint8Array> =>
  sizes.map((_, i) => entries.subarray(2 * ENTRY_SIZE * i, 2 * ENTRY_SIZE * i + HASH_SIZE))

/** Whether block `i` of a run is what `readBlock` would give. */
const isSound = (core: FeedCore, run: Run, i: number): boolean =>
  isPlausible(run.blocks[i]!, run.sizes[i]!) ||
  equals(run.hashes[i]!, Hash.leafHash(core.crypto.blake2b256, run.blocks[i]!))

/** Checks the blocks of a run as `readBlock` checks its one. */
export const checkRun = (
  core: FeedCore,
  run: Run
): Effect.Effect<ReadonlyArray<Uint8Array>, StorageError | CorruptStorage> => {
  for (let i = 0; i < run.blocks.length; i++) if (!isSound(core, run, i)) return lost(run.start + i)
  return Effect.succeed(run.blocks)
}

/** As `readRun`, checked; ends before a block that is cleared while it is read, be it the first. */
export const readHeld = (
  core: FeedCore,
  start: number,
  end: number,
  bytes: number
): Effect.Effect<ReadonlyArray<Uint8Array>, StorageError | CorruptStorage> =>
  Effect.flatMap(readRun(core, start, end, bytes), (run) => {
    for (let i = 0; i < run.blocks.length; i++) {
      if (isSound(core, run, i)) continue
      return core.bitfield.has(start + i) ? lost(start + i) : Effect.succeed(run.blocks.slice(0, i))
    }
    return Effect.succeed(run.blocks)
  })
