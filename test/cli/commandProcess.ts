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

export const start = (command: string, args: ReadonlyArray<string>, cwd: string): ChildProcess =>
  spawn(process.execPath, [command, ...args], { cwd, stdio: ["pipe", "pipe", "pipe"] })

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
