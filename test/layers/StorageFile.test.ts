/** Storage in files: the contract, and what is true of files only. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import * as fs from "node:fs"
import { createRequire, syncBuiltinESMExports } from "node:module"
import * as path from "node:path"
import { StorageError } from "../../src/domain/Errors.js"
import * as Sleep from "../../src/domain/Sleep.js"
import * as StorageFile from "../../src/layers/StorageFile.js"
import { toStorageError } from "../../src/layers/toStorageError.js"
import { otherProcess } from "../suites/otherProcess.js"
import { storageSuite } from "../suites/storage.js"
import { temporaryDirectory } from "../temporaryDirectory.js"
import { pseudoRandomBytes } from "../vectors/dsl.mjs"

storageSuite(
  "StorageFile",
  Effect.map(temporaryDirectory, (directory) => StorageFile.layer({ directory }))
)

const MIB = 1024 * 1024
const bytes = (...values: ReadonlyArray<number>): Uint8Array => Uint8Array.from(values)

const openIn = (directory: string, feedPath = "", locate?: StorageFile.StorageFileOptions["locate"]) =>
  Effect.flatMap(StorageFile.make({ directory, ...(locate === undefined ? {} : { locate }) }), (storage) =>
    storage.open(feedPath)
  )

const expectFailure = <A>(effect: Effect.Effect<A, StorageError>, reason: StorageError["reason"]) =>
  Effect.map(Effect.exit(effect), (exit) =>
    expect(exit).toMatchObject({
      _tag: "Failure",
      cause: { _tag: "Fail", error: { _tag: "StorageError", reason } }
    })
  )

const write = (file: Sleep.FileName, offset: number, ...parts: ReadonlyArray<Uint8Array>) => [
  { file, offset, parts }
]

/** `/proc` tells which files a process has open, and how. */
const onLinux = it.scoped.runIf(process.platform === "linux")

describe("files on disk", () => {
  it.scoped("a feed at a path is a directory, a file there by its name", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const files = yield* openIn(path.join(directory, "made/when/needed"), "a/b")
      for (const [i, file] of Sleep.FILES.entries()) yield* files.write(write(file, 0, bytes(i)))
      for (const [i, file] of Sleep.FILES.entries()) {
        const stored = fs.readFileSync(path.join(directory, "made/when/needed/a/b", file))
        expect([...stored]).toEqual([i])
      }
    })
  )

  it.scoped("opening, reading, and changes to nothing make nothing", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const files = yield* openIn(path.join(directory, "root"), "a")
      for (const file of Sleep.FILES) {
        yield* files.read([{ file, offset: 0, length: 100_000 }])
        yield* files.size(file)
        yield* files.truncate(file, 0)
        yield* files.remove(file, 0, 10)
      }
      yield* files.sync(Sleep.FILES)
      yield* files.write([])
      expect(fs.readdirSync(directory)).toEqual([])
    })
  )

  onLinux("reading a file does not write to it, nor needs leave to", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      fs.writeFileSync(path.join(directory, "data"), "hello")
      fs.chmodSync(path.join(directory, "data"), 0o444)
      const before = fs.statSync(path.join(directory, "data"))
      const files = yield* openIn(directory)
      const [read] = yield* files.read([{ file: "data", offset: 0, length: 9 }])
      expect(Buffer.from(read!).toString()).toBe("hello")
      const flags = fs
        .readdirSync("/proc/self/fd")
        .filter((fd) => fs.existsSync(`/proc/self/fd/${fd}`))
        .filter(
          (fd) => fs.readlinkSync(`/proc/self/fd/${fd}`) === path.join(fs.realpathSync(directory), "data")
        )
        .map((fd) => /flags:\s+(\d+)/.exec(fs.readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"))![1]!)
      expect(flags.map((octal) => Number.parseInt(octal, 8) & 3)).toEqual([fs.constants.O_RDONLY])
      expect(fs.statSync(path.join(directory, "data")).mtimeMs).toBe(before.mtimeMs)
    })
  )

  it.scoped("the lock makes the file that holds it, and no other", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const files = yield* openIn(directory, "a")
      yield* files.lock
      expect(fs.readdirSync(path.join(directory, "a"))).toEqual(["bitfield"])
    })
  )

  it.scoped("only the owner of the process may read the secret key", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const files = yield* openIn(directory)
      const before = process.umask(0)
      try {
        yield* files.write(write("secret_key", 0, bytes(1)))
        yield* files.write(write("key", 0, bytes(1)))
      } finally {
        process.umask(before)
      }
      expect(fs.statSync(path.join(directory, "secret_key")).mode & 0o777).toBe(0o600)
      expect(fs.statSync(path.join(directory, "key")).mode & 0o777).toBe(0o666)
    })
  )

  it.scoped("locate puts a file elsewhere", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const feeds = path.join(directory, "feeds")
      const vault = path.join(directory, "vault")
      const files = yield* openIn(feeds, "a/b", (file, feedPath) =>
        file === "secret_key" ? path.join(vault, feedPath.replace("/", "-")) : undefined
      )
      yield* files.lock
      yield* files.write([...write("secret_key", 0, bytes(1, 2)), ...write("key", 0, bytes(3))])
      yield* files.sync(Sleep.FILES)
      expect(fs.readdirSync(path.join(feeds, "a/b")).sort()).toEqual(["bitfield", "key"])
      expect([...fs.readFileSync(path.join(vault, "a-b"))]).toEqual([1, 2])
      expect(fs.statSync(path.join(vault, "a-b")).mode & 0o777).toBe(0o600)
      const [read] = yield* files.read([{ file: "secret_key", offset: 0, length: 64 }])
      expect([...read!]).toEqual([1, 2])
    })
  )

  onLinux("no file stays open after the scope", () =>
    Effect.gen(function* () {
      const directory = fs.realpathSync(yield* temporaryDirectory)
      const openFiles = () =>
        fs
          .readdirSync("/proc/self/fd")
          .flatMap((fd) =>
            fs.existsSync(`/proc/self/fd/${fd}`) ? [fs.readlinkSync(`/proc/self/fd/${fd}`)] : []
          )
          .filter((name) => name.startsWith(directory))
      yield* Effect.scoped(
        Effect.gen(function* () {
          const files = yield* openIn(directory)
          yield* files.lock
          for (const file of Sleep.FILES) {
            yield* files.read([{ file, offset: 0, length: 1 }])
            yield* files.write(write(file, 0, bytes(1)))
          }
          yield* files.sync(Sleep.FILES)
          expect(openFiles()).toHaveLength(Sleep.FILES.length)
          const second = yield* openIn(directory)
          yield* expectFailure(second.lock, "locked")
        })
      )
      expect(openFiles()).toEqual([])
    })
  )
})

