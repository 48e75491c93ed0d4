/** Real feeds of `hypercore` 7, several on a stream, replicate through ours as through their own. */
import { describe, expect, it } from "@effect/vitest"
import { createRequire } from "node:module"
import type { Protocol } from "../../src/compat/protocol.js"
import { kinds, type Kind } from "./streams.js"

interface Feed {
  readonly key: Buffer
  readonly length: number
  ready(done: (error: Error | null) => void): void
  append(blocks: ReadonlyArray<Buffer>, done: (error: Error | null) => void): void
  get(index: number, done: (error: Error | null, block: Buffer) => void): void
  replicate(options: { readonly stream: Protocol; readonly live?: boolean }): Protocol
}

const require = createRequire(import.meta.url)
const hypercore = require("hypercore-7") as (storage: unknown, key?: Buffer) => Feed
const memory = require("random-access-memory") as unknown

const FEEDS = 3
const BLOCKS = 200

const call = <A>(run: (done: (error: Error | null, value: A) => void) => void): Promise<A> =>
  new Promise((resolve, reject) => run((error, value) => (error === null ? resolve(value) : reject(error))))

const opened = async (key?: Buffer): Promise<Feed> => {
  const feed = hypercore(memory, key)
  await call<void>((done) => feed.ready((error) => done(error ?? null)))
  return feed
}

const blockOf = (feed: number, index: number): Buffer => Buffer.alloc(1 + ((97 * index) % 3000), feed + index)

const written = async (number: number): Promise<Feed> => {
  const feed = await opened()
  const blocks = Array.from({ length: BLOCKS }, (_, index) => blockOf(number, index))
  await call<void>((done) => feed.append(blocks, (error) => done(error ?? null)))
  return feed
}

const ended = (stream: Protocol): Promise<string> =>
  new Promise((resolve) => {
    stream.on("error", (error: Error) => resolve(error.message))
    stream.on("end", () => resolve("end"))
  })

describe.each([
  ["ours", "ours"],
  ["ours", "real"],
  ["real", "ours"]
] as ReadonlyArray<readonly [Kind, Kind]>)("from %s to %s", (from, to) => {
  it.each([true, false])("all blocks come, and then the end (encrypted: %s)", async (encrypt) => {
    const sources = await Promise.all(Array.from({ length: FEEDS }, (_, number) => written(number)))
    const clones = await Promise.all(sources.map(({ key }) => opened(key)))
    const options = { encrypt, expectedFeeds: FEEDS }
    const [left, right] = [kinds[from](options), kinds[to](options)]
    for (const feed of sources) feed.replicate({ stream: left })
    for (const feed of clones) feed.replicate({ stream: right })
    const ends = Promise.all([ended(left), ended(right)])
    left.pipe(right).pipe(left)
    expect(await ends).toEqual(["end", "end"])
    for (const [number, clone] of clones.entries()) {
      expect(clone.length).toBe(BLOCKS)
      const blocks = await Promise.all(
        Array.from({ length: BLOCKS }, (_, index) => call<Buffer>((done) => clone.get(index, done)))
      )
      expect(blocks.map((block, index) => block.equals(blockOf(number, index)))).not.toContain(false)
    }
  })
})
