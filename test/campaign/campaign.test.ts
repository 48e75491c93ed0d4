/** A bounded part of the campaign: `npm run campaign` runs more of it. */
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { crypto } from "../recovery/images.js"
import { campaign, runOne } from "./campaign.js"
import { noCounts } from "./Counts.js"

it.effect("histories on machines that fail lose nothing and sign nothing twice", () =>
  Effect.gen(function* () {
    const { counts, failures, runs } = yield* campaign(Array.from({ length: 24 }, (_, seed) => seed))
    expect(failures.map(({ message, seed }) => `seed ${seed}: ${message}`)).toEqual([])
    expect(runs).toBe(24)
    // It did what it is for.
    for (const what of ["crashes", "powerCuts", "forks", "lost", "faults", "clears", "fetched"] as const) {
      expect(counts[what]).toBeGreaterThan(10)
    }
  })
)

it.effect("a seed replays a run", () =>
  Effect.gen(function* () {
    const play = (seed: number) =>
      Effect.gen(function* () {
        const counts = noCounts()
        return { ...(yield* runOne(seed, crypto, counts)), counts }
      })
    for (const seed of [3, 8, 1000]) {
      const once = yield* play(seed)
      expect(once.trace.length).toBeGreaterThan(5)
      expect(yield* play(seed)).toEqual(once)
    }
  })
)
