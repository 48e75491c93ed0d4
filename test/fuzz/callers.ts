/** Callback code and the command line: what they are given by hand. */
import { Either } from "effect"
import fc from "fast-check"
import { expect } from "vitest"
import * as BlockIndex from "../../src/cli/BlockIndex.js"
import * as BuiltInOption from "../../src/cli/BuiltInOption.js"
import { parseBlockSize } from "../../src/cli/ByteSize.js"
import { parseListen, parseRemote } from "../../src/cli/Endpoint.js"
import { toCodec } from "../../src/compat/codecs.js"
import hypercore from "../../src/compat/index.js"
import { MAX_BLOCK_SIZE, fromHex } from "../../src/index.js"
import { ram } from "../compat/peers.js"
import { edge, mutated } from "./mutated.js"
import { type AnyTarget, target } from "./Target.js"

const anything = fc.oneof(
  edge,
  fc.anything({ withTypedArray: true, withNullPrototype: true, withBigInt: true }),
  fc.constantFrom(undefined, null, "", "a".repeat(64), "f".repeat(128), Number.NaN, -1, () => {}),
  fc.constantFrom(0, 31, 32, 33, 64).map((size) => Buffer.alloc(size, 3))
)

/** What `run` gives; a throw must be an `Error`, which callback code expects. */
const orError = <A>(run: () => A): A | undefined => {
  try {
    return run()
  } catch (error) {
    expect(error).toBeInstanceOf(Error)
    return undefined
  }
}

const names = fc.constantFrom(
  "json",
  "utf-8",
  "utf8",
  "ascii",
  "hex",
  "base64",
  "ucs-2",
  "ucs2",
  "utf16-le",
  "binary"
)

const codecs = target(
  "codecs",
  500,
  fc.tuple(
    fc.oneof(names, anything),
    anything,
    mutated(fc.json().map((text) => new TextEncoder().encode(text)))
  ),
  ([encoding, value, bytes]) => {
    const codec = orError(() => toCodec(encoding))
    if (codec === undefined) return
    const encoded = orError(() => codec.encode(value))
    if (encoded !== undefined) expect(Buffer.isBuffer(encoded)).toBe(true)
    orError(() => codec.decode(bytes))
  }
)

const legacyOptions = fc.oneof(
  fc.record(
    Object.fromEntries(
      [
        "key",
        "secretKey",
        "createIfMissing",
        "overwrite",
        "valueEncoding",
        "sparse",
        "storeSecretKey",
        "storageCacheSize",
        "id",
        "live",
        "writable",
        "allowPush",
        "maxRequests",
        "eagerUpdate",
        "indexing",
        "stats"
      ].map((name) => [name, anything])
    ),
    { requiredKeys: [] }
  ),
  anything
)

type Open = (storage: unknown, key: unknown, options: unknown) => ReturnType<typeof hypercore>

/** Ends once the feed is ready or has failed, and it must. */
const opened = (feed: ReturnType<typeof hypercore>): Promise<Error | undefined> =>
  new Promise((resolve) => {
    feed.on("error", resolve)
    feed.ready((error?: Error | null) => resolve(error ?? undefined))
  })

const compat = target("options of compat", 150, fc.tuple(anything, legacyOptions), async ([key, options]) => {
  const feed = orError(() => (hypercore as unknown as Open)(() => ram(), key, options))
  if (feed === undefined) return
  const error = await opened(feed)
  if (error !== undefined) {
    expect(error).toBeInstanceOf(Error)
    return
  }
  expect(feed.key === null || feed.key.length === 32).toBe(true)
  await new Promise<void>((resolve) => feed.close(() => resolve()))
})

/** What every object has. */
const inherited = fc.constantFrom("valueOf", "constructor", "__proto__", "toString")

const word = fc.oneof(
  fc.string(),
  inherited,
  fc.string({ unit: "binary" }),
  fc.constantFrom(
    "ws://",
    "wss://a:99999/",
    "[::1]:80",
    "host:0",
    "1e3",
    "0x10",
    "64K",
    "9m",
    "-1",
    "９",
    "1:2:3",
    "ws://[:"
  ),
  fc
    .tuple(fc.constantFrom("", "host:", "[::1]:", "ws://h:", "wss://h:"), edge)
    .map(([start, n]) => `${start}${n}`),
  fc.tuple(edge, fc.constantFrom("", "k", "m", "g", " k")).map(([n, unit]) => `${n}${unit}`)
)

const words = target("words of the command line", 1500, word, (text) => {
  const size = parseBlockSize(text)
  if (Either.isRight(size)) expect(size.right > 0 && size.right <= MAX_BLOCK_SIZE).toBe(true)
  const index = BlockIndex.parse(text)
  if (Either.isRight(index)) expect(Number.isSafeInteger(index.right) && index.right >= 0).toBe(true)
  for (const endpoint of [parseListen("tcp")(text), parseListen("ws")(text), parseRemote(text)]) {
    if (Either.isRight(endpoint)) expect(endpoint.right.address.port).toBeLessThan(65_536)
    else expect(endpoint.left).toContain("neither")
  }
  const bytes = fromHex(text)
  if (bytes !== undefined) expect(2 * bytes.length).toBe(text.length)
  const problem = BuiltInOption.problem([text, text])
  expect(["string", "undefined"]).toContain(typeof problem)
})

export const callers: ReadonlyArray<AnyTarget> = [codecs, compat, words]