describe("sync", () => {
  type Flush = (fd: number, done: (error: Error | null) => void) => void
  const builtin = createRequire(import.meta.url)("node:fs") as Record<"fsync" | "fdatasync", Flush>

  /** The names of what is flushed while `effect` runs. */
  const flushedBy = <A, E>(effect: Effect.Effect<A, E>) =>
    Effect.acquireUseRelease(
      Effect.sync(() => {
        const flushed = new Set<string>()
        const { fdatasync, fsync } = builtin
        const noting =
          (flush: Flush): Flush =>
          (fd, done) => {
            flushed.add(fs.readlinkSync(`/proc/self/fd/${fd}`))
            flush(fd, done)
          }
        Object.assign(builtin, { fsync: noting(fsync), fdatasync: noting(fdatasync) })
        syncBuiltinESMExports()
        return { flushed, fdatasync, fsync }
      }),
      ({ flushed }) => Effect.as(effect, flushed),
      ({ fdatasync, fsync }) =>
        Effect.sync(() => {
          Object.assign(builtin, { fsync, fdatasync })
          syncBuiltinESMExports()
        })
    )

  onLinux("flushes the files asked for, and every directory that gained an entry", () =>
    Effect.gen(function* () {
      const directory = fs.realpathSync(yield* temporaryDirectory)
      const files = yield* openIn(directory, "a/b")
      yield* files.write([...write("data", 0, bytes(1)), ...write("tree", 0, bytes(1))])
      const first = yield* flushedBy(files.sync(["data", "signatures"]))
      expect([...first].sort()).toEqual(["", "/a", "/a/b", "/a/b/data"].map((name) => directory + name))
      yield* files.write(write("data", 0, bytes(2)))
      const second = yield* flushedBy(files.sync(["data", "tree"]))
      expect([...second].sort()).toEqual(["/a/b/data", "/a/b/tree"].map((name) => directory + name))
      yield* files.write(write("key", 0, bytes(2)))
      const third = yield* flushedBy(files.sync(["key"]))
      expect([...third].sort()).toEqual(["/a/b", "/a/b/key"].map((name) => directory + name))
    })
  )

  onLinux("flushes what others wrote before, and the directories that lead to it", () =>
    Effect.gen(function* () {
      const directory = fs.realpathSync(yield* temporaryDirectory)
      yield* Effect.scoped(
        Effect.flatMap(openIn(directory, "a/b"), (files) => files.write(write("key", 0, bytes(1))))
      )
      const files = yield* openIn(directory, "a/b")
      const flushed = yield* flushedBy(files.sync(["key", "data"]))
      expect([...flushed].sort()).toEqual(["", "/a", "/a/b", "/a/b/key"].map((name) => directory + name))
      expect([...(yield* flushedBy(files.sync(["key"])))]).toEqual([`${directory}/a/b/key`])
    })
  )

  onLinux("a file made while a sync is under way has its directory flushed by the next", () =>
    Effect.gen(function* () {
      const directory = fs.realpathSync(yield* temporaryDirectory)
      const files = yield* openIn(directory)
      yield* files.write(write("data", 0, bytes(1)))
      const syncing = yield* Effect.fork(files.sync(["data"]))
      yield* Effect.yieldNow()
      yield* files.write(write("key", 0, bytes(1)))
      expect(syncing.unsafePoll()).toBeNull()
      yield* Fiber.join(syncing)
      const flushed = yield* flushedBy(files.sync(["key"]))
      expect([...flushed].sort()).toEqual([directory, path.join(directory, "key")])
    })
  )
})

