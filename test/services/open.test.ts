/** Opening: who a feed is, what may be refused, and that a refusal leaves everything as it was. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, FiberId, Scope, Stream } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { Crypto, Feed, type FileName, type Read, Storage, toHex } from "../../src/index.js"
import { layer as nodeLayer } from "../../src/node.js"
import { temporaryDirectory } from "../temporaryDirectory.js"
import { type Instrument, withInstrument } from "./InstrumentedStorage.js"
import {
  FILES,
  bytes,
  cutFile,
  ended,
  expectFailure,
  failure,
  inMemory,
  keyPair,
  onEachStorage,
  openText,
  overwriteFile,
  someBlocks,
  source,
  stored,
  transfer
} from "./harness.js"

/** A stored feed of three blocks with the key of seed 1, closed. */
const threeBlocks = Effect.scoped(
  Effect.gen(function* () {
    const feed = yield* Feed.open(yield* keyPair(1))
    yield* feed.appendBatch(["a", "bb", "ccc"].map(bytes))
  })
)

/** `attempt` changes no byte of the stored feed. */
const untouched = <A, E, R>(attempt: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const before = yield* stored()
    const result = yield* attempt
    expect(yield* stored()).toEqual(before)
    return result
  })

describe("a new feed", () => {
  onEachStorage("has a key pair of its own, is empty and writable", () =>
    Effect.gen(function* () {
      const feed = yield* Feed.open()
      expect(feed.key).toHaveLength(32)
      expect(feed.discoveryKey).toHaveLength(32)
      expect([feed.length, feed.byteLength, feed.writable, feed.readable, feed.sparse]).toEqual([
        0,
        0,
        true,
        true,
        false
      ])
      expect(feed.crypto).toBe((yield* Crypto).name)
      const content = yield* stored()
      expect(content.key).toBe(toHex(feed.key))
      expect(content.secret_key).toMatch(new RegExp(`^[0-9a-f]{64}${toHex(feed.key)}$`))
      const other = yield* Feed.open({ path: "other" })
      expect(toHex(other.key)).not.toBe(toHex(feed.key))
    })
  )

  onEachStorage("with a given key pair has that key, and the discovery key of the formats page", () =>
    Effect.gen(function* () {
      const feed = yield* Feed.open(yield* keyPair(1))
      expect(toHex(feed.key)).toBe("8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c")
      expect(toHex(feed.discoveryKey)).toBe(
        "c1feb82a2b3ba065ffed9f6addcf19ac250793bcab748986a1b4272c62da20e6"
      )
    })
  )

  onEachStorage("with only a secret key has its public half as key", () =>
    Effect.gen(function* () {
      const keys = yield* keyPair(3)
      const feed = yield* Feed.open({ secretKey: keys.secretKey })
      expect(feed.key).toEqual(keys.publicKey)
      expect(feed.writable).toBe(true)
    })
  )

  onEachStorage("with only a public key is a reader's: it stores the key and cannot be appended to", () =>
    Effect.gen(function* () {
      const { publicKey } = yield* keyPair(1)
      const feed = yield* Feed.open({ key: publicKey, sparse: true })
      expect([feed.writable, feed.readable, feed.sparse, feed.length]).toEqual([false, true, true, 0])
      yield* expectFailure(feed.append(bytes("x")), { _tag: "NotWritable", reason: "no-secret-key" })
      const content = yield* stored()
      expect([content.key, content.secret_key]).toEqual([toHex(publicKey), ""])
    })
  )

  onEachStorage(
    "with storeSecretKey false can be appended to, and again whenever the secret key is given",
    () =>
      Effect.gen(function* () {
        const keys = yield* keyPair(1)
        const options = { secretKey: keys.secretKey, storeSecretKey: false }
        const feed = yield* Feed.open(options)
        yield* feed.append(bytes("one"))
        yield* feed.close
        expect((yield* stored()).secret_key).toBe("")
        const reader = yield* Feed.open()
        expect([reader.writable, reader.length]).toEqual([false, 1])
        yield* expectFailure(reader.append(bytes("two")), { _tag: "NotWritable", reason: "no-secret-key" })
        yield* reader.close
        const again = yield* Feed.open(options)
        expect(yield* again.append(bytes("two"))).toBe(1)
        expect((yield* stored()).secret_key).toBe("")
      })
  )

  onEachStorage("keeps its key pair, blocks and lengths when it is opened again", () =>
    Effect.gen(function* () {
      const blocks = someBlocks(20)
      const feed = yield* Feed.open()
      yield* feed.appendBatch(blocks)
      yield* feed.close
      const again = yield* Feed.open()
      expect(again.key).toEqual(feed.key)
      expect([again.length, again.byteLength, again.writable]).toEqual([20, feed.byteLength, true])
      expect(yield* again.getBatch(0, 20)).toEqual(blocks)
    })
  )
})

