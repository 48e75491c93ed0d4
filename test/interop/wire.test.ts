/** Real streams: what real feeds say to each other is read, and written again byte for byte; the real peer reads what we write. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Either } from "effect"
import fc from "fast-check"
import { createRequire } from "node:module"
import type { Duplex } from "node:stream"
import { concat, toHex } from "../../src/domain/Bytes.js"
import { type Frame, FrameReader, FrameWriter } from "../../src/domain/Framing.js"
import * as Wire from "../../src/domain/Wire.js"
import * as CryptoNode from "../../src/layers/CryptoNode.js"
import { Crypto } from "../../src/services/Crypto.js"
import { message } from "../domain/messages.js"
import { protocol } from "../reference/peerWire.js"
import { pseudoRandomBytes } from "../vectors/dsl.mjs"

const require = createRequire(import.meta.url)

type Done = (error?: Error | null) => void

/** The parts of a real feed that replicate. */
interface Replicating {
  readonly key: Buffer
  readonly length: number
  readonly ready: (done: Done) => void
  readonly append: (blocks: ReadonlyArray<Uint8Array>, done: Done) => void
  readonly get: (index: number, done: Done) => void
  readonly clear: (start: number, end: number, done: Done) => void
  readonly download: (range: object, done: Done) => void
  readonly extension: (name: string, payload: Buffer) => void
  readonly replicate: (options: object) => Duplex
}

const hypercore = require("hypercore-7") as (storage: unknown, ...rest: ReadonlyArray<unknown>) => Replicating
const memory: unknown = require("random-access-memory")

const call = (run: (done: Done) => void): Promise<void> =>
  new Promise((resolve, reject) => {
    run((error) => (error === null || error === undefined ? resolve() : reject(error)))
  })

/** Two streams joined; the bytes that `from` says to `to`, as they come. The peer decrypts in place, so these are copies. */
const joined = (from: Duplex, to: Duplex): Array<Uint8Array> => {
  const said: Array<Uint8Array> = []
  from.on("data", (chunk: Buffer) => {
    said.push(Uint8Array.from(chunk))
    to.write(chunk)
  })
  from.on("end", () => to.end())
  return said
}

const finished = (stream: Duplex): Promise<void> =>
  new Promise((resolve, reject) => {
    stream.on("end", resolve)
    stream.on("error", reject)
  })

const block = (index: number) => pseudoRandomBytes((index * 37) % 6000, index)
const blocks = (start: number, end: number) => Array.from({ length: end - start }, (_, i) => block(start + i))

interface Conversation {
  readonly key: Uint8Array
  readonly ways: ReadonlyArray<ReadonlyArray<Uint8Array>>
}

/** A source and a reader that talk until all is said; `live` ones go on to append, clear and send extensions. */
const replicate = async (live: boolean, encrypt: boolean): Promise<Conversation> => {
  const source = hypercore(memory)
  await call((done) => source.append(blocks(0, 300), done))
  const reader = hypercore(memory, source.key)
  await call((done) => reader.ready(done))
  const options = { live, encrypt, ack: true, timeout: false, extensions: ["b", "a"].sort() }
  const [a, b] = [source.replicate(options), reader.replicate({ ...options, userData: Buffer.from("me") })]
  const ways = [joined(a, b), joined(b, a)]
  const ends = [a, b].map(finished)
  if (live) {
    await call((done) => reader.get(299, done))
    source.extension("b", Buffer.from("hello"))
    await call((done) => reader.download({ start: 0, end: 300 }, done))
    await call((done) => source.append(blocks(300, 301), done))
    await call((done) => source.append(blocks(301, 305), done))
    await call((done) => source.clear(10, 12, done))
    await call((done) => source.append(blocks(305, 306), done))
    await call((done) => reader.get(305, done))
    a.destroy()
    b.destroy()
  } else await Promise.all(ends)
  return { key: source.key, ways }
}

/** The frames of one direction, and all its bytes in clear. */
const understand = (parts: ReadonlyArray<Uint8Array>, key: Uint8Array) =>
  Effect.map(Crypto, (crypto) => {
    const reader = new FrameReader()
    const frames: Array<Frame> = []
    const clear: Array<Uint8Array> = []
    let decrypt: ((bytes: Uint8Array) => void) | undefined
    for (const part of parts) {
      let rest = part
      if (frames.length === 0) {
        const first = Either.getOrThrow(reader.readFirst(part))
        if (first === undefined) continue
        frames.push(first.frame)
        clear.push(part.slice(0, part.length - first.rest.length))
        const { body, type } = first.frame
        const feed = Either.getOrThrow(Wire.decode(type, body, 0, body.length)) as Wire.Feed
        if (feed.nonce !== undefined) decrypt = crypto.xsalsa20(key, feed.nonce)
        rest = first.rest
      }
      decrypt?.(rest)
      clear.push(rest.slice())
      frames.push(...Either.getOrThrow(reader.read(rest)))
    }
    expect(reader.atBoundary).toBe(true)
    return { frames, clear: concat(clear) }
  }).pipe(Effect.provide(CryptoNode.layer), Effect.runPromise)

