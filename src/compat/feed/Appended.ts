/** The callbacks of appends that one commit settled: one tick calls them all, as a tick for each costs more than most of them do. */
import type { Callback } from "../callback.js"

export class Appended {
  readonly #callbacks: Array<Callback<[number]>> = []
  readonly #indices: Array<number> = []
  #told = 0

  /** `length`: of the log, when they are settled. */
  constructor(readonly length: number) {
    process.nextTick(tell, this)
  }

  /** Whether none was called yet. */
  get isOpen(): boolean {
    return this.#told === 0
  }

  add(callback: Callback<[number]>, index: number): void {
    this.#callbacks.push(callback)
    this.#indices.push(index)
  }

  /** One that throws ends its tick, and that is the program's own affair: the others have another. */
  tell(): void {
    const callbacks = this.#callbacks
    try {
      while (this.#told < callbacks.length) {
        const callback = callbacks[this.#told]!
        callback(null, this.#indices[this.#told++]!)
      }
    } finally {
      if (this.#told < callbacks.length) process.nextTick(tell, this)
      else callbacks.length = 0
    }
  }
}

const tell = (appended: Appended): void => appended.tell()