describe("storeSecretKey false without a secret key", () => {
  onEachStorage("is refused: a generated one would be lost", () =>
    Effect.gen(function* () {
      const refused = { _tag: "OpenRefused", reason: "lost-key" }
      yield* untouched(expectFailure(Feed.open({ storeSecretKey: false }), refused))
      yield* threeBlocks
      const overwriting = Feed.open({ storeSecretKey: false, overwrite: true })
      yield* untouched(expectFailure(overwriting, refused))
    })
  )
})

describe("createIfMissing false", () => {
  onEachStorage("fails with OpenRefused where nothing is stored", () =>
    Effect.gen(function* () {
      yield* expectFailure(Feed.open({ createIfMissing: false }), { _tag: "OpenRefused", reason: "missing" })
      expect(Object.values(yield* stored()).join("")).toBe("")
    })
  )

  onEachStorage("also fails when keys are given", () =>
    Effect.gen(function* () {
      const keys = yield* keyPair(1)
      const refused = { _tag: "OpenRefused", reason: "missing" }
      yield* expectFailure(Feed.open({ createIfMissing: false, key: keys.publicKey }), refused)
      yield* expectFailure(Feed.open({ createIfMissing: false, secretKey: keys.secretKey }), refused)
      expect(Object.values(yield* stored()).join("")).toBe("")
    })
  )

  onEachStorage("opens what is stored, changing nothing", () =>
    Effect.gen(function* () {
      yield* threeBlocks
      const feed = yield* untouched(Feed.open({ createIfMissing: false }))
      expect(feed.length).toBe(3)
    })
  )

  it.scoped("leaves a directory that does not exist so, and an existing one as it is", () =>
    Effect.gen(function* () {
      const root = yield* temporaryDirectory
      fs.writeFileSync(path.join(root, "note"), "mine")
      const modified = fs.statSync(root).mtimeMs
      const open = (feedPath: string) =>
        expectFailure(
          Feed.open({ path: feedPath, createIfMissing: false }).pipe(
            Effect.provide(nodeLayer({ directory: root }))
          ),
          { _tag: "OpenRefused", reason: "missing" }
        )
      yield* open("")
      yield* open("not/there")
      expect(fs.readdirSync(root)).toEqual(["note"])
      expect(fs.statSync(root).mtimeMs).toBe(modified)
    })
  )
})

