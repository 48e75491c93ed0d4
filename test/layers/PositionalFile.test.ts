/** System calls that do part of what they are asked, as `pread`, `pwrite` and `pwritev` may at any time, or take their time. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import type * as Fs from "node:fs"
import { createRequire, syncBuiltinESMExports } from "node:module"
import { StorageError } from "../../src/domain/Errors.js"
import type { FileName } from "../../src/domain/Sleep.js"
import * as StorageFile from "../../src/layers/StorageFile.js"
import { expectWaiting, failure, quiet } from "../services/harness.js"
import { temporaryDirectory } from "../temporaryDirectory.js"
import { pseudoRandomBytes } from "../vectors/dsl.mjs"

type Flush = (fd: number, done: (error: Error | null) => void) => void
type Calls = Pick<typeof Fs, "readSync" | "writeSync" | "writevSync"> & { readonly fdatasync: Flush }
const builtin = createRequire(import.meta.url)("node:fs") as Calls

/** Runs `effect` with these calls instead of Node's. */
const withCalls = <A, E, R>(calls: (real: Calls) => Partial<Calls>, effect: Effect.Effect<A, E, R>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      const { fdatasync, readSync, writeSync, writevSync } = builtin
      const real = { fdatasync, readSync, writeSync, writevSync }
      Object.assign(builtin, calls(real))
      syncBuiltinESMExports()
      return real
    }),
    () => effect,
    (real) =>
      Effect.sync(() => {
        Object.assign(builtin, real)
        syncBuiltinESMExports()
      })
  )

type Positional = (fd: number, buffer: Uint8Array, offset: number, length: number, position: number) => number

/** Bytes that a call moves at most. */
const SOME = 1000

let calls = 0

const shortened = (real: Calls): Partial<Calls> => {
  const some =
    (call: Positional): Positional =>
    (fd, buffer, offset, length, position) => {
      calls++
      return call(fd, buffer, offset, Math.min(length, SOME), position)
    }
  return {
    readSync: some(real.readSync as Positional) as Calls["readSync"],
    writeSync: some(real.writeSync as Positional) as Calls["writeSync"],
    // All of the first buffer and some of the second.
    writevSync: (fd, buffers, position) => {
      calls++
      const some = [buffers[0]!, ...buffers.slice(1, 2).map((part) => new Uint8Array(part.buffer, 0, SOME))]
      return real.writevSync(fd, some, position)
    }
  }
}

const openFiles = Effect.flatMap(
  Effect.flatMap(temporaryDirectory, (directory) => StorageFile.make({ directory })),
  (storage) => storage.open("")
)

const read = (file: FileName, offset: number, length: number) => [{ file, offset, length }]

describe("calls that do part of what they are asked", () => {
  it.scoped("a short read is gone on with, to the end of the range or of the file", () =>
    Effect.gen(function* () {
      const files = yield* openFiles
      const stored = pseudoRandomBytes(200_000, 1)
      yield* files.write([{ file: "data", offset: 0, parts: [stored] }])
      for (const [offset, length] of [
        [0, 200_000],
        [777, 3333],
        [199_000, 5000],
        [5, 100_000]
      ] as const) {
        calls = 0
        const [found] = yield* withCalls(shortened, files.read(read("data", offset, length)))
        const expected = stored.subarray(offset, offset + length)
        expect(Buffer.compare(found!, expected)).toBe(0)
        expect(calls).toBeGreaterThanOrEqual(expected.length / SOME)
      }
    })
  )

  for (const [what, sizes] of [
    ["small parts", [500, 2500, 700]],
    ["one part", [50_000]],
    ["large parts", [50_000, 20_000, 30_000]]
  ] as const) {
    it.scoped(`a short write is gone on with: ${what}`, () =>
      Effect.gen(function* () {
        const files = yield* openFiles
        const parts = sizes.map((size, i) => pseudoRandomBytes(size, i))
        const whole = Buffer.concat(parts)
        calls = 0
        yield* withCalls(shortened, files.write([{ file: "data", offset: 123, parts }]))
        expect(calls).toBeGreaterThan(1)
        const [found] = yield* files.read(read("data", 123, whole.length + 1))
        expect(Buffer.compare(found!, whole)).toBe(0)
      })
    )
  }

  it.scoped("a write that never writes anything is an error, not for ever", () =>
    Effect.gen(function* () {
      const files = yield* openFiles
      const nothing = () => ({ writeSync: () => 0 })
      const error = yield* failure(
        withCalls(nothing, files.write([{ file: "data", offset: 0, parts: [new Uint8Array(9)] }]))
      )
      expect(error).toBeInstanceOf(StorageError)
    })
  )
})

it.scoped(
  "a sync that fails has no flush under way any more: it would keep the lock, whoever closes the files",
  () =>
    Effect.gen(function* () {
      const files = yield* openFiles
      const write = (file: FileName) => ({ file, offset: 0, parts: [new Uint8Array(1)] })
      yield* files.write([write("data"), write("tree")])
      const underWay: Array<(error: Error | null) => void> = []
      const failing = () => ({
        fdatasync: (_: number, done: (error: Error | null) => void) => {
          underWay.push(done)
          if (underWay.length === 2) done(new Error("the disk has failed"))
        }
      })
      const ended = yield* withCalls(
        failing,
        Effect.gen(function* () {
          const syncing = yield* Effect.fork(Effect.exit(files.sync(["data", "tree"])))
          yield* quiet
          expect(underWay.length).toBe(2)
          yield* expectWaiting(syncing)
          underWay[0]!(null)
          return yield* Fiber.join(syncing)
        })
      )
      expect(ended).toMatchObject({ _tag: "Failure" })
    })
)
