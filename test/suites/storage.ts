/** What every Storage layer must do: each sentence of the contract in `src/services/Storage.ts`, in its order. */
import { describe, expect, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Scope } from "effect"
import fc from "fast-check"
import { concat } from "../../src/domain/Bytes.js"
import { StorageError } from "../../src/domain/Errors.js"
import * as Sleep from "../../src/domain/Sleep.js"
import { type FeedFiles, Storage, type StorageService } from "../../src/services/Storage.js"
import { BytesFile } from "../reference/BytesFile.js"
import { pseudoRandomBytes } from "../vectors/dsl.mjs"

/** A layer over nothing; what it leaves behind goes with the scope. */
export type FreshLayer = Effect.Effect<Layer.Layer<Storage>, never, Scope.Scope>

const MIB = 1024 * 1024

const bytes = (...values: ReadonlyArray<number>): Uint8Array => Uint8Array.from(values)

const list = (part: Uint8Array): Array<number> => Array.from(part)

/** Equal bytes; compared at once, for arrays are long. */
const expectBytes = (actual: Uint8Array | undefined, expected: Uint8Array): void => {
  expect(actual).toBeInstanceOf(Uint8Array)
  expect(actual!.length).toBe(expected.length)
  if (Buffer.compare(actual!, expected) === 0) return
  const at = expected.findIndex((byte, i) => byte !== actual![i])
  expect({ at, byte: actual![at] }).toEqual({ at, byte: expected[at] })
}

/** Each byte of a freed range is zero, or as it was where it could not be freed. */
const expectFreed = (range: Uint8Array, before: Uint8Array): void => {
  expect(range.length).toBe(before.length)
  expect(range.findIndex((byte, i) => byte !== 0 && byte !== before[i])).toBe(-1)
}

const readOne = (files: FeedFiles, file: Sleep.FileName, offset: number, length: number) =>
  Effect.map(files.read([{ file, offset, length }]), ([read]) => read!)

/** The whole file. */
const content = (files: FeedFiles, file: Sleep.FileName) =>
  Effect.flatMap(files.size(file), (size) => readOne(files, file, 0, size))

const writeOne = (
  files: FeedFiles,
  file: Sleep.FileName,
  offset: number,
  ...parts: ReadonlyArray<Uint8Array>
) => files.write([{ file, offset, parts }])

const openForWriting = (storage: StorageService, path = "") =>
  Effect.tap(storage.open(path), (files) => files.lock)

const expectFailure = <A, R>(
  effect: Effect.Effect<A, StorageError, R>,
  reason: StorageError["reason"]
): Effect.Effect<void, never, R> =>
  Effect.map(Effect.exit(effect), (exit) => {
    expect(exit).toMatchObject({ _tag: "Failure", cause: { _tag: "Fail" } })
    if (Exit.isFailure(exit) && exit.cause._tag === "Fail") {
      expect(exit.cause.error).toBeInstanceOf(StorageError)
      expect(exit.cause.error.reason).toBe(reason)
    }
  })

export interface StorageSuiteOptions {
  /** Without, the storage's `lock` holds nobody back: its callers keep writers apart. Default true. */
  readonly locks?: boolean
}

type TestStorage = (
  about: string,
  run: (storage: StorageService) => Effect.Effect<void, StorageError, Scope.Scope>
) => void

