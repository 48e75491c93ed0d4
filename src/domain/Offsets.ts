/**
 * From block to bytes: the byte offset of block `i` is the sum of the sizes of `fullRoots(2 i)`.
 *
 * The subtree over an aligned region of 32 blocks is one run of `tree`, so one read of 2.5 KB answers for the lower levels;
 * a region that is known whole is remembered (`RegionCache`). The levels above are few enough, one node for 32 blocks, to
 * remember all: `sizes` holds them in chunks, at most 2 MB, oldest forgotten first.
 *
 * Only nodes that are held count: what a crash left in `tree` beyond them is not part of the log. Held nodes never change,
 * so nothing remembered is ever wrong.
 */
import { readUint64 } from "./Bytes.js"
import * as FlatTree from "./FlatTree.js"
import type { Position } from "./FlatTree.js"
import { ENTRY_SIZE, HASH_SIZE, decode } from "./Node.js"
import { REGION_BLOCKS, RegionCache } from "./RegionCache.js"
import * as Sleep from "./Sleep.js"
import type { HeldNodes } from "./TreeIndex.js"

const REGION = REGION_BLOCKS
const CHUNK = 512
const MAX_CHUNKS = 512
/** A region of larger blocks (no frame carries them) is not remembered: its ends would not fit in 32 bits. */
const MAX_REMEMBERED = 8 * 1024 * 1024

/** Sizes known from elsewhere than the `tree` file, such as a proof that is not stored yet. */
export type KnownSizes = (position: Position) => number | undefined

const nothingKnown: KnownSizes = () => undefined

/** Where block `block` lies, in bytes of `data`; `size` is `undefined` when its leaf is not known. */
export interface Extent {
  readonly offset: number
  readonly size: number | undefined
}

/** The byte ranges of `tree` that `finish` needs. */
export interface Plan {
  readonly block: number
  /** Sizes of the upper roots, left to right; `undefined` for those of `missing`, in the same order. */
  readonly uppers: ReadonlyArray<number | undefined>
  readonly missing: ReadonlyArray<Position>
  readonly ranges: ReadonlyArray<{ readonly file: "tree"; readonly offset: number; readonly length: number }>
}

export class Offsets {
  readonly #sizes = new Map<number, Float64Array>()
  readonly #regions = new RegionCache()

  constructor(readonly held: HeldNodes) {}

  /** The extent of `block`, if it can be told without reading anything. */
  cached(block: number): { readonly offset: number; readonly size: number } | undefined {
    return this.#regions.find(block)
  }

  /** The leaf of `block` is about to be corrected: what was remembered of its region may be wrong. */
  forget(block: number): void {
    this.#regions.drop(block)
  }

  /** What to read before `finish` can tell the extent of `block`. */
  plan(block: number, known: KnownSizes = nothingKnown): Plan {
    const region = Math.floor(block / REGION)
    const missing: Array<Position> = []
    const uppers = FlatTree.fullRoots(region).map((upper) => {
      const position = ((upper + 1) * REGION - 1) as Position
      const size = known(position) ?? this.#size(upper)
      if (size === undefined) missing.push(position)
      return size
    })
    const ranges = missing.map((position) => ({
      file: "tree" as const,
      offset: Sleep.nodeOffset(position),
      length: ENTRY_SIZE
    }))
    const first = FlatTree.leaf(region * REGION)
    const length = ENTRY_SIZE * (2 * REGION - 1)
    ranges.push({ file: "tree", offset: Sleep.nodeOffset(first), length })
    return { block, uppers, missing, ranges }
  }

  /** The extent, from what was read for the plan; `undefined` when a node on the way is not there. */
  finish(plan: Plan, read: ReadonlyArray<Uint8Array>, known: KnownSizes = nothingKnown): Extent | undefined {
    let offset = 0
    let nextMissing = 0
    for (const upper of plan.uppers) {
      let size = upper
      if (size === undefined) {
        const position = plan.missing[nextMissing]!
        const node = decode(position, read[nextMissing++]!)
        if (node === undefined || !this.held.hasNode(position)) return undefined
        size = node.size
        this.remember(position, size)
      }
      offset += size
    }
    const region = Math.floor(plan.block / REGION)
    const first = FlatTree.leaf(region * REGION)
    const entries = read[plan.missing.length]!
    const sizeAt = (position: Position) =>
      known(position) ?? (this.held.hasNode(position) ? sizeIn(entries, position - first) : undefined)
    const sizes = wholeRegion(first, sizeAt)
    if (sizes !== undefined) this.#regions.add(region, offset, sizes)
    return within(offset, plan.block, first, sizeAt)
  }

  /** Notes the size of a node of the verified log, if it is one that is remembered. */
  remember(position: Position, size: number): void {
    const upper = (position + 1) / REGION - 1
    if (!Number.isInteger(upper) || upper < 0) return
    const number = Math.floor(upper / CHUNK)
    let chunk = this.#sizes.get(number)
    if (chunk === undefined) {
      chunk = new Float64Array(CHUNK).fill(Number.NaN)
      if (this.#sizes.size >= MAX_CHUNKS) this.#sizes.delete(this.#sizes.keys().next().value!)
      this.#sizes.set(number, chunk)
    }
    chunk[upper % CHUNK] = size
  }

  #size(upper: number): number | undefined {
    const size = this.#sizes.get(Math.floor(upper / CHUNK))?.[upper % CHUNK]
    return size === undefined || Number.isNaN(size) ? undefined : size
  }
}

/** The sizes of the blocks of the region whose first leaf is `first`, when all its leaves are known and as small as blocks are. */
const wholeRegion = (first: Position, sizeAt: KnownSizes): ReadonlyArray<number> | undefined => {
  const sizes: Array<number> = []
  for (let leaf = 0; leaf < REGION; leaf++) {
    const size = sizeAt((first + 2 * leaf) as Position)
    if (size === undefined || size > MAX_REMEMBERED) return undefined
    sizes.push(size)
  }
  return sizes
}

/** Adds the part of the way that lies inside the block's region. */
const within = (
  regionOffset: number,
  block: number,
  first: Position,
  sizeAt: KnownSizes
): Extent | undefined => {
  let offset = regionOffset
  for (const local of FlatTree.fullRoots(block % REGION)) {
    const size = sizeAt((first + local) as Position)
    if (size === undefined) return undefined
    offset += size
  }
  return { offset, size: sizeAt(FlatTree.leaf(block)) }
}

/** The size in entry number `at`; `undefined` when it is blank or was not read. */
const sizeIn = (entries: Uint8Array, at: number): number | undefined => {
  const start = ENTRY_SIZE * at
  if (start + ENTRY_SIZE > entries.length) return undefined
  const size = readUint64(entries, start + HASH_SIZE)
  if (size > 0) return size
  // An empty block's leaf, or a node over empty blocks, has size 0 but a hash.
  for (let i = start; i < start + HASH_SIZE; i++) if (entries[i] !== 0) return size === 0 ? 0 : undefined
  return undefined
}
