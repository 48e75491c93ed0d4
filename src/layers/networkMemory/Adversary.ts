/** Somebody on the line who changes what passes, at places that have no memory: a byte is changed, a piece lost, repeated, or let past by the next. */
import type { Random } from "../../domain/Random.js"

export class Adversary {
  #bytesLeft: number
  /** A piece that the next one passes. */
  #held: Uint8Array | undefined

  constructor(
    readonly meanBytes: number,
    readonly random: Random,
    /** Told of each thing done. */
    readonly onDone: () => void
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
    this.onDone()
    switch (random.below(4)) {
      case 0: {
        const changed = piece.slice()
        const at = random.below(piece.length)
        changed[at] = changed[at]! ^ (1 + random.below(255))
        return [changed]
      }
      case 1:
        return []
      case 2:
        return [piece, piece]
      default:
        this.#held = piece
        return []
    }
  }
}
