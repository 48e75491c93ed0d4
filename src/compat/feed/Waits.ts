/** The calls that wait for blocks, so that `cancel` and `undownload` find them. */
import type { Fiber } from "effect"
import { fork } from "../fork.js"
import { type LegacyError, withCode } from "../LegacyError.js"

/** A call that waits for blocks [start, end), `end` possibly infinite. */
export class Wait {
  /** Why it was interrupted, if it was. */
  reason: LegacyError | undefined
  /** Once it was begun. */
  fiber: Fiber.RuntimeFiber<unknown, unknown> | undefined

  constructor(
    readonly start: number,
    readonly end: number,
    readonly isDownload: boolean,
    readonly linear = false
  ) {}

  /** Ends the wait, whose caller is told why. One that was not begun yet will not be. */
  stop(reason: LegacyError): void {
    this.reason ??= reason
    if (this.fiber !== undefined) fork(this.fiber.interruptAsFork(this.fiber.id()))
  }
}

export const downloadCancelled = (): LegacyError => withCode("Download was cancelled", "ECANCELED", -11)

export class Waits {
  readonly #all = new Set<Wait>()

  add(wait: Wait): void {
    this.#all.add(wait)
  }

  delete(wait: Wait): void {
    this.#all.delete(wait)
  }

  /** Remembers a wait as long as its fiber goes on. */
  watch(wait: Wait, fiber: Fiber.RuntimeFiber<unknown, unknown>): void {
    wait.fiber = fiber
    // Most have found what they look for already.
    if (fiber.unsafePoll() !== null) return this.delete(wait)
    this.#all.add(wait)
    fiber.addObserver(() => this.delete(wait))
  }

  /** Ends the waits for no other blocks than [start, end). */
  cancel(start: number, end: number): void {
    for (const wait of this.#all) {
      if (start > wait.start || wait.end > end) continue
      wait.stop(wait.isDownload ? downloadCancelled() : new Error("Request cancelled"))
    }
  }

  /** Ends the first download that was asked for in these words. */
  undownload(start: number, end: number, linear: boolean): void {
    for (const wait of this.#all) {
      if (!wait.isDownload || wait.start !== start || wait.end !== end || wait.linear !== linear) continue
      return wait.stop(downloadCancelled())
    }
  }
}
