/** How many requests are in flight, beside simulated links of a given rate. */
import { describe, expect, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import { Window } from "../../src/domain/Window.js"

/** A link: answers take `latency` ms, and leave one after the other, `interval` ms apart. */
const overLink = (window: Window, latency: number, interval: number, size: number, answers: number) => {
  const waiting: Array<{ readonly sent: number; readonly due: number; readonly full: boolean }> = []
  let [now, free, slowest] = [0, 0, 0]
  for (let done = 0; done < answers; done++) {
    while (waiting.length < window.limit) {
      free = Math.max(free, now) + interval
      const full = waiting.length + 1 === window.limit
      waiting.push({ sent: now, due: free + latency, full })
    }
    const { due, full, sent } = waiting.shift()!
    now = due
    slowest = Math.max(slowest, now - sent)
    window.answered(now - sent, size, full || waiting.length + 1 >= window.limit, now)
  }
  return { time: now, slowest }
}

const any = {
  latency: fc.integer({ min: 0, max: 500 }),
  interval: fc.double({ min: 0.01, max: 20, noNaN: true }),
  size: fc.nat(100_000)
}

describe("the window", () => {
  it("stays within its bounds, whatever happens", () =>
    fc.assert(
      fc.property(
        fc.option(fc.integer({ min: 1, max: 10_000 }), { nil: undefined }),
        fc.array(fc.tuple(fc.nat(100_000), fc.nat(9_000_000), fc.boolean(), fc.nat(1000)), {
          size: "max",
          maxLength: 300
        }),
        (most, answers) => {
          const window = new Window(most)
          let now = 0
          for (const [latency, size, full, passed] of answers) {
            now += passed
            window.answered(latency, size, full, now)
            expect(window.limit).toBeLessThanOrEqual(Math.min(most ?? 4096, 4096))
            expect(window.limit).toBeGreaterThanOrEqual(Math.min(most ?? 16, 16))
          }
        }
      )
    ))

  it("fills a link whose round trip its most fills, but for the start", () =>
    fc.assert(
      fc.property(fc.record(any), ({ interval, latency, size }) => {
        const bySize = size === 0 ? 4096 : Math.max(16, Math.ceil((16 * 1024 * 1024) / size))
        fc.pre((latency + interval) / interval < 0.9 * Math.min(4096, bySize))
        const { time } = overLink(new Window(undefined), latency, interval, size, 40_000)
        // Five round trips more than the link takes at least: 32, 96, 288, 864, 2592.
        expect(time).toBeLessThan(1.02 * 40_000 * interval + 6 * (latency + 32 * interval))
      }),
      { numRuns: 50 }
    ))

  it("keeps the queue short: answers take a few round trips at most", () =>
    fc.assert(
      fc.property(fc.record(any), ({ interval, latency, size }) => {
        const window = new Window(undefined)
        overLink(window, latency, interval, size, 20_000)
        const { slowest } = overLink(window, latency, interval, size, 2000)
        // The least that is in flight always may be a queue of its own.
        expect(slowest).toBeLessThan(Math.max(4 * (2 * (latency + interval) + 25), 33 * interval + latency))
      }),
      { numRuns: 50 }
    ))

  it("keeps 16 MiB in flight at most, and 16 blocks always", () => {
    const window = new Window(undefined)
    overLink(window, 100, 0.01, 65_536, 20_000)
    expect(window.limit).toBe(256)
    overLink(window, 100, 0.01, 8_000_000, 2000)
    expect(window.limit).toBe(16)
  })

  it("shrinks by a tenth a round trip while answers take much longer than they could", () => {
    const window = new Window(undefined)
    overLink(window, 100, 0.05, 100, 20_000)
    const before = window.limit
    for (let i = 0; i < 50; i++) window.answered(1000, 100, true, 1e6)
    expect(window.limit).toBe(Math.floor(0.9 * before))
    window.answered(1000, 100, true, 1e6 + 1001)
    expect(window.limit).toBe(Math.floor(0.9 * Math.floor(0.9 * before)))
  })
})
