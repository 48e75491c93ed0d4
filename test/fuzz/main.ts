/**
 * `npm run fuzz -- [--minutes 5] [--seed N] [--only name]`: each target again and again, with another seed each time, until the time is over.
 * Prints the seed of what it finds; `--seed` runs that one alone.
 */
import { parseArgs } from "node:util"
import { callers } from "./callers.js"
import { decoders } from "./decoders.js"
import { feeds } from "./feeds.js"
import { fuzz } from "./Target.js"

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "5" },
    seed: { type: "string" },
    only: { type: "string", default: "" }
  }
})

const targets = [...decoders, ...feeds, ...callers].filter(({ name }) => name.includes(values.only))
const ends = performance.now() + Number(values.minutes) * 60_000
const runs = new Map(targets.map(({ name }) => [name, 0]))
let found = 0

const round = async (seed: number): Promise<void> => {
  for (const one of targets) {
    if (performance.now() > ends && values.seed === undefined) return
    await fuzz(one, one.runs, seed).catch((error: unknown) => {
      found++
      console.log(`${one.name}, --seed ${seed}: ${String(error)}`)
    })
    runs.set(one.name, runs.get(one.name)! + one.runs)
  }
}

if (values.seed !== undefined) await round(Number(values.seed))
else while (performance.now() < ends) await round(Math.floor(Math.random() * 2 ** 31))

for (const [name, count] of runs) console.log(name.padEnd(40), String(count).padStart(10))
console.log(`${found} found`)
process.exit(found === 0 ? 0 : 1)
