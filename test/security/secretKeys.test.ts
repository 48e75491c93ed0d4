/** A secret key is shown by nothing of this package: not by printing a feed, nor an error, a log line or a span. */
import { describe, expect, it } from "@effect/vitest"
import { Cause, Effect, Exit, HashMap, Layer, Logger, LogLevel, Redacted, Tracer } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { inspect } from "node:util"
import hypercore from "../../src/compat/index.js"
import { Crypto, type CryptoService, Feed, NetworkMemory, NotWritable, Replication } from "../../src/index.js"
import { layer } from "../../src/node.js"
import { ram } from "../compat/peers.js"
import { bytes, keyPair, memory } from "../services/harness.js"
import { temporaryDirectory } from "../temporaryDirectory.js"

/** Ways to print a secret key: parts of it, since a printer breaks lines and cuts off what is long. */
const waysToPrint = (secretKey: Uint8Array): ReadonlyArray<RegExp> => {
  const part = [...secretKey.subarray(8, 12)]
  const hex = part.map((byte) => byte.toString(16).padStart(2, "0"))
  return [
    new RegExp(hex.join("\\W*"), "i"),
    new RegExp(part.map((byte) => `\\b${byte}\\b`).join("[^\\d]+")),
    new RegExp(Buffer.from(secretKey.subarray(9, 18)).toString("base64").replaceAll("+", "\\+"))
  ]
}

const DEEP = { depth: 20, showHidden: true, getters: true, maxArrayLength: 1000, breakLength: 200 } as const

const printed = (value: unknown): string => {
  const texts = [
    String(value),
    inspect(value),
    inspect(value, DEEP),
    inspect(value, { customInspect: false, depth: 20 })
  ]
  if (value instanceof Error) texts.push(value.message, value.stack ?? "")
  if (Cause.isCause(value)) texts.push(Cause.pretty(value))
  try {
    texts.push(JSON.stringify(value))
  } catch {
    // A circle, which has printed nothing.
  }
  return texts.join("\n")
}

const expectSilent = (secretKey: Uint8Array, ...values: ReadonlyArray<unknown>): void => {
  const text = values.map(printed).join("\n")
  expect(text.length).toBeGreaterThan(0)
  for (const way of waysToPrint(secretKey)) expect(way.exec(text)?.[0]).toBeUndefined()
}

const secretSeed = 77

it("what prints a secret key is seen", () => {
  const secretKey = Uint8Array.from({ length: 64 }, (_, i) => 31 * i + 100)
  for (const value of [
    secretKey,
    Buffer.from(secretKey),
    { deep: { key: [...secretKey] } },
    Buffer.from(secretKey).toString("hex"),
    Buffer.from(secretKey).toString("base64")
  ])
    expect(() => expectSilent(secretKey, value)).toThrow()
  expectSilent(secretKey, Redacted.make(secretKey), secretKey.subarray(32))
})

