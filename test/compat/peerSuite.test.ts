/** The runner of the peer's own suite sees what is lost. */
import { describe, expect, it } from "vitest"
import { execFile } from "node:child_process"
import * as fs from "node:fs"
import { createRequire } from "node:module"
import * as os from "node:os"
import * as path from "node:path"
import { counts, losses, parse } from "./peerSuite/tap.mjs"

const peer = createRequire(import.meta.url).resolve("hypercore-7")

interface Outcome {
  readonly code: number
  readonly output: string
}

const run = (...options: ReadonlyArray<string>): Promise<Outcome> =>
  new Promise((settle) => {
    const script = path.join(import.meta.dirname, "peerSuite/run.mjs")
    execFile(process.execPath, [script, ...options], (error, stdout, stderr) =>
      settle({ code: error === null ? 0 : Number(error.code), output: stdout + stderr })
    )
  })

/** Runs `test` with a module of this source in the place of ours. */
const withModule = async <A>(source: string, test: (file: string) => Promise<A>): Promise<A> => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "effect-hypercore-"))
  try {
    const file = path.join(directory, "subject.cjs")
    fs.writeFileSync(file, source)
    return await test(file)
  } finally {
    fs.rmSync(directory, { recursive: true })
  }
}

describe("what a test file says", () => {
  const said = [
    "TAP version 13",
    "# first",
    "ok 1 no error",
    "printed by the test",
    "not ok 2 should be equivalent",
    "  ---",
    "    operator: deepEqual",
    "    at: ok 9 of the stack",
    "  ...",
    "# second",
    "ok 3",
    "",
    "1..3",
    "# tests 3"
  ].join("\n")

  it("is its assertions", () => {
    expect(parse(said)).toEqual([
      { test: "first", name: "no error", ok: true },
      { test: "first", name: "should be equivalent", ok: false },
      { test: "second", name: "", ok: true }
    ])
    expect(counts(parse(said))).toEqual({ ok: 2, notOk: 1 })
  })

  const of = (...lines: ReadonlyArray<string>) => parse(["# t", ...lines].join("\n"))

  it("is lost where it passes less often, or fails more often", () => {
    expect(losses(parse(said), parse(said))).toEqual([])
    expect(losses(of("ok 1 a", "ok 2 a", "ok 3 b"), of("ok 1 b", "ok 2 a"))).toEqual([
      { test: "t", name: "a", missing: 1, failed: 0 }
    ])
    expect(losses(of("ok 1 a"), of("not ok 1 a"))).toEqual([{ test: "t", name: "a", missing: 1, failed: 1 }])
    expect(losses(of("ok 1 a"), of("ok 1 a", "not ok 2 c"))).toEqual([
      { test: "t", name: "c", missing: 0, failed: 1 }
    ])
    expect(losses(of("not ok 1 a"), of("ok 1 a", "ok 2 more"))).toEqual([])
    expect(losses(of("ok 1 a"), parse("# u\nok 1 a"))).toHaveLength(1)
  })

  it("may take another time, or be another each time", () => {
    expect(losses(of("ok 1 all in 12ms"), of("ok 1 all in 9ms"))).toEqual([])
    const chaos = (...lines: ReadonlyArray<string>) =>
      parse(["# chaos monkey randomized", ...lines].join("\n"))
    expect(losses(chaos("ok 1 copied 1", "ok 2 copied 2"), chaos("ok 1 copied 7"))).toEqual([])
    expect(losses(chaos("ok 1 copied 1"), chaos())).toHaveLength(1)
    expect(losses(chaos("ok 1 copied 1"), chaos("ok 1 copied 1", "not ok 2 failed"))).toHaveLength(1)
  })
})

describe("a run", () => {
  it("of the real package in both places loses nothing", async () => {
    const files = ["--only", "value-encoding.js", "--only", "default-storage.js"]
    const { code, output } = await run(...files, "--ours", peer)
    expect(output).toMatch(/^value-encoding\.js +6 +0 +[\d.]+ s +6 +0 +[\d.]+ s$/m)
    expect(output).toMatch(/^default-storage\.js +6 +0 +[\d.]+ s +6 +0 +[\d.]+ s$/m)
    expect(output).not.toContain("does not")
    expect(code).toBe(0)
    expect(fs.existsSync(path.join(path.dirname(peer), "test/sandbox"))).toBe(false)
  })

  it("of what gives wrong values names what is lost", async () => {
    const wrong = `
      const hypercore = require(${JSON.stringify(peer)})
      module.exports = (...given) => {
        const feed = hypercore(...given)
        const get = feed.get.bind(feed)
        feed.get = (index, ...rest) =>
          rest.length === 1 ? process.nextTick(rest[0], null, "wrong") : get(index, ...rest)
        return feed
      }`
    const { code, output } = await withModule(wrong, (file) =>
      run("--only", "value-encoding.js", "--ours", file)
    )
    expect(output).toContain(
      "value-encoding.js: basic value encoding: should be equivalent, 1 not passed, 1 failed"
    )
    expect(output).toContain("value-encoding.js: value encoding write-stream: should be equivalent")
    expect(output).toContain("value-encoding.js ended with exit code 1")
    expect(output).not.toContain("read-stream")
    expect(code).toBe(1)
  })

  it("of what breaks says how", async () => {
    const { code, output } = await withModule("throw new Error('broken module')", (file) =>
      run("--only", "timeouts.js", "--ours", file)
    )
    expect(output).toContain("broken module")
    expect(code).toBe(1)
  })

  it("of nothing is refused", async () => {
    expect(await run("--ours", "/no/such/module.js")).toMatchObject({ code: 1 })
    const { code, output } = await run("--only", "nothing.js")
    expect(output).toContain("there is no test file nothing.js")
    expect(code).toBe(1)
  })

  it("of the real package alone needs none of ours", async () => {
    const { code, output } = await run("--real", "--only", "timeouts.js")
    expect(output).toMatch(/^timeouts\.js +2 +0 +[\d.]+ s$/m)
    expect(code).toBe(0)
  })
})