describe("what real feeds say", () => {
  it.each([
    [true, true],
    [true, false],
    [false, true],
    [false, false]
  ])("live %s, encrypted %s: is read, and written again it is the same bytes", async (live, encrypt) => {
    const { key, ways } = await replicate(live, encrypt)
    const tags = new Set<string>()
    for (const parts of ways) {
      const { clear, frames } = await understand(parts, key)
      const writer = new FrameWriter()
      for (const { body, channel, type } of frames) {
        const read = Either.getOrThrow(Wire.decode(type, body, 0, body.length))!
        tags.add(read._tag)
        expect(writer.message(channel, read)).toBe(true)
      }
      expect(Buffer.compare(concat(writer.take()), clear)).toBe(0)
    }
    const seen = live ? ["Extension", "Unhave"] : ["Info"]
    expect([...tags].sort()).toEqual(["Feed", "Handshake", "Have", "Want", "Request", "Data", ...seen].sort())
  })
})

/** Byte fields as hexadecimal; what is absent is left out, and so is what the peer puts in its place. */
const plain = (value: unknown): unknown => {
  if (value instanceof Uint8Array) return toHex(value)
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== "object" || value === null) return value
  const present = Object.entries(value).filter(([, field]) => field !== undefined && field !== null)
  return Object.fromEntries(present.map(([key, field]) => [key, plain(field)]))
}

const KEY = Buffer.alloc(32, 7)

/** What a real stream hears of `messages`, as it emits it. */
const heard = async (messages: ReadonlyArray<Wire.Message>): Promise<ReadonlyArray<unknown>> => {
  const stream = protocol({ encrypt: false, timeout: false, extensions: ["x"] })
  const events: Array<unknown> = []
  const channel = stream.feed(KEY)
  for (const event of ["info", "have", "unhave", "want", "unwant", "request", "cancel", "data"]) {
    channel.on(event, (fields) => events.push([event, plain(fields)]))
  }
  channel.on("extension", (name, payload) => events.push(["extension", name, plain(payload)]))
  const writer = new FrameWriter()
  const { discoveryKey } = stream as unknown as { readonly discoveryKey: Uint8Array }
  writer.message(3, { _tag: "Feed", discoveryKey })
  writer.message(3, { _tag: "Handshake", id: KEY, live: true, extensions: ["w", "x"], ack: true })
  for (const one of messages) {
    writer.message(3, one)
    writer.keepAlive()
  }
  for (const part of writer.take()) await call((done) => stream.write(part, done))
  expect([stream.remoteId, stream.remoteLive, stream.remoteAck]).toEqual([KEY, true, true])
  expect([stream.remoteSupports("x"), stream.remoteSupports("y")]).toEqual([true, false])
  stream.destroy()
  return events
}

/** What it should hear. The second extension of ours is the one that it knows. */
const expected = (sent: Wire.Message): ReadonlyArray<unknown> => {
  if (sent._tag === "Feed" || sent._tag === "Handshake") return []
  if (sent._tag === "Extension") return sent.id === 1 ? [["extension", "x", plain(sent.payload)]] : []
  const { _tag, ...fields } = sent
  // Where there is no length the peer has 0.
  const filled = "start" in fields ? { ...fields, length: fields.length ?? 0 } : fields
  return [[_tag.toLowerCase(), plain(filled)]]
}

describe("what we write", () => {
  it("is heard by a real stream", async () => {
    const said = message.filter(({ _tag }) => _tag !== "Feed" && _tag !== "Handshake")
    const ours: ReadonlyArray<Wire.Message> = [{ _tag: "Extension", id: 1, payload: pseudoRandomBytes(9, 1) }]
    await fc.assert(
      fc.asyncProperty(fc.array(said, { maxLength: 20 }), async (messages) => {
        const all = [...messages, ...ours]
        expect(await heard(all)).toEqual(all.flatMap(expected))
      }),
      { numRuns: 100 }
    )
  })

  it("a value with an array of its own, too", async () => {
    const value = pseudoRandomBytes(100_000, 1)
    const data = { _tag: "Data", index: 3, value, nodes: [], signature: new Uint8Array(64) } as const
    expect(await heard([data, data])).toEqual([data, data].flatMap(expected))
  })
})
