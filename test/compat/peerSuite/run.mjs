/**
 * The test files of hypercore 7.7.1, unchanged, with the real package and with ours in its place: each file in a process of its own, from a
 * copy in a temporary directory, for one of them writes beside itself. Fails where the real one passes and ours does not.
 */
import { spawn } from "node:child_process"
import { cpSync, existsSync, mkdtempSync, readdirSync, realpathSync, rmSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { basename, dirname, join, resolve } from "node:path"
import { parseArgs } from "node:util"
import { counts, losses, parse } from "./tap.mjs"

const HELP = `node test/compat/peerSuite/run.mjs [options]

  --only FILE   only this test file, such as basic.js; may be given several times
  --ours PATH   the module to test (default: effect-hypercore/compat, as built)
  --real        the real package alone
`

// They test the insides of the real package.
const LEFT_OUT = new Set(["bitfield.js", "tree-index.js"])

const SECOND = 1000
const TIME_LIMIT = 60 * SECOND
// Appends a million blocks.
const TIME_LIMITS = { "replicate.js": 120 * SECOND }
const ERROR_OUTPUT = 2000

const require = createRequire(import.meta.url)
const peer = require.resolve("hypercore-7")
const peerTests = join(dirname(peer), "test")

/** The versions for which the tests were written. */
const checkVersions = () => {
  const ofTests = createRequire(join(peerTests, "any.js"))
  const expected = { "random-access-memory": 3, tape: 4, "hypercore-crypto": 1, "stream-collector": 1 }
  for (const [name, major] of Object.entries(expected)) {
    const { version } = ofTests(`${name}/package.json`)
    if (Number.parseInt(version, 10) !== major)
      throw new Error(`the tests need ${name} ${major}, not ${version}`)
  }
}

const exportOfPackage = () => {
  try {
    return require.resolve("effect-hypercore/compat")
  } catch {
    return undefined
  }
}

/**
 * Files whose own timers race the machine, and how often each may: stats.js looks 50 ms after two replications began, in a process that has just
 * started. Ours take 25, and twice that where other programs want the processor.
 */
const TRIES = { "stats.js": 4 }

/** Runs a test file, and again when it may. */
const runTries = async (file, subject, ours) => {
  let result = await runFile(file, subject, ours)
  for (let tries = 1; result.end !== "" && tries < (TRIES[file] ?? 1); tries++) {
    console.log(`  ${file}: once more, for its timer`)
    result = await runFile(file, subject, ours)
  }
  return result
}

/** Runs a test file with `subject` in the place of the package: `{ assertions, seconds, end }`, where `end` is "" after a good one. */
const runFile = async (file, subject, ours) => {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), "effect-hypercore-peer-suite-")))
  const tests = join(directory, "test")
  try {
    cpSync(peerTests, tests, { recursive: true })
    const env = {
      ...process.env,
      PEER_SUITE_SUBJECT: subject,
      PEER_SUITE_TESTS: tests,
      PEER_SUITE_OURS: ours
    }
    const args = ["--no-warnings", "--require", join(import.meta.dirname, "preload.cjs"), join(tests, file)]
    const start = performance.now()
    const { output, end } = await runProcess(args, env, TIME_LIMITS[file] ?? TIME_LIMIT)
    return { assertions: parse(output), seconds: (performance.now() - start) / SECOND, end }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

const runProcess = (args, env, limit) =>
  new Promise((settle, reject) => {
    const child = spawn(process.execPath, args, { env, stdio: ["ignore", "pipe", "pipe"] })
    let output = ""
    let errors = ""
    let isLate = false
    const timer = setTimeout(() => {
      isLate = true
      child.kill("SIGKILL")
    }, limit)
    child.stdout.setEncoding("utf8").on("data", (text) => (output += text))
    child.stderr.setEncoding("utf8").on("data", (text) => (errors = (errors + text).slice(-ERROR_OUTPUT)))
    child.on("error", reject)
    child.on("close", (code, signal) => {
      clearTimeout(timer)
      settle({ output, end: endOf({ code, signal, isLate, limit, errors }) })
    })
  })

/** How it ended and the end of what it said on that, or "". */
const endOf = ({ code, signal, isLate, limit, errors }) => {
  if (code === 0) return ""
  const how = isLate ? `did not end in ${limit / SECOND} s` : `ended with ${signal ?? `exit code ${code}`}`
  return `${how}\n${errors}`.trimEnd().replaceAll("\n", "\n      ")
}

const columns = (cells) => cells.map((cell, i) => (i === 0 ? cell.padEnd(22) : cell.padStart(9))).join("")

const cellsOf = ({ assertions, seconds }) => {
  const { ok, notOk } = counts(assertions)
  return [`${ok}`, `${notOk}`, `${seconds.toFixed(1)} s`]
}

/** What the real package did not pass, a line each. */
const notesOn = (file, { assertions, end }) => {
  const failed = assertions.filter(({ ok }) => !ok).map(({ test, name }) => `  ${file}: ${test}: ${name}`)
  return end === "" ? failed : [...failed, `  ${file} ${end}`]
}

/** What ours did not pass of what the real package did. */
const lossesOf = (file, real, ours) => {
  const lost = losses(real.assertions, ours.assertions).map(({ test, name, missing, failed }) => {
    const less = missing > 0 ? `, ${missing} not passed` : ""
    const more = failed > 0 ? `, ${failed} failed` : ""
    return `  ${file}: ${test}: ${name === "" ? "(no name)" : name}${less}${more}`
  })
  return ours.end === "" || real.end !== "" ? lost : [...lost, `  ${file} ${ours.end}`]
}

const total = (results) => ({
  assertions: results.flatMap(({ assertions }) => assertions),
  seconds: results.reduce((sum, { seconds }) => sum + seconds, 0)
})

/** Runs the files and prints a line each; without `ours`, with the real package alone. */
const runAll = async (files, ours) => {
  const subjects = [peer, ...(ours === undefined ? [] : [join(import.meta.dirname, "ours.cjs")])]
  const all = subjects.map(() => [])
  const notes = []
  const lost = []
  console.log(
    columns(["", ...subjects.flatMap((_, i) => [`${i === 0 ? "real" : "ours"} ok`, "not ok", "time"])])
  )
  for (const file of files) {
    for (const [i, subject] of subjects.entries()) all[i].push(await runTries(file, subject, ours ?? ""))
    const [real, other] = all.map((results) => results.at(-1))
    console.log(columns([file, ...cellsOf(real), ...(other === undefined ? [] : cellsOf(other))]))
    notes.push(...notesOn(file, real))
    if (other !== undefined) lost.push(...lossesOf(file, real, other))
  }
  console.log(columns(["all", ...all.flatMap((results) => cellsOf(total(results)))]))
  return { notes, lost }
}

const chosenFiles = (only) => {
  const all = readdirSync(peerTests)
    .filter((file) => file.endsWith(".js") && !LEFT_OUT.has(file))
    .sort()
  const unknown = only.find((file) => !all.includes(basename(file)))
  if (unknown !== undefined) throw new Error(`there is no test file ${unknown}: ${all.join(", ")}`)
  return only.length === 0 ? all : all.filter((file) => only.some((one) => basename(one) === file))
}

const chosenSubject = ({ ours, real }) => {
  if (real) return undefined
  const file = ours === undefined ? exportOfPackage() : resolve(ours)
  if (file === undefined || !existsSync(file)) {
    throw new Error(
      `there is no ${file ?? "effect-hypercore/compat"}: build it, or give --ours PATH or --real`
    )
  }
  return file
}

const main = async () => {
  const { values } = parseArgs({
    options: {
      only: { type: "string", multiple: true, default: [] },
      ours: { type: "string" },
      real: { type: "boolean", default: false },
      help: { type: "boolean", default: false }
    }
  })
  if (values.help) return console.log(HELP)
  checkVersions()
  const { notes, lost } = await runAll(chosenFiles(values.only), chosenSubject(values))
  if (notes.length > 0) console.log(`\nWhat the real package does not pass here:\n${notes.join("\n")}`)
  if (lost.length > 0) console.log(`\nWhat it passes and ours does not:\n${lost.join("\n")}`)
  if (lost.length > 0) process.exitCode = 1
}

try {
  await main()
} catch (error) {
  console.error(error.message)
  process.exitCode = 1
}
