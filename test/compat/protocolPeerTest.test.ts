/** The test file of `hypercore-protocol`, unchanged, on the real package and on ours. */
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { build } from "esbuild"
import { execFile } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { temporaryDirectory } from "../temporaryDirectory.js"

const root = fileURLToPath(new URL("../..", import.meta.url))
const preload = fileURLToPath(new URL("protocolOfTest.cjs", import.meta.url))

/** The entry as one file, beside which its native package is found. */
const bundle = (directory: string) =>
  Effect.promise(async () => {
    const outfile = path.join(directory, "protocol.mjs")
    await build({
      absWorkingDir: root,
      entryPoints: ["src/compat/protocol.ts"],
      outfile,
      bundle: true,
      platform: "node",
      target: "node20",
      format: "esm",
      external: ["sodium-native"]
    })
    fs.symlinkSync(path.join(root, "node_modules"), path.join(directory, "node_modules"))
    return outfile
  })

interface Run {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

const run = (ours: string | undefined) =>
  Effect.promise(
    () =>
      new Promise<Run>((resolve) => {
        const args = ["-r", preload, "node_modules/hypercore-protocol/test.js"]
        const env = { ...process.env, ...(ours === undefined ? {} : { OURS: ours }) }
        const child = execFile(process.execPath, args, { cwd: root, env }, (_, stdout, stderr) =>
          resolve({ code: child.exitCode ?? -1, stdout, stderr })
        )
      })
  )

/** Its tests: for each, the assertions, in the order of their words. */
const assertions = ({ stdout }: Run): Map<string, Array<string>> => {
  const tests = new Map<string, Array<string>>()
  let current: Array<string> = []
  for (const line of stdout.split("\n")) {
    const [, name] = /^# (.*)$/.exec(line) ?? []
    const [, result, words] = /^(ok|not ok) \d+ (.*)$/.exec(line) ?? []
    if (name !== undefined) tests.set(name, (current = []))
    if (result !== undefined) current.push(`${result} ${words}`)
  }
  for (const one of tests.values()) one.sort()
  return tests
}

/** It asserts once for each chunk, and we join what they send one by one. */
const EACH_CHUNK = "stream is encrypted"

it.scoped("passes with ours as it does with the real package", () =>
  Effect.gen(function* () {
    const directory = fs.realpathSync(yield* temporaryDirectory)
    const outfile = yield* bundle(directory)
    const [real, ours] = yield* Effect.all([run(undefined), run(outfile)], { concurrency: 2 })
    expect(real).toMatchObject({ code: 0, stderr: "" })
    expect(ours).toMatchObject({ code: 0, stderr: "" })
    const expected = assertions(real)
    const actual = assertions(ours)
    expect(expected.get("send messages")).toHaveLength(10)
    for (const tests of [expected, actual]) {
      expect([...tests.values()].flat().filter((line) => line.startsWith("not"))).toEqual([])
      tests.set(EACH_CHUNK, [...new Set(tests.get(EACH_CHUNK))])
      // The sums at the end.
      for (const name of tests.keys()) if (/^(tests|pass) /.test(name)) tests.delete(name)
    }
    expect(Object.fromEntries(actual)).toEqual(Object.fromEntries(expected))
  })
)
