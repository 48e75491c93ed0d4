/** Four beats a timeout: at the third without writing we say something, at the sixth without hearing anything it is over. */

const BEATS = 4
/** Beats without writing, and without hearing, that are borne. */
const MOST_QUIET = 2
const MOST_SILENT = 4

export interface Beats {
  /** At each beat. */
  tick(): void
  ping(): void
  timedOut(): void
}

export class KeepAlive {
  #timer: NodeJS.Timeout | undefined
  #quiet = 0
  #silent = 0

  constructor(readonly on: Beats) {}

  /** Starts anew; 0 milliseconds: without beats. Keeps no process alive. */
  start(milliseconds: number): void {
    this.stop()
    this.#quiet = 0
    this.#silent = 0
    if (milliseconds <= 0) return
    this.#timer = setInterval(() => this.#beat(), Math.trunc(milliseconds / BEATS))
    this.#timer.unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /** Something was written. */
  wrote(): void {
    this.#quiet = 0
  }

  /** Something came, or could not come. */
  heard(): void {
    this.#silent = 0
  }

  #beat(): void {
    if (this.#silent > MOST_SILENT) {
      this.stop()
      this.on.timedOut()
      return
    }
    this.on.tick()
    this.#silent++
    if (this.#quiet <= MOST_QUIET) this.#quiet++
    else {
      this.on.ping()
      this.#quiet = 0
    }
  }
}
