/** `npm run campaign -- --seeds N --minutes M [--seed S] [--kind K]`: see CONTRIBUTING. */
import { Effect, Logger, LogLevel } from "effect"
import { parseArgs } from "node:util"
import { campaign, type Failure, KINDS } from "./campaign.js"

const { values } = parseArgs({
  options: {
    seeds: { type: "string" },
    minutes: { type: "string" },
    seed: { type: "string" },
    kind: { type: "string" }
  }
})

const number = (name: "seeds" | "minutes" | "seed", otherwise: number): number => {
  const value = Number(values[name] ?? otherwise)
  if (Number.isFinite(value) && value >= 0) return value
  console.error(`campaign: --${name} is a number, not ${values[name]}`)
  return process.exit(2)
}

const kind = KINDS.find((one) => one === values.kind)
if (kind !== values.kind) {
  console.error(`campaign: --kind is one of ${KINDS.join(", ")}`)
  process.exit(2)
}

const first = number("seed", Math.floor(Math.random() * 2 ** 31))
const isReplay = values.seed !== undefined && values.seeds === undefined && values.minutes === undefined
const minutes = number("minutes", values.seeds === undefined && !isReplay ? 1 : 24 * 60)
const count = number("seeds", isReplay ? 1 : Number.MAX_SAFE_INTEGER - first)
const begun = Date.now()

function* seeds() {
  for (let i = 0; i < count; i++) yield first + i
}

const tell = ({ message, seed, trace }: Failure): void => {
  console.log(`seed ${seed}: ${message.split("\n")[0]}`)
  if (isReplay) console.log(trace.map((line) => `  ${line}`).join("\n"))
}

const { counts, failures, runs } = await Effect.runPromise(
  campaign(seeds(), () => Date.now() - begun >= 60_000 * minutes, tell, kind).pipe(
    Logger.withMinimumLogLevel(LogLevel.None)
  )
)
const seconds = Math.round((Date.now() - begun) / 1000)
console.log(`${runs} runs from seed ${first} on, in ${seconds} s; ${failures.length} failed`)
for (const [what, many] of Object.entries(counts)) console.log(`${String(many).padStart(10)} ${what}`)
const again = kind === undefined ? "" : ` --kind "${kind}"`
if (failures.length > 0) {
  console.log(`replay one with: npm run campaign -- --seed ${failures[0]!.seed}${again}`)
  process.exitCode = 1
}