const lockSuite = (name: string, testStorage: TestStorage): void => {
  describe(`${name}: lock`, () => {
    testStorage("only one writer has a feed; another feed is another matter", (storage) =>
      Effect.gen(function* () {
        const first = yield* openForWriting(storage, "a")
        const second = yield* storage.open("a")
        yield* expectFailure(second.lock, "locked")
        // The refusal took nothing from the first.
        const third = yield* storage.open("a")
        yield* expectFailure(third.lock, "locked")
        yield* expectFailure(second.lock, "locked")
        yield* openForWriting(storage, "b")
        yield* openForWriting(storage)
        yield* writeOne(first, "data", 0, bytes(1))
      })
    )

    testStorage("does not keep readers out, before or after", (storage) =>
      Effect.gen(function* () {
        const before = yield* storage.open("")
        expect(yield* before.size("bitfield")).toBe(0)
        const writer = yield* openForWriting(storage)
        const after = yield* storage.open("")
        yield* writeOne(writer, "bitfield", 0, bytes(1, 2, 3))
        for (const reader of [before, after]) {
          expect(yield* reader.size("bitfield")).toBe(3)
          expectBytes(yield* readOne(reader, "bitfield", 0, 5), bytes(1, 2, 3))
        }
      })
    )

    testStorage("is freed with the writer's scope, and can then be had by who was refused", (storage) =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        yield* Scope.extend(openForWriting(storage), scope)
        const second = yield* storage.open("")
        yield* expectFailure(second.lock, "locked")
        yield* Scope.close(scope, Exit.void)
        yield* second.lock
        yield* writeOne(second, "data", 0, bytes(7))
        const third = yield* storage.open("")
        yield* expectFailure(third.lock, "locked")
      })
    )

    testStorage("is not freed by the scope of one who was refused, or who only read", (storage) =>
      Effect.gen(function* () {
        const writer = yield* openForWriting(storage)
        yield* writeOne(writer, "bitfield", 0, bytes(1))
        yield* Effect.scoped(
          Effect.gen(function* () {
            const files = yield* storage.open("")
            yield* expectFailure(files.lock, "locked")
            yield* readOne(files, "bitfield", 0, 1)
          })
        )
        yield* expectFailure((yield* storage.open("")).lock, "locked")
      })
    )

    testStorage("of many at once, one", (storage) =>
      Effect.gen(function* () {
        const all = yield* Effect.forEach(Array.from({ length: 8 }), () => storage.open(""))
        const exits = yield* Effect.forEach(all, (files) => Effect.exit(files.lock), {
          concurrency: "unbounded"
        })
        expect(exits.filter(Exit.isSuccess)).toHaveLength(1)
      })
    )
  })
}

