/** serve, clone and tail as processes: against each other, and against the real `hypercore` 7.7.1 over TCP. */
import { Effect } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { Feed, Replication, fromHex, toHex } from "../../src/index.js"
import { CryptoNode, NetworkTcp, layer } from "../../src/node.js"
import {
  type Ended,
  type Running,
  beginOnTerminal,
  bundle,
  expectFailure,
  expectSuccess,
  run,
  stopAll
} from "./commandProcess.js"
import {
  type RealPeer,
  type Served,
  listen,
  openReal,
  replicateReal,
  serveReal,
  throttle
} from "./realPeer.js"

let directory: string
let command: string
const opened: Array<{ readonly close: () => Promise<unknown> }> = []

beforeAll(async () => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "effect-hypercore-cli-network-"))
  command = await bundle(directory)
})
afterEach(async () => {
  await stopAll()
  for (const one of opened.splice(0).reverse()) await one.close()
})
afterAll(() => fs.rmSync(directory, { recursive: true, force: true }))

const closing = <A extends RealPeer | Served>(one: A): A => {
  opened.push(one)
  return one
}

const inDirectory = (name: string): string => path.join(directory, name)
const begin = (...args: ReadonlyArray<string>): Running => run(command, args, directory)
const finish = (...args: ReadonlyArray<string>): Promise<Ended> => begin(...args).ended

const textOf = async (...args: ReadonlyArray<string>): Promise<string> => {
  const result = await finish(...args)
  expectSuccess(result)
  return result.stdout.toString()
}

const blocksOf = (count: number, size: number): Array<Uint8Array> =>
  Array.from({ length: count }, (_, i) => new Uint8Array(size).fill(i + 1))

/** With the feed in a directory, from this process, which is another than those of the commands. */
const withFeed = <A, E>(
  name: string,
  options: Feed.OpenOptions,
  use: (feed: Feed.Feed) => Effect.Effect<A, E>
): Promise<A> =>
  Feed.open(options).pipe(
    Effect.flatMap(use),
    Effect.scoped,
    Effect.provide(layer({ directory: inDirectory(name) })),
    Effect.runPromise
  )

/** A feed of these blocks; answers its key. */
const feedOf = (name: string, blocks: ReadonlyArray<Uint8Array>): Promise<string> =>
  withFeed(name, {}, (feed) => Effect.as(feed.appendBatch(blocks), toHex(feed.key)))

const append = (name: string, ...texts: ReadonlyArray<string>): Promise<number> =>
  withFeed(name, { createIfMissing: false }, (feed) => feed.appendBatch(lines(...texts)))

/** The log's length, and how many of its blocks are stored. */
const stored = (name: string): Promise<{ readonly length: number; readonly held: number }> =>
  withFeed(name, { readOnly: true }, (feed) =>
    Effect.map(feed.downloaded(), (held) => ({ length: feed.length, held }))
  )

const lines = (...texts: ReadonlyArray<string>): Array<Uint8Array> => texts.map((text) => Buffer.from(text))

const expectWhole = async (name: string, key: string, length: number): Promise<void> => {
  const found = await withFeed(name, { createIfMissing: false }, (feed) =>
    Effect.gen(function* () {
      const { signature } = length === 0 ? { signature: undefined } : yield* feed.signature()
      if (signature !== undefined) yield* feed.verify(length - 1, signature)
      return {
        key: toHex(feed.key),
        length: feed.length,
        writable: feed.writable,
        audit: yield* feed.audit()
      }
    })
  )
  expect(found).toEqual({ key, length, writable: false, audit: { valid: length, invalid: 0 } })
}

const expectSame = (one: string, other: string): void =>
  expect(
    fs.readFileSync(inDirectory(`${one}/data`)).equals(fs.readFileSync(inDirectory(`${other}/data`)))
  ).toBe(true)

interface Server extends Running {
  readonly tcp: string
  readonly ws: string
}

