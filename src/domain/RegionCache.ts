/**
 * Where blocks lie, remembered for regions of 32 consecutive blocks that are known whole: 4 bytes a block and 16 a region.
 *
 * A direct-mapped table that starts small and doubles while regions push each other out, up to `MAX_SLOTS`: a feed that
 * is hardly read takes a few kilobytes, one of 250,000 blocks or more about 1.2 MB.
 */

export const REGION_BLOCKS = 32

const FIRST_SLOTS = 32
const MAX_SLOTS = 8192

export class RegionCache {
  #slots = 0
  /** The region in each slot, plus one; 0 for none. */
  #regions = new Float64Array(0)
  #bases = new Float64Array(0)
  /** For each block of the region, where it ends, in bytes from the region's start. A region has at most 32 x 8 MB. */
  #ends = new Uint32Array(0)

  /** Byte offset and size of a block, if its region is remembered. */
  find(block: number): { readonly offset: number; readonly size: number } | undefined {
    const inRegion = block % REGION_BLOCKS
    const region = (block - inRegion) / REGION_BLOCKS
    const slot = region % this.#slots
    if (this.#regions[slot] !== region + 1) return undefined
    const end = this.#ends[slot * REGION_BLOCKS + inRegion]!
    const start = inRegion === 0 ? 0 : this.#ends[slot * REGION_BLOCKS + inRegion - 1]!
    return { offset: this.#bases[slot]! + start, size: end - start }
  }

  /** Remembers a region that starts at byte `base`, by the sizes of its 32 blocks. */
  add(region: number, base: number, sizes: ReadonlyArray<number>): void {
    const taken = this.#slots > 0 && this.#regions[region % this.#slots] !== 0
    if (this.#slots === 0 || (taken && this.#slots < MAX_SLOTS)) this.#grow()
    const slot = region % this.#slots
    this.#regions[slot] = region + 1
    this.#bases[slot] = base
    let end = 0
    for (let i = 0; i < REGION_BLOCKS; i++) {
      end += sizes[i]!
      this.#ends[slot * REGION_BLOCKS + i] = end
    }
  }

  /** Forgets the region of a block. */
  drop(block: number): void {
    const region = Math.floor(block / REGION_BLOCKS)
    const slot = region % this.#slots
    if (this.#regions[slot] === region + 1) this.#regions[slot] = 0
  }

  #grow(): void {
    const [regions, bases, ends] = [this.#regions, this.#bases, this.#ends]
    this.#slots = Math.max(FIRST_SLOTS, 2 * this.#slots)
    this.#regions = new Float64Array(this.#slots)
    this.#bases = new Float64Array(this.#slots)
    this.#ends = new Uint32Array(this.#slots * REGION_BLOCKS)
    for (let old = 0; old < regions.length; old++) {
      if (regions[old] === 0) continue
      const slot = (regions[old]! - 1) % this.#slots
      this.#regions[slot] = regions[old]!
      this.#bases[slot] = bases[old]!
      this.#ends.set(ends.subarray(old * REGION_BLOCKS, (old + 1) * REGION_BLOCKS), slot * REGION_BLOCKS)
    }
  }
}
