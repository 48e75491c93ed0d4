/** Storage over random-access instances: the contract, over each package, and what is true of instances only. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Scope } from "effect"
import fc from "fast-check"
import {
  type Crypto,
  CryptoNoble,
  Feed,
  type FeedFiles,
  type FileName,
  type Storage,
  type StorageError,
  StorageRandomAccess
} from "../../src/index.js"
import { BytesFile } from "../reference/BytesFile.js"
import { storageSuite } from "../suites/storage.js"
import { pseudoRandomBytes } from "../vectors/dsl.mjs"
import { bare, type Create, type Instance, kinds, load, only, remembering } from "./randomAccessKinds.js"

for (const [name, create] of kinds) {
  const layer = Effect.map(create, (given): Layer.Layer<Storage> =>
    StorageRandomAccess.layer({ create: given })
  )
  // Instances know no lock: who opens two writers over one storage keeps them apart.
  storageSuite(name, layer, { locks: false })
}

const MIB = 1024 * 1024
const bytes = (...values: ReadonlyArray<number>): Uint8Array => Uint8Array.from(values)
const text = (value: string): Uint8Array => Buffer.from(value)

const open = (create: Create, path = "") => StorageRandomAccess.make({ create }).open(path)

/** Opens a feed whose files are all in one instance: for tests that look at one file. */
const openOne = (instance: Instance) => open(() => instance)

const readOne = (files: FeedFiles, file: FileName, offset: number, length: number) =>
  Effect.map(files.read([{ file, offset, length }]), ([read]) => [...read!])

const content = (files: FeedFiles, file: FileName) =>
  Effect.flatMap(files.size(file), (size) => readOne(files, file, 0, size))

const writeOne = (files: FeedFiles, file: FileName, offset: number, ...parts: ReadonlyArray<Uint8Array>) =>
  files.write([{ file, offset, parts }])

const expectFailure = <A, R>(
  effect: Effect.Effect<A, StorageError, R>,
  reason: StorageError["reason"],
  detail = ""
): Effect.Effect<void, never, R> =>
  Effect.map(Effect.either(effect), (result) => {
    expect(result).toMatchObject({ _tag: "Left", left: { _tag: "StorageError", reason } })
    if (result._tag === "Left") expect(result.left.message).toContain(detail)
  })

const failure = (message: string, code?: string): Error =>
  Object.assign(new Error(message), code === undefined ? {} : { code })

/** A bare instance over `file`, with some methods replaced or added. */
const withMethods = (methods: Partial<Instance>, file = new BytesFile()): Instance => ({
  ...bare(file),
  ...methods
})

describe("instances of a feed", () => {
  const ORDER = ["key", "secret_key", "tree", "data", "bitfield", "signatures"]

  it.effect("all six are asked for when it is opened, in the peer's order, and closed with its scope", () =>
    Effect.gen(function* () {
      const created: Array<string> = []
      const closed: Array<string> = []
      const create: Create = (file, feedPath) => {
        created.push(`${feedPath} ${file}`)
        const close: Instance["close"] = (callback) =>
          setImmediate(() => {
            closed.push(file)
            callback(null)
          })
        return withMethods({ close })
      }
      const scope = yield* Scope.make()
      yield* Scope.extend(open(create, "a/b"), scope)
      expect(created).toEqual(ORDER.map((file) => `a/b ${file}`))
      expect(closed).toEqual([])
      yield* Scope.close(scope, Exit.void)
      expect(closed).toEqual(ORDER)
    })
  )

  it.effect("one that cannot be made fails the opening, and those that were are closed", () =>
    Effect.gen(function* () {
      const closed: Array<string> = []
      const makeFails =
        (make: () => Instance): Create =>
        (file) => {
          if (file === "data") return make()
          return withMethods({ close: (callback) => callback(void closed.push(file)) })
        }
      const throwing = () => {
        throw failure("no room", "ENOSPC")
      }
      yield* expectFailure(
        Effect.scoped(open(makeFails(throwing), "a")),
        "full",
        "cannot open a (full): no room"
      )
      expect(closed).toEqual(["key", "secret_key", "tree"])
      for (const value of [undefined, null, {}, { read: () => undefined }, "data"]) {
        const making = makeFails(() => value as unknown as Instance)
        yield* expectFailure(Effect.scoped(open(making)), "unsupported", "data")
      }
    })
  )

  it.effect("a close that fails, throws or is missing does not fail the scope", () =>
    Effect.gen(function* () {
      let calls = 0
      const closes: ReadonlyArray<Partial<Instance>> = [
        {
          close: (callback) => {
            calls++
            callback(failure("no", "EIO"))
          }
        },
        {
          close: () => {
            calls++
            throw failure("never")
          }
        },
        {}
      ]
      let next = 0
      yield* Effect.scoped(open(() => withMethods(closes[next++ % closes.length]!)))
      expect(calls).toBe(4)
    })
  )

  it.scoped("one storage can be opened twice at a time", () =>
    Effect.gen(function* () {
      const create = remembering(() => bare())
      const first = yield* open(create)
      yield* first.lock
      yield* writeOne(first, "tree", 0, bytes(1, 2))
      const second = yield* open(create)
      yield* second.lock
      yield* writeOne(second, "tree", 2, bytes(3))
      expect(yield* content(second, "tree")).toEqual([1, 2, 3])
      yield* writeOne(first, "tree", 3, bytes(4))
      expect(yield* content(first, "tree")).toEqual([1, 2, 3, 4])
    })
  )
})