/** Serves on free ports of this machine, of both kinds. */
const serve = async (...dirs: ReadonlyArray<string>): Promise<Server> => {
  const server = begin("serve", ...dirs, "--tcp", "127.0.0.1:0", "--ws", "127.0.0.1:0")
  const [, tcp, ws] = await server.wrote(/^tcp {3}(\S+)\nws {4}(\S+)\n/m)
  return { ...server, tcp: tcp!, ws: ws! }
}

describe("serve and clone", () => {
  it("copy feeds over TCP and over a WebSocket, and tell of it", async () => {
    const one = await feedOf("one", blocksOf(40, 5000))
    const two = await feedOf("two", lines("a", "", "c"))
    const empty = await feedOf("empty", [])
    const server = await serve("one", "two", "empty")
    expect(server.stdout()).toBe(
      [
        `feed  ${one}, 40 blocks, one`,
        `feed  ${two}, 3 blocks, two`,
        `feed  ${empty}, 0 blocks, empty`,
        `tcp   ${server.tcp}`,
        `ws    ${server.ws}\n`
      ].join("\n")
    )
    expect(server.ws).toMatch(/^ws:\/\/127\.0\.0\.1:\d+$/)
    expect(await textOf("clone", one, "one-tcp", "--from", server.tcp)).toMatch(
      /^cloned 40 blocks, 195\.3 KiB in \d+\.\d s \([\d.]+ [KMG]?i?B\/s\)\n$/
    )
    expect(await textOf("clone", two, "two-ws", "--from", server.ws)).toMatch(/^cloned 3 blocks, 2 B in /)
    expect(await textOf("clone", empty, "empty-tcp", "--from", server.tcp)).toMatch(
      /^cloned 0 blocks, 0 B in /
    )
    await expectWhole("one-tcp", one, 40)
    await expectWhole("two-ws", two, 3)
    await expectWhole("empty-tcp", empty, 0)
    expectSame("one", "one-tcp")
    const { code, stderr, stdout } = await server.stop()
    expect(code).toBe(130)
    expect(stdout.toString()).toContain("\nserved  43 blocks, 195.3 KiB, over 3 connections\n")
    const told = stderr
      .trimEnd()
      .split("\n")
      .map((line) => line.replace(/^127\.0\.0\.1:\d+ /, ""))
    expect(told).toEqual([
      "connected",
      "disconnected: the other side ended it; 40 blocks, 195.3 KiB sent",
      "connected",
      "disconnected: the other side ended it; 3 blocks, 2 B sent",
      "connected",
      "disconnected: the other side ended it; 0 blocks, 0 B sent"
    ])
  })

  it("many feeds on one connection", async () => {
    const names = ["many-1", "many-2", "many-3"]
    const keys = await Promise.all(names.map((name, i) => feedOf(name, blocksOf(10 + i, 100))))
    const { tcp } = await serve(...names)
    const [host, port] = tcp.split(":")
    const copied = await Effect.gen(function* () {
      const connection = yield* NetworkTcp.make().connect({ host, port: Number(port) })
      const replicator = yield* Replication.connect(connection, { expectedFeeds: keys.length })
      const lengths: Array<number> = []
      for (const key of keys) {
        const feed = yield* Feed.open({ path: key, key: fromHex(key)! })
        const peer = yield* replicator.add(feed)
        expect(yield* peer.downloaded).toBe(true)
        lengths.push(yield* feed.downloaded())
      }
      return lengths
    }).pipe(
      Effect.scoped,
      Effect.provide(layer({ directory: inDirectory("many-copies") })),
      Effect.provide(CryptoNode.layer),
      Effect.runPromise
    )
    expect(copied).toEqual([10, 11, 12])
  })

  it("what another process appends is served, cloned live and shown by tail", async () => {
    const key = await feedOf("growing", lines("first"))
    const server = await serve("growing")
    const clone = begin("clone", "--live", key, "grown", "--from", server.tcp)
    await clone.wrote(/^cloned 1 block, /)
    const tail = begin("tail", "--lines", "--start", "0", "grown")
    await tail.wrote(/^first\n/)
    await append("growing", "second")
    await tail.wrote(/^first\nsecond\n$/)
    await append("growing", "third", "fourth")
    await tail.wrote(/^first\nsecond\nthird\nfourth\n$/)
    expect(await tail.stop()).toMatchObject({ code: 130, stderr: "" })
    expect(await clone.stop()).toMatchObject({
      code: 130,
      stderr:
        "hypercore: interrupted: 4 of 4 blocks are stored in grown; the same command goes on from there\n"
    })
    const { stdout } = await server.stop("SIGTERM")
    expect(stdout.toString()).toMatch(/\nserved {2}4 blocks, 22 B, over 1 connection\n$/)
    await expectWhole("grown", key, 4)
  })

  it("no more are served at a time than --max-connections says", async () => {
    const key = await feedOf("few", lines("a"))
    const server = begin("serve", "few", "--tcp", "127.0.0.1:0", "--max-connections", "1")
    const [, tcp] = await server.wrote(/^tcp {3}(\S+)\n/m)
    const first = begin("clone", "--live", key, "first", "--from", tcp!)
    await first.wrote(/^cloned 1 block, /m)
    expect((await finish("clone", key, "second", "--from", tcp!)).code).toBe(1)
    await server.wrote(/no more connections than 1 are taken: refused 127/)
    await first.stop()
    await server.wrote(/ disconnected: /)
    expect(await textOf("clone", key, "third", "--from", tcp!)).toMatch(/^cloned 1 block, /)
    const { stdout } = await server.stop()
    expect(stdout.toString()).toMatch(/, over 2 connections\n$/)
  })

  it("a clone that is live fails when the server ends", async () => {
    const key = await feedOf("ending", lines("a"))
    const server = await serve("ending")
    const clone = begin("clone", "--live", key, "ended", "--from", server.tcp)
    await clone.wrote(/^cloned 1 block, /)
    await server.stop()
    expectFailure(await clone.ended, 1, `${server.tcp}: the other side ended the connection`)
    expect(server.stderr()).toMatch(/disconnected: stopped here; 1 block, 1 B sent\n$/)
  })
})