describe("keys that do not fit", () => {
  const refusals = Effect.gen(function* () {
    const one = yield* keyPair(1)
    const two = yield* keyPair(2)
    return [
      [{ key: two.publicKey }, "other-key"],
      [{ secretKey: two.secretKey }, "other-key"],
      [{ key: one.publicKey, secretKey: two.secretKey }, "wrong-secret-key"],
      [{ key: one.publicKey.slice(1) }, "bad-key"],
      [{ key: new Uint8Array(33) }, "bad-key"],
      [{ key: new Uint8Array(0) }, "bad-key"],
      [{ secretKey: one.secretKey.slice(0, 32) }, "bad-key"],
      [{ secretKey: new Uint8Array(65) }, "bad-key"]
    ] as const
  })

  onEachStorage("are refused by a stored feed, of which every file stays as it is", () =>
    Effect.gen(function* () {
      yield* threeBlocks
      for (const [options, reason] of yield* refusals) {
        yield* untouched(expectFailure(Feed.open(options), { _tag: "OpenRefused", reason }))
      }
      const feed = yield* Feed.open()
      expect([feed.length, feed.writable]).toEqual([3, true])
    })
  )

  it.scoped("are refused before the directory of a new feed is made", () =>
    Effect.gen(function* () {
      const root = yield* temporaryDirectory
      const services = nodeLayer({ directory: path.join(root, "feed") })
      const all = yield* Effect.provide(refusals, services)
      for (const [options, reason] of all.filter(([, reason]) => reason !== "other-key")) {
        yield* expectFailure(Effect.provide(Feed.open(options), services), { _tag: "OpenRefused", reason })
      }
      expect(fs.readdirSync(root)).toEqual([])
    })
  )

  onEachStorage("are refused also when the feed would be overwritten", () =>
    Effect.gen(function* () {
      yield* threeBlocks
      for (const [options, reason] of yield* refusals) {
        if (reason === "other-key") continue
        yield* untouched(
          expectFailure(Feed.open({ ...options, overwrite: true }), { _tag: "OpenRefused", reason })
        )
      }
    })
  )

  onEachStorage("a stored secret key of another feed is CorruptStorage", () =>
    Effect.gen(function* () {
      yield* threeBlocks
      yield* overwriteFile("secret_key", (yield* keyPair(2)).secretKey)
      yield* untouched(expectFailure(Feed.open(), { _tag: "CorruptStorage", file: "secret_key" }))
    })
  )

  onEachStorage(
    "a key file that is too short is written again only as the beginning of what it would be",
    () =>
      Effect.gen(function* () {
        yield* threeBlocks
        const whole = yield* stored()
        yield* cutFile("key", 31)
        const feed = yield* Feed.open()
        expect([feed.length, feed.writable]).toEqual([3, true])
        yield* feed.close
        expect(yield* stored()).toEqual(whole)
        yield* cutFile("key", 31)
        yield* overwriteFile("key", bytes("?"), 30)
        yield* untouched(expectFailure(Feed.open(), { _tag: "CorruptStorage", file: "key" }))
        yield* cutFile("key", 0)
        yield* cutFile("secret_key", 63)
        yield* untouched(expectFailure(Feed.open(), { _tag: "CorruptStorage", file: "secret_key" }))
      })
  )

  onEachStorage("a key file that is too long is CorruptStorage", () =>
    Effect.gen(function* () {
      yield* threeBlocks
      for (const [file, size] of [
        ["key", 32],
        ["secret_key", 64]
      ] as const) {
        yield* overwriteFile(file, bytes("?"), size)
        yield* untouched(expectFailure(Feed.open(), { _tag: "CorruptStorage", file }))
        yield* cutFile(file, size)
      }
      expect((yield* Feed.open()).length).toBe(3)
    })
  )

  onEachStorage("without any key file, blocks are opened only for a given key", () =>
    Effect.gen(function* () {
      const { publicKey } = yield* keyPair(1)
      yield* threeBlocks
      yield* cutFile("key", 0)
      yield* cutFile("secret_key", 0)
      yield* untouched(expectFailure(Feed.open(), { _tag: "CorruptStorage", file: "key" }))
      const feed = yield* Feed.open({ key: publicKey })
      expect([feed.length, feed.writable]).toEqual([3, false])
      expect(yield* feed.get(2)).toEqual(bytes("ccc"))
    })
  )

  onEachStorage("a header of another kind of file is CorruptStorage", () =>
    Effect.gen(function* () {
      yield* threeBlocks
      for (const file of ["tree", "signatures", "bitfield"] as const) {
        const before = (yield* stored())[file]
        yield* overwriteFile(file, bytes("?"))
        yield* untouched(expectFailure(Feed.open(), { _tag: "CorruptStorage", file }))
        yield* untouched(expectFailure(Feed.open({ readOnly: true }), { _tag: "CorruptStorage", file }))
        yield* overwriteFile(file, Uint8Array.from([Number.parseInt(before.slice(0, 2), 16)]))
      }
      expect((yield* Feed.open()).length).toBe(3)
    })
  )
})

describe("a directory with a stranger's files", () => {
  const names = ["key", "secret_key", "tree", "signatures", "bitfield", "data"] as const
  const contents = ["a", "a text of twenty-six bytes", "x".repeat(32), "y".repeat(64), "z".repeat(5000)]
  // Of these nothing tells that they are no key.
  const isKey = (name: string, content: string) => name === "key" && content.length === 32

  it.scoped("keeps them: nothing is made, and nothing is touched", () =>
    Effect.gen(function* () {
      const { publicKey, secretKey } = yield* Effect.provide(keyPair(1), nodeLayer({ directory: "none" }))
      for (const name of names) {
        for (const content of contents.filter((content) => !isKey(name, content))) {
          const directory = yield* temporaryDirectory
          fs.writeFileSync(path.join(directory, name), content)
          for (const options of [{}, { key: publicKey }, { secretKey }]) {
            const error = yield* failure(
              Effect.scoped(Effect.provide(Feed.open(options), nodeLayer({ directory })))
            )
            expect(["CorruptStorage", "OpenRefused"]).toContain(error._tag)
            expect(error.message).toMatch(new RegExp(name === "secret_key" ? "secret|other" : `${name}: `))
            expect(fs.readdirSync(directory)).toEqual([name])
            expect(fs.readFileSync(path.join(directory, name), "utf8")).toBe(content)
          }
        }
      }
    })
  )

  it.scoped("may have empty ones: they become the feed's", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      for (const name of names) fs.writeFileSync(path.join(directory, name), "")
      const feed = yield* Effect.provide(Feed.open(), nodeLayer({ directory }))
      expect(yield* feed.append(bytes("x"))).toBe(0)
    })
  )
})