describe("space", () => {
  const extensions = createRequire(import.meta.url)("fs-native-extensions") as {
    readonly trimSync: (fd: number, offset: number, length: number) => void
  }

  /** Whether files in `directory` can have holes made in them. */
  const canPunch = (directory: string): boolean => {
    const fd = fs.openSync(path.join(directory, "probe"), "w+")
    try {
      fs.writeSync(fd, new Uint8Array(MIB).fill(1))
      fs.fsyncSync(fd)
      const before = fs.fstatSync(fd).blocks
      extensions.trimSync(fd, 0, MIB)
      return fs.fstatSync(fd).blocks < before
    } catch {
      return false
    } finally {
      fs.closeSync(fd)
    }
  }

  it.scoped("what is removed in the middle is given back to the disk", (context) =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      if (!canPunch(directory)) return context.skip("this file system has no holes")
      const files = yield* openIn(directory)
      yield* files.write(write("data", 0, pseudoRandomBytes(4 * MIB, 1)))
      yield* files.sync(["data"])
      const blocks = () => fs.statSync(path.join(directory, "data")).blocks
      const full = blocks()
      yield* files.remove("data", MIB, 2 * MIB)
      expect(blocks()).toBeLessThanOrEqual(full - (2 * MIB - 8192) / 512)
      expect(yield* files.size("data")).toBe(4 * MIB)
      const [hole] = yield* files.read([{ file: "data", offset: MIB, length: 2 * MIB }])
      expect(hole!.every((byte) => byte === 0)).toBe(true)
    })
  )

  it.scoped("a gap takes none", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const files = yield* openIn(directory)
      yield* files.write(write("data", 2 ** 32, bytes(1)))
      expect(yield* files.size("data")).toBe(2 ** 32 + 1)
      expect(fs.statSync(path.join(directory, "data")).blocks * 512).toBeLessThan(MIB)
    })
  )
})

/** How often the event loop came round while `effect` ran. */
const turnsDuring = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    let turns = 0
    let running = true
    const count = (): void => {
      turns++
      if (running) setImmediate(count)
    }
    setImmediate(count)
    yield* effect
    running = false
    return turns
  })