describe("size", () => {
  it.scoped("by stat: what does not exist has none; other errors are errors", () =>
    Effect.gen(function* () {
      const stat = (error: unknown, value?: unknown): Instance =>
        withMethods({ stat: (callback) => callback(error, value as { size: number }) })
      const missing = Object.assign(new Error("gone"), { name: "NotFoundError" })
      for (const error of [failure("x", "ENOENT"), missing, failure("Not opened")]) {
        expect(yield* (yield* openOne(stat(error))).size("data")).toBe(0)
      }
      yield* expectFailure((yield* openOne(stat(failure("x", "EACCES")))).size("data"), "permission")
      yield* expectFailure((yield* openOne(stat(failure("Closed")))).size("data"), "io", "Closed")
      for (const value of [undefined, null, {}, { size: -1 }, { size: "5" }, { size: Number.NaN }]) {
        yield* expectFailure((yield* openOne(stat(null, value))).size("data"), "io", "no size")
      }
      expect(yield* (yield* openOne(stat(null, { size: 5 }))).size("data")).toBe(5)
    })
  )

  it.scoped("what fails is asked again; what was found is not", () =>
    Effect.gen(function* () {
      let calls = 0
      const files = yield* openOne(
        withMethods({ stat: (callback) => callback(++calls === 1 ? failure("x", "EIO") : null, { size: 3 }) })
      )
      yield* expectFailure(files.size("data"), "io")
      expect(yield* files.size("data")).toBe(3)
      yield* writeOne(files, "data", 3, bytes(1))
      expect(yield* files.size("data")).toBe(4)
      expect(calls).toBe(2)
    })
  )

  it.scoped("of a file that cannot be opened, each time it is asked for", () =>
    Effect.gen(function* () {
      for (const name of ["random-access-file-2", "random-access-file-3", "random-access-file-4"]) {
        const File = load(name)
        // A file in place of a directory.
        const files = yield* openOne(new File(`${import.meta.filename}/data`))
        for (let i = 0; i < 2; i++) {
          yield* expectFailure(files.size("tree"), "io", "ENOTDIR")
          yield* expectFailure(readOne(files, "tree", 0, 1), "io", "ENOTDIR")
        }
      }
    })
  )

  it.scoped("by a stated length, which may be wrong", () =>
    Effect.gen(function* () {
      for (const size of [0, 1, 2, 50, 1000]) {
        for (const length of [0, 1, 49, 50, 51, 5000]) {
          const file = new BytesFile()
          file.write(0, new Uint8Array(size))
          expect(yield* (yield* openOne(withMethods({ length }, file))).size("data")).toBe(size)
        }
      }
    })
  )

  it.scoped("by reading, a few times", () =>
    Effect.gen(function* () {
      for (const size of [0, 1, 2, 3, 4, 31, 32, 33, 1000, 65_536, 1_000_003]) {
        const file = new BytesFile()
        file.write(0, new Uint8Array(size))
        const inner = bare(file)
        let reads = 0
        const instance: Instance = {
          read: (offset, length, callback) => {
            reads++
            // Some call back with less instead of an error.
            if (offset % 2 === 0 && offset >= size) callback(null, bytes())
            else inner.read(offset, length, callback)
          },
          write: inner.write.bind(inner)
        }
        expect(yield* (yield* openOne(instance)).size("tree")).toBe(size)
        expect(reads).toBeLessThanOrEqual(2 * Math.ceil(Math.log2(size + 2)) + 1)
      }
    })
  )

  it.scoped("what can be read past any end has none, and a disk that fails is not an end", () =>
    Effect.gen(function* () {
      const endless = withMethods({ read: (_, length, callback) => callback(null, new Uint8Array(length)) })
      yield* expectFailure((yield* openOne(endless)).size("tree"), "io", "its size cannot be found")
      const failing = withMethods({ read: (_, __, callback) => callback(failure("disk", "EIO")) })
      yield* expectFailure((yield* openOne(failing)).size("tree"), "io", "disk")
      yield* expectFailure(readOne(yield* openOne(failing), "tree", 0, 1), "io", "disk")
    })
  )

  it.scoped("several who ask at once look once", () =>
    Effect.gen(function* () {
      let calls = 0
      const files = yield* openOne(
        withMethods({
          stat: (callback) => {
            calls++
            setImmediate(() => callback(null, { size: 7 }))
          }
        })
      )
      const all = Array.from({ length: 5 }, () => files.size("data"))
      expect(yield* Effect.all(all, { concurrency: "unbounded" })).toEqual([7, 7, 7, 7, 7])
      expect(calls).toBe(1)
    })
  )

  it.scoped("without any say on it, data is not looked at while tree has no entry", () =>
    Effect.gen(function* () {
      const made = new Map<string, BytesFile>()
      const dataReads: Array<number> = []
      const create: Create = (file) => {
        const stored = made.get(file) ?? new BytesFile()
        made.set(file, stored)
        const inner = bare(stored)
        return {
          read: (offset, length, callback) => {
            if (file === "data") dataReads.push(offset)
            inner.read(offset, length, callback)
          },
          write: inner.write.bind(inner)
        }
      }
      const files = yield* open(create)
      yield* writeOne(files, "tree", 0, new Uint8Array(32))
      yield* writeOne(files, "data", 0, bytes(1, 2))
      const again = yield* open(create)
      expect(yield* again.size("data")).toBe(0)
      expect(dataReads).toEqual([])
      yield* writeOne(files, "tree", 32, bytes(1))
      expect(yield* (yield* open(create)).size("data")).toBe(2)
    })
  )
})

