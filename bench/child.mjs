/** The temporary directory and the child processes, all gone however this process ends. */
import { spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

/** Milliseconds: of a measurement, of the building of a feed. */
const TIME_LIMIT = 180_000
const BUILDING_TIME_LIMIT = 900_000

const running = new Set()

export const makeRoot = () => {
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

export const remove = (dir) => rmSync(dir, { recursive: true, force: true })

const lastLine = (text) => text.trim().split("\n").at(-1) ?? ""

/** Runs the worker; gives what it printed, or `{ error }`. Never throws. */
export const work = (args) =>
  new Promise((resolve) => {
    const worker = fileURLToPath(new URL("worker.mjs", import.meta.url))
    // hypercore 7 falls back to JavaScript crypto when told so by this variable.
    const { SODIUM_NATIVE: _, ...env } = process.env
    const child = spawn(process.execPath, ["--expose-gc", worker, ...args], {
      env,
      stdio: ["ignore", "pipe", "pipe"]
    })
    running.add(child)
    const limit = args.includes("--build") ? BUILDING_TIME_LIMIT : TIME_LIMIT
    const timer = setTimeout(() => child.kill("SIGKILL"), limit)
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
