/** The bundled command as a child process, as a user runs it. */
import { build } from "esbuild"
import { type ChildProcess, spawn } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { expect } from "vitest"

const root = fileURLToPath(new URL("../..", import.meta.url))

/** Bundles the command into `directory`, with the options of `scripts/build.mjs`; answers the file. */
export const bundle = async (directory: string): Promise<string> => {
  const outfile = path.join(directory, "hypercore.js")
  await build({
    absWorkingDir: root,
    entryPoints: ["src/cli/main.ts"],
    outfile,
    bundle: true,
    platform: "node",
    target: "node20",
    format: "esm",
    external: ["sodium-native", "fd-lock", "fs-native-extensions"],
    banner: {
      js: [
        "#!/usr/bin/env node",
        'import { createRequire as __createRequire } from "node:module";',
        "const require = __createRequire(import.meta.url);"
      ].join("\n")
    },
    legalComments: "none",
    logLevel: "warning"
  })
  // The native packages are found from where the bundle is.
  fs.symlinkSync(path.join(root, "node_modules"), path.join(directory, "node_modules"))
  return outfile
}

export interface Ended {
  readonly code: number | null
  readonly stdout: Buffer
  readonly stderr: string
}

export const start = (
  command: string,
  args: ReadonlyArray<string>,
  cwd: string,
  program = process.execPath
): ChildProcess => spawn(program, [command, ...args], { cwd, stdio: ["pipe", "pipe", "pipe"] })

/** Ends with the process, and with all that it wrote. */
export const ended = (child: ChildProcess): Promise<Ended> =>
  new Promise((resolve, reject) => {
    const stdout: Array<Buffer> = []
    const stderr: Array<Buffer> = []
    child.stdout!.on("data", (bytes: Buffer) => stdout.push(bytes))
    child.stderr!.on("data", (bytes: Buffer) => stderr.push(bytes))
    child.on("error", reject)
    child.on("close", (code) =>
      resolve({ code, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() })
    )
  })

/** Exactly one line on standard error, without a stack trace or escape codes. */
export const expectFailure = (result: Ended, code: number, message: RegExp | string): void => {
  // oxlint-disable-next-line no-control-regex
  expect(result.stderr).toMatch(/^hypercore: [^\n\u001b]+\n$/)
  if (typeof message === "string") expect(result.stderr).toBe(`hypercore: ${message}\n`)
  else expect(result.stderr).toMatch(message)
  expect(result.code).toBe(code)
}

export const expectSuccess = (result: Ended): void => {
  expect(result.stderr).toBe("")
  expect(result.code).toBe(0)
}

/** A process that is not over yet. */
export interface Running {
  readonly pid: number
  /** What it has written until now. */
  readonly stdout: () => string
  readonly stderr: () => string
  /** Ends when what it has written to either of the two matches; fails when it ends before, or after a minute. */
  readonly wrote: (pattern: RegExp) => Promise<RegExpExecArray>
  readonly write: (input: string) => void
  /** Nothing more is written to it. */
  readonly close: () => void
  /** Sends the signal, to this process only, and waits for its end. */
  readonly stop: (signal?: NodeJS.Signals) => Promise<Ended>
  readonly ended: Promise<Ended>
}

const PATIENCE = 60_000

/** Whoever starts it ends it: `stop`, or `stopAll` after each test. */
const running = new Set<ChildProcess>()

export const run = (...args: Parameters<typeof start>): Running => {
  const child = start(...args)
  running.add(child)
  const output = { stdout: "", stderr: "" }
  const looks = new Set<() => void>()
  for (const name of ["stdout", "stderr"] as const) {
    child[name]!.on("data", (bytes: Buffer) => {
      output[name] += bytes.toString()
      for (const look of looks) look()
    })
  }
  child.stdin!.on("error", () => {})
  const over = ended(child).finally(() => {
    running.delete(child)
    for (const look of looks) look()
  })
  over.catch(() => {})
  const tell = (): string => `\nstdout: ${output.stdout}\nstderr: ${output.stderr}`
  return {
    pid: child.pid!,
    stdout: () => output.stdout,
    stderr: () => output.stderr,
    wrote: (pattern) =>
      new Promise((resolve, reject) => {
        const finish = (act: () => void): void => {
          looks.delete(look)
          clearTimeout(deadline)
          act()
        }
        const look = (): void => {
          const found = pattern.exec(output.stdout) ?? pattern.exec(output.stderr)
          if (found !== null) finish(() => resolve(found))
          else if (!running.has(child)) {
            finish(() => reject(new Error(`ended before it wrote ${pattern}${tell()}`)))
          }
        }
        const deadline = setTimeout(
          () => finish(() => reject(new Error(`did not write ${pattern}${tell()}`))),
          PATIENCE
        )
        looks.add(look)
        look()
      }),
    write: (input) => void child.stdin!.write(input),
    close: () => void child.stdin!.end(),
    stop: (signal = "SIGINT") => {
      child.kill(signal)
      return over
    },
    ended: over
  }
}

/** A line of shell on a terminal of its own; what it shows there is its standard output. */
export const beginOnTerminal = (line: string, cwd: string): Running =>
  run("-qec", [line, "/dev/null"], cwd, "script")

/** Ends what a test has left. */
export const stopAll = async (): Promise<void> => {
  const left = [...running]
  await Promise.all(
    left.map(
      (child) =>
        new Promise((resolve) => {
          child.once("close", resolve)
          child.kill("SIGKILL")
        })
    )
  )
}