describe("overwrite", () => {
  onEachStorage("starts an empty feed with a new key, of which nothing old is left", () =>
    Effect.gen(function* () {
      yield* threeBlocks
      const old = yield* stored()
      const feed = yield* Feed.open({ overwrite: true })
      expect([feed.length, feed.byteLength, feed.writable]).toEqual([0, 0, true])
      expect(toHex(feed.key)).not.toBe(old.key)
      yield* feed.append(bytes("new"))
      yield* feed.close
      const content = yield* stored()
      expect(content.data).toBe(toHex(bytes("new")))
      expect(content.key).toBe(toHex(feed.key))
      expect(content.secret_key.slice(64)).toBe(content.key)
      expect([content.tree.length, content.signatures.length]).toEqual([2 * (32 + 40), 2 * (32 + 64)])
      const again = yield* Feed.open()
      expect(yield* again.getBatch(0, 1)).toEqual([bytes("new")])
      expect(yield* again.audit()).toEqual({ valid: 1, invalid: 0 })
    })
  )

  onEachStorage("keeps the key when it is given", () =>
    Effect.gen(function* () {
      const keys = yield* keyPair(1)
      yield* threeBlocks
      const feed = yield* Feed.open({ secretKey: keys.secretKey, overwrite: true })
      expect([feed.length, toHex(feed.key)]).toEqual([0, toHex(keys.publicKey)])
      yield* feed.close
      const reader = yield* Feed.open({ key: (yield* keyPair(2)).publicKey, overwrite: true })
      expect([reader.length, reader.writable]).toEqual([0, false])
      expect((yield* stored()).secret_key).toBe("")
    })
  )

  onEachStorage("makes a feed where there is none", () =>
    Effect.gen(function* () {
      const feed = yield* Feed.open({ overwrite: true })
      expect(yield* feed.append(bytes("x"))).toBe(0)
    })
  )

  onEachStorage("replaces what cannot be opened", () =>
    Effect.gen(function* () {
      yield* threeBlocks
      yield* overwriteFile("tree", bytes("garbage"))
      yield* expectFailure(Feed.open(), { _tag: "CorruptStorage" })
      const feed = yield* Feed.open({ overwrite: true })
      yield* feed.append(bytes("x"))
      expect(yield* feed.audit()).toEqual({ valid: 1, invalid: 0 })
    })
  )

  onEachStorage("does nothing to a feed that is being written", () =>
    Effect.gen(function* () {
      const writer = yield* Feed.open(yield* keyPair(1))
      yield* writer.append(bytes("a"))
      yield* untouched(
        expectFailure(Feed.open({ overwrite: true }), { _tag: "StorageError", reason: "locked" })
      )
      expect(yield* writer.append(bytes("b"))).toBe(1)
    })
  )

  onEachStorage("does nothing when the feed is opened read-only", () =>
    Effect.gen(function* () {
      yield* threeBlocks
      const feed = yield* untouched(Feed.open({ overwrite: true, readOnly: true }))
      expect(feed.length).toBe(3)
    })
  )
})

describe("a given secret key", () => {
  onEachStorage("makes a reader's feed writable, and is stored with it", () =>
    Effect.gen(function* () {
      const keys = yield* keyPair(1)
      const from = yield* source(["a", "bb", "ccc"].map(bytes))
      const reader = yield* Feed.open({ key: keys.publicKey, sparse: true })
      yield* Effect.forEach([0, 1, 2], (index) => transfer(from, reader, index))
      yield* reader.close
      const writer = yield* Feed.open({ secretKey: keys.secretKey })
      expect([writer.length, writer.writable]).toEqual([3, true])
      expect(yield* writer.append(bytes("d"))).toBe(3)
      yield* writer.close
      expect((yield* stored()).secret_key).toBe(toHex(keys.secretKey))
      const again = yield* Feed.open()
      expect([again.length, again.writable]).toEqual([4, true])
      expect(yield* again.audit()).toEqual({ valid: 4, invalid: 0 })
    })
  )

  onEachStorage("is not stored with storeSecretKey false", () =>
    Effect.gen(function* () {
      const keys = yield* keyPair(1)
      yield* Effect.scoped(Feed.open({ key: keys.publicKey }))
      const writer = yield* Feed.open({ secretKey: keys.secretKey, storeSecretKey: false })
      expect(yield* writer.append(bytes("a"))).toBe(0)
      expect((yield* stored()).secret_key).toBe("")
    })
  )
})