describe("read and write", () => {
  it.scoped("callbacks may come at once, later, twice, or not before a throw", () =>
    Effect.gen(function* () {
      for (const when of [(run: () => void) => run(), setImmediate, queueMicrotask]) {
        const inner = bare()
        const files = yield* openOne({
          read: (offset, length, callback) =>
            when(() =>
              inner.read(offset, length, (error, value) => {
                callback(error, value)
                callback(failure("again"))
              })
            ),
          write: (offset, value, callback) =>
            when(() =>
              inner.write(offset, value, () => {
                callback()
                callback(failure("again"))
              })
            )
        })
        yield* files.write([
          { file: "tree", offset: 0, parts: [bytes(1, 2), bytes(3)] },
          { file: "tree", offset: 1, parts: [bytes(9)] }
        ])
        const ranges = [0, 1, 2].map((offset) => ({ file: "tree" as const, offset, length: 1 }))
        expect((yield* files.read(ranges)).map((read) => [...read])).toEqual([[1], [9], [3]])
      }
      const throwing = (code: string) => () => {
        throw failure("thrown", code)
      }
      const files = yield* openOne(withMethods({ write: throwing("ENOSPC"), stat: throwing("EPERM") }))
      yield* expectFailure(writeOne(files, "data", 0, bytes(1)), "full", "thrown")
      yield* expectFailure(files.size("data"), "permission", "thrown")
    })
  )

  it.scoped("what an instance answers with is checked, and copied", () =>
    Effect.gen(function* () {
      const stat: NonNullable<Instance["stat"]> = (callback) => callback(null, { size: 4 })
      const reading = (value: unknown) =>
        Effect.flatMap(
          openOne(withMethods({ stat, read: (_, __, callback) => callback(null, value as Uint8Array) })),
          (files) => Effect.map(files.read([{ file: "tree", offset: 0, length: 4 }]), ([read]) => read!)
        )
      for (const value of [undefined, null, "text", [1, 2, 3, 4]]) {
        yield* expectFailure(reading(value), "io", "gave no bytes")
      }
      expect([...(yield* reading(bytes(1, 2, 3, 4, 5)))]).toEqual([1, 2, 3, 4])
      expect([...(yield* reading(bytes(1, 2)))]).toEqual([1, 2])
      const kept = bytes(1, 2, 3, 4)
      ;(yield* reading(kept)).fill(9)
      expect([...kept]).toEqual([1, 2, 3, 4])
    })
  )

  it.scoped("what changes behind its back is read as it is", () =>
    Effect.gen(function* () {
      const file = new BytesFile()
      const files = yield* openOne(bare(file))
      yield* writeOne(files, "tree", 0, text("hello"))
      expect(yield* readOne(files, "tree", 0, 5)).toEqual([...text("hello")])
      file.write(0, text("J"))
      expect(yield* readOne(files, "tree", 0, 5)).toEqual([...text("Jello")])
    })
  )

  it.scoped("parts are given as one Buffer, whatever they were; large ones as a few", () =>
    Effect.gen(function* () {
      const calls: Array<{ offset: number; value: Uint8Array }> = []
      const files = yield* openOne(
        withMethods({ write: (offset, value, callback) => callback(void calls.push({ offset, value })) })
      )
      yield* writeOne(files, "data", 7, ...Array.from({ length: 1000 }, (_, i) => bytes(i % 256)), bytes())
      expect(calls.map(({ offset }) => offset)).toEqual([7])
      expect(Buffer.isBuffer(calls[0]!.value)).toBe(true)
      expect([...calls[0]!.value]).toEqual(Array.from({ length: 1000 }, (_, i) => i % 256))
      calls.length = 0
      const parts = Array.from({ length: 20 }, (_, i) => pseudoRandomBytes(MIB + i, i))
      yield* writeOne(files, "data", 5, ...parts)
      let end = 5
      for (const { offset, value } of calls) {
        expect(offset).toBe(end)
        end += value.length
      }
      expect(Buffer.concat(calls.map(({ value }) => value)).equals(Buffer.concat(parts))).toBe(true)
      expect(calls.length).toBeLessThan(8)
    })
  )

  it.scoped("in order: the next call is made when the one before has called back", () =>
    Effect.gen(function* () {
      const calls: Array<string> = []
      const create: Create = (file) =>
        withMethods({
          write: (_, value, callback) => {
            calls.push(`${file} ${value[0]}`)
            setImmediate(() => {
              calls.push(`${file} ${value[0]} ends`)
              callback(value[0] === 3 ? failure("three", "EIO") : null)
            })
          }
        })
      const files = yield* open(create)
      const names = ["data", "tree", "data", "tree"] as const
      const writes = names.map((file, i) => ({ file, offset: 0, parts: [bytes(i + 1)] }))
      yield* expectFailure(files.write(writes), "io", "three")
      const expected = ["data 1", "data 1 ends", "tree 2", "tree 2 ends", "data 3", "data 3 ends"]
      expect(calls).toEqual(expected)
    })
  )

  it.scoped("is not interrupted half-way", () =>
    Effect.gen(function* () {
      const waiting: Array<() => void> = []
      const written: Array<number> = []
      const files = yield* openOne(
        withMethods({
          write: (_, value, callback) => {
            written.push(value[0]!)
            waiting.push(() => callback(null))
          }
        })
      )
      const writes = [1, 2].map((i) => ({ file: "data" as const, offset: 0, parts: [bytes(i)] }))
      const fiber = yield* Effect.fork(files.write(writes))
      yield* Effect.yieldNow()
      expect(written).toEqual([1])
      const interrupting = yield* Effect.fork(Fiber.interrupt(fiber))
      yield* Effect.yieldNow()
      waiting.shift()!()
      expect(written).toEqual([1, 2])
      waiting.shift()!()
      yield* Fiber.join(interrupting)
    })
  )

  it.scoped("an instance may keep what it is given", () =>
    Effect.gen(function* () {
      // random-access-memory 2 takes a page that is given whole for its own.
      const files = yield* openOne(new (load("random-access-memory-2"))())
      const page = pseudoRandomBytes(MIB, 1)
      const before = Buffer.from(page)
      yield* writeOne(files, "tree", 0, page)
      page.fill(0)
      const [read] = yield* files.read([{ file: "tree", offset: 0, length: MIB }])
      expect(before.equals(read!)).toBe(true)
    })
  )
})

