/** What a process goes through: the longest time between two turns of its event loop, and how much memory it takes. */
import { readFileSync } from "node:fs"
import { PerformanceObserver } from "node:perf_hooks"

/** Milliseconds between two looks. */
const LOOK = 2
const SAMPLE = 20

/** Milliseconds for which the main thread ran, and for which it was ready to and another had the core. Linux only. */
const mainThread = () => {
  try {
    const [ran, waited] = readFileSync(`/proc/self/task/${process.pid}/schedstat`, "utf8").split(" ")
    return { ran: Number(ran) / 1e6, waited: Number(waited) / 1e6 }
  } catch {
    const { user, system } = process.cpuUsage()
    return { ran: (user + system) / 1000, waited: 0 }
  }
}

const memory = () => {
  const { arrayBuffers, external, heapUsed, rss } = process.memoryUsage()
  return { rss, held: heapUsed + Math.max(external, arrayBuffers) }
}

export class Meter {
  #last = { at: 0, ran: 0, waited: 0 }
  #figures
  #before
  #cpu
  #sampledAt = 0

  constructor() {
    setInterval(() => this.#look(), LOOK)
    new PerformanceObserver((list) => {
      for (const { duration, startTime } of list.getEntries()) {
        if (this.#figures === undefined || startTime < this.#cpu.at) continue
        this.#figures.gc = Math.max(this.#figures.gc, duration)
      }
    }).observe({ entryTypes: ["gc"] })
  }

  /** Begins anew. */
  start() {
    globalThis.gc?.()
    this.#before = memory()
    this.#last = { at: performance.now(), ...mainThread() }
    this.#cpu = this.#last
    this.#figures = { wall: 0, own: 0, cpu: 0, gc: 0, rss: 0, held: 0, over: 0, turns: 0 }
  }

  #look() {
    if (this.#figures === undefined) return
    const now = { at: performance.now(), ...mainThread() }
    const wall = Math.max(0, now.at - this.#last.at - LOOK)
    const figures = this.#figures
    figures.turns++
    figures.wall = Math.max(figures.wall, wall)
    figures.own = Math.max(figures.own, wall - (now.waited - this.#last.waited))
    figures.cpu = Math.max(figures.cpu, now.ran - this.#last.ran)
    if (wall > 50) figures.over++
    if (now.at - this.#sampledAt > SAMPLE) {
      const { held, rss } = memory()
      figures.rss = Math.max(figures.rss, rss - this.#before.rss)
      figures.held = Math.max(figures.held, held - this.#before.held)
      this.#sampledAt = now.at
    }
    this.#last = now
  }

  /**
   * Of the time since `start`, in milliseconds: the longest between two turns by the `wall`'s clock, without what others had the core for
   * (`own`), and of computing (`cpu`); the longest pause of the garbage collector; `over`: turns above 50 ms; `busy`: the part of the
   * time in which the main thread ran. In bytes: growth of the resident set (`rss`), of what was `held`, and of what is held `after`.
   */
  stop() {
    const { at, ran } = { at: performance.now(), ...mainThread() }
    const figures = { ...this.#figures, busy: (ran - this.#cpu.ran) / (at - this.#cpu.at) }
    this.#figures = undefined
    globalThis.gc?.()
    return { ...figures, after: memory().held - this.#before.held }
  }
}
