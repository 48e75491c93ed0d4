/** Somebody on the line who changes what passes, at places that have no memory: a byte is changed, a piece lost, repeated, or let past by the next. */
import type { Random } from "../../domain/Random.js"

/** What was done to a piece; `changed`: one byte of it. */
export type Tampering = "changed" | "dropped" | "repeated" | "reordered"

export class Adversary {
  #bytesLeft: number
  /** A piece that the next one passes. */
  #held: Uint8Array | undefined

  constructor(
    readonly meanBytes: number,
    readonly random: Random,
    /** Told of each thing done. */
    readonly onDone: (what: Tampering) => void
  ) {
    this.#bytesLeft = this.#draw()
  }

  #draw(): number {
    return Math.floor(-Math.log(1 - this.random.next()) * this.meanBytes)
  }

  /** What arrives instead of a piece. */
  pass(piece: Uint8Array, isActive: boolean): ReadonlyArray<Uint8Array> {
    const before = this.#held
    this.#held = undefined
    this.#bytesLeft -= piece.length
    const isHit = isActive && this.#bytesLeft < 0 && piece.length > 0
    const pieces = isHit ? this.#tamper(piece) : [piece]
    return before === undefined ? pieces : [...pieces, before]
  }

  /** What is still held when nothing follows. */
  last(): Uint8Array | undefined {
    const held = this.#held
    this.#held = undefined
    return held
  }

  #tamper(piece: Uint8Array): ReadonlyArray<Uint8Array> {
    const { random } = this
    this.#bytesLeft = this.#draw()
    switch (random.below(4)) {
      case 0: {
        this.onDone("changed")
        const changed = piece.slice()
        const at = random.below(piece.length)
        changed[at] = changed[at]! ^ (1 + random.below(255))
        return [changed]
      }
      case 1:
        this.onDone("dropped")
        return []
      case 2:
        this.onDone("repeated")
        // Each is its taker's, who may change it.
        return [piece, piece.slice()]
      default:
        this.onDone("reordered")
        this.#held = piece
        return []
    }
  }
}
