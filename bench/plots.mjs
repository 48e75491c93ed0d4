/**
 * What an operation costs against the feed's length, and a copy against the number of peers: SVG files and their figures in
 * bench/results/. See README.md, "Plots".
 *
 *   node bench/plots.mjs [--quick] [--rounds N] [--only append,get,open,replicate,peers] [--contenders A,B]
 */
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { makeRoot, remove, work } from "./child.mjs"
import { median, rotated, say } from "./rounds.mjs"
import { plot } from "./svg.mjs"

const RESULTS = fileURLToPath(new URL("results/", import.meta.url))
const LENGTHS = [1_000, 10_000, 100_000, 1_000_000, 10_000_000]
const PEERS = [1, 3, 10, 30, 100]
const PEERS_LENGTH = 10_000

/** In this order: appending changes the feed. */
const PLOTS = {
  get: { title: "get one random block", yLabel: "microseconds" },
  open: { title: "open", yLabel: "microseconds" },
  replicate: { title: "replicate 1,000 blocks out of it", yLabel: "microseconds a block" },
  append: { title: "append one block, awaited", yLabel: "microseconds" },
  peers: { title: "replicate 4,000 blocks", yLabel: "microseconds a block", xLabel: "peers that have them" }
}

const { values: options } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    rounds: { type: "string" },
    only: { type: "string", default: Object.keys(PLOTS).join(",") },
    contenders: { type: "string", default: "ours,compat,hypercore-7" }
  }
})
const contenders = options.contenders.split(",")
const wanted = options.only.split(",")
const rounds = Number(options.rounds ?? (options.quick ? 1 : 3))
const mode = options.quick ? ["--quick"] : []

/** Measures in a process of its own; gives microseconds an operation, or `undefined` where it went wrong. */
const measure = async (contender, name, dir, more = []) => {
  const args = ["--contender", contender, "--workload", `curve-${name}`, "--dir", dir, ...mode, ...more]
  const { error, ops, seconds } = await work(args)
  if (error === undefined) return (1e6 * seconds) / ops
  say(`  ${contender}, ${name}: ${error}`)
  process.exitCode = 1
  return undefined
}

const figures = Object.fromEntries(wanted.map((name) => [name, {}]))

/** The medians of rounds in which the contenders take turns, put down at `x`. */
const putDown = async (name, x, dir, more) => {
  const found = new Map(contenders.map((contender) => [contender, []]))
  for (let round = 0; round < rounds; round++) {
    for (const contender of rotated(contenders, round)) {
      const cost = await measure(contender, name, dir, more)
      if (cost !== undefined) found.get(contender).push(cost)
    }
  }
  for (const [contender, costs] of found) {
    if (costs.length === 0) continue
    const points = (figures[name][contender] ??= [])
    points.push([x, Number(median(costs).toPrecision(4))])
    say(`  ${name.padEnd(10)} ${contender.padEnd(14)} ${points.at(-1)[1]} us`)
  }
}

const building = async (root, length, use) => {
  const dir = join(root, `${length}`, "feed")
  mkdirSync(dir, { recursive: true })
  say(`${length.toLocaleString("en-US")} blocks`)
  // The files are the same whoever writes them.
  const args = ["--contender", "ours", "--workload", "curve-build", "--dir", dir, "--length", `${length}`]
  const { error } = await work(args)
  if (error === undefined) await use(dir)
  else throw new Error(`building failed: ${error}`)
  remove(join(root, `${length}`))
}

const main = async () => {
  const unknown = wanted.find((name) => !(name in PLOTS))
  if (unknown !== undefined) throw new Error(`there is no plot "${unknown}"`)
  const root = makeRoot()
  const byLength = Object.keys(PLOTS).filter((name) => wanted.includes(name) && name !== "peers")
  for (const length of byLength.length === 0 ? [] : LENGTHS.slice(0, options.quick ? 3 : undefined)) {
    await building(root, length, async (dir) => {
      for (const name of byLength) await putDown(name, length, dir)
    })
  }
  if (wanted.includes("peers")) {
    await building(root, PEERS_LENGTH, async (dir) => {
      for (const peers of PEERS) await putDown("peers", peers, dir, ["--peers", `${peers}`])
    })
  }
  mkdirSync(RESULTS, { recursive: true })
  for (const [name, lines] of Object.entries(figures)) {
    const series = Object.entries(lines).map(([contender, points]) => ({ name: contender, points }))
    if (series.length === 0) continue
    const file = join(RESULTS, `${name}.svg`)
    writeFileSync(file, plot({ xLabel: "blocks in the feed", ...PLOTS[name], series }))
    writeFileSync(join(RESULTS, `${name}.json`), `${JSON.stringify(lines, null, 2)}\n`)
    say(file)
  }
}

main().catch((error) => {
  say(error instanceof Error ? error.message : `${error}`)
  process.exitCode = 1
})