it.skipIf(!fs.existsSync("/usr/bin/script"))("shows progress on a terminal only", async () => {
  const key = await feedOf("shown", blocksOf(40, 5000))
  const { tcp } = await serve("shown")
  const slow = closing(await throttle(tcp, 100_000))
  const clone = (name: string, ...options: ReadonlyArray<string>) =>
    beginOnTerminal(
      [process.execPath, command, "clone", key, name, "--from", slow.address, ...options].join(" "),
      directory
    )
  const shown = clone("shown-1")
  await shown.wrote(/\d%  [1-9]\d* of 40 blocks, [\d.]+ [KM]iB\/s  \S+ left/)
  slow.release()
  const { code, stdout } = await shown.ended
  expect(code).toBe(0)
  expect(stdout.toString()).toMatch(/cloned 40 blocks, [^\r\n]*\r\n$/)
  const hidden = await clone("shown-2", "--no-progress").ended
  expect(hidden.stdout.toString()).toMatch(/^cloned 40 blocks, [^\r\n]*\r\n$/)
})

describe("a clone that is cut off", () => {
  it("is completed by the same command", async () => {
    const key = await feedOf("cut", blocksOf(50, 20_000))
    const server = await serve("cut")
    const slow = closing(await throttle(server.tcp, 400_000, (socket) => socket.destroySoon()))
    expectFailure(
      await finish("clone", key, "resumed", "--from", slow.address),
      1,
      `${slow.address}: the other side ended the connection before all had come`
    )
    const { held } = await stored("resumed")
    expect(held).toBeGreaterThan(5)
    expect(held).toBeLessThan(25)
    const said = await textOf("clone", key, "resumed", "--from", server.tcp)
    expect(said).toMatch(new RegExp(`^cloned ${50 - held} blocks, .*; ${held} were stored before\n$`))
    await expectWhole("resumed", key, 50)
    expectSame("cut", "resumed")
  })

  it("by Ctrl-C keeps what came", async () => {
    const key = await feedOf("long", blocksOf(50, 20_000))
    const server = await serve("long")
    const held = closing(await throttle(server.tcp, 400_000))
    fs.mkdirSync(inDirectory("stopped"))
    const hasStored = new Promise<void>((resolve) => {
      const watcher = fs.watch(inDirectory("stopped"), () => {
        const bitfield = fs.statSync(inDirectory("stopped/bitfield"), { throwIfNoEntry: false })
        if ((bitfield?.size ?? 0) <= 32) return
        watcher.close()
        resolve()
      })
    })
    const clone = begin("clone", key, "stopped", "--from", held.address)
    await Promise.race([hasStored, clone.ended])
    const { code, stderr, stdout } = await clone.stop()
    expect([code, stdout.length]).toEqual([130, 0])
    const said =
      /^hypercore: interrupted: (\d+) of 50 blocks (is|are) stored in stopped; the same command goes on from there\n$/
    expect(stderr).toMatch(said)
    const count = Number(said.exec(stderr)![1])
    expect(await stored("stopped")).toEqual({ held: count, length: 50 })
    expect(await textOf("clone", key, "stopped", "--from", server.tcp)).toContain(
      `cloned ${50 - count} blocks`
    )
    await expectWhole("stopped", key, 50)
  })
})

