/** The façade against the peer, 7.7.1: how a feed is made, its options, what it is as an object. */
import { mkdtempSync, rmSync, truncateSync } from "node:fs"
import { tmpdir } from "node:os"
import { join as path } from "node:path"
import { inspect } from "node:util"
import hypercore from "../../src/compat/index.js"
import { crypto } from "../reference/peer.js"
import { type AnyFeed, called, once, ram, ready, real7 } from "./peers.js"
import { author, compare, keeping, key, type Make, outcome, secretKey, told } from "./scenario.js"

/** A directory that is gone afterwards. */
const inDirectory = async (use: (directory: string) => Promise<void>): Promise<void> => {
  const directory = mkdtempSync(path(tmpdir(), "effect-hypercore-compat-"))
  try {
    await use(directory)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

const closed = (feed: AnyFeed): Promise<unknown> => called((done) => feed.close(done))

const append = (feed: AnyFeed, values: unknown): Promise<unknown> =>
  called((done) => feed.append(values as never, done))

/** What can be looked up of a feed. */
const properties = (feed: AnyFeed): Record<string, unknown> => ({
  writable: feed.writable,
  readable: feed.readable,
  key: feed.key,
  secretKey: feed.secretKey,
  discoveryKey: feed.discoveryKey,
  length: feed.length,
  byteLength: feed.byteLength,
  remoteLength: feed.remoteLength,
  peers: feed.peers,
  stats: feed.stats,
  opened: feed.opened,
  closed: feed.closed,
  live: feed.live,
  sparse: feed.sparse,
  extensions: feed.extensions,
  maxRequests: feed.maxRequests,
  allowPush: feed.allowPush
})

/** What is made with `new`, of the same constructor. */
const constructorOf = (make: Make): typeof hypercore => make as unknown as typeof hypercore

compare("made as 7.7.1 makes it", {
  "properties before it is ready, when it is, and closed": async (make, log) => {
    for (const options of [
      {},
      { sparse: true, allowPush: true, maxRequests: 3, extensions: ["b", "a"], stats: false }
    ]) {
      const feed = author(make, options)
      log(properties(feed))
      await ready(feed)
      log(properties(feed))
      await append(feed, ["a", "bc"])
      log(properties(feed))
      await closed(feed)
      log(properties(feed))
    }
  },

  "the id is the one that is given, or 32 bytes": async (make, log) => {
    log(author(make, { id: Buffer.from("me") }).id)
    const [one, two] = [author(make).id, author(make).id]
    log(one.length, two.length, one.equals(two))
  },

  "keys as hex, in the options, or before them": async (make, log) => {
    const hex = key.toString("hex")
    const feeds = [
      make(ram, hex as never, { secretKey: secretKey.toString("hex") }),
      make(ram, { key, secretKey } as never),
      make(ram, null, { key, secretKey }),
      make(ram, undefined, { key: key, secretKey })
    ]
    for (const feed of feeds) {
      log(feed.key, feed.discoveryKey)
      await ready(feed)
      log(feed.key, feed.secretKey, feed.writable)
    }
  },

  "a key pair is made where there is none, and is stored": async (make, log) => {
    const storage = keeping()
    const feed = make(storage)
    log(feed.key, feed.secretKey, feed.discoveryKey)
    await ready(feed)
    log(feed.key?.length, feed.secretKey?.length, feed.writable)
    await append(feed, "a")
    const again = make(storage)
    await ready(again)
    log(again.key?.equals(feed.key!), again.secretKey?.equals(feed.secretKey!), again.length, again.writable)
  },

  "with new, or without; instances of it": async (make, log) => {
    const Hypercore = constructorOf(make)
    const feeds = [Hypercore(ram, key), new Hypercore(ram, key)]
    log(feeds.map((feed) => feed instanceof Hypercore))
    log(Hypercore.discoveryKey(key))
  },

  "can be extended": async (make, log) => {
    const told: Array<unknown> = []
    class Own extends constructorOf(make)<string> {
      own = 1
      override has(start: number, end?: number): boolean {
        told.push("has")
        return super.has(start, end)
      }
    }
    const feed = new Own(ram, key, { secretKey, valueEncoding: "utf-8" })
    await append(feed as AnyFeed, "a")
    log(feed instanceof Own, feed.own, feed.has(0), told, await outcome((done) => feed.get(0, done)))
  },

  "a property of one's own stays": async (make, log) => {
    const mark = Symbol("mark")
    const feed = author(make) as AnyFeed & { [mark]?: number; note?: string }
    feed[mark] = 1
    feed.note = "mine"
    await ready(feed)
    log(feed[mark], feed.note)
  },

  "what it prints": async (make, log) => {
    const feed = author(make, { sparse: true })
    log(inspect(feed))
    await append(feed, "abc")
    log(inspect(feed))
    log(inspect({ feed }))
    log(inspect(feed, { colors: true }))
    log(inspect(make(ram)))
  },

  "the storage is called with the names of six files": async (make, log) => {
    const names: Array<string> = []
    const feed = author((storage, ...rest) =>
      make((name: string) => (names.push(name), (storage as () => never)()), ...rest)
    )
    await append(feed, "a")
    log(names.sort())
  },

  "what is stored in the directory": async (make, log) => {
    await inDirectory(async (directory) => {
      const feed = make(directory, key, { secretKey })
      await append(feed, "a")
      const again = make(directory)
      log(await once(again, "error"))
      await closed(feed)
      const reopened = make(directory, null, { valueEncoding: "utf-8" })
      await ready(reopened)
      log(properties(reopened), await outcome((done) => reopened.get(0, done)))
      await closed(reopened)
    })
  },

  overwrite: async (make, log) => {
    const storage = keeping()
    const feed = make(storage, key, { secretKey })
    await append(feed, ["a", "b"])
    const again = make(storage, null, { overwrite: true, valueEncoding: "utf-8" })
    await ready(again)
    log(again.length, again.byteLength, again.key!.equals(key), again.writable, again.has(0))
    await append(again, "new")
    log(await outcome((done) => again.get(0, done)), again.length)
    const third = make(storage, key, { overwrite: true, secretKey })
    await ready(third)
    log(properties(third))
  },

  "storeSecretKey: false": async (make, log) => {
    const storage = keeping()
    const feed = make(storage, null, { storeSecretKey: false })
    await append(feed, "a")
    log(feed.writable, feed.secretKey?.length)
    const reader = make(storage)
    await ready(reader)
    log(reader.writable, reader.secretKey, reader.key!.equals(feed.key!), reader.length)
    log(await outcome((done) => reader.append("b", done)))
    const owner = make(storage, null, { secretKey: feed.secretKey })
    await ready(owner)
    log(owner.writable, await outcome((done) => owner.append("b", done)))
  },

  "callbacks that sign and verify": async (make, log) => {
    const own = {
      sign: (
        data: Buffer,
        secret: Buffer | null,
        done: (error: Error | null, signature?: Uint8Array) => void
      ) => {
        log("sign", data, secret)
        setImmediate(() => done(null, crypto.sign(data, secret!)))
      },
      // Not in the order that the peer's documents give.
      verify: (
        data: Buffer,
        signature: Buffer,
        publicKey: Buffer,
        done: (error: Error | null, valid?: boolean) => void
      ) => {
        log("verify", data, signature, publicKey)
        done(null, crypto.verify(data, signature, publicKey))
      }
    }
    const feed = author(make, { crypto: own })
    log(await outcome((done) => feed.append(["a", "b"], done)))
    const [, signature] = await outcome((done) => feed.signature(1, done as never))
    log(signature)
    const bytes = (signature as { signature: Buffer }).signature
    log(await outcome((done) => feed.verify(1, bytes, done as never)))
  },

  "a signature that is refused": async (make, log) => {
    const own = {
      sign: (_: Buffer, __: Buffer | null, done: (error: Error | null) => void) =>
        done(new Error("no device")),
      verify: () => {}
    }
    const feed = author(make, { crypto: own })
    log(await outcome((done) => feed.append("a", done)), feed.length)
  },

  indexing: async (make, log) => {
    const files = new Map<string, ReturnType<typeof Object>>()
    const storage = (name: string): unknown => {
      if (!files.has(name)) files.set(name, ram())
      return files.get(name)
    }
    const data = storage("data") as {
      write: (at: number, bytes: Buffer, done: (error: Error | null) => void) => void
    }
    await called((done) => data.write(0, Buffer.from("onetwothree"), done))
    const feed = make(storage, key, { secretKey, indexing: true, valueEncoding: "utf-8" })
    await append(feed, ["one", "two"])
    await append(feed, "three")
    log(feed.length, feed.byteLength, await outcome((done) => feed.getBatch(0, 3, done)))
    log(await outcome((done) => feed.clear(0, 2, done)), feed.has(0), feed.has(2))
    const read = data as unknown as {
      read: (at: number, size: number, done: (error: Error | null, bytes?: Buffer) => void) => void
    }
    log(await called((done) => read.read(0, 11, done)))
  },

  "a storage whose files are cut": async (make, log) => {
    for (const [file, size] of [
      ["signatures", 32 + 64],
      ["signatures", 32],
      ["data", 1]
    ] as const) {
      await inDirectory(async (directory) => {
        // What one owner wrote, for both.
        const feed = real7(directory, key, { secretKey })
        await append(feed, ["a", "bc", "def"])
        await closed(feed)
        truncateSync(path(directory, file), size)
        const again = make(directory, null, { valueEncoding: "utf-8", secretKey })
        const how = await Promise.race([once(again, "ready").then(() => "ready"), once(again, "error")])
        log(file, size, how === "ready" ? [again.length, again.byteLength] : "error")
        if (how === "ready") await closed(again)
      })
    }
  },

  "what a listener of `ready` throws": async (make, log) => {
    // Nothing of a program that goes on depends on where this error comes out: only that the feed works.
    const feed = author(make)
    feed.on("append", () => log("append"))
    await append(feed, "a")
    log(await outcome((done) => feed.get(0, done)), told(log, "x") !== undefined)
  }
})
