/** The test files of other packages, run unchanged in a process of their own, on the real packages or on a bundle of ours. */
import { Effect } from "effect"
import { build } from "esbuild"
import { execFile } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../..", import.meta.url))

/** The entry `src/compat/<name>.ts` as one file in `directory`, beside which its native package is found. */
export const bundle = (name: string, directory: string): Effect.Effect<string> =>
  Effect.promise(async () => {
    const outfile = path.join(directory, `${name}.mjs`)
    await build({
      absWorkingDir: root,
      entryPoints: [`src/compat/${name}.ts`],
      outfile,
      bundle: true,
      platform: "node",
      target: "node20",
      format: "esm",
      external: ["sodium-native"],
      // The `codecs` in it is CommonJS, and asks for what Node has.
      banner: {
        js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);'
      }
    })
    fs.symlinkSync(path.join(root, "node_modules"), path.join(directory, "node_modules"))
    return outfile
  })

export interface Run {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs `file` of `node_modules` after `preload`, a file beside this one. */
export const run = (
  file: string,
  preload: string,
  env: Record<string, string | undefined>
): Effect.Effect<Run> =>
  Effect.promise(
    () =>
      new Promise<Run>((resolve) => {
        const args = ["-r", fileURLToPath(new URL(preload, import.meta.url)), `node_modules/${file}`]
        const given = { cwd: root, env: { ...process.env, ...env } }
        const child = execFile(process.execPath, args, given, (_, stdout, stderr) =>
          resolve({ code: child.exitCode ?? -1, stdout, stderr })
        )
      })
  )

/** Its tests: for each, the assertions, in the order of their words. */
export const assertions = ({ stdout }: Run): Map<string, Array<string>> => {
  const tests = new Map<string, Array<string>>()
  let current: Array<string> = []
  for (const line of stdout.split("\n")) {
    const [, name] = /^# (.*)$/.exec(line) ?? []
    const [, result, words] = /^(ok|not ok) \d+ (.*)$/.exec(line) ?? []
    if (name !== undefined) tests.set(name, (current = []))
    if (result !== undefined) current.push(`${result} ${words}`)
  }
  for (const one of tests.values()) one.sort()
  // The sums at the end.
  for (const name of tests.keys()) if (/^(tests|pass) /.test(name)) tests.delete(name)
  return tests
}
