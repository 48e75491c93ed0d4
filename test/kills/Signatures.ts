/** Every signature that was ever seen of a feed, by the length that it signs. Two for one length are a fork. */
import * as fs from "node:fs"
import * as path from "node:path"

const HEADER_SIZE = 32
const SIGNATURE_SIZE = 64

/** Of two signatures, one is what a kill left of writing the other: its beginning, then zeros. */
const isTorn = (one: Buffer, other: Buffer): boolean => {
  let end = one.length
  while (end > 0 && one[end - 1] === 0) end--
  return end < one.length && one.subarray(0, end).equals(other.subarray(0, end))
}

export class Signatures {
  readonly #known = new Map<number, Buffer>()
  /** Lengths with two signatures. */
  readonly forked = new Set<number>()

  get size(): number {
    return this.#known.size
  }

  /** Looks through the `signatures` file of a directory that no process writes to now. */
  collect(directory: string): void {
    const file = path.join(directory, "signatures")
    if (!fs.existsSync(file)) return
    const bytes = fs.readFileSync(file)
    for (
      let at = HEADER_SIZE, length = 1;
      at + SIGNATURE_SIZE <= bytes.length;
      at += SIGNATURE_SIZE, length++
    ) {
      const found = bytes.subarray(at, at + SIGNATURE_SIZE)
      // The blank entries of a batch.
      if (found.every((byte) => byte === 0)) continue
      const known = this.#known.get(length)
      if (known === undefined || isTorn(known, found)) this.#known.set(length, Buffer.from(found))
      else if (!known.equals(found) && !isTorn(found, known)) this.forked.add(length)
    }
  }
}
