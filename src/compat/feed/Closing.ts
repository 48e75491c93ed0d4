/** When `close` is told: after the calls that it ended, as by the peer. A program may end with it. */

export class Closing {
  #underWay = 0
  #isClosed = false
  #isTold = false
  #afterwards: Array<() => void> = []

  constructor(readonly tell: () => void) {}

  /** A call is under way until `end`. */
  begin(): void {
    this.#underWay++
  }

  readonly end = (): void => {
    this.#underWay--
    this.#tellOnceDone()
  }

  /** The feed is closed, which ends all that is under way. */
  closed(): void {
    this.#isClosed = true
    this.#tellOnceDone()
  }

  /** Runs once `close` is told. */
  after(run: () => void): void {
    if (this.#isTold) run()
    else this.#afterwards.push(run)
  }

  #tellOnceDone(): void {
    if (!this.#isClosed || this.#underWay > 0) return
    this.#isClosed = false
    // What ended has its callbacks in the ticks before.
    process.nextTick(() => {
      this.#isTold = true
      this.tell()
      for (const run of this.#afterwards.splice(0)) run()
    })
  }
}