describe("a write that fails", () => {
  /** Writes half of what it should, and then fails. */
  const tearing = (file: BytesFile, extra: Partial<Instance> = {}): Instance & { torn: boolean } => {
    const instance = {
      ...withMethods(extra, file),
      torn: false,
      write: (offset: number, value: Uint8Array, callback: (error?: unknown) => void) => {
        file.write(offset, instance.torn ? value.subarray(0, value.length / 2) : value)
        callback(instance.torn ? failure("torn", "EIO") : null)
      }
    }
    return instance
  }

  const truncate =
    (file: BytesFile): NonNullable<Instance["truncate"]> =>
    (size, callback) => {
      file.bytes = file.bytes.slice(0, size)
      callback(null)
    }

  it.scoped("may be torn: what it left has a size, and can be cut off", () =>
    Effect.gen(function* () {
      const file = new BytesFile()
      const stat: NonNullable<Instance["stat"]> = (callback) => callback(null, { size: file.bytes.length })
      for (const extra of [{ truncate: truncate(file) }, { truncate: truncate(file), stat }]) {
        file.bytes = new Uint8Array(0)
        const instance = tearing(file, extra)
        const files = yield* openOne(instance)
        yield* writeOne(files, "tree", 0, bytes(1, 2, 3, 9, 9, 9, 9))
        yield* files.truncate("tree", 3)
        instance.torn = true
        yield* expectFailure(writeOne(files, "tree", 3, bytes(4, 5, 6, 7)), "io", "torn")
        expect(yield* content(files, "tree")).toEqual([1, 2, 3, 4, 5])
        yield* files.truncate("tree", 3)
        expect([...file.bytes]).toEqual([1, 2, 3])
        expect(yield* files.size("tree")).toBe(3)
      }
    })
  )

  it.scoped("where nothing can be cut, what it left is not taken for the file's", () =>
    Effect.gen(function* () {
      const file = new BytesFile()
      const instance = tearing(file)
      const files = yield* openOne(instance)
      yield* writeOne(files, "tree", 0, bytes(1, 2, 3, 4, 5, 6))
      yield* files.truncate("tree", 2)
      instance.torn = true
      yield* expectFailure(writeOne(files, "tree", 2, new Uint8Array(20).fill(7)), "io", "torn")
      instance.torn = false
      expect(yield* content(files, "tree")).toEqual([1, 2])
      yield* writeOne(files, "tree", 14, bytes(9))
      expect(yield* content(files, "tree")).toEqual([1, 2, ...new Uint8Array(12), 9])
    })
  )

  it.scoped("a cut that fails says so, and the size is looked at again", () =>
    Effect.gen(function* () {
      const file = new BytesFile()
      const files = yield* openOne({
        ...bare(file),
        stat: (callback) => callback(null, { size: file.bytes.length }),
        truncate: (_, callback) => {
          file.bytes = file.bytes.slice(0, 2)
          callback(failure("no", "EROFS"))
        }
      })
      yield* writeOne(files, "tree", 0, bytes(1, 2, 3))
      yield* expectFailure(files.truncate("tree", 1), "permission")
      expect(yield* files.size("tree")).toBe(2)
    })
  )
})