describe("a feed", () => {
  it.scoped("is printed without its secret key, in every way", () =>
    Effect.gen(function* () {
      const { publicKey, secretKey } = yield* keyPair(secretSeed)
      const feed = yield* Feed.open({ key: publicKey, secretKey })
      yield* feed.append(bytes("a"))
      expect(Redacted.value(feed.secretKey!)).toEqual(secretKey)
      expectSilent(secretKey, feed, { ...feed }, [feed], feed.secretKey)
    }).pipe(Effect.provide(memory))
  )

  it.scoped("that fails says so without it", () =>
    Effect.gen(function* () {
      const { publicKey, secretKey } = yield* keyPair(secretSeed)
      const other = yield* keyPair(5)
      const half = Uint8Array.from([...secretKey.subarray(0, 32), ...other.publicKey])
      const open = (options: Feed.OpenOptions) => Effect.scoped(Effect.exit(Feed.open(options)))
      const exits = yield* Effect.all([
        open({ secretKey: secretKey.subarray(0, 63) }),
        open({ key: other.publicKey, secretKey }),
        open({ secretKey: half }),
        open({ secretKey, path: "../a" }),
        open({ secretKey, createIfMissing: false })
      ])
      expect(exits.every(Exit.isFailure)).toBe(true)
      expectSilent(
        secretKey,
        ...exits,
        ...exits.flatMap((exit) => (Exit.isFailure(exit) ? [exit.cause] : []))
      )
      const feed = yield* Feed.open({ key: publicKey, secretKey })
      const errors = yield* Effect.all([
        Effect.flip(feed.get(5, { wait: false })),
        Effect.flip(feed.append(new Uint8Array(9_000_000))),
        Effect.flip(feed.verify(0, secretKey))
      ])
      expectSilent(secretKey, ...errors)
    }).pipe(Effect.provide(memory))
  )

  it.scoped("logs nothing of it, nor tells a tracer", () =>
    Effect.gen(function* () {
      const { publicKey, secretKey } = yield* keyPair(secretSeed)
      const heard: Array<unknown> = []
      const logger = Logger.make(({ annotations, cause, message }) => {
        heard.push(message, cause, [...HashMap.entries(annotations)])
      })
      const tracer = Tracer.make({
        span: (name, parent, context, links, startTime, kind, options) => {
          heard.push(name, options?.attributes)
          return new Proxy({ _tag: "Span", name, parent, context, links, startTime, kind } as never, {
            get: (span, property) =>
              Reflect.get(span, property) ?? ((...given: ReadonlyArray<unknown>) => heard.push(given))
          })
        },
        context: (run) => run()
      })
      const crypto = yield* Crypto
      const failing: CryptoService = {
        ...crypto,
        sign: () => Effect.fail(new NotWritable({ reason: "signing-failed", cause: new Error("no device") }))
      }
      yield* Effect.gen(function* () {
        const feed = yield* Feed.open({ key: publicKey, secretKey })
        feed.unsafeListen(() => {
          throw new Error("a listener")
        })
        yield* feed.append(bytes("a"))
        yield* Effect.logInfo(feed)
        const [left, right] = yield* NetworkMemory.pair()
        const reader = yield* Effect.provide(Feed.open({ key: publicKey }), memory)
        yield* Effect.all([Replication.replicate(feed, left), Replication.replicate(reader, right)], {
          concurrency: "unbounded"
        })
        const unsigned = yield* Feed.open({ path: "b", key: publicKey, secretKey }).pipe(
          Effect.provideService(Crypto, failing)
        )
        heard.push(yield* Effect.exit(unsigned.append(bytes("b"))))
      }).pipe(
        Effect.scoped,
        Effect.withSpan("everything", { attributes: { what: "all" } }),
        Effect.provide(Layer.merge(Logger.replace(Logger.defaultLogger, logger), Layer.setTracer(tracer))),
        Logger.withMinimumLogLevel(LogLevel.All)
      )
      expect(heard.length).toBeGreaterThan(5)
      expectSilent(secretKey, ...heard)
    }).pipe(Effect.provide(memory))
  )

  it.scoped("of compat has it, and shows it to nobody who prints", () =>
    Effect.gen(function* () {
      const { publicKey, secretKey } = yield* keyPair(secretSeed)
      const open = () => hypercore(() => ram(), Buffer.from(publicKey), { secretKey: Buffer.from(secretKey) })
      const feed = yield* Effect.acquireRelease(Effect.sync(open), (one) =>
        Effect.promise(() => new Promise<void>((resolve) => one.close(() => resolve())))
      )
      yield* Effect.promise(() => new Promise<void>((resolve) => feed.ready(() => resolve())))
      expect([...feed.secretKey!]).toEqual([...secretKey])
      const shown: ReadonlyArray<unknown> = [
        inspect(feed),
        inspect(feed, { ...DEEP }),
        JSON.stringify(feed),
        Object.keys(feed)
      ]
      expectSilent(secretKey, ...shown)
      // Each property that a printer without manners would show.
      expectSilent(
        secretKey,
        ...Object.values(feed).map((value) => inspect(value, { depth: 0, maxArrayLength: 1000 }))
      )
      expect(JSON.parse(JSON.stringify(feed))).toEqual({
        key: Buffer.from(publicKey).toString("hex"),
        discoveryKey: feed.discoveryKey!.toString("hex"),
        opened: true,
        sparse: false,
        writable: true,
        length: 0,
        byteLength: 0,
        peers: 0
      })
    }).pipe(Effect.provide(memory))
  )
})

const onPosix = it.scoped.skipIf(process.platform === "win32")

describe("the secret key's file", () => {
  const modeOf = (directory: string) => fs.statSync(path.join(directory, "secret_key")).mode & 0o777
  const openIn = (directory: string, options: Feed.OpenOptions = {}) =>
    Feed.open(options).pipe(Effect.asVoid, Effect.scoped, Effect.provide(layer({ directory })))

  onPosix("is its owner's alone, also where one was there that was not", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const made = path.join(directory, "made")
      yield* openIn(made)
      expect(modeOf(made)).toBe(0o600)
      // The beginning of a creation that was cut off, by a process that knew no better.
      const begun = path.join(directory, "begun")
      const { secretKey } = yield* Effect.provide(keyPair(1), memory)
      fs.mkdirSync(begun)
      fs.writeFileSync(path.join(begun, "secret_key"), secretKey.subarray(0, 10), { mode: 0o644 })
      expect(modeOf(begun)).toBe(0o644)
      yield* openIn(begun, { secretKey })
      expect(modeOf(begun)).toBe(0o600)
      expect([...fs.readFileSync(path.join(begun, "secret_key"))]).toEqual([...secretKey])
      // Another feed in its place.
      fs.chmodSync(path.join(begun, "secret_key"), 0o666)
      yield* openIn(begun, { overwrite: true })
      expect(modeOf(begun)).toBe(0o600)
    })
  )

  onPosix("that is only read keeps its mode", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      yield* openIn(directory)
      fs.chmodSync(path.join(directory, "secret_key"), 0o640)
      const feed = yield* Effect.provide(Feed.open(), layer({ directory }))
      yield* feed.append(bytes("a"))
      expect(modeOf(directory)).toBe(0o640)
    })
  )
})
