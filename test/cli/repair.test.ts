/** `repair` from outside: real processes on real files. */
import { Effect } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { Feed } from "../../src/index.js"
import { layer } from "../../src/node.js"
import { type Ended, bundle, ended, expectFailure, expectSuccess, start } from "./commandProcess.js"

let directory: string
let command: string

beforeAll(async () => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "effect-hypercore-cli-repair-"))
  command = await bundle(directory)
})
afterAll(() => fs.rmSync(directory, { recursive: true, force: true }))

const inDirectory = (name: string): string => path.join(directory, name)

const run = (...args: ReadonlyArray<string>): Promise<Ended> => {
  const child = start(command, args, directory)
  child.stdin!.end()
  return ended(child)
}

const feedOf = (name: string, batches: ReadonlyArray<ReadonlyArray<string>>): Promise<void> =>
  Effect.gen(function* () {
    const feed = yield* Feed.open()
    for (const batch of batches) yield* feed.appendBatch(batch.map((block) => Buffer.from(block)))
  }).pipe(Effect.scoped, Effect.provide(layer({ directory: inDirectory(name) })), Effect.runPromise)

const damage = (name: string, change: (bytes: Buffer) => void): void => {
  const bytes = fs.readFileSync(inDirectory(name))
  change(bytes)
  fs.writeFileSync(inDirectory(name), bytes)
}

const textOf = (result: Ended): string => result.stdout.toString()

describe("repair", () => {
  it("tells that there is nothing to do", async () => {
    await feedOf("sound", [["a", "b"], ["c"]])
    const result = await run("repair", "sound")
    expectSuccess(result)
    expect(textOf(result)).toMatch(
      new RegExp(
        [
          "^repaired +no, all is as it must be",
          "key +[0-9a-f]{64}",
          "length +3 blocks",
          "blocks +3 kept, 0 found, 0 dropped",
          "nodes +0 mended, 0 found, 0 dropped",
          "signatures +2 kept, 0 mended, 0 dropped",
          "written again +nothing",
          "secret key +sound\n$"
        ].join("\n")
      )
    )
  })

  it("with --dry-run tells what it would do; then does it", async () => {
    await feedOf("damaged", [["aa", "bb", "cc"], ["dd"]])
    fs.rmSync(inDirectory("damaged/bitfield"))
    damage("damaged/data", (bytes) => (bytes[2]! ^= 1))
    damage("damaged/tree", (bytes) => bytes.fill(0, 32 + 40, 32 + 80))
    const before = fs.readFileSync(inDirectory("damaged/tree"))
    const dry = await run("repair", "--dry-run", "damaged")
    expectFailure(dry, 1, "damaged: is damaged; nothing was changed")
    expect(textOf(dry)).toMatch(/^damaged +yes\n/)
    expect(fs.existsSync(inDirectory("damaged/bitfield"))).toBe(false)
    expect(fs.readFileSync(inDirectory("damaged/tree"))).toEqual(before)
    const result = await run("repair", "damaged", "--json")
    expectSuccess(result)
    expect(JSON.parse(textOf(result))).toMatchObject({
      changed: true,
      length: 4,
      lengthBefore: 4,
      claimedLength: 4,
      blocks: { kept: 0, found: 3, dropped: 0 },
      nodes: { mended: 1, found: 7, dropped: 0 },
      signatures: { kept: 2, dropped: 0 },
      files: ["bitfield"],
      secretKey: "sound"
    })
    expectSuccess(await run("verify", "damaged"))
    expectFailure(await run("get", "damaged", "1"), 1, "damaged: block 1 is not stored")
    expect(textOf(await run("cat", "damaged", "--start", "2"))).toBe("ccdd")
  })

  it("does not shorten an owner's log; as a reader it can be had again", async () => {
    await feedOf("short", [["a"], ["b"], ["c", "d"], ["e"]])
    damage("short/tree", (bytes) => bytes.fill(0, 32 + 40 * 3, 32 + 40 * 7))
    const unproven = /^hypercore: short: a log of 5 blocks was signed, of which 2 are proven: /
    expectFailure(await run("repair", "short"), 1, unproven)
    expectFailure(await run("append", "short"), 1, /^hypercore: short: corrupt feed: /)
    fs.copyFileSync(inDirectory("short/secret_key"), inDirectory("short.secret"))
    const result = await run("repair", "short", "--as-reader")
    expectSuccess(result)
    expect(textOf(result)).toMatch(/^repaired +yes\n[^]*length +2 blocks\n[^]*secret key +removed\n$/)
    expect(textOf(await run("cat", "short"))).toContain("ab")
    expectFailure(await run("append", "short", "--secret-key-file", "short.secret"), 1, /corrupt feed/)
  })

  it("refuses what is no feed, one that is written, and wrong keys", async () => {
    expectFailure(await run("repair", "none"), 1, "none: no feed is stored here")
    expectFailure(await run("repair", "none", "--key", "12"), 2, /a key has 64 hexadecimal digits, not 2/)
    await feedOf("busy", [["a"]])
    await Effect.runPromise(
      Effect.gen(function* () {
        yield* Feed.open()
        yield* Effect.promise(async () => {
          expectFailure(
            await run("repair", "busy"),
            1,
            "busy: another process is writing to this feed; it cannot be repaired meanwhile"
          )
          expectSuccess(await run("repair", "--dry-run", "busy"))
        })
      }).pipe(Effect.scoped, Effect.provide(layer({ directory: inDirectory("busy") })))
    )
    expectFailure(
      await run("repair", "busy", "--as-reader", "--secret-key-file", "busy/secret_key"),
      2,
      "--as-reader removes the secret key that --secret-key-file would store: give one of them"
    )
    const other = await run("repair", "busy", "--key", "0".repeat(64))
    expectFailure(
      other,
      1,
      /^hypercore: busy: corrupt feed: key: nothing that is stored is signed by this key: /
    )
    expectSuccess(await run("verify", "busy"))
  })
})