describe("remove and truncate", () => {
  it.scoped("what could not be cut off is not there while the feed is open", () =>
    Effect.gen(function* () {
      const create = remembering(() => bare())
      const files = yield* open(create)
      yield* writeOne(files, "tree", 0, bytes(1, 2, 3, 4))
      yield* files.truncate("tree", 1)
      expect(yield* readOne(files, "tree", 0, 9)).toEqual([1])
      yield* writeOne(files, "tree", 2, bytes(9))
      expect(yield* content(files, "tree")).toEqual([1, 0, 9])
      expect(yield* content(yield* open(create), "tree")).toEqual([1, 0, 9, 4])
    })
  )

  it.scoped("a del that takes no callback is not waited for", () =>
    Effect.gen(function* () {
      const deleted: Array<ReadonlyArray<number>> = []
      const del = (offset: number, length: number) => void deleted.push([offset, length])
      const files = yield* openOne(withMethods({ del }))
      yield* writeOne(files, "tree", 0, bytes(1, 2, 3, 4))
      yield* files.remove("tree", 1, 2)
      yield* files.remove("tree", 3, 5)
      expect(deleted).toEqual([
        [1, 2],
        [3, 1]
      ])
      expect(yield* content(files, "tree")).toEqual([1, 2, 3])
    })
  )

  it.scoped("an instance that says it can do neither is not asked to", () =>
    Effect.gen(function* () {
      const refuse = () => {
        throw failure("asked")
      }
      const flags = { deletable: false, truncatable: false, statable: false }
      const methods = { del: refuse, truncate: refuse, stat: refuse, ...flags }
      const files = yield* openOne(withMethods(methods))
      yield* writeOne(files, "tree", 0, bytes(1, 2, 3, 4))
      yield* files.remove("tree", 1, 2)
      yield* files.truncate("tree", 3)
      expect(yield* content(files, "tree")).toEqual([1, 2, 3])
    })
  )

  it.scoped("on disk the file itself is cut", () =>
    Effect.gen(function* () {
      for (const [name, make] of kinds) {
        if (!name.startsWith("random-access-file")) continue
        const create = yield* make
        const files = yield* open(create)
        yield* writeOne(files, "tree", 0, new Uint8Array(100).fill(1))
        yield* files.truncate("tree", 50)
        yield* writeOne(files, "tree", 50, new Uint8Array(10).fill(2))
        yield* files.remove("tree", 55, 100)
        const again = yield* open(create)
        expect(yield* again.size("tree")).toBe(55)
      }
    })
  )

  it.scoped(
    "a cut of much does not fill what follows with written zeros, but in memory wipes its last page",
    () =>
      Effect.gen(function* () {
        for (const name of ["random-access-memory", "random-access-memory-6"]) {
          const memory = new (load(name))({ pageSize: 100 }) as Instance & {
            readonly buffers: ReadonlyArray<unknown>
          }
          const files = yield* openOne(memory)
          yield* writeOne(files, "tree", 0, new Uint8Array(1050).fill(7))
          yield* files.truncate("tree", 10)
          yield* writeOne(files, "tree", 1500, bytes(8))
          const expected = [...new Uint8Array(10).fill(7), ...new Uint8Array(1490), 8]
          expect(yield* content(files, "tree")).toEqual(expected)
          expect(memory.buffers.filter((page) => page !== undefined).length).toBeLessThan(5)
        }
      })
  )
})

