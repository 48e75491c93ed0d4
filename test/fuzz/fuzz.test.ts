/**
 * Everything that reads what a stranger gives ends in a value or in a typed error, with bounded effort. `FUZZ_MINUTES=30 npm run fuzz` goes on
 * that long, over all targets, and prints how often each was run. What is found comes with its seed: `FUZZ_SEED=... npm run fuzz -- -t <target>`.
 */
import { describe, it } from "@effect/vitest"
import { callers } from "./callers.js"
import { decoders } from "./decoders.js"
import { directories } from "./directories.js"
import { evidence } from "./evidence.js"
import { feeds } from "./feeds.js"
import { fuzz } from "./Target.js"

const { FUZZ_MINUTES, FUZZ_SEED } = process.env
const targets = [...decoders, ...feeds, ...directories, ...evidence, ...callers]
const milliseconds = FUZZ_MINUTES === undefined ? undefined : (Number(FUZZ_MINUTES) * 60_000) / targets.length
const seed = FUZZ_SEED === undefined ? undefined : Number(FUZZ_SEED)
const timeout = 120_000 + 2 * (milliseconds ?? 0)

describe("whatever is given", () => {
  for (const one of targets) {
    it(
      one.name,
      async () => {
        const runs = await fuzz(one, { milliseconds, seed })
        if (milliseconds !== undefined) console.log(`${one.name}: ${runs} runs`)
      },
      timeout
    )
  }
})