describe("with the real hypercore 7.7.1", () => {
  for (const live of [false, true]) {
    it(`clones from one that is ${live ? "" : "not "}live`, async () => {
      const name = `real-${live ? "live" : "once"}`
      const real = closing(await openReal(inDirectory(name)))
      await real.append(blocksOf(300, 700))
      const { address } = closing(await serveReal(real, live))
      const key = toHex(real.feed.key)
      expect(await textOf("clone", key, `${name}-copy`, "--from", address)).toMatch(
        /^cloned 300 blocks, 205\.1 KiB/
      )
      await expectWhole(`${name}-copy`, key, 300)
      expectSame(name, `${name}-copy`)
      // Nothing is new, which it must find out too.
      expect(await textOf("clone", key, `${name}-copy`, "--from", address)).toMatch(
        /^cloned 0 blocks, .*; 300 were stored before\n$/
      )
    })
  }

  it("follows one live", async () => {
    const real = closing(await openReal(inDirectory("real-growing")))
    await real.append(lines("one"))
    const { address } = closing(await serveReal(real, true))
    const tail = begin(
      "tail",
      "--lines",
      "real-tail",
      "--key",
      toHex(real.feed.key),
      "--from",
      address,
      "--start",
      "0"
    )
    await tail.wrote(/^one\n/)
    await real.append(lines("two", "three"))
    await tail.wrote(/^one\ntwo\nthree\n$/)
    await tail.stop()
  })

  it("gives to one, which ends by itself when it has all", async () => {
    const key = await feedOf("for-real", blocksOf(300, 700))
    const server = await serve("for-real")
    const real = closing(await openReal(inDirectory("real-reader"), fromHex(key)))
    await replicateReal(real, server.tcp, false).closed
    expect(real.feed.length).toBe(300)
    expect(await real.audit()).toEqual({ valid: 300, invalid: 0 })
    expectSame("for-real", "real-reader")
    await server.wrote(/disconnected: the other side ended it; 300 blocks, 205\.1 KiB sent\n/)
  })

  it("gives to one single blocks, and what is appended later", async () => {
    const key = await feedOf("for-sparse", lines("a", "b", "c"))
    const server = await serve("for-sparse")
    const real = closing(await openReal(inDirectory("sparse-reader"), fromHex(key), true))
    const replicating = replicateReal(real, server.tcp, true)
    expect((await real.get(1)).toString()).toBe("b")
    const later = real.get(3)
    await append("for-sparse", "d")
    expect((await later).toString()).toBe("d")
    replicating.destroy()
    await server.wrote(/disconnected: .*; 2 blocks, 2 B sent\n/)
  })
})

