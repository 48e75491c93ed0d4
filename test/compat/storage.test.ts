/** `feed._storage`: beside the peer's own storage, over the same instances and files. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import { createRequire } from "node:module"
import * as path from "node:path"
import { LegacyStorage, type StoredFeed } from "../../src/compat/storage.js"
import { StorageFile } from "../../src/node.js"
import { bare, type Instance, load, remembering } from "../layers/randomAccessKinds.js"
import { BytesFile } from "../reference/BytesFile.js"
import { temporaryDirectory } from "../temporaryDirectory.js"

type Done = (error: Error | null, ...values: ReadonlyArray<unknown>) => void
type Methods = Record<string, (...args: ReadonlyArray<unknown>) => void>

interface PeerFeed {
  readonly key: Buffer
  readonly secretKey: Buffer
  append(values: unknown, done: Done): void
  close(done: Done): void
  readonly _storage: Methods
}

const require = createRequire(import.meta.url)
const hypercore = require("hypercore-7") as (storage: unknown) => PeerFeed

/** What a method calls back with. */
const ask = (storage: object, method: string, ...args: ReadonlyArray<unknown>) =>
  Effect.promise(
    () =>
      new Promise<ReadonlyArray<unknown>>((settle) =>
        (storage as Methods)[method]!(...args, (error: Error | null, ...values: ReadonlyArray<unknown>) =>
          settle(error ? ["failed"] : values)
        )
      )
  )

const append = (feed: PeerFeed, values: unknown) =>
  Effect.promise(() => new Promise<void>((settle) => feed.append(values, () => settle())))

/** A feed of the peer's with blocks of different lengths, in batches, so that not each has a signature. */
const write = (feed: PeerFeed) =>
  Effect.gen(function* () {
    for (const count of [1, 3, 1, 12, 5]) {
      yield* append(
        feed,
        Array.from({ length: count }, (_, i) => "x".repeat((7 * i) % 5) + i)
      )
    }
  })

const BLOCKS = 22

const expectSame = (ours: LegacyStorage, peer: PeerFeed) =>
  Effect.gen(function* () {
    for (let i = 0; i < BLOCKS + 3; i++) {
      for (const method of ["getData", "getSignature", "nextSignature"]) {
        expect(yield* ask(ours, method, i), `${method} ${i}`).toEqual(yield* ask(peer._storage, method, i))
      }
      const at = yield* ask(ours, "dataOffset", i, [])
      expect(at).toEqual(yield* ask(peer._storage, "dataOffset", i, []))
    }
    for (let i = 0; i < 2 * BLOCKS + 6; i++) {
      const [node] = yield* ask(ours, "getNode", i)
      const [expected] = yield* ask(peer._storage, "getNode", i)
      expect(node, `node ${i}`).toEqual(typeof expected === "object" ? { ...expected } : expected)
    }
    const stored = yield* ask(ours, "open", { key: peer.key })
    expect(stored).toEqual(yield* ask(peer._storage, "open", { key: peer.key }))
    expect(stored).toMatchObject([{ key: peer.key, secretKey: peer.secretKey }])
    expect((stored[0] as StoredFeed).bitfield).toHaveLength(1)
  })