describe("readOnly", () => {
  const readOnly = { readOnly: true } as const

  onEachStorage("reads beside the writer that holds the lock", () =>
    Effect.gen(function* () {
      const writer = yield* Feed.open(yield* keyPair(1))
      yield* writer.appendBatch(["a", "bb"].map(bytes))
      const one = yield* Feed.open(readOnly)
      const two = yield* Feed.open(readOnly)
      expect([one.writable, one.readable, one.length, one.byteLength]).toEqual([false, true, 2, 3])
      expect(yield* one.getBatch(0, 2)).toEqual(["a", "bb"].map(bytes))
      expect(yield* two.head()).toEqual(bytes("bb"))
      yield* one.verify(1, (yield* one.signature()).signature)
      expect(yield* writer.append(bytes("ccc"))).toBe(2)
      const later = yield* Feed.open(readOnly)
      expect(yield* later.head()).toEqual(bytes("ccc"))
    })
  )

  onEachStorage("changes nothing that is stored, and says so", () =>
    Effect.gen(function* () {
      yield* threeBlocks
      const from = yield* source(["a", "bb", "ccc", "dddd"].map(bytes))
      yield* untouched(
        Effect.gen(function* () {
          const feed = yield* Feed.open(readOnly)
          const refused = { _tag: "NotWritable", reason: "read-only" }
          yield* expectFailure(feed.append(bytes("x")), refused)
          yield* expectFailure(feed.appendBatch([]), refused)
          yield* expectFailure(feed.clear(0), refused)
          yield* expectFailure(transfer(from, feed, 3), refused)
          expect(yield* feed.audit()).toEqual({ valid: 3, invalid: 0 })
          expect(yield* feed.getBatch(0, 3)).toEqual(["a", "bb", "ccc"].map(bytes))
          yield* feed.close
        })
      )
    })
  )

  onEachStorage("also with the secret key: the key in hand does not make it writable", () =>
    Effect.gen(function* () {
      yield* threeBlocks
      const feed = yield* Feed.open({ ...readOnly, secretKey: (yield* keyPair(1)).secretKey })
      expect(feed.writable).toBe(false)
      yield* expectFailure(feed.append(bytes("x")), { _tag: "NotWritable", reason: "read-only" })
    })
  )

  onEachStorage("finds a lost key in the secret key, or takes the given one", () =>
    Effect.gen(function* () {
      const { publicKey } = yield* keyPair(1)
      yield* threeBlocks
      yield* cutFile("key", 0)
      const found = yield* untouched(Feed.open(readOnly))
      expect([toHex(found.key), found.length, found.writable]).toEqual([toHex(publicKey), 3, false])
      yield* expectFailure(found.append(bytes("x")), { _tag: "NotWritable", reason: "read-only" })
      yield* cutFile("secret_key", 63)
      yield* expectFailure(Feed.open(readOnly), { _tag: "CorruptStorage", file: "secret_key" })
      expect((yield* Feed.open({ ...readOnly, key: publicKey })).length).toBe(3)
      yield* cutFile("secret_key", 0)
      yield* expectFailure(Feed.open(readOnly), { _tag: "CorruptStorage", file: "key" })
      expect((yield* untouched(Feed.open({ ...readOnly, key: publicKey }))).length).toBe(3)
    })
  )

  it.scoped("says that the key is lost where the secret key may not be read", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      yield* Effect.provide(threeBlocks, nodeLayer({ directory }))
      fs.rmSync(path.join(directory, "key"))
      // A directory cannot be read as a file, by root neither.
      fs.rmSync(path.join(directory, "secret_key"))
      fs.mkdirSync(path.join(directory, "secret_key"))
      const opening = Effect.provide(Feed.open(readOnly), nodeLayer({ directory }))
      yield* expectFailure(opening, { _tag: "CorruptStorage", file: "key" })
    })
  )

  onEachStorage("makes no feed", () =>
    Effect.gen(function* () {
      const missing = { _tag: "OpenRefused", reason: "missing" }
      yield* expectFailure(Feed.open(readOnly), missing)
      yield* expectFailure(Feed.open({ ...readOnly, key: (yield* keyPair(1)).publicKey }), missing)
      expect(Object.values(yield* stored()).join("")).toBe("")
    })
  )

  onEachStorage("does not audit a damaged block away", () =>
    Effect.gen(function* () {
      yield* threeBlocks
      yield* overwriteFile("data", bytes("X"))
      yield* untouched(
        Effect.gen(function* () {
          const feed = yield* Feed.open(readOnly)
          expect(yield* feed.audit()).toEqual({ valid: 2, invalid: 1 })
          expect(yield* feed.audit()).toEqual({ valid: 2, invalid: 1 })
        })
      )
    })
  )

  it.scoped("touches no file, not even its times", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const services = nodeLayer({ directory })
      yield* Effect.provide(threeBlocks, services)
      const times = () =>
        fs
          .readdirSync(directory)
          .sort()
          .map((name) => [name, fs.statSync(path.join(directory, name)).mtimeMs])
      for (const name of fs.readdirSync(directory)) {
        fs.utimesSync(path.join(directory, name), 1_000_000, 1_000_000)
      }
      const bytesBefore = yield* Effect.provide(stored(), services)
      const feed = yield* Effect.provide(Feed.open(readOnly), services)
      expect(yield* feed.getBatch(0, 3)).toEqual(["a", "bb", "ccc"].map(bytes))
      yield* feed.audit()
      yield* feed.close
      expect(times()).toEqual([...FILES].sort().map((name) => [name, 1_000_000_000]))
      expect(yield* Effect.provide(stored(), services)).toEqual(bytesBefore)
    })
  )
})

