/**
 * The benchmark: every workload with every contender, each measurement in a process of its own, the
 * contenders taking turns, the medians of several rounds in one table. See bench/README.md.
 */
import { spawn } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { workloads as allWorkloads } from "./workloads.mjs"

const CONTENDERS = ["ours", "ours-portable", "compat", "hypercore-7", "hypercore-11"]
const PEERS = ["hypercore-7", "hypercore-11"]
const TIME_LIMIT = 180_000

const HELP = `node bench/run.mjs [options]

  --rounds N        measurements of each workload with each contender (default 3, 1 with --quick)
  --only A,B        only these workloads: ${allWorkloads.map(({ name }) => name).join(", ")}
  --contenders A,B  only these contenders: ${CONTENDERS.join(", ")}
  --quick           small feeds and short times, leaving out the slow workloads
  --json            print the results as JSON instead of a table
`

// ---------------------------------------------------------------------------------------------
// Options

/** The names in a list separated by commas, in the order of `all`. */
const chosen = (list, all, what) => {
  if (list === undefined) return all
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
    contenders: chosen(values.contenders, CONTENDERS, "contender"),
    quick: values.quick,
    json: values.json
  }
}

// ---------------------------------------------------------------------------------------------
// The temporary directory and the child process, both gone however this process ends

const running = new Set()

const makeRoot = () => {
  const root = mkdtempSync(join(tmpdir(), "effect-hypercore-bench-"))
  process.once("exit", () => {
    for (const child of running) child.kill("SIGKILL")
    rmSync(root, { recursive: true, force: true, maxRetries: 10 })
  })
  const signals = { SIGINT: 2, SIGTERM: 15, SIGHUP: 1 }
  for (const [signal, number] of Object.entries(signals)) {
    process.once(signal, () => process.exit(128 + number))
  }
  return root
}

const remove = (dir) => rmSync(dir, { recursive: true, force: true })

const lastLine = (text) => text.trim().split("\n").at(-1) ?? ""

/** Runs the worker; gives what it printed, or `{ error }`. Never throws. */
const work = (args) =>
  new Promise((resolve) => {
    const worker = fileURLToPath(new URL("worker.mjs", import.meta.url))
    // hypercore 7 falls back to JavaScript crypto when told so by this variable.
    const { SODIUM_NATIVE: _, ...env } = process.env
    const child = spawn(process.execPath, ["--expose-gc", worker, ...args], {
      env,
      stdio: ["ignore", "pipe", "pipe"]
    })
    running.add(child)
    const timer = setTimeout(() => child.kill("SIGKILL"), TIME_LIMIT)
    const output = { stdout: "", stderr: "" }
    for (const name of ["stdout", "stderr"]) {
      child[name].setEncoding("utf8").on("data", (text) => (output[name] += text))
    }
    const finish = (result) => {
      clearTimeout(timer)
      running.delete(child)
      resolve(result)
    }
    child.once("error", (error) => finish({ error: error.message }))
    child.once("close", (code, signal) => {
      try {
        finish(JSON.parse(lastLine(output.stdout)))
      } catch {
        finish({ error: lastLine(output.stderr) || `ended with ${signal ?? code}` })
      }
    })
  })

// ---------------------------------------------------------------------------------------------
// Measuring

const say = (text) => process.stderr.write(`${text}\n`)

const probe = async (names) => {
  const available = []
  for (const name of names) {
    const found = await work(["--contender", name, "--probe"])
    if (found.error === undefined) available.push(found)
    else say(`${name}: not available (${found.error})`)
  }
  return available
}

const rateOf = (unit, { ops, bytes, seconds }) => (unit === "MB" ? bytes / 1e6 : ops) / seconds

