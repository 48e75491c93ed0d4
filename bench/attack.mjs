/**
 * A victim under attack: what hostile peers do to its event loop, its memory and an honest peer. See README.md, "Attacks".
 *
 *   node bench/attack.mjs [--only hashes,seeks] [--role author|reader] [--seconds 3] [--crypto native|portable]
 *     [--prof DIRECTORY] [--json] [--list]
 */
import { fork } from "node:child_process"
import { cpSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { BLOCKS, HELD, makeFixture } from "./attack/fixture.mjs"
import { scenarios } from "./attack/scenarios.mjs"

const ROLES = ["author", "reader"]
/** Milliseconds: the honest peer alone, before the attack. */
const QUIET = 1500
const SETTLE = 300

const { values: args } = parseArgs({
  options: {
    only: { type: "string" },
    role: { type: "string" },
    seconds: { type: "string", default: "3" },
    crypto: { type: "string", default: "native" },
    prof: { type: "string" },
    json: { type: "boolean", default: false },
    list: { type: "boolean", default: false }
  }
})

const running = new Set()
const root = mkdtempSync(join(tmpdir(), "effect-hypercore-attack-"))
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL")
  rmSync(root, { recursive: true, force: true, maxRetries: 10 })
})
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.once(signal, () => process.exit(1))

const start = (file, argument, execArgv = []) => {
  const path = fileURLToPath(new URL(`attack/${file}.mjs`, import.meta.url))
  const child = fork(path, [JSON.stringify(argument)], { execArgv })
  running.add(child)
  child.once("exit", () => running.delete(child))
  return child
}

const answer = (child, isIt) =>
  new Promise((resolve, reject) => {
    const hear = (message) => {
      if (!isIt(message)) return
      child.off("message", hear)
      resolve(message)
    }
    child.on("message", hear)
    child.once("exit", () => reject(new Error("the victim's process ended")))
  })

const measured = async (victim, milliseconds) => {
  victim.send("start")
  await sleep(milliseconds)
  victim.send("stop")
  return answer(victim, ({ figures }) => figures !== undefined)
}

/** What the honest peer got since it was last asked, a second, and how long a block took at most. */
const follow = (honest) => {
  let seen = { got: 0, longest: 0 }
  let since = performance.now()
  honest.on("message", ({ got, longest }) => {
    seen = { got: seen.got + got, longest: Math.max(seen.longest, longest) }
  })
  return () => {
    const rate = (1000 * seen.got) / (performance.now() - since)
    const { longest } = seen
    seen = { got: 0, longest: 0 }
    since = performance.now()
    return { rate, longest }
  }
}

const run = async (scenario, role, seconds) => {
  const directory = join(root, "run")
  cpSync(join(root, "fixture", role), join(directory, role), { recursive: true })
  const flags = [
    "--expose-gc",
    ...(args.prof === undefined ? [] : ["--cpu-prof", "--cpu-prof-dir", args.prof])
  ]
  const victim = start("victim", { role, directory, crypto: args.crypto }, flags)
  try {
    const { ready } = await answer(victim, (message) => message.ready !== undefined)
    const honest = start("honest", { port: ready.honest, key: ready.key, blocks: HELD })
    const got = follow(honest)
    await answer(honest, (message) => message.got > 0)
    await sleep(SETTLE)
    got()
    const quiet = { ...(await measured(victim, QUIET)).figures, ...got() }
    const attacker = start("attacker", {
      name: scenario.name,
      role,
      port: ready.attacked,
      discoveryKeys: ready.discoveryKeys,
      blocks: role === "author" ? BLOCKS : HELD,
      author: join(root, "fixture")
    })
    let made = 0
    attacker.on("message", (message) => (made = message.made))
    await answer(attacker, (message) => message.made > 0)
    got()
    const { ends, figures } = await measured(victim, 1000 * seconds)
    const attacked = { ...figures, ...got() }
    attacker.kill("SIGKILL")
    honest.kill("SIGKILL")
    return { name: scenario.name, about: scenario.about, role, made, ends, quiet, attacked }
  } finally {
    await ended(victim)
    for (const child of running) child.kill("SIGKILL")
    rmSync(directory, { recursive: true, force: true })
  }
}

/** The victim ends by itself, so that it writes its profile. */
const ended = (victim) =>
  new Promise((resolve) => {
    if (victim.exitCode !== null) return resolve()
    victim.once("exit", resolve)
    victim.disconnect()
  })

// ---------------------------------------------------------------------------------------------
// Printing

const ms = (value) => value.toFixed(0)
const megabytes = (value) => (value / 2 ** 20).toFixed(0)

const COLUMNS = [
  ["victim", ({ role }) => role],
  ["attack", ({ name }) => name],
  [
    "its connections",
    ({ ends, made }) =>
      `${made} (${
        Object.entries(ends)
          .map(([end, count]) => `${end} ${count}`)
          .join(", ") || "goes on"
      })`
  ],
  ["wall", ({ attacked, quiet }) => `${ms(attacked.wall)} (${ms(quiet.wall)})`],
  ["own", ({ attacked, quiet }) => `${ms(attacked.own)} (${ms(quiet.own)})`],
  ["cpu", ({ attacked, quiet }) => `${ms(attacked.cpu)} (${ms(quiet.cpu)})`],
  ["gc", ({ attacked }) => ms(attacked.gc)],
  ["busy", ({ attacked, quiet }) => `${ms(100 * attacked.busy)} (${ms(100 * quiet.busy)})`],
  ["rss", ({ attacked }) => `+${megabytes(attacked.rss)}`],
  ["held", ({ attacked }) => `+${megabytes(attacked.held)}`],
  ["after", ({ attacked }) => megabytes(attacked.after)],
  ["honest/s", ({ attacked, quiet }) => `${attacked.rate.toFixed(0)} (${quiet.rate.toFixed(0)})`],
  ["longest", ({ attacked, quiet }) => `${ms(attacked.longest)} (${ms(quiet.longest)})`]
]

const WIDTHS = [7, 17, 34, 10, 10, 10, 4, 9, 6, 6, 6, 14, 12]
const line = (cells) =>
  cells.map((cell, i) => (i < 3 ? cell.padEnd(WIDTHS[i]) : cell.padStart(WIDTHS[i]))).join(" ")

const chosen = () => {
  const only = args.only?.split(",")
  const unknown = only?.find((name) => !scenarios.some((one) => one.name === name))
  if (unknown !== undefined) throw new Error(`there is no attack "${unknown}"`)
  return scenarios.filter(({ name }) => only === undefined || only.includes(name))
}

const main = async () => {
  if (args.list) {
    for (const { about, name, roles = ROLES } of scenarios)
      console.log(`${name.padEnd(18)} ${about} (${roles.join(", ")})`)
    return
  }
  const picked = chosen()
  await makeFixture(join(root, "fixture"))
  if (!args.json) console.log(line(COLUMNS.map(([title]) => title)))
  for (const role of args.role === undefined ? ROLES : [args.role]) {
    for (const scenario of picked.filter(({ roles = ROLES }) => roles.includes(role))) {
      const result = await run(scenario, role, Number(args.seconds))
      console.log(args.json ? JSON.stringify(result) : line(COLUMNS.map(([, cell]) => cell(result))))
    }
  }
}

await main()
process.exit(0)