/** Runs `effect` on a storage that does `first` before every look at the files. */
const whileOthers =
  (first: Effect.Effect<unknown>) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.provideServiceEffect(
      effect,
      Storage,
      Effect.map(Storage, (inner) => ({
        open: (path: string) =>
          Effect.map(inner.open(path), (files) => ({
            ...files,
            size: (file: FileName) => Effect.zipRight(first, files.size(file)),
            read: (ranges: ReadonlyArray<Read>) => Effect.zipRight(first, files.read(ranges))
          }))
      }))
    )

describe("a length that was signed once", () => {
  onEachStorage(
    "is not signed again by an owner after someone without the secret key opened what was left",
    () =>
      Effect.gen(function* () {
        const keys = yield* keyPair(1)
        const owner = { secretKey: keys.secretKey, storeSecretKey: false }
        const feed = yield* Feed.open(owner)
        for (const text of ["a", "b", "c"]) yield* feed.append(bytes(text))
        yield* feed.close
        // The end of a block and the last signature are lost: only the bitfield knows that there was one.
        yield* cutFile("signatures", 32 + 2 * 64)
        yield* cutFile("data", 2)
        const refused = { _tag: "CorruptStorage", file: "signatures" }
        yield* expectFailure(Feed.open(owner), refused)
        const other = yield* Feed.open()
        expect([other.length, other.writable]).toEqual([2, false])
        yield* other.close
        yield* expectFailure(Feed.open(owner), refused)
        const again = yield* Feed.open()
        expect([again.length, again.claimedLength]).toEqual([2, 3])
        yield* again.close
        yield* overwriteFile("data", bytes("c"), 2)
        expect((yield* Feed.open(owner)).length).toBe(3)
      })
  )

  onEachStorage("is not signed again where the signature reads as zeros", () =>
    Effect.gen(function* () {
      const feed = yield* Feed.open(yield* keyPair(1))
      for (const text of ["a", "b", "c"]) yield* feed.append(bytes(text))
      yield* feed.close
      yield* overwriteFile("signatures", new Uint8Array(64), 32 + 2 * 64)
      yield* cutFile("bitfield", 32)
      yield* cutFile("data", 2)
      yield* expectFailure(Feed.open(), { _tag: "CorruptStorage" })
      yield* overwriteFile("data", bytes("c"), 2)
      expect((yield* Feed.open()).length).toBe(3)
    })
  )
})

describe("claimedLength", () => {
  onEachStorage("is the length, where nothing is damaged", () =>
    Effect.gen(function* () {
      const feed = yield* openText()
      expect(feed.claimedLength).toBe(0)
      yield* feed.appendBatch(["a", "b"])
      yield* feed.close
      expect((yield* openText()).claimedLength).toBe(2)
      expect((yield* openText({ readOnly: true })).claimedLength).toBe(2)
    })
  )

  onEachStorage("is the length also where another appends all the while", () =>
    Effect.gen(function* () {
      const writer = yield* openText()
      yield* writer.append("a")
      const appends = Effect.orDie(writer.append("more"))
      const feed = yield* whileOthers(appends)(openText({ readOnly: true }))
      expect(feed.length).toBeGreaterThan(1)
      expect([feed.claimedLength, yield* feed.downloaded()]).toEqual([feed.length, feed.length])
    })
  )

  onEachStorage(
    "is more than the length where a signature does not hold, or the bitfield knows of a lost one",
    () =>
      Effect.gen(function* () {
        const feed = yield* openText()
        for (const text of ["a", "b", "c"]) yield* feed.append(text)
        yield* feed.close
        yield* overwriteFile("signatures", bytes("not a signature"), 32 + 2 * 64)
        const forged = yield* openText({ readOnly: true })
        expect([forged.length, forged.claimedLength]).toEqual([2, 3])
        yield* cutFile("signatures", 32 + 64)
        const cut = yield* openText({ readOnly: true })
        expect([cut.length, cut.claimedLength]).toEqual([1, 3])
      })
  )
})

describe("a bitfield that is mostly a hole", () => {
  onEachStorage("is read in pieces", () =>
    Effect.gen(function* () {
      yield* threeBlocks
      yield* overwriteFile("bitfield", new Uint8Array(1), 32 + 5000 * 3584 - 1)
      const lengths: Array<number> = []
      const noting: Instrument = ({ operation, file, length }) => {
        if (operation === "read" && file === "bitfield") lengths.push(length)
        return undefined
      }
      const feed = yield* withInstrument(noting)(Feed.open())
      expect([feed.length, yield* feed.downloaded()]).toEqual([3, 3])
      expect(Math.max(...lengths)).toBeLessThan(4 * 1024 * 1024)
    })
  )
})

