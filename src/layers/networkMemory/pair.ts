/** Two connected ends in one process: what one pushes, the other pulls, the same arrays. */
import { Duplex } from "../network/Duplex.js"

export class PairedEnd extends Duplex {
  #other: PairedEnd = this

  constructor(
    remote: string,
    readonly bufferSize: number
  ) {
    super(remote)
  }

  static pair(names: readonly [string, string], bufferSize: number): readonly [PairedEnd, PairedEnd] {
    const left = new PairedEnd(names[1], bufferSize)
    const right = new PairedEnd(names[0], bufferSize)
    left.#other = right
    right.#other = left
    return [left, right]
  }

  protected send(arrays: ReadonlyArray<Uint8Array>): void {
    for (const array of arrays) this.#other.arrived(array)
  }

  protected isFull(): boolean {
    return this.#other.waiting >= this.bufferSize
  }

  protected finish(): void {
    this.#other.ended()
    this.finished()
  }

  protected resume(): void {
    this.#other.drained()
  }

  /** The other end can still pull what has arrived, all that was pushed: that is an end. What it pushes would reach nobody. */
  protected destroy(): void {
    this.#other.ended()
    this.#other.finished()
    this.#other.broke({ reason: "reset" })
  }
}
