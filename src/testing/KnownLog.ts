/**
 * What is known of a feed's log by those outside of it: what was promised to them, what may have happened though nobody was told, and every
 * signature that somebody may have seen. `Invariants` compares a feed with it.
 */
import { Data } from "effect"
import { toHex } from "../domain/Bytes.js"
import * as Sleep from "../domain/Sleep.js"

/** A feed broke a promise: which, and how it shows. */
export class InvariantBroken extends Data.TaggedError("InvariantBroken")<{
  readonly invariant: "fork" | "lost" | "wrong" | "unproven" | "refused" | "announced" | "left" | "stuck"
  readonly detail: string
}> {
  override get message(): string {
    return `${this.invariant}: ${this.detail}`
  }
}

export class KnownLog {
  /** The blocks that the log is known to have, from the first on. */
  readonly blocks: Array<Uint8Array> = []
  /** Blocks that whoever is asked must have: they were promised, and not cleared since. */
  readonly promised = new Set<number>()
  /** Blocks that whoever is asked must not have: their clearing was promised. */
  readonly cleared = new Set<number>()
  /** By length, the signature of it that exists. */
  readonly signatures = new Map<number, string>()
  /** What may follow `blocks` though nobody was told: batches that failed or were cut off, in the order in which they would be there. */
  #open: Array<ReadonlyArray<ReadonlyArray<Uint8Array>>> = []

  /** The blocks of an append that succeeded, from block `start` on. */
  appended(start: number, batch: ReadonlyArray<Uint8Array>): void {
    this.know(start, batch)
    for (let i = start; i < start + batch.length; i++) this.promised.add(i)
    this.#open = []
  }

  /** Batches that were to follow the log in this order, and whose appends failed or were never answered. */
  attempted(batches: ReadonlyArray<ReadonlyArray<Uint8Array>>): void {
    this.#open.push(batches)
  }

  /** The log has these blocks from `start` on; they are promised to nobody. */
  know(start: number, batch: ReadonlyArray<Uint8Array>): void {
    for (const [i, block] of batch.entries()) {
      const known = this.blocks[start + i]
      if (known === undefined) this.blocks[start + i] = block.slice()
      else if (toHex(known) !== toHex(block)) {
        throw new InvariantBroken({ invariant: "fork", detail: `block ${start + i} is another than it was` })
      }
    }
  }

  /** A clear is about to begin: what it takes away is promised no more. */
  clearing(start: number, end: number): void {
    for (let i = start; i < end; i++) this.promised.delete(i)
  }

  /** A clear of [start, end) has succeeded. */
  hasCleared(start: number, end: number): void {
    for (let i = start; i < Math.min(end, this.blocks.length); i++) this.cleared.add(i)
  }

  /** What a log of `length` blocks may have after those known: one or several, or none, when it cannot be so long. */
  after(length: number): ReadonlyArray<ReadonlyArray<Uint8Array>> {
    const missing = length - this.blocks.length
    if (missing <= 0) return missing === 0 ? [[]] : []
    const found: Array<ReadonlyArray<Uint8Array>> = []
    for (const batches of this.#open) {
      let end = 0
      for (const batch of batches) {
        end += batch.length
        if (end === missing) found.push(batches.flat().slice(0, missing))
      }
    }
    return found
  }

  /** What the log turned out to have when it was opened again: from now on it is known, and what else may have been is not there. */
  settle(found: ReadonlyArray<Uint8Array>): void {
    const start = this.blocks.length
    this.know(start, found)
    for (let i = start; i < this.blocks.length; i++) this.promised.add(i)
    this.#open = []
  }

  /** A signature that somebody has seen: no other of its length may exist. */
  signed(length: number, signature: Uint8Array): void {
    const hex = toHex(signature)
    const known = this.signatures.get(length)
    if (known !== undefined && known !== hex) {
      throw new InvariantBroken({ invariant: "fork", detail: `length ${length} was signed a second time` })
    }
    this.signatures.set(length, hex)
  }
}

/** The entries of a `signatures` file, by the length that each would sign; blank ones left out. */
export const signaturesIn = (bytes: Uint8Array): ReadonlyMap<number, Uint8Array> => {
  const found = new Map<number, Uint8Array>()
  for (let length = 1; length <= Sleep.signatureCount(bytes.length); length++) {
    const start = Sleep.signatureOffset(length - 1)
    const entry = bytes.slice(start, start + Sleep.SIGNATURE_SIZE)
    if (entry.some((byte) => byte !== 0)) found.set(length, entry)
  }
  return found
}
