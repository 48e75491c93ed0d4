/** `backup` and `restore` from outside, of a feed that another process is writing. */
import { Effect } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { Feed } from "../../src/index.js"
import { layer } from "../../src/node.js"
import {
  type Ended,
  bundle,
  ended,
  expectFailure,
  expectSuccess,
  run as begin,
  start,
  stopAll
} from "./commandProcess.js"
import { openReal } from "./realPeer.js"

let directory: string
let command: string

beforeAll(async () => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "effect-hypercore-cli-backup-"))
  command = await bundle(directory)
})
afterAll(() => fs.rmSync(directory, { recursive: true, force: true }))
afterEach(stopAll)

const inDirectory = (name: string): string => path.join(directory, name)

const run = (...args: ReadonlyArray<string>): Promise<Ended> => {
  const child = start(command, args, directory)
  child.stdin!.end()
  return ended(child)
}

const textOf = (result: Ended): string => result.stdout.toString()

const feedOf = (name: string, blocks: ReadonlyArray<string>): Promise<unknown> =>
  Feed.open().pipe(
    Effect.flatMap((feed) => feed.appendBatch(blocks.map((block) => Buffer.from(block)))),
    Effect.scoped,
    Effect.provide(layer({ directory: inDirectory(name) })),
    Effect.runPromise
  )

describe("backup and restore", () => {
  it("copy a feed, without its secret key or with it", async () => {
    await feedOf("log", ["a", "bb", ""])
    const result = await run("backup", "log", "copy")
    expectSuccess(result)
    expect(textOf(result)).toMatch(
      /^key +[0-9a-f]{64}\nlength +3 blocks, 3 B\ncopied +3 blocks, verified\nsecret key +not copied\n$/
    )
    expect(fs.readdirSync(inDirectory("copy")).sort()).toEqual([
      "bitfield",
      "data",
      "key",
      "signatures",
      "tree"
    ])
    for (const file of ["bitfield", "data", "key", "signatures", "tree"]) {
      expect(fs.readFileSync(inDirectory(`copy/${file}`))).toEqual(
        fs.readFileSync(inDirectory(`log/${file}`))
      )
    }
    expectFailure(await run("append", "copy"), 1, /the secret key is not stored here/)
    expectFailure(
      await run("restore", "copy", "no", "--with-secret-key"),
      1,
      "copy: the secret key is not stored here"
    )
    expect(fs.existsSync(inDirectory("no"))).toBe(false)
    const whole = await run("backup", "--with-secret-key", "--json", "log", "whole")
    expect(JSON.parse(textOf(whole))).toMatchObject({
      length: 3,
      byteLength: 3,
      blocks: 3,
      damaged: 0,
      cleared: 0
    })
    expect(fs.statSync(inDirectory("whole/secret_key")).mode & 0o777).toBe(0o600)
    expectSuccess(await run("restore", "whole", "back", "--with-secret-key"))
    expectSuccess(await run("append", "back", "--lines"))
    expectFailure(await run("backup", "log", "back"), 1, /^hypercore: back: a feed is stored here already: /)
    expectFailure(await run("backup", "nothing", "x"), 1, "nothing: no feed is stored here")
    expect(fs.existsSync(inDirectory("x"))).toBe(false)
  })

  it("tells of damaged blocks", async () => {
    await feedOf("hurt", ["aa", "bb", "cc"])
    const data = fs.readFileSync(inDirectory("hurt/data"))
    data[2]! ^= 1
    fs.writeFileSync(inDirectory("hurt/data"), data)
    const result = await run("backup", "hurt", "hurt-copy")
    expectFailure(result, 1, "hurt: 1 block is damaged and not in hurt-copy")
    expect(textOf(await run("cat", "hurt-copy", "--end", "1"))).toBe("aa")
  })

  it("while a process appends: each copy is a log that the real hypercore opens", async () => {
    await feedOf("live", ["first"])
    const writer = begin(command, ["append", "--lines", "live"], directory)
    let written = 0
    for (let round = 0; round < 6; round++) {
      const lines = Array.from({ length: 400 }, () => `line ${written++}\n`).join("")
      writer.write(lines)
      const before = JSON.parse(textOf(await run("info", "--json", "live"))) as { length: number }
      const result = await run("backup", "--json", "live", `live-${round}`)
      expectSuccess(result)
      const { blocks, length } = JSON.parse(textOf(result)) as Feed.BackupReport
      expect(length).toBeGreaterThanOrEqual(before.length)
      expect(blocks).toBe(length)
      const real = await openReal(inDirectory(`live-${round}`))
      expect(real.feed.length).toBe(length)
      expect(await real.audit()).toEqual({ valid: length, invalid: 0 })
      await real.close()
    }
    writer.close()
    expect((await writer.ended).code).toBe(0)
    expect(textOf(await run("get", "live", "400"))).toBe("line 399")
  })
})
