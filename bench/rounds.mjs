/** Every workload with every contender: rounds of measurements, their medians, and the medians against each other. */
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { remove, work } from "./child.mjs"
import { fixtures, isOwnSize } from "./fixtures.mjs"
import { format, isBetter, rateOf, ratioOf } from "./units.mjs"

/** With native crypto, as ours. */
const PEERS = ["hypercore-7", "hypercore-11"]

export const say = (text) => process.stderr.write(`${text}\n`)

/** Those that can be loaded, and what they say of themselves. */
export const probe = async (names) => {
  const available = []
  for (const name of names) {
    const found = await work(["--contender", name, "--probe"])
    if (found.error === undefined) available.push(found)
    else say(`${name}: not available (${found.error})`)
  }
  return available
}

export const median = (numbers) => {
  const sorted = numbers.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

export const rotated = (list, by) => list.map((_, i) => list[(i + by) % list.length])

/** Feeds that are built when first asked for, and kept until `drop`. */
const makeLibrary = (contenders, root, quick) => {
  const mode = quick ? ["--quick"] : []
  const built = new Map()

  /** Whose feed it is that this contender reads. The limit reads ours, whether or not ours takes part. */
  const ownerOf = ({ contender, fixturesOf, pace, supports }, fixture) => {
    if (!quick && isOwnSize(fixture, pace)) return contender
    if (contender === "limit" || (fixtures[fixture].shared && supports.includes("sleep"))) return "ours"
    return contenders.some((other) => other.contender === fixturesOf) ? fixturesOf : contender
  }

  return {
    /** `{ dir }` or `{ error }`. */
    feedFor: async (contender, { name, fixture }) => {
      const owner = ownerOf(contender, fixture)
      const dir = join(root, "fixtures", fixture, owner)
      if (!built.has(dir)) {
        mkdirSync(dir, { recursive: true })
        const args = ["--contender", owner, "--workload", name, "--dir", dir, "--build", ...mode]
        const result = await work(args)
        built.set(dir, { owner, fixture, ...result })
        const { blocks, seconds } = result
        if (result.error === undefined) {
          say(`  ${blocks.toLocaleString("en-US")} blocks built with ${owner} in ${seconds.toFixed(1)} s`)
        }
      }
      const { error } = built.get(dir)
      return error === undefined ? { dir } : { error: `building failed: ${error}` }
    },
    drop: (fixture) => remove(join(root, "fixtures", fixture)),
    buildings: () =>
      [...built.values()]
        .filter(({ error }) => error === undefined)
        .map(({ blocks, fixture, owner, seconds }) => ({ fixture, owner, blocks, seconds }))
  }
}

const canDo = ({ limited, supports }, { name, needs }) =>
  limited === undefined ? needs === undefined || supports.includes(needs) : limited.includes(name)

/** One figure of each contender that went through all rounds. */
const figuresOf = (unit, measured, errors) => {
  const figures = {}
  for (const [contender, list] of measured) {
    if (list.length === 0 || contender in errors) continue
    const rates = list.map((result) => rateOf(unit, result))
    const { crypto, parts, rssBytes } = list.at(-1)
    const rssMB = Math.max(...list.map((result) => result.rssMB))
    figures[contender] = { rate: median(rates), rates, rssMB, crypto, parts, rssBytes }
  }
  return figures
}

const compareTo = (unit, figures, one, other) =>
  one in figures && other in figures ? ratioOf(unit, figures[one].rate, figures[other].rate) : undefined

/** How many times as good each is as what it should be compared with. */
const compare = (unit, figures) => {
  const peers = PEERS.filter((name) => name in figures)
  const better = peers.reduce(
    (a, b) => (a !== undefined && isBetter(unit, figures[a].rate, figures[b].rate) ? a : b),
    undefined
  )
  return {
    betterPeer: better,
    ratio: compareTo(unit, figures, "ours", better),
    portable: compareTo(unit, figures, "ours-portable", "hypercore-7-portable"),
    // The same program on both.
    compat: compareTo(unit, figures, "compat", "hypercore-7"),
    ofLimit: compareTo(unit, figures, "ours", "limit")
  }
}

export const measureAll = async ({ rounds, workloads, quick }, contenders, root) => {
  const mode = quick ? ["--quick"] : []
  const library = makeLibrary(contenders, root, quick)

  const measure = async (contender, workload) => {
    const scratch = join(root, "scratch")
    const own = join(scratch, "feed")
    try {
      mkdirSync(own, { recursive: true })
      const { dir, error } =
        workload.fixture === undefined ? { dir: own } : await library.feedFor(contender, workload)
      if (error !== undefined) return { error }
      const { contender: name } = contender
      return await work(["--contender", name, "--workload", workload.name, "--dir", dir, ...mode])
    } finally {
      remove(scratch)
    }
  }

  const measureRounds = async (workload) => {
    const able = contenders.filter((contender) => canDo(contender, workload))
    const measured = new Map(able.map(({ contender }) => [contender, []]))
    const errors = {}
    for (let round = 0; round < rounds; round++) {
      for (const contender of rotated(able, round)) {
        const { contender: name } = contender
        if (name in errors) continue
        const result = await measure(contender, workload)
        if (result.error === undefined) {
          measured.get(name).push(result)
          const rate = format(workload.unit, rateOf(workload.unit, result))
          say(`  round ${round + 1}  ${name.padEnd(20)}  ${rate}`)
        } else {
          errors[name] = result.error
          say(`  ${name}: failed, ${result.error}`)
        }
      }
    }
    return { figures: figuresOf(workload.unit, measured, errors), errors }
  }

  const results = []
  for (const [index, workload] of workloads.entries()) {
    const { name, title, unit, aim, fixture } = workload
    say(`${name}: ${title}`)
    const { errors, figures } = await measureRounds(workload)
    results.push({ workload: name, title, unit, aim, figures, errors, ...compare(unit, figures) })
    const still = workloads.slice(index + 1).some((later) => later.fixture === fixture)
    if (fixture !== undefined && !still) library.drop(fixture)
  }
  return { results, buildings: library.buildings() }
}
