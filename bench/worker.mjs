/**
 * One measurement of one contender, in a process of its own. Prints one line of JSON.
 *
 *   node bench/worker.mjs --contender hypercore-7 --probe
 *   node bench/worker.mjs --contender hypercore-7 --workload get-512 --dir D --build
 *   node bench/worker.mjs --contender hypercore-7 --workload get-512 --dir D [--quick]
 *
 * Without `--dir` it makes its own temporary directory, builds what the workload needs and removes
 * everything afterwards.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { curves } from "./curves.mjs"
import { buildFixture, sizes } from "./fixtures.mjs"
import { serveFor } from "./replication.mjs"
import { workloads } from "./workloads.mjs"

const { values: args } = parseArgs({
  options: {
    contender: { type: "string" },
    workload: { type: "string" },
    dir: { type: "string" },
    build: { type: "boolean", default: false },
    probe: { type: "boolean", default: false },
    quick: { type: "boolean", default: false },
    serve: { type: "boolean", default: false },
    length: { type: "string" },
    peers: { type: "string" }
  }
})

const print = (value) => process.stdout.write(`${JSON.stringify(value)}\n`)

const loadContender = async (name) => {
  const { load } = await import(new URL(`./contenders/${name}.mjs`, import.meta.url).href)
  return load()
}

const sizeFor = ({ pace = "full" }) => (args.quick ? sizes.quick : sizes[pace])

const measure = async (contender, workload, dir) => {
  const size = sizeFor(contender)
  const [length, peers] = [Number(args.length), Number(args.peers)]
  const context = { open: contender.open, dir, size, contender, name: args.contender, length, peers }
  const what = { workload: workload.name, contender: args.contender }
  if (args.build) return { ...what, ...(await buildFixture(workload.fixture, context)) }
  const measured = await (contender.limitOf?.(workload.name, context) ?? workload.run(context))
  const rssMB = Math.round(process.resourceUsage().maxRSS / 1024)
  return { ...what, ...measured, rssMB, crypto: contender.crypto }
}

const inOwnDirectory = async (contender, workload) => {
  const dir = mkdtempSync(join(tmpdir(), "effect-hypercore-bench-"))
  const remove = () => rmSync(dir, { recursive: true, force: true })
  process.once("exit", remove)
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.once(signal, () => process.exit(1))
  if (workload.fixture !== undefined) {
    const size = sizeFor(contender)
    await buildFixture(workload.fixture, { open: contender.open, dir, size, contender })
  }
  return measure(contender, workload, dir)
}

const main = async () => {
  const contender = await loadContender(args.contender)
  if (args.probe) {
    const { version, crypto, supports, fixturesOf, limited, pace = "full" } = contender
    return { contender: args.contender, version, crypto, supports, fixturesOf, limited, pace }
  }
  if (args.serve) return serveFor(contender, args.dir, print)
  const workload = [...workloads, ...curves].find(({ name }) => name === args.workload)
  if (workload === undefined) throw new Error(`there is no workload "${args.workload}"`)
  return args.dir === undefined ? inOwnDirectory(contender, workload) : measure(contender, workload, args.dir)
}

const fail = (error) => {
  print({ contender: args.contender, error: error instanceof Error ? error.message : `${error}` })
  process.exit(1)
}

process.on("uncaughtException", fail)

main().then((result) => {
  print(result)
  process.exit(0)
}, fail)