describe("turns", () => {
  it.scoped("a long write or read lets the event loop round, a short one does not", () =>
    Effect.gen(function* () {
      const files = yield* openIn(yield* temporaryDirectory)
      const parts = Array.from({ length: 320 }, (_, i) => pseudoRandomBytes(100_000, i))
      expect(yield* turnsDuring(files.write(write("data", 0, ...parts)))).toBeGreaterThanOrEqual(5)
      const ranges = parts.map((part, i) => ({
        file: "data" as const,
        offset: 100_000 * i,
        length: part.length
      }))
      expect(yield* turnsDuring(files.read(ranges))).toBeGreaterThanOrEqual(5)
      expect(yield* turnsDuring(files.read(ranges.slice(0, 3)))).toBe(0)
    })
  )

  it.scoped("a write that is under way when its feed is closed ends there, with `closed`", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const scope = yield* Scope.make()
      const files = yield* Scope.extend(openIn(directory), scope)
      const parts = Array.from({ length: 640 }, (_, i) => pseudoRandomBytes(100_000, i))
      const writing = yield* Effect.fork(files.write(write("data", 0, ...parts)))
      yield* Effect.async<void>((resume) => {
        setImmediate(() => resume(Effect.void))
      })
      yield* Scope.close(scope, Exit.void)
      // The descriptor's number may now be another file's: nothing of the rest may reach that one.
      const other = fs.openSync(path.join(directory, "other"), "w+")
      const exit = yield* Fiber.await(writing)
      expect(exit).toMatchObject({ cause: { _tag: "Fail", error: { reason: "closed" } } })
      expect(fs.fstatSync(other).size).toBe(0)
      fs.closeSync(other)
      expect(fs.statSync(path.join(directory, "data")).size).toBeLessThan(64_000_000)
    })
  )

  it.scoped("an interrupted write leaves a prefix", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const files = yield* openIn(directory)
      const parts = Array.from({ length: 640 }, (_, i) => pseudoRandomBytes(100_000, i))
      const writing = yield* Effect.fork(
        files.write([...write("data", 0, ...parts), ...write("tree", 0, bytes(1))])
      )
      yield* Effect.async<void>((resume) => {
        setImmediate(() => resume(Effect.void))
      })
      yield* Fiber.interrupt(writing)
      const size = yield* files.size("data")
      expect(size).toBeGreaterThan(0)
      expect(size).toBeLessThan(64_000_000)
      expect(yield* files.size("tree")).toBe(0)
      const [read] = yield* files.read([{ file: "data", offset: 0, length: size }])
      expect(Buffer.compare(read!, Buffer.concat(parts).subarray(0, size))).toBe(0)
    })
  )
})

const ours = (directory: string) => `
  import { Effect } from "effect"
  import * as StorageFile from "./src/layers/StorageFile.js"
  const files = await Effect.runPromise(
    Effect.flatMap(StorageFile.make({ directory: ${JSON.stringify(directory)} }), (storage) =>
      Effect.tap(storage.open(""), (files) => files.lock).pipe(Effect.scoped, Effect.zipRight(Effect.void))
    ).pipe(Effect.either)
  )
  console.log(files._tag === "Right" ? "had it" : files.left.reason)
`

const oursHolding = (directory: string) => `
  import { Effect } from "effect"
  import * as StorageFile from "./src/layers/StorageFile.js"
  Effect.runFork(
    Effect.flatMap(StorageFile.make({ directory: ${JSON.stringify(directory)} }), (storage) =>
      Effect.gen(function* () {
        const files = yield* storage.open("")
        yield* files.lock
        yield* files.write([{ file: "data", offset: 0, parts: [Uint8Array.of(1)] }])
        console.log("locked")
        yield* Effect.never
      })
    ).pipe(Effect.scoped, Effect.catchAll((error) => Effect.sync(() => console.log(error.reason))))
  )
`

const peer = (directory: string) => `
  import { createRequire, syncBuiltinESMExports } from "node:module"
  const hypercore = createRequire(process.cwd() + "/")("hypercore-7")
  const feed = hypercore(${JSON.stringify(directory)})
  feed.on("ready", () => console.log("ready"))
  feed.on("error", (error) => console.log("error: " + error.message))
`

