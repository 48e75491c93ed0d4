/**
 * From block to bytes: the byte offset of block `i` is the sum of the sizes of `fullRoots(2 i)`.
 *
 * The subtree over an aligned region of 64 blocks is one run of `tree`, so one read of at most 5 KB answers for the
 * lower levels. The levels above are few enough (one node for 64 blocks) to remember: `sizes` holds them in chunks,
 * at most 2 MB, oldest forgotten first. Nodes of a verified log never change, so nothing here is ever invalid.
 */
import { readUint64 } from "./Bytes.js"
import * as FlatTree from "./FlatTree.js"
import type { Position } from "./FlatTree.js"
import { ENTRY_SIZE, HASH_SIZE, decode } from "./Node.js"
import * as Sleep from "./Sleep.js"

const REGION = 64
const CHUNK = 512
const MAX_CHUNKS = 512

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
  readonly missing: ReadonlyArray<Position>
  readonly ranges: ReadonlyArray<{ readonly file: "tree"; readonly offset: number; readonly length: number }>
}

export class Offsets {
  readonly #sizes = new Map<number, Float64Array>()

  /** What to read before `finish` can tell the extent of `block`. */
  plan(block: number, known: KnownSizes = nothingKnown): Plan {
    const region = Math.floor(block / REGION)
    const missing: Array<Position> = []
    for (const upper of FlatTree.fullRoots(region)) {
      const position = ((upper + 1) * REGION - 1) as Position
      if (this.#size(upper) === undefined && known(position) === undefined) missing.push(position)
    }
    const ranges = missing.map((position) => ({
      file: "tree" as const,
      offset: Sleep.nodeOffset(position),
      length: ENTRY_SIZE
    }))
    const first = FlatTree.leaf(region * REGION)
    const length = ENTRY_SIZE * (FlatTree.leaf(block) - first + 1)
    ranges.push({ file: "tree", offset: Sleep.nodeOffset(first), length })
    return { block, missing, ranges }
  }

  /** The extent, from what was read for the plan; `undefined` when a node on the way is not there. */
  finish(plan: Plan, read: ReadonlyArray<Uint8Array>, known: KnownSizes = nothingKnown): Extent | undefined {
    const sizes = new Map<Position, number>()
    for (let i = 0; i < plan.missing.length; i++) {
      const position = plan.missing[i]!
      const node = decode(position, read[i]!)
      if (node === undefined) return undefined
      sizes.set(position, node.size)
      this.remember(position, node.size)
    }
    const region = Math.floor(plan.block / REGION)
    let offset = 0
    for (const upper of FlatTree.fullRoots(region)) {
      const position = ((upper + 1) * REGION - 1) as Position
      const size = known(position) ?? sizes.get(position) ?? this.#size(upper)
      if (size === undefined) return undefined
      offset += size
    }
    return within(offset, plan.block, region, read[plan.missing.length]!, known)
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

/** Adds the part of the way that lies inside the block's region, whose `tree` entries are `entries`. */
const within = (
  regionOffset: number,
  block: number,
  region: number,
  entries: Uint8Array,
  known: KnownSizes
): Extent | undefined => {
  const first = FlatTree.leaf(region * REGION)
  let offset = regionOffset
  for (const local of FlatTree.fullRoots(block - region * REGION)) {
    const size = known((first + local) as Position) ?? sizeIn(entries, local)
    if (size === undefined) return undefined
    offset += size
  }
  const leaf = FlatTree.leaf(block)
  return { offset, size: known(leaf) ?? sizeIn(entries, leaf - first) }
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
