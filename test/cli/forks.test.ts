/** The command, when a key has signed two histories: it stops, says so, and remembers it. */
import { Effect, Schema } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { afterAll, afterEach, beforeAll, expect, it } from "vitest"
import { Feed, Fork, fromHex } from "../../src/index.js"
import { CryptoNode, layer } from "../../src/node.js"
import { history } from "../services/forks.js"
import { bundle, expectFailure, expectSuccess, run, stopAll } from "./commandProcess.js"

let directory: string
let command: string

beforeAll(async () => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "effect-hypercore-cli-forks-"))
  command = await bundle(directory)
})
afterEach(() => stopAll())
afterAll(() => fs.rmSync(directory, { recursive: true, force: true }))

const finish = (...args: ReadonlyArray<string>) => run(command, args, directory).ended

const append = (name: string, blocks: ReadonlyArray<Uint8Array>): Promise<unknown> =>
  Effect.flatMap(Feed.open(), (feed) => feed.appendBatch(blocks)).pipe(
    Effect.scoped,
    Effect.provide(layer({ directory: path.join(directory, name) })),
    Effect.runPromise
  )

interface Info {
  readonly key: string
  readonly length: number
  readonly fork: string | null
}

const infoOf = async (name: string): Promise<Info> => {
  const result = await finish("info", "--json", name)
  expectSuccess(result)
  return JSON.parse(result.stdout.toString()) as Info
}

/** The address of a server of one feed. */
const serve = async (name: string) => {
  const server = run(command, ["serve", name, "--tcp", "127.0.0.1:0"], directory)
  const [, tcp] = await server.wrote(/^tcp {3}(\S+)\n/m)
  return { ...server, tcp: tcp! }
}

const copyOf = (name: string, copy: string): void =>
  fs.cpSync(path.join(directory, name), path.join(directory, copy), { recursive: true })

it("clone stops at another branch, info shows the fork from then on, and the feed is not appended to", async () => {
  await append("a", history("", 5, 5))
  copyOf("a", "b")
  await append("a", history("a", 5, 8).slice(5))
  await append("b", history("b", 5, 12).slice(5))
  const { key } = await infoOf("a")
  copyOf("a", "twin")
  const server = await serve("b")
  expectFailure(
    await finish("clone", key, "twin", "--from", server.tcp),
    1,
    "twin: the feed's key has signed two histories: a log of 8 blocks and one of 12 contradict each other"
  )
  const info = await infoOf("twin")
  expect(info).toMatchObject({ key, length: 8 })
  const evidence = Schema.decodeSync(Fork.schema)(info.fork!)
  const holds = Effect.provide(Fork.verify(evidence, fromHex(key)!), CryptoNode.layer)
  expect(await Effect.runPromise(holds)).toBe(true)
  const rows = await finish("info", "twin")
  expect(rows.stdout.toString()).toMatch(
    /^fork +the key has signed two histories; --json gives what shows it$/m
  )
  fs.writeFileSync(path.join(directory, "more"), "more")
  expectFailure(await finish("append", "twin", "more"), 1, /twin: the feed's key has signed two histories/)
  expect((await infoOf("twin")).length).toBe(8)
  // What is no evidence of this feed is not believed; but nothing is signed until somebody has looked at it.
  expect((await infoOf("a")).fork).toBeNull()
  for (const bytes of [
    Uint8Array.of(1, 2, 3),
    fs.readFileSync(path.join(directory, "twin/fork")).reverse()
  ]) {
    fs.writeFileSync(path.join(directory, "a/fork"), bytes)
    const shown = await finish("info", "--json", "a")
    expect(JSON.parse(shown.stdout.toString())).toMatchObject({ fork: null })
    expect(shown.stderr).toBe("hypercore: a/fork is damaged or of another feed: it shows nothing\n")
    expectFailure(
      await finish("append", "a", "more"),
      1,
      /a\/fork, .* is damaged or of another feed; remove it/
    )
  }
  fs.rmSync(path.join(directory, "a/fork"))
  expectSuccess(await finish("append", "a", "more"))
})

it("clone completes an author's log that is older than what is served", async () => {
  await append("new", history("", 5, 5))
  copyOf("new", "old")
  await append("new", history("n", 5, 30).slice(5))
  const { key } = await infoOf("new")
  const server = await serve("new")
  expectSuccess(await finish("clone", key, "old", "--from", server.tcp))
  fs.writeFileSync(path.join(directory, "later"), "later")
  expectSuccess(await finish("append", "old", "later"))
  expect(await infoOf("old")).toMatchObject({ key, length: 31, fork: null })
})

it("clone says so when the other history is no longer than its own", async () => {
  await append("short", history("", 5, 5))
  copyOf("short", "long")
  await append("short", history("s", 5, 6).slice(5))
  await append("long", history("l", 5, 8).slice(5))
  const { key } = await infoOf("long")
  const server = await serve("short")
  for (const _ of ["not known yet", "known"]) {
    const cloned = await finish("clone", key, "long", "--from", server.tcp)
    expectFailure(cloned, 1, /long: the feed's key has signed two histories/)
  }
  expect((await infoOf("long")).length).toBe(8)
})

it("a backup and what is restored of it know of the fork", async () => {
  await append("one", history("", 5, 5))
  copyOf("one", "two")
  await append("one", history("o", 5, 6).slice(5))
  await append("two", history("t", 5, 9).slice(5))
  const { key } = await infoOf("one")
  const server = await serve("two")
  await finish("clone", key, "one", "--from", server.tcp)
  expectSuccess(await finish("backup", "one", "kept", "--with-secret-key"))
  expectSuccess(await finish("restore", "kept", "again", "--with-secret-key"))
  fs.writeFileSync(path.join(directory, "next"), "next")
  expectFailure(await finish("append", "again", "next"), 1, /again: the feed's key has signed two histories/)
})