describe("one writer", () => {
  onEachStorage("a second open fails with locked and changes nothing, until the first is closed", () =>
    Effect.gen(function* () {
      const first = yield* Feed.open(yield* keyPair(1))
      yield* first.append(bytes("a"))
      const locked = { _tag: "StorageError", reason: "locked" }
      yield* untouched(expectFailure(Feed.open(), locked))
      yield* untouched(expectFailure(Feed.open({ key: first.key }), locked))
      expect(yield* first.append(bytes("b"))).toBe(1)
      yield* first.close
      const second = yield* Feed.open()
      expect(second.length).toBe(2)
    })
  )

  onEachStorage("of many opens at once, one has the feed", () =>
    Effect.gen(function* () {
      const exits = yield* Effect.all(
        Array.from({ length: 10 }, () => Effect.exit(Feed.open())),
        { concurrency: "unbounded" }
      )
      const opened = exits.flatMap((exit) => (Exit.isSuccess(exit) ? [exit.value] : []))
      expect(opened).toHaveLength(1)
      for (const exit of exits.filter(Exit.isFailure)) {
        expect(exit.cause).toMatchObject({ error: { _tag: "StorageError", reason: "locked" } })
      }
      const [feed] = opened
      yield* feed!.append(bytes("a"))
      yield* feed!.close
      expect(toHex(feed!.key)).toBe((yield* stored()).key)
      expect((yield* Feed.open()).length).toBe(1)
    })
  )

  onEachStorage("of many who make a feed one after the other, one does, and its feed stays untouched", () =>
    Effect.gen(function* () {
      const first = yield* Feed.open({ openExisting: false })
      const exists = { _tag: "OpenRefused", reason: "exists" }
      yield* untouched(expectFailure(Feed.open({ openExisting: false }), exists))
      yield* first.append(bytes("a"))
      yield* first.close
      yield* untouched(expectFailure(Feed.open({ openExisting: false, ...(yield* keyPair(2)) }), exists))
      expect((yield* Feed.open()).length).toBe(1)
    })
  )

  onEachStorage("a refused open frees the lock", () =>
    Effect.gen(function* () {
      yield* threeBlocks
      yield* overwriteFile("tree", bytes("garbage"))
      yield* expectFailure(Feed.open(), { _tag: "CorruptStorage" })
      yield* expectFailure(Feed.open(), { _tag: "CorruptStorage" })
      expect((yield* Feed.open({ overwrite: true })).length).toBe(0)
    })
  )
})

describe("paths", () => {
  onEachStorage("many feeds live under one root, each by itself", () =>
    Effect.gen(function* () {
      const names = ["", "a", "a/b", "a/b/c", "é ü", "..."]
      const feeds = yield* Effect.forEach(names, (name) => openText({ path: name }))
      yield* Effect.forEach(feeds, (feed, i) => feed.appendBatch([`feed ${i}`, `${names[i]}`]))
      expect(new Set(feeds.map((feed) => toHex(feed.key))).size).toBe(names.length)
      yield* Effect.forEach(feeds, (feed) => feed.close)
      for (const [i, name] of names.entries()) {
        const again = yield* openText({ path: name, createIfMissing: false })
        expect(yield* again.getBatch(0, 2)).toEqual([`feed ${i}`, name])
      }
    })
  )

  onEachStorage("that lead out of the root are refused", () =>
    Effect.gen(function* () {
      for (const name of [
        5 as unknown as string,
        "..",
        "a/..",
        "../a",
        "/a",
        "a/",
        "a//b",
        ".",
        "./a",
        "a\\b",
        "a\0b"
      ]) {
        yield* expectFailure(Feed.open({ path: name }), { _tag: "OpenRefused", reason: "bad-path" })
      }
    })
  )

  it.scoped("locate keeps a file elsewhere", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const vault = yield* temporaryDirectory
      const services = nodeLayer({
        directory,
        locate: (file, feedPath) =>
          file === "secret_key" ? path.join(vault, "keys", feedPath, "secret") : undefined
      })
      const feed = yield* Effect.provide(openText({ path: "x/y" }), services)
      yield* feed.append("hello")
      yield* feed.close
      expect(fs.readdirSync(path.join(directory, "x/y")).sort()).toEqual(
        FILES.filter((file) => file !== "secret_key").sort()
      )
      const secret = fs.readFileSync(path.join(vault, "keys/x/y/secret"))
      expect(secret.subarray(32).toString("hex")).toBe(toHex(feed.key))
      expect(fs.statSync(path.join(vault, "keys/x/y/secret")).mode & 0o077).toBe(0)
      const again = yield* Effect.provide(openText({ path: "x/y" }), services)
      expect(yield* again.append("world")).toBe(1)
      const elsewhere = yield* Effect.provide(
        openText({ path: "x/y", readOnly: true }),
        nodeLayer({ directory })
      )
      expect(yield* elsewhere.head()).toBe("world")
    })
  )
})

