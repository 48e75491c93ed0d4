/** Random-access instances of each package and version, and bare ones, all of one storage while its scope lives. */
import { Effect, type Scope } from "effect"
import { createRequire } from "node:module"
import * as path from "node:path"
import type { StorageRandomAccess } from "../../src/index.js"
import { BytesFile } from "../reference/BytesFile.js"
import { temporaryDirectory } from "../temporaryDirectory.js"

export type Instance = StorageRandomAccess.RandomAccessStorage
export type Create = StorageRandomAccess.StorageRandomAccessOptions["create"]

type Class = new (...options: ReadonlyArray<unknown>) => Instance

const require = createRequire(import.meta.url)

/** A package's class, by the name it has in package.json. */
export const load = (name: string): Class => require(name) as Class

/** Whatever is asked for twice is the same. */
export const remembering = (make: Create): Create => {
  const made = new Map<string, Instance>()
  return (file, feedPath) => {
    const name = `${feedPath}/${file}`
    const instance = made.get(name) ?? make(file, feedPath)
    made.set(name, instance)
    return instance
  }
}

/** An instance of its own to whoever closes it, which stays open for others. */
const view = (instance: Instance): Instance =>
  new Proxy(instance, {
    get: (target, name) => {
      if (name === "close") return (callback: (error: null) => void) => callback(null)
      const value: unknown = Reflect.get(target, name)
      return typeof value === "function" ? (value.bind(target) as unknown) : value
    }
  })

/** In memory; what was written stays when a feed is closed. */
const inMemory = (make: () => Instance): Effect.Effect<Create> =>
  Effect.sync(() => {
    const create = remembering(make)
    return (file, feedPath) => view(create(file, feedPath))
  })

const onDisk = (name: string): Effect.Effect<Create, never, Scope.Scope> =>
  Effect.map(temporaryDirectory, (directory): Create => {
    const File = load(name)
    return (file, feedPath) => new File(path.join(directory, feedPath, file))
  })

/** Reads and writes, and calls back at once; nothing else. */
export const bare = (file = new BytesFile()): Instance => ({
  read: (offset, length, callback) => {
    const bytes = file.read(offset, length)
    if (bytes.length < length) callback(new Error("Could not satisfy length"))
    else callback(null, Buffer.from(bytes))
  },
  write: (offset, bytes, callback) => {
    file.write(offset, bytes)
    callback(null)
  }
})

/** Only what a wrapper passes on of an instance. */
export const only = (methods: ReadonlyArray<keyof Instance>, instance: Instance): Instance => {
  const wrapper: Record<string, unknown> = {}
  for (const method of methods) {
    wrapper[method] = (...args: ReadonlyArray<unknown>): unknown =>
      Reflect.apply(instance[method] as () => unknown, instance, args)
  }
  return wrapper as unknown as Instance
}

const memory = (name: string, ...options: ReadonlyArray<unknown>) => {
  const Memory = load(name)
  return inMemory(() => new Memory(...options))
}

const smallPages = { pageSize: 1024 }

export const kinds: ReadonlyArray<
  readonly [name: string, create: Effect.Effect<Create, never, Scope.Scope>]
> = [
  ["random-access-memory 1", memory("random-access-memory-1")],
  ["random-access-memory 2", memory("random-access-memory-2")],
  ["random-access-memory 3", memory("random-access-memory")],
  ["random-access-memory 6", memory("random-access-memory-6")],
  ["random-access-memory 2, small pages", memory("random-access-memory-2", smallPages)],
  ["random-access-memory 3, small pages", memory("random-access-memory", smallPages)],
  ["random-access-memory 6, small pages", memory("random-access-memory-6", smallPages)],
  ["random-access-file 1", onDisk("random-access-file-1")],
  ["random-access-file 2", onDisk("random-access-file-2")],
  ["random-access-file 3", onDisk("random-access-file-3")],
  ["random-access-file 4", onDisk("random-access-file-4")],
  ["a bare object with read and write", inMemory(() => bare())],
  [
    "a bare object with read, write and del",
    inMemory(() => only(["read", "write", "del"], new (load("random-access-memory"))()))
  ]
]