describe("over the caller's instances", () => {
  const kinds: ReadonlyArray<readonly [string, () => Instance]> = [
    ["random-access-memory", () => new (load("random-access-memory"))()],
    ["bare objects", () => bare()]
  ]

  for (const [name, make] of kinds) {
    it.effect(`it says what the peer's says: ${name}`, () =>
      Effect.gen(function* () {
        const create = remembering(make)
        const named = (file: string) => create(file as "data", "")
        const peer = hypercore(named)
        yield* write(peer)
        const storage = new LegacyStorage()
        const over = storage.over(named)
        for (const file of ["key", "secret_key", "tree", "data", "bitfield", "signatures"]) {
          expect(over(file)).toBe(named(file))
        }
        expect(storage.secretKey).toBe(named("secret_key"))
        yield* expectSame(storage, peer)
      })
    )
  }

  it.effect("nodes that are given are not read", () =>
    Effect.gen(function* () {
      const storage = new LegacyStorage()
      const cached = [
        { index: 1, hash: Buffer.alloc(32), size: 10 },
        { index: 4, hash: Buffer.alloc(32), size: 3 }
      ]
      expect(yield* ask(storage, "dataOffset", 2, cached)).toEqual([10, 3])
      expect(yield* ask(storage, "dataOffset", 0, cached)).toEqual(["failed"])
    })
  )

  it.effect("before there are any, everything fails", () =>
    Effect.gen(function* () {
      const storage = new LegacyStorage()
      for (const method of ["getNode", "getData", "getSignature", "nextSignature"]) {
        expect(yield* ask(storage, method, 0)).toEqual(["failed"])
      }
      expect(yield* ask(storage, "open", {})).toEqual(["failed"])
      expect(yield* ask(storage, "close")).toEqual([])
    })
  )

  it.effect("many blank signatures and pages do not grow the stack", () =>
    Effect.gen(function* () {
      const blanks = 20_000
      const signatures = Buffer.alloc(32 + 64 * (blanks + 1))
      signatures.fill(7, 32 + 64 * blanks)
      const header = Buffer.alloc(32)
      header.writeUInt16BE(1, 5)
      const content: Record<string, Buffer> = {
        signatures,
        bitfield: Buffer.concat([header, Buffer.alloc(blanks)])
      }
      const storage = new LegacyStorage()
      const over = storage.over((name: string) =>
        bare(Object.assign(new BytesFile(), { bytes: content[name] ?? Buffer.alloc(0) }))
      )
      for (const name of ["key", "secret_key", "tree", "data", "bitfield", "signatures"]) over(name)
      expect(yield* ask(storage, "nextSignature", 0)).toEqual([
        { index: blanks, signature: Buffer.alloc(64, 7) }
      ])
      const [stored] = yield* ask(storage, "open", {})
      expect((stored as StoredFeed).bitfield).toHaveLength(blanks)
      expect(stored).toMatchObject({ key: null, secretKey: null, bitfieldPageSize: 1 })
    })
  )

  it.effect("closing closes those that can be, and tells what failed", () =>
    Effect.gen(function* () {
      const closed: Array<string> = []
      const storage = new LegacyStorage()
      const over = storage.over((name: string): Instance => ({
        ...bare(),
        ...(name === "tree"
          ? {}
          : {
              close: (callback) => {
                closed.push(name)
                callback(name === "key" ? new Error("no") : null)
              }
            })
      }))
      for (const name of ["key", "tree", "data"]) over(name)
      expect(yield* ask(storage, "close")).toEqual(["failed"])
      expect(closed).toEqual(["key", "data"])
    })
  )
})

describe("over a feed's files", () => {
  it.scoped("it says what the peer's says", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const peer = hypercore(directory)
      yield* write(peer)
      const files = yield* (yield* StorageFile.make({ directory })).open("")
      const storage = new LegacyStorage()
      expect(storage.over(directory)).toBe(directory)
      storage.overFiles(files)
      yield* expectSame(storage, peer)
      yield* Effect.promise(() => new Promise<void>((settle) => peer.close(() => settle())))
    })
  )

  it.scoped("its instances write, free and measure them", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const files = yield* (yield* StorageFile.make({ directory })).open("")
      yield* files.lock
      const storage = new LegacyStorage()
      storage.overFiles(files)
      const data = storage.data!
      expect(yield* ask(data, "write", 0, Buffer.from("hello"))).toEqual([undefined])
      expect(fs.readFileSync(path.join(directory, "data"), "utf8")).toBe("hello")
      expect(yield* ask(data, "read", 1, 3)).toEqual([Buffer.from("ell")])
      expect(yield* ask(data, "read", 1, 9)).toEqual(["failed"])
      expect(yield* ask(data, "del", 2, 9)).toEqual([undefined])
      expect(yield* ask(data, "stat")).toEqual([{ size: 2 }])
      expect(yield* ask(data, "close")).toEqual([])
      expect(yield* ask(storage, "close")).toEqual([])
      expect(yield* ask(data, "stat")).toEqual([{ size: 2 }])
      let hasReturned = false
      yield* Effect.promise(
        () =>
          new Promise<void>((settle) => {
            data.write(0, Buffer.from("x"), () => {
              expect(hasReturned).toBe(true)
              settle()
            })
            hasReturned = true
          })
      )
    })
  )
})