describe("memory in pages", () => {
  const step = fc.record({
    does: fc.constantFrom("write", "truncate", "remove"),
    offset: fc.nat({ max: 5000 }),
    length: fc.integer({ min: 1, max: 4000 })
  })

  /** Does the step to the files and to the model; each byte of a freed range is zero or what it was. */
  const perform = (files: FeedFiles, model: BytesFile, seed: number, { does, offset, length }: Step) =>
    Effect.gen(function* () {
      const size = model.bytes.length
      const end = does === "truncate" ? size : offset + length
      if (does === "write") {
        const part = new Uint8Array(length).fill(seed)
        yield* writeOne(files, "tree", offset, part)
        return model.write(offset, part)
      }
      yield* does === "truncate" ? files.truncate("tree", offset) : files.remove("tree", offset, length)
      if (end >= size) return void (model.bytes = model.bytes.slice(0, offset))
      const now = yield* readOne(files, "tree", offset, length)
      const before = model.read(offset, length)
      expect(now.every((byte, i) => byte === 0 || byte === before[i])).toBe(true)
      model.write(offset, Uint8Array.from(now))
    })

  type Step = typeof step extends fc.Arbitrary<infer A> ? A : never

  for (const [name, make] of kinds) {
    if (!name.endsWith("small pages")) continue
    it.live(`no byte comes back, none is lost: ${name}`, () =>
      Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), (history) =>
            Effect.gen(function* () {
              const files = yield* open(yield* make)
              const model = new BytesFile()
              for (const [i, one] of history.entries()) yield* perform(files, model, i + 1, one)
              expect(Buffer.compare(Buffer.from(yield* content(files, "tree")), model.bytes)).toBe(0)
            }).pipe(Effect.scoped, Effect.runPromise)
          ),
          { numRuns: 1000 }
        )
      )
    )
  }
})

