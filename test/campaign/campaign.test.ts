/** A bounded part of the campaign: `npm run campaign` runs more of it. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { crypto } from "../recovery/images.js"
import { campaign, KINDS, runOne } from "./campaign.js"
import { type Counts, noCounts } from "./Counts.js"

const seedsFrom = (first: number, count: number) => Array.from({ length: count }, (_, i) => first + i)

const play = (kind: (typeof KINDS)[number], seeds: ReadonlyArray<number>) =>
  Effect.gen(function* () {
    const { counts, failures, runs } = yield* campaign(seeds, undefined, undefined, kind)
    expect(failures.map(({ message, seed }) => `seed ${seed}: ${message}`)).toEqual([])
    expect(runs).toBe(seeds.length)
    return counts
  })

/** It did what it is for. */
const expectDone = (counts: Counts, least: number, what: ReadonlyArray<keyof Counts>) => {
  for (const one of what) expect(counts[one], one).toBeGreaterThanOrEqual(least)
}

describe("histories on machines that fail", () => {
  it.effect("lose nothing and sign nothing twice", () =>
    Effect.gen(function* () {
      const alone = yield* play("alone", seedsFrom(0, 12))
      const counts = yield* play("with a reader", seedsFrom(12, 12))
      for (const [what, many] of Object.entries(alone)) counts[what as keyof Counts] += many
      expectDone(counts, 10, ["crashes", "powerCuts", "forks", "lost", "faults", "clears", "fetched"])
    })
  )

  it.effect(
    "nor do those over a net that cuts, delays and lies: nothing is told that is not there for good",
    () =>
      Effect.gen(function* () {
        const counts = yield* play("over a net", seedsFrom(100, 6))
        expectDone(counts, 5, [
          "crashes",
          "powerCuts",
          "cuts",
          "halfOpen",
          "announced",
          "waits",
          "replicated"
        ])
        expectDone(counts, 1, ["partitions", "faults"])
        const { changed, dropped, reordered, repeated } = counts
        expect(changed + dropped + reordered + repeated).toBeGreaterThan(0)
        expect(counts.forksFound).toBe(0)
      })
  )

  it.effect("two histories of one key are found where they meet, shown by evidence, and never mixed", () =>
    Effect.gen(function* () {
      const counts = yield* play("two histories", seedsFrom(200, 4))
      expectDone(counts, 5, ["crashes", "forksFound", "meetings", "replicated", "cuts"])
    })
  )

  it.effect("a seed replays a run", () =>
    Effect.gen(function* () {
      const once = (kind: (typeof KINDS)[number], seed: number) =>
        Effect.gen(function* () {
          const counts = noCounts()
          return { ...(yield* runOne(seed, crypto, counts, kind)), counts }
        })
      for (const [i, kind] of KINDS.entries()) {
        const first = yield* once(kind, 300 + i)
        expect(first.trace.length).toBeGreaterThan(5)
        expect(yield* once(kind, 300 + i)).toEqual(first)
      }
    })
  )
})