describe("another process", () => {
  it.scoped("that lives keeps us out; once killed, it does not", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const other = yield* otherProcess(oursHolding(directory))
      expect(other.said).toBe("locked")
      const files = yield* openIn(directory)
      yield* expectFailure(files.lock, "locked")
      expect(yield* files.size("data")).toBe(1)
      yield* other.kill
      yield* files.lock
      yield* files.write(write("data", 0, bytes(2)))
    })
  )

  it.scoped("is kept out while we live, and not afterwards", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      yield* Effect.scoped(
        Effect.gen(function* () {
          const files = yield* openIn(directory)
          yield* files.lock
          expect((yield* otherProcess(ours(directory))).said).toBe("locked")
        })
      )
      expect((yield* otherProcess(ours(directory))).said).toBe("had it")
    })
  )

  it.scoped("of the real peer keeps us out, until it is killed", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const other = yield* otherProcess(peer(directory))
      expect(other.said).toBe("ready")
      const files = yield* openIn(directory)
      yield* expectFailure(files.lock, "locked")
      yield* other.kill
      yield* files.lock
    })
  )

  it.scoped("of the real peer is kept out while we have it", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      yield* Effect.scoped(
        Effect.gen(function* () {
          const files = yield* openIn(directory)
          yield* files.lock
          expect((yield* otherProcess(peer(directory))).said).toMatch(/^error: .*lock/i)
        })
      )
      expect((yield* otherProcess(peer(directory))).said).toBe("ready")
    })
  )
})

describe("what the system refuses", () => {
  it.scoped("a full disk is `full`", (context) =>
    Effect.gen(function* () {
      if (!fs.existsSync("/dev/full")) return context.skip("there is no /dev/full here")
      const directory = yield* temporaryDirectory
      const files = yield* openIn(directory, "", (file) => (file === "data" ? "/dev/full" : undefined))
      for (const part of [bytes(1), new Uint8Array(100_000)]) {
        yield* expectFailure(files.write(write("data", 0, part)), "full")
        yield* expectFailure(files.write(write("data", 0, part, part)), "full")
      }
      const failed = yield* Effect.exit(
        files.write([
          ...write("tree", 0, bytes(1)),
          ...write("data", 0, bytes(1)),
          ...write("key", 0, bytes(1))
        ])
      )
      expect(Exit.isFailure(failed)).toBe(true)
      // In order: what came before the failure is stored, what came after is not.
      expect(yield* files.size("tree")).toBe(1)
      expect(yield* files.size("key")).toBe(0)
    })
  )

  it.scoped("a name that is something else is `io`", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      fs.mkdirSync(path.join(directory, "tree"))
      fs.writeFileSync(path.join(directory, "feed"), "a file")
      const files = yield* openIn(directory)
      yield* expectFailure(files.write(write("tree", 0, bytes(1))), "io")
      yield* expectFailure(files.read([{ file: "tree", offset: 0, length: 1 }]), "io")
      const under = yield* openIn(directory, "feed")
      yield* expectFailure(under.lock, "io")
      yield* expectFailure(under.write(write("data", 0, bytes(1))), "io")
      yield* expectFailure(under.read([{ file: "data", offset: 0, length: 1 }]), "io")
      yield* expectFailure(under.size("data"), "io")
    })
  )

  it.scoped("no leave is `permission`", (context) =>
    Effect.gen(function* () {
      if (process.getuid?.() === 0) return context.skip("root may do anything")
      const directory = yield* temporaryDirectory
      fs.writeFileSync(path.join(directory, "data"), "x")
      fs.chmodSync(path.join(directory, "data"), 0o000)
      fs.chmodSync(directory, 0o500)
      const files = yield* openIn(directory)
      yield* expectFailure(files.read([{ file: "data", offset: 0, length: 1 }]), "permission")
      yield* expectFailure(files.write(write("tree", 0, bytes(1))), "permission")
      yield* expectFailure(files.lock, "permission")
      fs.chmodSync(directory, 0o700)
    })
  )

  const errors = [
    ["ENOSPC", "full"],
    ["EDQUOT", "full"],
    ["EFBIG", "full"],
    ["EACCES", "permission"],
    ["EPERM", "permission"],
    ["EROFS", "permission"],
    ["EIO", "io"],
    ["EMFILE", "io"]
  ] as const

  it.each(errors)("%s is `%s`, with the system's error as its cause", (code, reason) => {
    const cause = Object.assign(new Error(`${code}: no`), { code })
    const error = toStorageError("write", "/a/data", cause)
    expect(error).toMatchObject({ _tag: "StorageError", reason, operation: "write", file: "/a/data", cause })
    expect(error.message).toContain(code)
  })

  it("what is not an error of the system is `io`, and a StorageError stays what it is", () => {
    expect(toStorageError("read", "x", "thrown text").reason).toBe("io")
    const closed = new StorageError({ reason: "closed", operation: "use", file: "x" })
    expect(toStorageError("read", "y", closed)).toBe(closed)
  })
})