describe("sync", () => {
  it.scoped("asks the instances that can, once each", () =>
    Effect.gen(function* () {
      const synced: Array<string> = []
      const files = yield* open((file) =>
        file === "tree"
          ? bare()
          : withMethods({
              sync: (callback) => {
                synced.push(file)
                callback(file === "key" ? failure("no", "EIO") : null)
              }
            })
      )
      yield* files.sync(["data", "tree", "data"])
      expect(synced).toEqual(["data"])
      yield* expectFailure(files.sync(["data", "key"]), "io", "key")
    })
  )
})

describe("a feed in instances", () => {
  const run = <A, E>(create: Create, effect: Effect.Effect<A, E, Crypto | Storage | Scope.Scope>) =>
    Effect.provide(
      Effect.scoped(effect),
      Layer.merge(StorageRandomAccess.layer({ create }), CryptoNoble.layer)
    )

  for (const [name, make] of kinds) {
    it.scoped(`is there when it is opened again: ${name}`, () =>
      Effect.gen(function* () {
        const create = yield* make
        const blocks = Array.from({ length: 50 }, (_, i) => text(`block ${i} `.repeat(i)))
        yield* run(
          create,
          Effect.gen(function* () {
            const feed = yield* Feed.open()
            yield* feed.append(blocks[0]!)
            yield* feed.appendBatch(blocks.slice(1, 30))
            yield* feed.clear(3, 20)
          })
        )
        yield* run(
          create,
          Effect.gen(function* () {
            const feed = yield* Feed.open()
            expect(feed.length).toBe(30)
            yield* feed.appendBatch(blocks.slice(30))
            for (const i of [0, 1, 2, 20, 29, 30, 49]) {
              expect(Buffer.compare(yield* feed.get(i), blocks[i]!)).toBe(0)
            }
            expect(yield* feed.has(5)).toBe(false)
            expect((yield* feed.audit()).invalid).toBe(0)
          })
        )
      })
    )
  }

  it.effect("over wrappers as hypercore's own tests have, its calls on data are its writes", () =>
    Effect.gen(function* () {
      const calls: Array<unknown> = []
      const create: Create = (file) => {
        const memory = only(["read", "write", "del"], new (load("random-access-memory"))())
        if (file !== "data") return memory
        const log = (method: "read" | "write" | "del") =>
          function (...args: Array<unknown>): unknown {
            calls.push({ [method]: args.slice(0, -1) })
            return Reflect.apply(memory[method] as () => unknown, memory, args)
          }
        return { read: log("read"), write: log("write"), del: log("del") } as Instance
      }
      yield* run(
        create,
        Effect.gen(function* () {
          const feed = yield* Feed.open()
          yield* feed.append(text("ab"))
          yield* feed.appendBatch([text("cd"), text("ef")])
        })
      )
      expect(calls).toEqual([{ write: [0, Buffer.from("ab")] }, { write: [2, Buffer.from("cdef")] }])
    })
  )

  it.effect("a batch of 1000 small blocks is a handful of calls", () =>
    Effect.gen(function* () {
      let calls = 0
      const create: Create = () => {
        const inner = bare()
        return {
          read: inner.read.bind(inner),
          write: (offset, value, callback) => {
            calls++
            inner.write(offset, value, callback)
          }
        }
      }
      yield* run(
        create,
        Effect.gen(function* () {
          const feed = yield* Feed.open()
          calls = 0
          yield* feed.appendBatch(Array.from({ length: 1000 }, (_, i) => text(`${i}`)))
        })
      )
      expect(calls).toBeLessThanOrEqual(4)
    })
  )
})
