/** One directory, two implementations in turn: each reads, verifies, audits and extends what the other wrote. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { Feed, ValueEncoding } from "../../src/index.js"
import { layer } from "../../src/node.js"
import * as Sleep from "../../src/domain/Sleep.js"
import { temporaryDirectory } from "../temporaryDirectory.js"
import { type Peer, openPeer, peers } from "./peer.js"

const blockOf = (index: number): Buffer =>
  Buffer.from(index % 7 === 0 ? "" : `block ${index} `.repeat(1 + (index % 5)))
const blocksOf = (start: number, end: number) =>
  Array.from({ length: end - start }, (_, i) => blockOf(start + i))

/** A log as the two take turns on it: its length, and which blocks were cleared. */
interface Log {
  readonly length: number
  readonly cleared: ReadonlySet<number>
}

const held = (log: Log) =>
  Array.from({ length: log.length }, (_, index) => index).filter((index) => !log.cleared.has(index))

/** Every 37th held block and the last ten: all of them in a short log. */
const sample = (log: Log) => {
  const all = held(log)
  return all.filter((_, i) => all.length < 200 || i % 37 === 0 || i >= all.length - 10)
}

const byteLength = (log: Log) => blocksOf(0, log.length).reduce((sum, block) => sum + block.length, 0)

const checkPeer = (peer: Peer, log: Log) =>
  Effect.gen(function* () {
    expect([peer.feed.length, peer.feed.byteLength]).toEqual([log.length, byteLength(log)])
    for (const index of sample(log)) expect(yield* peer.get(index)).toEqual(blockOf(index))
    for (const index of log.cleared) expect(peer.feed.has(index)).toBe(false)
    expect(yield* peer.verifyLast).toBe(true)
    expect(yield* peer.audit).toEqual({ valid: held(log).length, invalid: 0 })
    expect(yield* peer.seek(byteLength(log) - 1)).toBeDefined()
  })

const checkOurs = (feed: Feed.Feed, log: Log) =>
  Effect.gen(function* () {
    expect([feed.length, feed.byteLength]).toEqual([log.length, byteLength(log)])
    for (const index of sample(log)) expect(Buffer.from(yield* feed.get(index))).toEqual(blockOf(index))
    expect(yield* feed.downloaded()).toBe(held(log).length)
    const { index, signature } = yield* feed.signature()
    expect(index).toBe(log.length - 1)
    yield* feed.verify(index, signature)
    expect(yield* feed.audit()).toEqual({ valid: held(log).length, invalid: 0 })
  })

/** What one side does in its turn; both append the blocks that come next in the log, so that their order does not matter. */
interface Turn {
  readonly batches: ReadonlyArray<number>
  readonly clear?: readonly [number, number]
}

const after = (log: Log, turn: Turn): Log => {
  const cleared = new Set(log.cleared)
  for (let index = turn.clear?.[0] ?? 0; index < (turn.clear?.[1] ?? 0); index++) cleared.add(index)
  return { length: turn.batches.reduce((sum, n) => sum + n, log.length), cleared }
}

const ourTurn = (directory: string, log: Log, turn: Turn) =>
  Effect.gen(function* () {
    const feed = yield* Feed.open()
    if (log.length > 0) yield* checkOurs(feed, log)
    for (const size of turn.batches) yield* feed.appendBatch(blocksOf(feed.length, feed.length + size))
    if (turn.clear !== undefined) yield* feed.clear(...turn.clear)
    yield* checkOurs(feed, after(log, turn))
  }).pipe(Effect.scoped, Effect.provide(layer({ directory })))

const peerTurn = (hypercore: (typeof peers)[number][1], directory: string, log: Log, turn: Turn) =>
  Effect.gen(function* () {
    const peer = yield* openPeer(hypercore, directory)
    expect(peer.feed.writable).toBe(true)
    if (log.length > 0) yield* checkPeer(peer, log)
    for (const size of turn.batches) yield* peer.append(blocksOf(peer.feed.length, peer.feed.length + size))
    if (turn.clear !== undefined) yield* peer.clear(...turn.clear)
    yield* checkPeer(peer, after(log, turn))
  }).pipe(Effect.scoped)

const turns: ReadonlyArray<Turn> = [
  { batches: [1, 1, 3] },
  { batches: [1, 20], clear: [2, 4] },
  { batches: [5, 1, 1] },
  { batches: [100], clear: [25, 60] },
  { batches: [1] },
  { batches: [9000], clear: [100, 108] },
  { batches: [1, 11000] },
  { batches: [3], clear: [8000, 12000] }
]

/** The two take turns on one directory, the first turn being `first`'s. */
const pingPong = (
  hypercore: (typeof peers)[number][1],
  first: "ours" | "theirs",
  prepare?: (directory: string) => void
) =>
  Effect.gen(function* () {
    const directory = yield* temporaryDirectory
    prepare?.(directory)
    let log: Log = { length: 0, cleared: new Set() }
    for (const [i, turn] of turns.entries()) {
      const ours = (i % 2 === 0) === (first === "ours")
      yield* ours ? ourTurn(directory, log, turn) : peerTurn(hypercore, directory, log, turn)
      log = after(log, turn)
    }
    expect(log.length).toBeGreaterThan(20_000)
  }).pipe(Effect.scoped)

const oldPages = (directory: string) => {
  fs.writeFileSync(path.join(directory, "bitfield"), Sleep.header("bitfield", 3328))
}

describe.each(peers)("%s", (_, hypercore) => {
  it.effect("takes turns with us on a directory that we made", () => pingPong(hypercore, "ours"))
  it.effect("takes turns with us on a directory that it made", () => pingPong(hypercore, "theirs"))
  it.effect("takes turns with us on old 3328-byte pages that we made", () =>
    pingPong(hypercore, "ours", oldPages)
  )
  it.effect("takes turns with us on old 3328-byte pages that it made", () =>
    pingPong(hypercore, "theirs", oldPages)
  )

  it.scoped("reads our json, and we its", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const encoding = ValueEncoding.json
      yield* Effect.gen(function* () {
        const feed = yield* Feed.open({ encoding })
        yield* feed.appendBatch([{ from: "us" }, ["a", 1, null]])
      }).pipe(Effect.scoped, Effect.provide(layer({ directory })))
      yield* Effect.gen(function* () {
        const peer = yield* openPeer(hypercore, directory, { valueEncoding: "json" })
        expect([yield* peer.get(0), yield* peer.get(1)]).toEqual([{ from: "us" }, ["a", 1, null]])
        yield* peer.append([{ from: "the peer" }])
      }).pipe(Effect.scoped)
      yield* Effect.gen(function* () {
        const feed = yield* Feed.open({ encoding })
        expect(yield* feed.head()).toEqual({ from: "the peer" })
      }).pipe(Effect.scoped, Effect.provide(layer({ directory })))
      const lines = fs.readFileSync(path.join(directory, "data"), "utf8").trimEnd().split("\n")
      expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
        { from: "us" },
        ["a", 1, null],
        { from: "the peer" }
      ])
    })
  )
})