/** It does not say when it is ready: appends to the feed until it shows something, and then all; answers how many were appended. */
const appendUntilShown = async (name: string, tail: Running): Promise<number> => {
  let isOver = false
  const shown = tail.wrote(/\n/).finally(() => {
    isOver = true
  })
  let appended = 0
  while (!isOver) await append(name, `new ${appended++}`)
  await shown
  await tail.wrote(new RegExp(`new ${appended - 1}\n$`))
  // In order, and none left out.
  const first = Number(/^new (\d+)\n/.exec(tail.stdout())![1])
  const expected = Array.from({ length: appended - first }, (_, i) => `new ${first + i}\n`)
  expect(tail.stdout()).toBe(expected.join(""))
  return appended
}

describe("tail", () => {
  it("begins with what is appended next", async () => {
    await feedOf("next", lines("old"))
    const tail = begin("tail", "next", "--lines")
    await appendUntilShown("next", tail)
    expect(await tail.stop()).toMatchObject({ code: 130, stderr: "" })
  })

  it("--from begins at the end of what is there, and fetches no more than it shows", async () => {
    const key = await feedOf("far", lines("a", "b", "c"))
    const server = await serve("far")
    const tail = begin("tail", "near", "--from", server.tcp, "--key", key, "--lines")
    await server.wrote(/ connected\n/)
    const appended = await appendUntilShown("far", tail)
    const held = tail.stdout().split("\n").length - 1
    await tail.stop()
    expect(await stored("near")).toEqual({ held, length: 3 + appended })
    // The key is known now.
    const again = begin("tail", "near", "--from", server.ws, "--lines", "--start", "1")
    await again.wrote(/^b\nc\nnew 0\n/)
    await server.stop()
    expectFailure(await again.ended, 1, `${server.ws}: the other side ended the connection`)
  })
})

