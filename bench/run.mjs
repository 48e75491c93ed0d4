/**
 * The benchmark: every workload with every contender, each measurement in a process of its own, the
 * contenders taking turns, the medians of several rounds in one table. See bench/README.md.
 */
import { parseArgs } from "node:util"
import { makeRoot } from "./child.mjs"
import { measureAll, probe, say } from "./rounds.mjs"
import { printTable } from "./table.mjs"
import { workloads as allWorkloads } from "./workloads.mjs"

const CONTENDERS = [
  "ours",
  "ours-portable",
  "compat",
  "hypercore-7",
  "hypercore-7-portable",
  "hypercore-11",
  "limit"
]
/** Measured only when named. */
const MORE_CONTENDERS = ["ours-noble"]

const HELP = `node bench/run.mjs [options]

  --rounds N        measurements of each workload with each contender (default 3, 1 with --quick)
  --only A,B        only these workloads: ${allWorkloads.map(({ name }) => name).join(", ")}
  --contenders A,B  only these contenders: ${CONTENDERS.join(", ")};
                    and on request ${MORE_CONTENDERS.join(", ")}
  --quick           small feeds and short times, leaving out the slow workloads
  --json            print the results as JSON instead of a table
`

/** The names in a list separated by commas, in the order of `all`. */
const chosen = (list, all, what, usual = all) => {
  if (list === undefined) return usual
  const names = list.split(",").map((name) => name.trim())
  const unknown = names.find((name) => !all.includes(name))
  if (unknown !== undefined) {
    throw new Error(`there is no ${what} "${unknown}", only ${all.join(", ")}`)
  }
  return all.filter((name) => names.includes(name))
}

const readOptions = () => {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string" },
      only: { type: "string" },
      contenders: { type: "string" },
      quick: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false }
    }
  })
  if (values.help) return { help: true }

  const names = chosen(
    values.only,
    allWorkloads.map(({ name }) => name),
    "workload"
  )
  const workloads = allWorkloads.filter(
    ({ name, slow }) => names.includes(name) && !(values.quick && slow && values.only === undefined)
  )
  const rounds = values.rounds === undefined ? (values.quick ? 1 : 3) : Number(values.rounds)
  if (!Number.isSafeInteger(rounds) || rounds < 1) throw new Error("--rounds takes a number above 0")
  return {
    rounds,
    workloads,
    contenders: chosen(values.contenders, [...CONTENDERS, ...MORE_CONTENDERS], "contender", CONTENDERS),
    quick: values.quick,
    json: values.json
  }
}

const versions = (contenders) =>
  [
    `node ${process.versions.node}`,
    ...contenders.map(({ contender, version, crypto }) => `${contender} ${version} (${crypto})`)
  ].join(", ")

const main = async () => {
  const options = readOptions()
  if (options.help) {
    process.stdout.write(HELP)
    return
  }
  const root = makeRoot()
  const contenders = await probe(options.contenders)
  if (contenders.length === 0) throw new Error("no contender is available")
  const measured = await measureAll(options, contenders, root)

  if (options.json) {
    const { rounds, quick } = options
    const node = process.versions.node
    console.log(JSON.stringify({ node, rounds, quick, contenders, ...measured }, null, 2))
  } else {
    const { rounds } = options
    console.log(`\nRates, ${rounds === 1 ? "one round" : `medians of ${rounds} rounds`}:\n`)
    printTable(measured, contenders)
    console.log(`\n${versions(contenders)}`)
  }
  if (measured.results.some(({ errors }) => Object.keys(errors).length > 0)) process.exitCode = 1
}

main().catch((error) => {
  say(error instanceof Error ? error.message : `${error}`)
  process.exitCode = 1
})
