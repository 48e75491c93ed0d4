/** Where the façade means to differ from 7.7.1, as docs/compat.md lists it: what both do, or what ours does where that one would wait for ever. */
import { mkdtempSync, readdirSync, rmSync, truncateSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { join as path } from "node:path"
import { expect, it } from "vitest"
import { called, join, makers, once, ours, ram, ready, real7 } from "./peers.js"
import { author, collect, key, type Make, outcome, secretKey } from "./scenario.js"

const inDirectory = async (use: (directory: string) => Promise<void>): Promise<void> => {
  const directory = mkdtempSync(path(tmpdir(), "effect-hypercore-compat-"))
  try {
    await use(directory)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

const written = async (make: Make, directory: string): Promise<void> => {
  const feed = make(directory, key, { secretKey })
  await called((done) => feed.append(["a", "bc", "def"], done))
  await called((done) => feed.close(done))
}

it("a promise comes where a callback is left out, and nobody need look at it", async () => {
  const feed = author(ours)
  expect(await feed.append(["a", "b"])).toBe(0)
  expect(await feed.get(1)).toBe("b")
  expect(await feed.getBatch(0, 2)).toEqual(["a", "b"])
  expect(await feed.head()).toBe("b")
  expect(await feed.flush()).toBe(2)
  expect(await feed.seek(1)).toEqual([1, 0])
  expect(await feed.update(2)).toBeUndefined()
  expect(await feed.audit()).toEqual({ valid: 2, invalid: 0 })
  const { index, signature } = await feed.signature()
  expect(await feed.verify(index, signature)).toBe(true)
  await expect(feed.get(9, { wait: false })).rejects.toThrow("Block not downloaded")
  const unhandled: Array<unknown> = []
  const hear = (error: unknown): void => void unhandled.push(error)
  process.on("unhandledRejection", hear)
  void feed.get(9, { wait: false })
  await feed.close()
  await new Promise((resolve) => setImmediate(resolve))
  process.off("unhandledRejection", hear)
  expect(unhandled).toEqual([])
  // A callback that is given gets it all, and no promise is made.
  expect(author(ours).ready(() => {})).toBeUndefined()
})

it("createReadStream({ snapshot: false }) reads: 7.7.1 ends at once", async () => {
  const read = async (make: Make): Promise<ReadonlyArray<unknown>> => {
    const feed = author(make)
    await called((done) => feed.append(["a", "b"], done))
    return collect(feed.createReadStream({ snapshot: false }))
  }
  expect(await read(real7)).toEqual(["end"])
  expect(await read(ours)).toEqual(["a", "b", "end"])
})

it("createReadStream with an end before its start is empty: 7.7.1 does not end", async () => {
  const feed = author(ours)
  await called((done) => feed.append(["a", "b", "c"], done))
  expect(await collect(feed.createReadStream({ start: 2, end: 1 }))).toEqual(["end"])
  expect(await collect(feed.createReadStream({ tail: true, end: 1 }))).toEqual(["end"])
  expect(await collect(feed.createReadStream({ start: 9, end: 2, live: true }))).toEqual(["end"])
})

it("undownload(range) ends that download's callback: 7.7.1 throws where the range has none of its own", async () => {
  const cancel = async (make: Make): Promise<unknown> => {
    const feed = make(ram, key)
    await ready(feed)
    const over = outcome((done) => feed.download({ start: 0, end: 3 }, done))
    feed.undownload({ start: 0, end: 3 })
    return over
  }
  await expect(cancel(real7)).rejects.toThrow("callback")
  expect(await cancel(ours)).toMatchObject([{ message: "Download was cancelled", code: "ECANCELED" }])
})

it("rootHashes calls back with the roots alone", async () => {
  const count = async (make: Make): Promise<number> => {
    const feed = author(make)
    await called((done) => feed.append("a", done))
    return new Promise((resolve) => feed.rootHashes(0, (...all) => resolve(all.length)))
  }
  expect([await count(real7), await count(ours)]).toEqual([3, 2])
})

it("a download of what is held, or of nothing, ends without a peer", async () => {
  const feed = author(ours)
  await called((done) => feed.append(["a", "b"], done))
  expect(await outcome((done) => feed.download({ start: 0, end: 2 }, done))).toEqual([null])
  expect(await outcome((done) => feed.download({ start: 1, end: 1 }, done))).toEqual([null])
})

it("an update fetches no block: 7.7.1 fetches the last", async () => {
  const update = async (make: Make): Promise<ReadonlyArray<unknown>> => {
    const [a, b] = [author(make), make(ram, key, { sparse: true })]
    await called((done) => a.append(["a", "b", "c"], done))
    await ready(b)
    const streams = [a.replicate({ live: true }), b.replicate({ live: true })] as const
    join(...streams)
    await called((done) => b.update(done))
    for (const stream of streams) stream.destroy()
    return [b.length, b.downloaded()]
  }
  expect(await update(real7)).toEqual([3, 1])
  expect(await update(ours)).toEqual([3, 0])
})

it("a block that was cleared is fetched again of the same peer", async () => {
  const [a, b] = [author(ours), ours(ram, key, { sparse: true, valueEncoding: "utf-8" })]
  await called((done) => a.append(["a", "b"], done))
  await ready(b)
  const streams = [a.replicate({ live: true }), b.replicate({ live: true })] as const
  join(...streams)
  expect(await b.get(1)).toBe("b")
  await b.clear(1)
  expect(b.has(1)).toBe(false)
  expect(await b.get(1)).toBe("b")
  for (const stream of streams) stream.destroy()
})

it("a feed without signatures is not written to after finalize: 7.7.1 appends, and the key is wrong", async () => {
  const finalized = async (make: Make): Promise<ReadonlyArray<unknown>> => {
    const feed = make(ram, null, { live: false, valueEncoding: "utf-8" })
    await called((done) => feed.append("a", done))
    await called((done) => feed.finalize(done))
    return [feed.writable, (await outcome((done) => feed.append("b", done)))[0] instanceof Error, feed.length]
  }
  expect(await finalized(real7)).toEqual([true, false, 2])
  expect(await finalized(ours)).toEqual([false, true, 1])
})

it("before it is ready nothing is held: 7.7.1 throws", () => {
  const looks = [
    (feed: ReturnType<Make>) => feed.has(0),
    (feed: ReturnType<Make>) => feed.downloaded(),
    (feed: ReturnType<Make>) => feed.digest(0)
  ]
  for (const look of looks) {
    expect(() => look(author(real7))).toThrow("null")
    expect(Number(look(author(ours)))).toBe(0)
  }
})

it("what is asked of a feed that could not be opened fails with why: 7.7.1 says Closed, or nothing", async () => {
  const ask = async (make: Make): Promise<unknown> => {
    const feed = make(ram, null, { createIfMissing: false })
    await once(feed, "error")
    return ((await outcome((done) => feed.get(0, done)))[0] as Error).message
  }
  expect([await ask(real7), await ask(ours)]).toEqual(["Closed", "No hypercore is stored here"])
})

it("the bitfield is rebuilt when it is lost: 7.7.1 opens an empty feed", async () => {
  for (const [make, length] of [
    [real7, 0],
    [ours, 3]
  ] as const) {
    await inDirectory(async (directory) => {
      await written(real7, directory)
      truncateSync(path(directory, "bitfield"), 32)
      const feed = make(directory, null, { secretKey })
      await ready(feed)
      expect([feed.length, feed.downloaded()]).toEqual([length, length])
      await called((done) => feed.close(done))
    })
  }
})

it("a reader's feed whose key is lost is refused, and left as it is: 7.7.1 resets it", async () => {
  await inDirectory(async (directory) => {
    await written(ours, directory)
    for (const name of ["key", "secret_key"]) truncateSync(path(directory, name), 0)
    expect(await once(ours(directory), "error")).toBeInstanceOf(Error)
    const theirs = real7(directory)
    await ready(theirs)
    expect([theirs.length, theirs.key!.equals(key)]).toEqual([0, false])
    await called((done) => theirs.close(done))
  })
})

it("a key that is none is refused at once", () => {
  expect(() => ours(ram, Buffer.alloc(31))).toThrow("32 bytes")
})

it("an index that is none is refused", async () => {
  const feed = author(ours)
  await called((done) => feed.append("a", done))
  for (const index of ["text", {}, -1, 0.5]) {
    expect((await outcome((done) => feed.get(index as never, { wait: false }, done)))[0]).toBeInstanceOf(
      Error
    )
  }
})

it("a value that cannot be encoded is its callback's error, and stores nothing", async () => {
  const feed = author(ours, { valueEncoding: "json" })
  const circular: { self?: unknown } = {}
  circular.self = circular
  const [error] = await outcome((done) => feed.append(["fine", circular], done))
  expect((error as Error).message).toContain("circular")
  expect([feed.length, await feed.append("next")]).toEqual([0, 0])
})

it("ES5 constructors cannot call it on an object of theirs; 7.7.1's can", () => {
  const call = (make: Make): unknown => {
    const own = Object.create((make as unknown as { prototype: object }).prototype) as object
    return (make as unknown as Function).call(own, ram, key) as unknown
  }
  expect(call(real7)).toBeUndefined()
  expect(call(ours)).toBeInstanceOf(makers.ours as never)
})

it("a proof that was put stays as it is: 7.7.1 takes its nodes out", async () => {
  const put = async (make: Make): Promise<number> => {
    const [feed, reader] = [author(make), make(ram, key, { valueEncoding: "utf-8" })]
    await called((done) => feed.append(["a", "b", "c"], done))
    const [, proof] = await outcome((done) => feed.proof(0, done as never))
    await called((done) => reader.put(0, "a", proof as never, done))
    return (proof as { nodes: ReadonlyArray<unknown> }).nodes.length
  }
  expect([await put(real7), await put(ours)]).toEqual([0, 2])
})

/** Runs `test` with the first uncaught exception as a promise, in the place of the runner's listeners. */
const whenUncaught = async (test: (uncaught: Promise<unknown>) => Promise<void>): Promise<void> => {
  const before = process.listeners("uncaughtException")
  process.removeAllListeners("uncaughtException")
  try {
    await test(once(process, "uncaughtException"))
  } finally {
    for (const listener of before) process.on("uncaughtException", listener)
  }
}

it("what a listener throws is an uncaught exception, and what it was told of goes on", () =>
  whenUncaught(async (uncaught) => {
    const feed = author(ours)
    feed.on("append", () => {
      throw new Error("of the listener")
    })
    expect(await feed.append("a")).toBe(0)
    expect(((await uncaught) as Error).message).toBe("of the listener")
    expect([feed.length, await feed.get(0)]).toEqual([1, "a"])
  }))

it("what a callback throws is an uncaught exception, and the callbacks of the same commit are called all the same", () =>
  whenUncaught(async (uncaught) => {
    const feed = author(ours)
    await ready(feed)
    const calls: Array<unknown> = []
    const last = new Promise((resolve) => {
      for (const value of ["a", "b", "c", "d"]) {
        feed.append(value, function (this: unknown, ...values) {
          calls.push([value, this, ...values])
          if (value === "d") resolve(undefined)
          if (value === "b") throw new Error("of the callback")
        })
      }
    })
    expect(((await uncaught) as Error).message).toBe("of the callback")
    await last
    expect(calls).toEqual(["a", "b", "c", "d"].map((value, i) => [value, undefined, null, i]))
  }))

it("requests that are cancelled are taken back", async () => {
  const [a, b] = [author(ours), ours(ram, key, { sparse: true })]
  await called((done) => a.append(["a", "b"], done))
  await ready(b)
  const streams = [a.replicate({ live: true }), b.replicate({ live: true })] as const
  const met = once(b, "peer-add")
  join(...streams)
  await met
  await b.update(2)
  const asked = outcome((done) => b.get(1, done))
  const channel = a.peers[0]!
  const cancelled = new Promise((resolve) => {
    channel.onrequest = () => b.cancel(1)
    channel.oncancel = (message) => resolve(message.index)
  })
  expect(await cancelled).toBe(1)
  expect(await asked).toMatchObject([{ message: "Request cancelled" }])
  for (const stream of streams) stream.destroy()
})

it("a directory has the files that 7.7.1 makes", async () => {
  const names: Array<ReadonlyArray<string>> = []
  for (const make of [real7, ours]) {
    await inDirectory(async (directory) => {
      await written(make, directory)
      names.push(readdirSync(directory).sort())
    })
  }
  expect(names[1]).toEqual(names[0])
})

it("a promise that waits for the feed carries the failure of opening: nothing is thrown besides", async () => {
  const feed = ours(ram, null, { createIfMissing: false })
  await expect(feed.append("a")).rejects.toThrow("No hypercore is stored here")
  const heard = ours(ram, null, { createIfMissing: false })
  const error = once(heard, "error")
  await expect(heard.get(0)).rejects.toThrow("No hypercore is stored here")
  expect(await error).toBeInstanceOf(Error)
})

it("a class of storages may be given: 7.7.1 calls it", async () => {
  const Memory = createRequire(import.meta.url)("random-access-memory-6") as object
  const feed = ours(Memory, null, { valueEncoding: "utf-8" })
  await feed.append("a")
  expect(await feed.get(0)).toBe("a")
})

it("a key that is neither bytes nor text is refused", () => {
  for (const wrong of [5, {}, true]) {
    expect(() => ours(ram, wrong as never, {})).toThrow(TypeError)
    expect(() => ours(ram, { key: wrong } as never)).toThrow(TypeError)
  }
})

it("readOnly reads what another has open, and stores nothing", () =>
  inDirectory(async (directory) => {
    const feed = ours(directory, null, { valueEncoding: "utf-8" })
    await feed.append("a")
    const reader = ours(directory, null, { valueEncoding: "utf-8", readOnly: true })
    expect(await reader.get(0)).toBe("a")
    await expect(reader.append("b")).rejects.toThrow("read-only")
    await Promise.all([feed.close(), reader.close()])
  }))

it("what is no proof and no signature is refused, where 7.7.1 throws", async () => {
  const feed = author(ours)
  await feed.append("a")
  const reader = ours(ram, key, { sparse: true })
  await ready(reader)
  for (const proof of [null, undefined, {}, { nodes: null }, { nodes: [{}] }, { nodes: [], signature: 1 }]) {
    const [error] = await outcome((done) => reader.put(0, "a", proof as never, done))
    expect(error).toMatchObject({ cause: { _tag: "BadArgument", operation: "put" } })
  }
  for (const signature of [null, undefined, 1, "a"]) {
    const [error] = await outcome((done) => feed.verify(0, signature as never, done))
    expect(error).toMatchObject({ cause: { _tag: "BadArgument", operation: "verify" } })
  }
  const [error] = await outcome((done) => feed.verify(0, new Uint8Array(3), done))
  expect(error).toMatchObject({ message: "Signature verification failed" })
})

it("maxRequests given to a peer before it has shaken hands counts", async () => {
  const [a, b] = [author(ours), ours(ram, key, { sparse: true })]
  await called((done) => a.append(["a", "b"], done))
  await ready(b)
  const met = once(b, "peer-add")
  const streams = [a.replicate({ live: true }), b.replicate({ live: true })] as const
  const peer = streams[1].feeds[0]!.peer as unknown as { maxRequests: number }
  peer.maxRequests = 3
  join(...streams)
  await met
  expect(b.peers[0]!.info?.maxRequests).toBe(3)
  for (const stream of streams) stream.destroy()
})

it("both sides hear that the other is gone when neither wants more, also an author that has just asked something", async () => {
  const [a, b] = [author(ours), ours(ram, key)]
  await called((done) => a.append(["a", "b", "c", "d", "e"], done))
  await ready(b)
  const gone = [once(a, "peer-remove"), once(b, "peer-remove")]
  join(a.replicate(), b.replicate())
  await Promise.all(gone)
  expect([a.peers, b.peers, b.downloaded(0, 5)]).toEqual([[], [], 5])
})