describe("what goes wrong", () => {
  const KEY = "a".repeat(64)

  it("is one line: nobody there, another feed, a silent side", async () => {
    const key = await feedOf("right", lines("a"))
    const server = await serve("right")
    const nobody = await listen(() => {})
    await nobody.close()
    const silent = closing(await listen(() => {}))
    const garbage = closing(await listen((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n")))
    const real = closing(await openReal(inDirectory("real-other")))
    const other = closing(await serveReal(real, true))
    const takenKey = await feedOf("taken", lines("b"))
    const calls: ReadonlyArray<readonly [ReadonlyArray<string>, string | RegExp]> = [
      [
        [KEY, "none-1", "--from", nobody.address],
        `${nobody.address}: the connection was refused: nothing is served there`
      ],
      [
        [KEY, "none-2", "--from", `ws://${nobody.address}`],
        `ws://${nobody.address}: the connection was refused: nothing is served there`
      ],
      [
        [KEY, "none-3", "--from", server.tcp],
        `${server.tcp}: the other side ended the connection at once: it does not serve this feed, or takes no more connections`
      ],
      [
        [KEY, "none-4", "--from", server.ws],
        `${server.ws}: the other side ended the connection at once: it does not serve this feed, or takes no more connections`
      ],
      [[KEY, "none-5", "--from", other.address], `${other.address}: another feed is served there`],
      [[KEY, "none-6", "--from", silent.address], `${silent.address}: the other side fell silent`],
      [
        [KEY, "none-7", "--from", garbage.address],
        /^hypercore: 127\.0\.0\.1:\d+: the other side (broke the protocol|ended the connection)/
      ],
      [[KEY, "none-8", "--from", "host.invalid:1"], /^hypercore: host\.invalid:1: /],
      [[key, "taken", "--from", server.tcp], `taken: another feed is stored here: ${takenKey}`],
      [[key, "taken/key", "--from", server.tcp], "taken/key: is not a directory"]
    ]
    const results = await Promise.all(calls.map(([args]) => finish("clone", ...args)))
    for (const [i, result] of results.entries()) expectFailure(result, 1, calls[i]![1])
    // A wrong key or address leaves nothing that would stand in the way of the right one.
    expect(fs.readdirSync(directory).filter((name) => name.startsWith("none-"))).toEqual([])
  })

  it("a disk that is full, a writer in the directory, a port in use, a feed twice", async () => {
    const key = await feedOf("big", blocksOf(40, 100_000))
    const server = await serve("big")
    const limited = run(
      "-c",
      [
        'ulimit -f 1000; exec "$@"',
        "-",
        process.execPath,
        command,
        "clone",
        key,
        "small",
        "--from",
        server.tcp
      ],
      directory,
      "bash"
    )
    expectFailure(await limited.ended, 1, "small: the disk is full")
    const writer = begin("append", "big", "--lines")
    writer.write("line\n")
    const follower = begin("tail", "big", "--start", "40")
    await follower.wrote(/line/)
    expectFailure(
      await finish("clone", key, "big", "--from", server.tcp),
      1,
      "big: another process is writing to this feed"
    )
    await writer.stop()
    expectFailure(
      await finish("serve", "big", "--tcp", server.tcp),
      1,
      `cannot listen on ${server.tcp}: it is in use; give another with --tcp`
    )
    expectFailure(await finish("serve", "big", "big/"), 1, "big/: is the same feed as big")
  })

  it("wrong calls", async () => {
    const calls: ReadonlyArray<readonly [ReadonlyArray<string>, string]> = [
      [["serve"], "Missing argument <dir>"],
      [
        ["serve", "d", "--tcp", "x"],
        "--tcp: 'x' is neither a port, such as 3282, nor an address, such as 127.0.0.1:3282"
      ],
      [
        ["serve", "d", "--ws", "1:2:3"],
        "--ws: '1:2:3' is neither a port, such as 3282, nor an address, such as 127.0.0.1:3282"
      ],
      [["clone", "xyz", "d", "--from", "1"], "'xyz' is not hexadecimal"],
      [["clone", KEY, "d"], "Expected to find option: '--from'"],
      [
        ["clone", KEY, "d", "--from", "http://a"],
        "--from: 'http://a' is neither an address, such as example.org:3282, nor a URL of ws:// or wss://"
      ],
      [
        ["clone", KEY, "d", "--from", "localhost:0"],
        "--from: 'localhost:0' is neither an address, such as example.org:3282, nor a URL of ws:// or wss://"
      ],
      [
        ["tail", "d", "--from", "-"],
        "--from: '-' is neither an address, such as example.org:3282, nor a URL of ws:// or wss://"
      ]
    ]
    const results = await Promise.all(calls.map(([args]) => finish(...args)))
    for (const [i, result] of results.entries()) expectFailure(result, 2, calls[i]![1])
    const missing = await Promise.all([
      finish("serve", "d", "--tcp", "0"),
      finish("tail", "d"),
      finish("tail", "d", "--from", "1")
    ])
    expectFailure(missing[0]!, 1, "d: no feed is stored here; make one with 'hypercore create'")
    expectFailure(missing[1]!, 1, "d: no feed is stored here; make one with 'hypercore create'")
    expectFailure(missing[2]!, 1, "d: no feed is stored here; give its key with --key to make a copy")
    expect(fs.existsSync(inDirectory("d"))).toBe(false)
  })
})