const median = (numbers) => {
  const sorted = numbers.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

const rotated = (list, by) => list.map((_, i) => list[(i + by) % list.length])

const measureAll = async ({ rounds, workloads, quick }, contenders, root) => {
  const mode = quick ? ["--quick"] : []
  const built = new Map()

  const ownerOf = ({ contender, fixturesOf }) =>
    contenders.some((other) => other.contender === fixturesOf) ? fixturesOf : contender

  /** The directory of the contender's fixture, which is built when first asked for. */
  const fixtureFor = async (contender, { name, fixture }) => {
    const owner = ownerOf(contender)
    const dir = join(root, "fixtures", owner, fixture)
    if (!built.has(dir)) {
      say(`  building the feed for ${name} with ${owner}`)
      mkdirSync(dir, { recursive: true })
      const args = ["--contender", owner, "--workload", name, "--dir", dir, "--build", ...mode]
      built.set(dir, await work(args))
    }
    const { error } = built.get(dir)
    return error === undefined ? { dir } : { error }
  }

  const measure = async (contender, workload) => {
    const dir = join(root, "scratch")
    try {
      mkdirSync(dir, { recursive: true })
      const place = workload.fixture === undefined ? { dir } : await fixtureFor(contender, workload)
      if (place.error !== undefined) return place
      const { contender: name } = contender
      const args = ["--contender", name, "--workload", workload.name, "--dir", place.dir, ...mode]
      return await work(args)
    } finally {
      remove(dir)
    }
  }

  const results = []
  for (const [index, workload] of workloads.entries()) {
    const { name, title, unit, aim, fixture, needs } = workload
    say(`${name}: ${title}`)
    const able = contenders.filter(({ supports }) => needs === undefined || supports.includes(needs))
    const measured = new Map(able.map(({ contender }) => [contender, []]))
    const errors = {}

    for (let round = 0; round < rounds; round++) {
      for (const contender of rotated(able, round)) {
        if (contender.contender in errors) continue
        const result = await measure(contender, workload)
        if (result.error !== undefined) {
          errors[contender.contender] = result.error
          say(`  ${contender.contender}: failed, ${result.error}`)
          continue
        }
        measured.get(contender.contender).push(result)
        const rate = formatRate(rateOf(unit, result), unit)
        say(`  round ${round + 1}  ${contender.contender.padEnd(13)}  ${rate}`)
      }
    }

    const figures = {}
    for (const [contender, list] of measured) {
      if (list.length === 0 || contender in errors) continue
      const rates = list.map((result) => rateOf(unit, result))
      const rssMB = Math.max(...list.map((result) => result.rssMB))
      figures[contender] = { rate: median(rates), rates, rssMB, crypto: list[0].crypto }
    }
    results.push({ workload: name, title, unit, aim, figures, errors, ...compare(figures) })

    const still = workloads.slice(index + 1).some((later) => later.fixture === fixture)
    if (fixture !== undefined && !still) {
      for (const { contender } of contenders) remove(join(root, "fixtures", contender, fixture))
    }
  }
  return results
}

const ratioOf = (figures, one, other) =>
  one in figures && other in figures ? figures[one].rate / figures[other].rate : undefined

/** Ours against the faster of the peers. */
const compare = (figures) => {
  const peers = PEERS.filter((name) => name in figures)
  if (!("ours" in figures) || peers.length === 0) return {}
  const better = peers.reduce((a, b) => (figures[b].rate > figures[a].rate ? b : a))
  return {
    betterPeer: better,
    ratio: figures.ours.rate / figures[better].rate,
    // The same program on both.
    compat: ratioOf(figures, "compat", "hypercore-7")
  }
}

// ---------------------------------------------------------------------------------------------
// Printing

const formatNumber = (number) =>
  number.toLocaleString("en-US", { maximumFractionDigits: number < 100 ? 1 : 0 })

const formatRate = (rate, unit) => `${formatNumber(rate)} ${unit === "MB" ? "MB/s" : "/s"}`

const formatRatio = (ratio) => (ratio === undefined ? "-" : `${ratio.toFixed(ratio < 10 ? 2 : 1)}x`)

const cell = ({ figures, errors, unit }, name) => {
  if (name in errors) return "failed"
  return name in figures ? formatRate(figures[name].rate, unit) : "-"
}

const printTable = (results, contenders) => {
  const names = contenders.map(({ contender }) => contender)
  const rows = [
    ["workload", ...names, "ours / better peer", "aim", "compat / hypercore-7"],
    ...results.map((result) => [
      result.title,
      ...names.map((name) => cell(result, name)),
      formatRatio(result.ratio),
      `${result.aim}x`,
      formatRatio(result.compat)
    ])
  ]
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)))
  const line = (row) =>
    row
      .map((text, column) => (column === 0 ? text.padEnd(widths[0]) : text.padStart(widths[column])))
      .join("  ")
  const [head, ...body] = rows
  console.log(line(head))
  console.log(widths.map((width) => "-".repeat(width)).join("  "))
  for (const row of body) console.log(line(row))
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
  const results = await measureAll(options, contenders, root)

  if (options.json) {
    const { rounds, quick } = options
    const node = process.versions.node
    console.log(JSON.stringify({ node, rounds, quick, contenders, results }, null, 2))
  } else {
    const { rounds } = options
    console.log(`\nRates, ${rounds === 1 ? "one round" : `medians of ${rounds} rounds`}:\n`)
    printTable(results, contenders)
    console.log(`\n${versions(contenders)}`)
  }
  if (results.some(({ errors }) => Object.keys(errors).length > 0)) process.exitCode = 1
}

main().catch((error) => {
  say(error instanceof Error ? error.message : `${error}`)
  process.exitCode = 1
})