export const storageSuite = (
  name: string,
  freshLayer: FreshLayer,
  options: StorageSuiteOptions = {}
): void => {
  const freshStorage = Effect.map(Effect.flatMap(freshLayer, Layer.build), Context.get(Storage))

  /** A feed at the root, open for writing. */
  const freshFiles = Effect.flatMap(freshStorage, openForWriting)

  const test = (about: string, run: (files: FeedFiles) => Effect.Effect<void, StorageError, Scope.Scope>) =>
    it.scoped(about, () => Effect.flatMap(freshFiles, run))

  const testStorage: TestStorage = (about, run) => it.scoped(about, () => Effect.flatMap(freshStorage, run))

  describe(`${name}: open`, () => {
    testStorage("every path is a feed of its own, the empty one is the root", (storage) =>
      Effect.gen(function* () {
        const paths = ["", "a", "a/b", "a/b/c", "b", "ä ö", "...", "a.b", ".a", "A B/C-1_2", "0".repeat(64)]
        const feeds = yield* Effect.forEach(paths, (path) => openForWriting(storage, path))
        for (const [i, files] of feeds.entries()) yield* writeOne(files, "tree", 0, bytes(i))
        for (const [i, path] of paths.entries()) {
          const again = yield* storage.open(path)
          expectBytes(yield* content(again, "tree"), bytes(i))
        }
      })
    )

    const badPaths = [
      "/",
      "/a",
      "a/",
      "a//b",
      ".",
      "..",
      "a/..",
      "../a",
      "a/./b",
      "a/../../b",
      "a\\b",
      "a\0b"
    ]

    for (const path of badPaths) {
      testStorage(`the path ${JSON.stringify(path)} is refused`, (storage) =>
        expectFailure(storage.open(path), "unsupported")
      )
    }

    testStorage("makes nothing: there is nothing to be read", (storage) =>
      Effect.gen(function* () {
        const files = yield* storage.open("a")
        for (const file of Sleep.FILES) {
          expect(yield* files.size(file)).toBe(0)
          expectBytes(yield* readOne(files, file, 0, 10), bytes())
        }
      })
    )

    testStorage("what was written is there when the feed is opened again", (storage) =>
      Effect.gen(function* () {
        yield* Effect.scoped(
          Effect.gen(function* () {
            const files = yield* openForWriting(storage, "a")
            for (const [i, file] of Sleep.FILES.entries())
              yield* writeOne(files, file, 32 + i, bytes(i, i + 1))
          })
        )
        const files = yield* storage.open("a")
        for (const [i, file] of Sleep.FILES.entries()) {
          expectBytes(yield* content(files, file), concat([new Uint8Array(32 + i), bytes(i, i + 1)]))
        }
      })
    )

    testStorage("is closed with its scope: every call afterwards fails", (storage) =>
      Effect.gen(function* () {
        const leaked: Array<FeedFiles> = []
        for (const use of [true, false]) {
          yield* Effect.scoped(
            Effect.gen(function* () {
              const files = yield* openForWriting(storage)
              if (use) yield* writeOne(files, "tree", 0, bytes(1))
              leaked.push(files)
            })
          )
        }
        for (const files of leaked) {
          yield* expectFailure(files.lock, "closed")
          yield* expectFailure(readOne(files, "data", 0, 1), "closed")
          yield* expectFailure(writeOne(files, "data", 0, bytes(2)), "closed")
          yield* expectFailure(files.remove("data", 0, 1), "closed")
          yield* expectFailure(files.size("data"), "closed")
          yield* expectFailure(files.truncate("data", 0), "closed")
          yield* expectFailure(files.sync(["data"]), "closed")
        }
        expectBytes(yield* content(yield* storage.open(""), "tree"), bytes(1))
      })
    )
  })

  if (options.locks !== false) lockSuite(name, testStorage)

  describe(`${name}: read`, () => {
    test("each range in order, from any file", (files) =>
      Effect.gen(function* () {
        yield* writeOne(files, "data", 0, bytes(10, 11, 12, 13))
        yield* writeOne(files, "tree", 0, bytes(20, 21, 22, 23))
        const read = yield* files.read([
          { file: "tree", offset: 2, length: 2 },
          { file: "data", offset: 1, length: 2 },
          { file: "tree", offset: 0, length: 1 },
          { file: "data", offset: 0, length: 0 },
          { file: "data", offset: 3, length: 1 }
        ])
        expect(read.map(list)).toEqual([[22, 23], [11, 12], [20], [], [13]])
        expect(yield* files.read([])).toEqual([])
      }))

    test("past the end comes back short, and a missing file empty", (files) =>
      Effect.gen(function* () {
        yield* writeOne(files, "data", 0, bytes(1, 2, 3))
        const read = yield* files.read([
          { file: "data", offset: 1, length: 10 },
          { file: "data", offset: 3, length: 10 },
          { file: "data", offset: 1000, length: 10 },
          { file: "data", offset: 2 ** 40, length: 10 },
          { file: "key", offset: 0, length: 32 },
          { file: "key", offset: 99, length: 32 }
        ])
        expect(read.map(list)).toEqual([[2, 3], [], [], [], [], []])
      }))

    test("of an absurd length gives what there is, at once", (files) =>
      Effect.gen(function* () {
        yield* writeOne(files, "data", 0, bytes(1, 2, 3))
        for (const length of [65_536, 65_537, 2 ** 31, 2 ** 40, Number.MAX_SAFE_INTEGER]) {
          const before = process.memoryUsage().arrayBuffers
          expectBytes(yield* readOne(files, "data", 1, length), bytes(2, 3))
          expectBytes(yield* readOne(files, "data", 10, length), bytes())
          expectBytes(yield* readOne(files, "key", 0, length), bytes())
          expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 * MIB)
        }
      }))

    test("gives fresh arrays, each time and for each range", (files) =>
      Effect.gen(function* () {
        const big = pseudoRandomBytes(100_000, 1)
        yield* writeOne(files, "data", 0, big)
        for (const length of [1, 40, 4096, 100_000]) {
          const range = { file: "data", offset: 0, length } as const
          const [first, second] = yield* files.read([range, range])
          first!.fill(0xee)
          expectBytes(second, big.subarray(0, length))
          second!.fill(0xdd)
          const [third] = yield* files.read([range])
          expectBytes(third, big.subarray(0, length))
          expectBytes(first, new Uint8Array(length).fill(0xee))
        }
      }))

    test("sees every write that completed before it", (files) =>
      Effect.gen(function* () {
        for (let i = 1; i <= 50; i++) {
          yield* writeOne(files, "data", 0, bytes(i))
          yield* writeOne(files, "tree", 4 * i, bytes(i, i))
          const read = yield* files.read([
            { file: "data", offset: 0, length: 1 },
            { file: "tree", offset: 4 * i, length: 9 }
          ])
          expect(read.map(list)).toEqual([[i], [i, i]])
        }
      }))

    test("into an array that is given, or not: as much of it as there is, and nothing around it", (files) =>
      Effect.gen(function* () {
        yield* files.write([{ file: "data", offset: 0, parts: [bytes(1, 2, 3, 4, 5)] }])
        const whole = new Uint8Array(16).fill(9)
        const [outer, inner] = [whole.subarray(2, 8), whole.subarray(9, 11)]
        const read = yield* files.read([
          { file: "data", offset: 0, length: 4, into: outer },
          { file: "data", offset: 3, length: 2, into: inner },
          { file: "data", offset: 4, length: 3, into: new Uint8Array(3) }
        ])
        expect(read.map(list)).toEqual([[1, 2, 3, 4], [4, 5], [5]])
        const isUsed = read[0]!.buffer === whole.buffer
        const after = isUsed ? [9, 9, 1, 2, 3, 4, 9, 9, 9, 4, 5, 9, 9, 9, 9, 9] : Array.from(whole, () => 9)
        expect(list(whole)).toEqual(after)
      }))

    test("run again, it reads again", (files) =>
      Effect.gen(function* () {
        const read = readOne(files, "data", 0, 4)
        expectBytes(yield* read, bytes())
        yield* writeOne(files, "data", 0, bytes(1, 2))
        expectBytes(yield* read, bytes(1, 2))
        yield* writeOne(files, "data", 0, bytes(3, 4, 5))
        const last = yield* read
        expectBytes(last, bytes(3, 4, 5))
        last.fill(0)
        expectBytes(yield* read, bytes(3, 4, 5))
      }))

    test("thousands of ranges, and more bytes than one turn moves", (files) =>
      Effect.gen(function* () {
        const all = pseudoRandomBytes(6 * MIB, 3)
        yield* writeOne(files, "data", 0, all)
        const ranges = Array.from({ length: 5000 }, (_, i) => ({
          file: "data" as const,
          offset: (i * 7919) % all.length,
          length: (i * 31) % 3000
        }))
        const read = yield* files.read([...ranges, { file: "data", offset: 5, length: all.length }])
        for (const [i, { length, offset }] of ranges.entries()) {
          expectBytes(read[i], all.subarray(offset, offset + length))
        }
        expectBytes(read[5000], all.subarray(5))
      }))
  })

  describe(`${name}: write`, () => {
    test("each range in order: the last one stands", (files) =>
      Effect.gen(function* () {
        yield* files.write([
          { file: "data", offset: 0, parts: [bytes(1, 1, 1, 1)] },
          { file: "data", offset: 1, parts: [bytes(2), bytes(2)] },
          { file: "tree", offset: 0, parts: [bytes(9)] },
          { file: "data", offset: 2, parts: [bytes(3)] }
        ])
        expectBytes(yield* content(files, "data"), bytes(1, 2, 3, 1))
        expectBytes(yield* content(files, "tree"), bytes(9))
      }))

    test("past the end fills the gap with zeros", (files) =>
      Effect.gen(function* () {
        yield* writeOne(files, "data", 5, bytes(1))
        expectBytes(yield* content(files, "data"), bytes(0, 0, 0, 0, 0, 1))
        yield* writeOne(files, "data", 100_000, bytes(2))
        expect(yield* files.size("data")).toBe(100_001)
        const gap = yield* readOne(files, "data", 6, 99_995)
        expectBytes(gap, concat([new Uint8Array(99_994), bytes(2)]))
      }))

    test("over what was cut off, the gap is zeros, not the old bytes", (files) =>
      Effect.gen(function* () {
        yield* writeOne(files, "data", 0, bytes(1, 2, 3, 4, 5, 6))
        yield* files.truncate("data", 2)
        yield* writeOne(files, "data", 4, bytes(9))
        expectBytes(yield* content(files, "data"), bytes(1, 2, 0, 0, 9))
        yield* files.remove("data", 1, 100)
        yield* writeOne(files, "data", 3, bytes(8))
        expectBytes(yield* content(files, "data"), bytes(1, 0, 0, 8))
      }))

    test("of nothing changes nothing", (files) =>
      Effect.gen(function* () {
        yield* writeOne(files, "data", 0, bytes(1, 2))
        yield* files.write([])
        yield* writeOne(files, "data", 0)
        yield* writeOne(files, "data", 1, bytes())
        yield* writeOne(files, "data", 50, bytes(), bytes())
        yield* writeOne(files, "tree", 50, bytes())
        expectBytes(yield* content(files, "data"), bytes(1, 2))
        expect(yield* files.size("tree")).toBe(0)
      }))

    const partSizes: ReadonlyArray<readonly [string, number, (i: number) => number]> = [
      ["thousands of small parts", 5000, (i) => i % 90],
      ["thousands of parts, none of them small", 2500, (i) => 16_384 + (i % 3)],
      ["small and large parts in turn", 600, (i) => (i % 3 === 0 ? 40_000 : i % 200)],
      ["some parts over a megabyte", 4, (i) => 2 * MIB + i],
      ["empty parts between others", 3000, (i) => (i % 2 === 0 ? 0 : i % 5 === 0 ? 20_000 : 3)]
    ]

    for (const [about, count, sizeOf] of partSizes) {
      test(`${about}, one after the other`, (files) =>
        Effect.gen(function* () {
          const parts = Array.from({ length: count }, (_, i) => pseudoRandomBytes(sizeOf(i), i))
          const before = parts.map((part) => part[0])
          yield* writeOne(files, "data", 0, bytes(1, 2, 3, 4, 5, 6, 7, 8))
          yield* writeOne(files, "data", 7, ...parts)
          expectBytes(yield* content(files, "data"), concat([bytes(1, 2, 3, 4, 5, 6, 7), ...parts]))
          expect(parts.map((part) => part[0])).toEqual(before)
        }))
    }

    test("more than one turn moves, in several writes to several files", (files) =>
      Effect.gen(function* () {
        const parts = Array.from({ length: 30 }, (_, i) => pseudoRandomBytes(300_000 + i, i))
        yield* files.write([
          { file: "data", offset: 0, parts },
          { file: "tree", offset: 3, parts: [bytes(1)] },
          { file: "data", offset: 10, parts: parts.slice(0, 20) },
          { file: "tree", offset: 0, parts: [bytes(2), bytes(3)] }
        ])
        const expected = new BytesFile()
        expected.write(0, concat(parts))
        expected.write(10, concat(parts.slice(0, 20)))
        expectBytes(yield* content(files, "data"), expected.bytes)
        expectBytes(yield* content(files, "tree"), bytes(2, 3, 0, 1))
      }))

    test("keeps bytes, not arrays: what happens to those afterwards does not matter", (files) =>
      Effect.gen(function* () {
        const source = bytes(1, 2, 3)
        yield* writeOne(files, "data", 0, source)
        source.fill(9)
        expectBytes(yield* content(files, "data"), bytes(1, 2, 3))
      }))

    test("takes views into larger arrays for what they are", (files) =>
      Effect.gen(function* () {
        const all = pseudoRandomBytes(100_000, 5)
        yield* writeOne(
          files,
          "data",
          0,
          all.subarray(10, 20),
          all.subarray(50, 90_000),
          all.subarray(20, 21)
        )
        expectBytes(
          yield* content(files, "data"),
          concat([all.slice(10, 20), all.slice(50, 90_000), all.slice(20, 21)])
        )
      }))

    test("run again, it writes again", (files) =>
      Effect.gen(function* () {
        const write = writeOne(files, "data", 0, bytes(1), bytes(2))
        yield* write
        yield* files.truncate("data", 0)
        yield* write
        expectBytes(yield* content(files, "data"), bytes(1, 2))
        yield* writeOne(files, "data", 0, bytes(7, 7))
        yield* write
        expectBytes(yield* content(files, "data"), bytes(1, 2))
      }))

    test("that cannot be done is a StorageError, not a defect", (files) =>
      Effect.gen(function* () {
        for (const offset of [2 ** 40, 2 ** 50, Number.MAX_SAFE_INTEGER - 1]) {
          const exit = yield* Effect.exit(writeOne(files, "data", offset, bytes(1)))
          if (Exit.isSuccess(exit)) expect(yield* files.size("data")).toBe(offset + 1)
          else expect(exit.cause).toMatchObject({ _tag: "Fail", error: { _tag: "StorageError" } })
          yield* files.truncate("data", 0)
        }
      }))
  })

  describe(`${name}: remove`, () => {
    const written = pseudoRandomBytes(200_000, 8)

    test("in the middle: the range reads as zeros, or as before; the rest and the size stay", (files) =>
      Effect.gen(function* () {
        for (const [offset, length] of [
          [4096, 8192],
          [1, 1],
          [0, 10],
          [5000, 100_000],
          [10, 0]
        ] as const) {
          yield* writeOne(files, "data", 0, written)
          yield* files.remove("data", offset, length)
          const now = yield* content(files, "data")
          expectBytes(now.subarray(0, offset), written.subarray(0, offset))
          expectBytes(now.subarray(offset + length), written.subarray(offset + length))
          expectFreed(now.subarray(offset, offset + length), written.subarray(offset, offset + length))
        }
      }))

    test("to the end and over it: the file ends at the offset", (files) =>
      Effect.gen(function* () {
        for (const [offset, length] of [
          [150_000, 50_000],
          [100, 10 ** 9],
          [60, Number.MAX_SAFE_INTEGER],
          [0, 200_000]
        ] as const) {
          yield* writeOne(files, "data", 0, written)
          yield* files.remove("data", offset, length)
          expectBytes(yield* content(files, "data"), written.subarray(0, offset))
        }
      }))

    test("past the end, or of a missing file, changes nothing", (files) =>
      Effect.gen(function* () {
        yield* writeOne(files, "data", 0, bytes(1, 2, 3))
        yield* files.remove("data", 3, 5)
        yield* files.remove("data", 100, 5)
        yield* files.remove("tree", 0, 5)
        expectBytes(yield* content(files, "data"), bytes(1, 2, 3))
        expect(yield* files.size("tree")).toBe(0)
      }))

    test("what is written there afterwards is there", (files) =>
      Effect.gen(function* () {
        yield* writeOne(files, "data", 0, written)
        yield* files.remove("data", 8192, 16_384)
        yield* writeOne(files, "data", 10_000, bytes(1, 2, 3))
        expectBytes(yield* readOne(files, "data", 10_000, 3), bytes(1, 2, 3))
      }))
  })

  describe(`${name}: size, truncate, sync`, () => {
    test("a size is in bytes, 0 for a file that does not exist", (files) =>
      Effect.gen(function* () {
        expect(yield* files.size("data")).toBe(0)
        yield* writeOne(files, "data", 7, bytes(1))
        expect(yield* files.size("data")).toBe(8)
        yield* writeOne(files, "data", 0, bytes(1))
        expect(yield* files.size("data")).toBe(8)
        expect(yield* files.size("tree")).toBe(0)
      }))

    test("truncate cuts a longer file, and only that", (files) =>
      Effect.gen(function* () {
        yield* writeOne(files, "data", 0, bytes(1, 2, 3))
        yield* files.truncate("data", 5)
        yield* files.truncate("data", 3)
        expectBytes(yield* content(files, "data"), bytes(1, 2, 3))
        yield* files.truncate("data", 1)
        expectBytes(yield* content(files, "data"), bytes(1))
        yield* files.truncate("data", 0)
        expectBytes(yield* content(files, "data"), bytes())
        yield* files.truncate("tree", 0)
        yield* files.truncate("tree", 9)
        expect(yield* files.size("tree")).toBe(0)
      }))

    test("sync ends, whatever was or was not written, and changes nothing", (files) =>
      Effect.gen(function* () {
        yield* files.sync([])
        yield* files.sync(Sleep.FILES)
        for (const file of Sleep.FILES) if (file !== "bitfield") expect(yield* files.size(file)).toBe(0)
        yield* writeOne(files, "data", 0, bytes(1))
        yield* files.sync(["data", "tree", "data"])
        yield* files.sync(Sleep.FILES)
        expectBytes(yield* content(files, "data"), bytes(1))
      }))
  })

  describe(`${name}: any history`, () => {
    const file = fc.constantFrom("data" as const, "tree" as const)
    const offset = fc.oneof(fc.nat({ max: 40 }), fc.nat({ max: 30_000 }))
    const size = fc.oneof(fc.nat({ max: 10 }), fc.nat({ max: 20_000 }))
    const step = fc.oneof(
      {
        weight: 5,
        arbitrary: fc.record({
          do: fc.constant("write" as const),
          file,
          offset,
          sizes: fc.array(size, { minLength: 1, maxLength: 4 }),
          seed: fc.nat()
        })
      },
      {
        weight: 2,
        arbitrary: fc.record({
          do: fc.constantFrom("truncate" as const, "remove" as const),
          file,
          offset,
          length: size
        })
      },
      { weight: 4, arbitrary: fc.record({ do: fc.constant("read" as const), file, offset, length: size }) }
    )

    type Step = typeof step extends fc.Arbitrary<infer A> ? A : never

    const runStep = (files: FeedFiles, model: BytesFile, one: Step) =>
      Effect.gen(function* () {
        if (one.do === "write") {
          const parts = one.sizes.map((length, i) => pseudoRandomBytes(length, one.seed + i))
          yield* writeOne(files, one.file, one.offset, ...parts)
          model.write(one.offset, concat(parts))
        } else if (one.do === "truncate") {
          yield* files.truncate(one.file, one.offset)
          if (one.offset < model.bytes.length) model.bytes = model.bytes.slice(0, one.offset)
        } else if (one.do === "remove") {
          yield* files.remove(one.file, one.offset, one.length)
          const end = one.offset + one.length
          if (one.length === 0 || one.offset >= model.bytes.length) return
          if (end >= model.bytes.length) model.bytes = model.bytes.slice(0, one.offset)
          else {
            const range = yield* readOne(files, one.file, one.offset, one.length)
            expectFreed(range, model.read(one.offset, one.length))
            model.write(one.offset, range)
          }
        } else {
          expectBytes(
            yield* readOne(files, one.file, one.offset, one.length),
            model.read(one.offset, one.length)
          )
        }
      })

    it.live("reads as arrays of bytes would", () =>
      Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25 }), (history) =>
            Effect.gen(function* () {
              const files = yield* freshFiles
              const models = { data: new BytesFile(), tree: new BytesFile() }
              for (const one of history) yield* runStep(files, models[one.file], one)
              for (const name of ["data", "tree"] as const) {
                expectBytes(yield* content(files, name), models[name].bytes)
              }
            }).pipe(Effect.scoped, Effect.runPromise)
          ),
          { numRuns: 100 }
        )
      )
    )
  })
}
