/**
 * A file whose changes are held until they are synced: what the running program reads, and what a loss of power leaves.
 *
 * Of a held change each sector lands or does not, by itself: a program that did not sync may count on no order. Where a file was to grow, there
 * may also be garbage. Bytes that are synced stay until others are there, as drives and file systems promise ("powersafe overwrite",
 * as SQLite calls it): nothing could be kept in files that are written in place if they did not.
 */
import type { Random } from "../../domain/Random.js"
import { MemoryFile } from "../storageMemory/MemoryFile.js"

export type Held =
  | { readonly _tag: "Write"; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly _tag: "Remove"; readonly offset: number; readonly length: number }
  | { readonly _tag: "Truncate"; readonly size: number }

/** How a loss of power treats what is held; chances of 1. */
export interface Loss {
  readonly random: Random
  readonly sectorSize: number
  /** Of a change, or a sector of one, to be on the disk. */
  readonly landing: number
  /** Whether changes reached the disk in their order: then only the last to land is torn. */
  readonly isOrdered: boolean
  /** Of bytes past what is synced that did not land, to be there as garbage. */
  readonly garbage: number
}

export interface LossCounts {
  landed: number
  lost: number
  torn: number
  garbage: number
}

const applyTo = (file: MemoryFile, change: Held): void => {
  if (change._tag === "Write") file.write(change.offset, change.bytes)
  else if (change._tag === "Remove") file.remove(change.offset, change.length)
  else file.truncate(change.size)
}

const copyOf = (file: MemoryFile): MemoryFile => {
  const copy = new MemoryFile()
  copy.write(0, file.read(0, file.size))
  return copy
}

export class HeldFile {
  #synced = new MemoryFile()
  #current = new MemoryFile()
  #held: Array<Held> = []
  /** Size when it was last synced. */
  #syncedSize = 0

  get size(): number {
    return this.#current.size
  }

  /** Changes that are not synced. */
  get held(): number {
    return this.#held.length
  }

  read(offset: number, length: number): Uint8Array {
    return this.#current.read(offset, length)
  }

  contents(which: "current" | "synced"): Uint8Array {
    const file = which === "synced" ? this.#synced : this.#current
    return file.read(0, file.size)
  }

  change(change: Held): void {
    applyTo(this.#current, change)
    this.#held.push(change)
  }

  sync(): void {
    for (const change of this.#held) applyTo(this.#synced, change)
    this.#held = []
    this.#syncedSize = this.#synced.size
  }

  copy(): HeldFile {
    const copy = new HeldFile()
    copy.#synced = copyOf(this.#synced)
    copy.#current = copyOf(this.#current)
    copy.#held = [...this.#held]
    copy.#syncedSize = this.#syncedSize
    return copy
  }

  /** Changes a bit of what is on the disk, whoever looks. */
  flipBit(bit: number): void {
    this.sync()
    const at = Math.floor(bit / 8)
    const [byte] = this.#current.read(at, 1)
    if (byte === undefined) return
    for (const file of [this.#synced, this.#current]) file.write(at, Uint8Array.of(byte ^ (128 >> (bit % 8))))
  }

  /** The power goes. */
  lose(loss: Loss, counts: LossCounts): void {
    // Of changes that reach the disk in order, so many do.
    const { landing, random } = loss
    const ordered = loss.isOrdered ? random.below(this.#held.length + 1) : undefined
    for (const [i, change] of this.#held.entries()) {
      if (ordered !== undefined && i > ordered) counts.lost++
      else if (ordered !== undefined && i < ordered) this.#land(change, counts)
      else if (change._tag === "Write") this.#tear(change, loss, counts)
      else if (random.next() < landing) this.#land(change, counts)
      else counts.lost++
    }
    this.#held = []
    this.#syncedSize = this.#synced.size
    this.#current = copyOf(this.#synced)
  }

  #land(change: Held, counts: LossCounts): void {
    applyTo(this.#synced, change)
    counts.landed++
  }

  #tear({ bytes, offset }: Held & { _tag: "Write" }, loss: Loss, counts: LossCounts): void {
    const { garbage, landing, random, sectorSize } = loss
    const outcomes = new Set<string>()
    const synced = this.#syncedSize
    for (let start = 0; start < bytes.length;) {
      const end = Math.min(bytes.length, start + sectorSize - ((offset + start) % sectorSize))
      const part = bytes.subarray(start, end)
      const isNew = offset + start >= synced
      const outcome =
        random.next() < landing ? "landed" : isNew && random.next() < garbage ? "garbage" : "lost"
      outcomes.add(outcome)
      if (outcome === "landed") this.#synced.write(offset + start, part)
      if (outcome === "garbage") {
        // Where a file has grown without its bytes, file systems show zeros, or what was there.
        const isZeros = random.next() < 0.5
        this.#synced.write(
          offset + start,
          part.map(() => (isZeros ? 0 : random.below(256)))
        )
      }
      start = end
    }
    if (outcomes.has("garbage")) counts.garbage++
    else if (outcomes.size > 1) counts.torn++
    else if (outcomes.has("landed")) counts.landed++
    else counts.lost++
  }
}
