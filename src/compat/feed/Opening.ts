/** What is done to a feed that is not open yet waits, in order, and so learns why it will not be. */
import type { Feed } from "../../index.js"
import type { LegacyError } from "../LegacyError.js"

interface Waiting {
  readonly run: (feed: Feed.Feed) => void
  readonly fail: (error: LegacyError) => void
}

export class Opening {
  #feed: Feed.Feed | undefined
  #error: LegacyError | undefined
  #waiting: Array<Waiting> = []

  get feed(): Feed.Feed | undefined {
    return this.#feed
  }

  /** Runs with the open feed, at once if it is. */
  whenOpen(run: (feed: Feed.Feed) => void, fail: (error: LegacyError) => void): void {
    if (this.#feed !== undefined) run(this.#feed)
    else if (this.#error !== undefined) process.nextTick(fail, this.#error)
    else this.#waiting.push({ run, fail })
  }

  opened(feed: Feed.Feed): void {
    this.#feed = feed
    for (const { run } of this.#take()) run(feed)
  }

  failed(error: LegacyError): void {
    this.#error = error
    for (const { fail } of this.#take()) fail(error)
  }

  #take(): Array<Waiting> {
    const waiting = this.#waiting
    this.#waiting = []
    return waiting
  }
}