describe("closing", () => {
  onEachStorage("ends every operation with FeedClosed", () =>
    Effect.gen(function* () {
      const feed = yield* Feed.open(yield* keyPair(1))
      yield* feed.appendBatch(someBlocks(5))
      const proof = yield* feed.proof(2)
      const { signature } = yield* feed.signature()
      yield* feed.close
      expect([feed.readable, feed.writable]).toEqual([false, false])
      const operations: Record<string, Effect.Effect<unknown, unknown>> = {
        append: feed.append(bytes("x")),
        appendBatch: feed.appendBatch([bytes("x"), bytes("y")]),
        "empty appendBatch": feed.appendBatch([]),
        get: feed.get(0),
        "get of a missing block": feed.get(9),
        getBatch: feed.getBatch(0, 2),
        head: feed.head(),
        stream: Stream.runDrain(feed.stream()),
        sink: Stream.run(Stream.make(bytes("x")), feed.sink),
        has: feed.has(0),
        downloaded: feed.downloaded(),
        clear: feed.clear(0),
        seek: feed.seek(1),
        "seek to the end": feed.seek(feed.byteLength),
        signature: feed.signature(),
        verify: feed.verify(4, signature),
        rootHashes: feed.rootHashes(0),
        proof: feed.proof(0),
        digest: feed.digest(0),
        put: feed.put({ index: 2, proof, block: bytes("x") }),
        audit: feed.audit(),
        update: feed.update(),
        "update to what it has": feed.update(1)
      }
      for (const [name, operation] of Object.entries(operations)) {
        expect([name, yield* failure(operation)]).toMatchObject([name, { _tag: "FeedClosed" }])
      }
    })
  )

  inMemory("of an empty feed too", () =>
    Effect.gen(function* () {
      const feed = yield* Feed.open()
      yield* feed.close
      yield* expectFailure(feed.head(), { _tag: "FeedClosed" })
      yield* expectFailure(feed.signature(), { _tag: "FeedClosed" })
      yield* expectFailure(feed.audit(), { _tag: "FeedClosed" })
    })
  )

  onEachStorage("twice, at once or with the scope, is one close", () =>
    Effect.gen(function* () {
      const feed = yield* Effect.scoped(
        Effect.gen(function* () {
          const feed = yield* Feed.open()
          yield* feed.append(bytes("a"))
          yield* Effect.all([feed.close, feed.close, feed.close], { concurrency: "unbounded" })
          yield* feed.close
          return feed
        })
      )
      yield* feed.close
      expect((yield* Feed.open()).length).toBe(1)
    })
  )

  onEachStorage("happens with the scope, whatever ends it, and frees the lock", () =>
    Effect.gen(function* () {
      for (const exit of [Exit.void, Exit.fail("no"), Exit.die("no"), Exit.interrupt(FiberId.none)]) {
        const scope = yield* Scope.make()
        const feed = yield* Scope.extend(Feed.open(), scope)
        yield* feed.append(bytes("a"))
        expect(feed.readable).toBe(true)
        yield* Scope.close(scope, exit)
        expect(feed.readable).toBe(false)
      }
      expect((yield* Feed.open()).length).toBe(4)
    })
  )

  onEachStorage("lets the feed be opened again in the same scope", () =>
    Effect.gen(function* () {
      for (let i = 0; i < 20; i++) {
        const feed = yield* openText()
        expect(yield* feed.append(`block ${i}`)).toBe(i)
        yield* feed.close
      }
      expect((yield* openText()).length).toBe(20)
    })
  )

  inMemory("leaves nothing in the scope that the feed was opened in", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const kept = () =>
        (scope as unknown as { state: { finalizers: Map<unknown, unknown> } }).state.finalizers.size
      for (let i = 0; i < 3; i++) {
        const feed = yield* Scope.extend(Feed.open(), scope)
        expect(kept()).toBe(1)
        yield* feed.close
        expect(kept()).toBe(0)
      }
      yield* Scope.close(scope, Exit.void)
    })
  )

  onEachStorage("waits for the append under way", () =>
    Effect.gen(function* () {
      const feed = yield* openText()
      const appends = yield* Effect.fork(
        Effect.forEach(["a", "b", "c"], (value) => Effect.exit(feed.append(value)), {
          concurrency: "unbounded"
        })
      )
      yield* Effect.yieldNow()
      yield* feed.close
      const exits = yield* ended(appends)
      const again = yield* openText()
      expect(again.length).toBe(exits.filter(Exit.isSuccess).length)
      for (const exit of exits.filter(Exit.isFailure)) {
        expect(exit.cause).toMatchObject({ error: { _tag: "FeedClosed" } })
      }
      expect(yield* again.audit()).toEqual({ valid: again.length, invalid: 0 })
    })
  )
})
