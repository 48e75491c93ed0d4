/**
 * `feed.ifAvailable`: as long as somebody waits here, a `get` or `update` that is content with what connected peers have does not conclude that none
 * has it. Code that looks for peers holds it back so until it has found some.
 */
import { Replication } from "../../index.js"

export class IfAvailable {
  #feed: Replication.AnyFeed | undefined
  #waiting = 0
  #release: (() => void) | undefined
  #then: Array<() => void> = []

  /** The feed is open. */
  bind(feed: Replication.AnyFeed): void {
    this.#feed = feed
    if (this.#waiting > 0) this.#release = Replication.expectPeers(feed)
  }

  get waiting(): boolean {
    return this.#waiting > 0
  }

  wait(): void {
    if (++this.#waiting === 1 && this.#feed !== undefined) this.#release = Replication.expectPeers(this.#feed)
  }

  continue(
    callback?: (error?: Error | null, value?: unknown) => void,
    error?: Error | null,
    value?: unknown
  ): void {
    process.nextTick(() => this.#continue())
    callback?.(error, value)
  }

  waitAndContinue(): () => boolean {
    let once = false
    this.wait()
    return () => {
      if (once) return false
      once = true
      this.continue()
      return true
    }
  }

  /** Calls back when nobody waits. */
  ready(callback: () => void): void {
    if (this.#waiting === 0) callback()
    else this.#then.push(callback)
  }

  destroy(): void {
    this.#waiting = 0
    this.#settle()
  }

  #continue(): void {
    if (this.#waiting === 0 || --this.#waiting > 0) return
    this.#settle()
  }

  #settle(): void {
    this.#release?.()
    this.#release = undefined
    const then = this.#then
    this.#then = []
    for (const callback of then) callback()
  }
}
