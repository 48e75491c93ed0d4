/** The façade against the peer, 7.7.1: a feed by itself. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join as path } from "node:path"
import type { Writable } from "node:stream"
import { describe, expect, it } from "vitest"
import type { HypercoreOptions } from "../../src/compat/options.js"
import { called, once, ours, ram, ready, real7 } from "./peers.js"
import { author, collect, compare, keeping, key, outcome, secretKey, told } from "./scenario.js"

const bad = (): never => {
  throw new Error("cannot be read")
}

compare("the façade and 7.7.1 let callers see the same", {
  "what is called before it is ready is done in order, after `ready`": async (make, log) => {
    const feed = author(make)
    log(feed.length, feed.byteLength, feed.opened, feed.readable, feed.writable)
    feed.on("ready", () =>
      log("ready", feed.length, feed.writable, feed.key, feed.discoveryKey, feed.secretKey)
    )
    feed.ready(() => log("ready callback"))
    feed.append("a", told(log, "append a"))
    feed.append(["b", "c"], told(log, "append b c"))
    await outcome((done) => feed.flush(done))
    feed.get(0, told(log, "get 0"))
    feed.get(2, told(log, "get 2"))
    await outcome((done) => feed.get(1, done))
    log(
      feed.length,
      feed.byteLength,
      feed.opened,
      feed.has(1),
      feed.has(0, 3),
      feed.has(0, 4),
      feed.downloaded()
    )
  },

  "callbacks come after the calls return": async (make, log) => {
    const feed = author(make)
    await called((done) => feed.append(["a", "b"], done))
    const each: ReadonlyArray<readonly [string, (done: (...values: Array<unknown>) => void) => void]> = [
      ["ready", (done) => feed.ready(() => done())],
      ["get", (done) => feed.get(0, done)],
      ["seek", (done) => feed.seek(1, done)],
      ["update", (done) => feed.update(1, done)],
      ["append", (done) => feed.append("c", done)],
      ["audit", (done) => feed.audit(done)],
      ["signature", (done) => feed.signature(0, done as never)],
      ["getBatch", (done) => feed.getBatch(0, 2, done)]
    ]
    for (const [name, run] of each) {
      let returned = false
      const values = await outcome((done) => {
        run((...all) => done(returned || name === "update", ...all))
        returned = true
      })
      log(name, values[0], values[1])
    }
  },

  "errors of reading": async (make, log) => {
    const feed = author(make)
    log(await outcome((done) => feed.head(done)))
    await called((done) => feed.append(["a", "b", "c"], done))
    log(await outcome((done) => feed.get(7, { wait: false }, done)))
    log(await outcome((done) => feed.get(7, { timeout: 5 }, done)))
    for (const timeout of [-5, "5", "nonsense"] as ReadonlyArray<number>) {
      log(await outcome((done) => feed.get(7, { timeout }, done)))
      log(await collect(feed.createReadStream({ end: 9, timeout })))
    }
    log(await outcome((done) => feed.getBatch(1, 9, { wait: false }, done)))
    log(await outcome((done) => feed.getBatch(1, 9, { timeout: 5 }, done)))
    log(await outcome((done) => feed.get(7, { ifAvailable: true }, done)))
    log(await outcome((done) => feed.update({ ifAvailable: true }, done)))
    log(await outcome((done) => feed.signature(9, done as never)))
    log(await outcome((done) => feed.signature(-1, done as never)))
    log(await outcome((done) => feed.seek(99, { wait: false }, done)))
    log(await outcome((done) => feed.seek(99, { start: 3, end: 2 }, done)))
    log(await outcome((done) => feed.verify(2, Buffer.alloc(64), done as never)))
    log(await outcome((done) => feed.verify(9, Buffer.alloc(64), done as never)))
    log(await outcome((done) => feed.rootHashes(9, done as never)))
    log(await outcome((done) => feed.proof(9, done as never)))
    log(await outcome((done) => feed.put(9, "x", { nodes: [] }, done)))
  },

  "errors of opening": async (make, log) => {
    const storage = keeping()
    log(await once(make(ram, null, { createIfMissing: false }), "error"))
    await ready(make(storage, key, { secretKey }))
    log(await once(make(storage, Buffer.alloc(32, 1)), "error"))
    log(await once(make(ram, key, { writable: true } as HypercoreOptions), "error"))
    for (const bad of [undefined, 7, {}, null]) {
      try {
        make(bad)
      } catch (error) {
        log(error)
      }
    }
  },

  "an index may be text or null": async (make, log) => {
    const feed = author(make)
    await called((done) => feed.append(["a", "b"], done))
    log(await outcome((done) => feed.get("1" as never, done)))
    log(await outcome((done) => feed.get(null as never, done)))
  },

  "the handle of a download says what was asked for": async (make, log) => {
    const feed = make(ram, key)
    const { end, hash, linear, start } = feed.download({ start: 3, linear: true })!
    log(start, end, linear, hash)
    const { crypto } = feed as unknown as { readonly crypto: object }
    log(Object.keys(crypto).sort())
  },

  "a reader cannot append": async (make, log) => {
    const feed = make(ram, key)
    log(await outcome((done) => feed.append("a", done)))
    log(feed.writable, feed.secretKey)
  },

  "cancelled waits": async (make, log) => {
    const feed = make(ram, key)
    await ready(feed)
    const results = [
      outcome((done) => feed.get(0, done)),
      outcome((done) => feed.get(3, done)),
      outcome((done) => feed.seek(10, { start: 0, end: 10 }, done)),
      outcome((done) => feed.download({ start: 2, end: 5 }, done))
    ]
    feed.cancel(0, 10)
    log(await Promise.all(results))
    const handle = feed.download({ start: 0, end: 3 }, told(log, "download"))
    feed.undownload(handle)
    await new Promise((resolve) => setImmediate(resolve))
  },

  "all that waits has ended when `close` is told, whatever the storage": async (make, log) => {
    const directory = mkdtempSync(path(tmpdir(), "effect-hypercore-compat-"))
    try {
      for (const storage of [ram, directory]) {
        const feed = make(storage, null, { valueEncoding: "utf-8" })
        await called((done) => feed.append("a", done))
        const ended: Array<string> = []
        const end =
          (name: string) =>
          (error: Error | null): void =>
            void ended.push(error === null ? `${name} succeeded` : `${name}: ${error.message}`)
        feed.get(5, end("get"))
        feed.get(6, { timeout: 60_000 }, end("get with timeout"))
        feed.getBatch(7, 9, end("getBatch"))
        feed.update(9, end("update"))
        feed.download({ start: 0, end: 9 }, end("download"))
        for (let i = 0; i < 3; i++) feed.append("b", () => ended.push("append"))
        feed.flush(() => ended.push("flush"))
        feed.on("close", () => log("close", [...ended].sort()))
        await called((done) => feed.close(done))
        log("closed", ended.length)
      }
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  },

  "a closed feed": async (make, log) => {
    const feed = author(make)
    await called((done) => feed.append("a", done))
    const waiting = [
      outcome((done) => feed.get(5, done)),
      outcome((done) => feed.download({ start: 0, end: 9 }, done))
    ]
    feed.on("close", () => log("close", feed.closed, feed.readable, feed.writable))
    log(await outcome((done) => feed.close(done)))
    log(await Promise.all(waiting))
    log(await outcome((done) => feed.get(0, done)))
    log(await outcome((done) => feed.close(done)), feed.length)
    log(await outcome((done) => feed.append("b", done)))
    log(await outcome((done) => feed.download({ start: 0, end: 1 }, done)))
    log(await collect(feed.createReadStream()))
    log(await outcome((done) => feed.update(1, done)))
    // Callers wait for one update after the other, whatever comes of them.
    let heard = -1
    const again = (): void => void (heard++ < 9 && feed.update(again as never))
    again()
    await new Promise((resolve) => setImmediate(resolve))
    log(heard)
  },

  "options that are null, or merely like true or false": async (make, log) => {
    const options = {
      secretKey,
      valueEncoding: null,
      onwrite: null,
      crypto: null,
      maxRequests: null,
      extensions: null,
      id: null,
      sparse: 1,
      allowPush: "yes",
      stats: 0,
      indexing: 0,
      overwrite: 0,
      live: null,
      createIfMissing: null
    } as unknown as HypercoreOptions
    const feed = make(ram, key, options)
    await called((done) => feed.append(["a", "b", "c"], done))
    log(feed.sparse, feed.allowPush, feed.stats, feed.extensions, feed.live, feed.maxRequests)
    const none = { wait: null, timeout: null, ifAvailable: null, valueEncoding: null } as never
    log(await outcome((done) => feed.get(1, none, done)))
    log(await outcome((done) => feed.getBatch(0, 2, none, done)))
    log(await outcome((done) => feed.seek(1, { start: null, end: null, wait: null } as never, done)))
    log(await outcome((done) => feed.update({ minLength: 3, hash: null, ifAvailable: null } as never, done)))
    log(await collect(feed.createReadStream(null)))
    log(
      await collect(
        feed.createReadStream({ start: 1, end: null, live: 0, snapshot: null, tail: null } as never)
      )
    )
    const stream = feed.replicate({
      expectedFeeds: null,
      id: null,
      extensions: null,
      maxRequests: null
    } as never)
    log(stream.expectedFeeds, stream.extensions, Buffer.isBuffer(stream.id))
    stream.destroy()
  },

  "events of an author": async (make, log) => {
    const feed = author(make)
    for (const name of ["append", "clear", "sync", "download", "upload"]) feed.on(name, told(log, name))
    await called((done) => feed.append(["a", "b", "c", "d"], done))
    await called((done) => feed.append("e", done))
    log(await outcome((done) => feed.clear(1, done)))
    log(await outcome((done) => feed.clear(2, 4, done)))
    log(await outcome((done) => feed.clear(2, 4, done)))
    log(await outcome((done) => feed.clear(0, 1, { delete: false }, done)))
    log(
      [0, 1, 2, 3, 4].map((index) => feed.has(index)),
      feed.downloaded(),
      feed.downloaded(1, 5)
    )
    log(await outcome((done) => feed.audit(done)))
    log(await outcome((done) => feed.get(4, done)))
  },

  "values in all encodings": async (make, log) => {
    for (const valueEncoding of ["json", "utf-8", "binary", "hex", "ascii", "base64", undefined]) {
      const feed = author(make, { valueEncoding } as HypercoreOptions)
      const value = valueEncoding === "json" ? { a: [1, null] } : valueEncoding === "hex" ? "beef" : "text"
      await called((done) => feed.append(value, done))
      log(valueEncoding, await outcome((done) => feed.get(0, done)), feed.byteLength)
      log(await outcome((done) => feed.get(0, { valueEncoding: "utf-8" }, done)))
      log(await outcome((done) => feed.getBatch(0, 1, done)))
      log(await collect(feed.createReadStream()))
      log(await collect(feed.createReadStream({ valueEncoding: "binary" })))
    }
    const own = { encode: (n: number) => Buffer.from([n]), decode: (bytes: Buffer) => bytes[0]! * 2 }
    const feed = author(make, { valueEncoding: own } as HypercoreOptions)
    await called((done) => feed.append([1, 2, 3], done))
    log(await outcome((done) => feed.getBatch(0, 3, done)))
    const broken = author(make, { valueEncoding: "json" })
    await called((done) => broken.append({ fine: true }, done))
    log(
      (
        (
          await outcome((done) => broken.get(0, { valueEncoding: { encode: bad, decode: bad } }, done))
        )[0] as Error
      ).message
    )
  },

  "read streams": async (make, log) => {
    const feed = author(make)
    await called((done) => feed.append(["a", "b", "c", "d"], done))
    for (const options of [
      {},
      { start: 1 },
      { end: 2 },
      { start: 1, end: 3 },
      { start: 2, end: 2 },
      { tail: true },
      { start: 9 }
    ] as const) {
      log(options, await collect(feed.createReadStream(options)))
    }
    log(await collect(feed.createReadStream({ end: 9, wait: false })))
    log(await collect(feed.createReadStream({ end: 9, timeout: 5 })))
    const live = feed.createReadStream({ live: true, tail: true })
    const next = once(live, "data")
    await called((done) => feed.append("e", done))
    log(await next)
    const closed = once(live, "close")
    live.destroy()
    await closed
    log("destroyed")
  },

  "write streams": async (make, log) => {
    const feed = author(make)
    const stream: Writable = feed.createWriteStream()
    for (const value of ["a", "b", "c"]) stream.write(value)
    await new Promise((resolve) => stream.end("d", () => resolve(undefined)))
    log(feed.length, await outcome((done) => feed.getBatch(0, 4, done)))
    log(await outcome((done) => feed.append("e", done)))
  },

  "proofs, roots and signatures": async (make, log) => {
    const feed = author(make)
    await called((done) => feed.append(["a", "b", "c"], done))
    await called((done) => feed.append(["d", "e"], done))
    log((await outcome((done) => feed.rootHashes(4, done as never)))[1])
    log(await outcome((done) => feed.signature(done as never)))
    log(await outcome((done) => feed.signature(1, done as never)))
    const clone = make(ram, key, { valueEncoding: "utf-8" })
    await ready(clone)
    for (const name of ["append", "download", "sync"]) clone.on(name, told(log, name))
    for (const index of [2, 4, 0]) {
      const digest = clone.digest(index)
      const [error, proof] = await outcome((done) => feed.proof(index, { digest }, done as never))
      log(digest, error, proof)
      log(await outcome((done) => clone.put(index, "abcde"[index]!, proof as never, done)))
      log(clone.length, clone.byteLength, clone.downloaded(), clone.has(index))
    }
    const [, hash] = await outcome((done) => feed.proof(1, { hash: true }, done as never))
    log(hash)
    const [, wrong] = await outcome((done) => feed.proof(3, done as never))
    const [error] = await outcome((done) => clone.put(3, "not d", wrong as never, done))
    log(error instanceof Error, clone.has(3))
  },

  "onwrite sees and refuses": async (make, log) => {
    const feed = author(make, {
      onwrite: (index, data, peer, done) => {
        log("onwrite", index, data, peer)
        done(data.toString() === "bad" ? new Error("no") : null)
      }
    })
    log(await outcome((done) => feed.append(["a", "b"], done)))
    log(await outcome((done) => feed.append("bad", done)))
    log(feed.length)
  },

  "a feed without signatures": async (make, log) => {
    const feed = make(ram, null, { live: false, valueEncoding: "utf-8" })
    await ready(feed)
    log(feed.key, feed.live, feed.writable)
    await called((done) => feed.append(["a", "b", "c"], done))
    log(await outcome((done) => feed.finalize(done)))
    log(feed.key, feed.discoveryKey, feed.length)
    log(await outcome((done) => feed.get(1, done)))
  }
})

describe("one directory", () => {
  it("is opened in turn by both", async () => {
    const directory = mkdtempSync(path(tmpdir(), "effect-hypercore-compat-"))
    try {
      const makers = [ours, real7, ours, real7]
      for (const [i, make] of makers.entries()) {
        const feed = make(directory, null, { valueEncoding: "utf-8" })
        await called((done) => feed.append([`${i} a`, `${i} b`], done))
        expect(feed.length).toBe(2 * i + 2)
        expect(await called((done) => feed.getBatch(0, feed.length, done as never))).toEqual(
          Array.from({ length: i + 1 }, (_, n) => [`${n} a`, `${n} b`]).flat()
        )
        await called((done) => feed.close(done))
      }
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  })
})
