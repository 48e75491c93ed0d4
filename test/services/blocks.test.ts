/** append, get, getBatch, head, has, downloaded, seek: the log and what is held of it. */
import { describe, expect } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { Feed, toHex } from "../../src/index.js"
import { type Instrument, withInstrument } from "./InstrumentedStorage.js"
import {
  bytes,
  expectFailure,
  keyPair,
  onEachStorage,
  openText,
  overwriteFile,
  someBlocks,
  source,
  stored,
  transfer
} from "./harness.js"

const sizeOf = (blocks: ReadonlyArray<Uint8Array>) => blocks.reduce((sum, block) => sum + block.length, 0)

describe("append", () => {
  onEachStorage("answers the block's index; length and byteLength follow", () =>
    Effect.gen(function* () {
      const feed = yield* Feed.open()
      const blocks = someBlocks(40)
      for (const [i, block] of blocks.entries()) {
        expect(yield* feed.append(block)).toBe(i)
        expect([feed.length, feed.byteLength]).toEqual([i + 1, sizeOf(blocks.slice(0, i + 1))])
      }
      expect(yield* feed.getBatch(0, 40)).toEqual(blocks)
    })
  )

  onEachStorage("a batch answers the index of its first block and is signed once", () =>
    Effect.gen(function* () {
      const feed = yield* Feed.open()
      expect(yield* feed.appendBatch(someBlocks(5))).toBe(0)
      expect(yield* feed.append(bytes("x"))).toBe(5)
      expect(yield* feed.appendBatch(someBlocks(3))).toBe(6)
      expect((yield* feed.signature(0)).index).toBe(4)
      expect((yield* feed.signature(5)).index).toBe(5)
      expect((yield* feed.signature(6)).index).toBe(8)
    })
  )

  onEachStorage("any iterable is a batch, read once", () =>
    Effect.gen(function* () {
      const feed = yield* openText()
      let runs = 0
      const append = feed.appendBatch({
        *[Symbol.iterator]() {
          runs++
          yield* ["a", "b"]
        }
      })
      expect(runs).toBe(0)
      expect(yield* append).toBe(0)
      expect(runs).toBe(1)
      expect(yield* feed.appendBatch(new Set(["c", "d"]))).toBe(2)
      expect(yield* feed.getBatch(0, 4)).toEqual(["a", "b", "c", "d"])
    })
  )

  onEachStorage("the effect is a description: run again, it appends again", () =>
    Effect.gen(function* () {
      const feed = yield* openText()
      const append = feed.append("again")
      expect(feed.length).toBe(0)
      expect([yield* append, yield* append, yield* append]).toEqual([0, 1, 2])
    })
  )

  onEachStorage("an empty batch ends once all that was appended before is stored", () =>
    Effect.gen(function* () {
      const feed = yield* Feed.open()
      const before = yield* Effect.fork(feed.appendBatch(someBlocks(2)))
      yield* Effect.yieldNow()
      expect(yield* feed.appendBatch([])).toBe(2)
      expect(feed.length).toBe(2)
      expect(yield* Fiber.join(before)).toBe(0)
    })
  )

  onEachStorage("an empty batch answers the length and changes nothing", () =>
    Effect.gen(function* () {
      const feed = yield* Feed.open()
      expect(yield* feed.appendBatch([])).toBe(0)
      yield* feed.appendBatch(someBlocks(3))
      const before = yield* stored()
      expect(yield* feed.appendBatch([])).toBe(3)
      expect(yield* stored()).toEqual(before)
    })
  )

  onEachStorage("empty blocks are blocks", () =>
    Effect.gen(function* () {
      const feed = yield* openText()
      yield* feed.append("")
      yield* feed.appendBatch(["", "", "x", ""])
      expect([feed.length, feed.byteLength]).toEqual([5, 1])
      yield* feed.close
      const again = yield* openText()
      expect([again.length, again.byteLength]).toEqual([5, 1])
      expect(yield* again.getBatch(0, 5)).toEqual(["", "", "", "x", ""])
      expect(yield* again.get(4)).toBe("")
      expect(yield* again.audit()).toEqual({ valid: 5, invalid: 0 })
    })
  )

  onEachStorage("blocks of a megabyte come back whole, alone and in a batch", () =>
    Effect.gen(function* () {
      const big = (seed: number) => Uint8Array.from({ length: 1_000_003 }, (_, i) => (i * seed) % 251)
      const feed = yield* Feed.open()
      yield* feed.append(big(3))
      yield* feed.appendBatch([5, 7, 11, 13, 17, 19].map(big))
      yield* feed.close
      const again = yield* Feed.open()
      expect(again.byteLength).toBe(7 * 1_000_003)
      const digest = (block: Uint8Array) => Buffer.compare(block, Buffer.from(big(19)))
      expect(digest(yield* again.get(6))).toBe(0)
      const all = yield* again.getBatch(0, 7)
      expect(all.map((block) => block.length)).toEqual(Array.from({ length: 7 }, () => 1_000_003))
      expect(digest(all[6]!)).toBe(0)
      expect(yield* again.audit()).toEqual({ valid: 7, invalid: 0 })
    })
  )

  onEachStorage("with durability power stores the same bytes", () =>
    Effect.gen(function* () {
      const keys = yield* keyPair(1)
      for (const [path, durability] of [
        ["a", "process"],
        ["b", "power"]
      ] as const) {
        const feed = yield* Feed.open({ ...keys, path, durability })
        yield* feed.append(bytes("one"))
        yield* feed.appendBatch(someBlocks(10))
        yield* feed.clear(3, 5)
        yield* feed.close
      }
      expect(yield* stored("b")).toEqual(yield* stored("a"))
    })
  )
})

describe("get and getBatch", () => {
  onEachStorage("answer every block and every range of a feed with several roots", () =>
    Effect.gen(function* () {
      const blocks = someBlocks(23)
      const feed = yield* Feed.open()
      yield* feed.appendBatch(blocks.slice(0, 9))
      for (const block of blocks.slice(9)) yield* feed.append(block)
      for (const [i, block] of blocks.entries()) expect(yield* feed.get(i)).toEqual(block)
      for (let start = 0; start <= 23; start++) {
        for (let end = start; end <= 23; end++) {
          expect(yield* feed.getBatch(start, end)).toEqual(blocks.slice(start, end))
        }
      }
    })
  )

  onEachStorage("work across the 8192 blocks of a bitfield page", () =>
    Effect.gen(function* () {
      const feed = yield* openText()
      const texts = Array.from({ length: 8200 }, (_, i) => `${i}`)
      yield* feed.appendBatch(texts.slice(0, 8190))
      for (const text of texts.slice(8190)) yield* feed.append(text)
      yield* feed.close
      const again = yield* openText()
      expect(yield* again.getBatch(8180, 8200)).toEqual(texts.slice(8180))
      expect(yield* again.getBatch(0, 8200)).toEqual(texts)
      expect(yield* again.has(0, 8200)).toBe(true)
      expect(yield* again.downloaded(8191, 8193)).toBe(2)
      expect(yield* again.has(8191, 8201)).toBe(false)
    })
  )

  onEachStorage("give arrays of the caller's own: writing to one changes nothing", () =>
    Effect.gen(function* () {
      const feed = yield* Feed.open()
      yield* feed.appendBatch(["abc", "def"].map(bytes))
      ;(yield* feed.get(0)).fill(0)
      for (const block of yield* feed.getBatch(0, 2)) block.fill(0)
      expect(yield* feed.getBatch(0, 2)).toEqual(["abc", "def"].map(bytes))
    })
  )

  onEachStorage("what was appended is stored: changing the array afterwards changes nothing", () =>
    Effect.gen(function* () {
      const feed = yield* Feed.open()
      const block = bytes("abc")
      yield* feed.append(block)
      block.fill(0)
      expect(yield* feed.get(0)).toEqual(bytes("abc"))
    })
  )

  onEachStorage("head is the last block, and typed failures of an empty feed", () =>
    Effect.gen(function* () {
      const feed = yield* openText()
      const empty = { _tag: "BlockUnavailable", index: -1, reason: "out-of-range" }
      yield* expectFailure(feed.head(), empty)
      yield* expectFailure(feed.head({ wait: false }), empty)
      yield* feed.append("one")
      expect(yield* feed.head()).toBe("one")
      yield* feed.appendBatch(["two", "three"])
      expect(yield* feed.head()).toBe("three")
    })
  )

  onEachStorage("bytes that were lost from the storage are CorruptStorage, and an audit clears them", () =>
    Effect.gen(function* () {
      const blocks = ["aa", "bb", "cc", "dd"].map(bytes)
      yield* Effect.scoped(Effect.flatMap(Feed.open(yield* keyPair(1)), (feed) => feed.appendBatch(blocks)))
      yield* overwriteFile("data", new Uint8Array(2), 2)
      const feed = yield* Feed.open()
      yield* expectFailure(feed.get(1), { _tag: "CorruptStorage", file: "data" })
      yield* expectFailure(feed.getBatch(0, 4), { _tag: "CorruptStorage", file: "data" })
      expect(yield* feed.get(0)).toEqual(blocks[0])
      expect(yield* feed.audit()).toEqual({ valid: 3, invalid: 1 })
      yield* expectFailure(feed.get(1, { wait: false }), { _tag: "BlockUnavailable", reason: "not-held" })
    })
  )
})

describe("has and downloaded", () => {
  onEachStorage("tell what an empty feed, an author and a reader hold", () =>
    Effect.gen(function* () {
      const from = yield* source(someBlocks(10))
      const feed = yield* Feed.open({ key: from.key, sparse: true })
      expect([yield* feed.has(0), yield* feed.downloaded(), yield* feed.downloaded(5)]).toEqual([false, 0, 0])
      expect([yield* from.has(0, 10), yield* from.has(9), yield* from.has(10)]).toEqual([true, true, false])
      expect([yield* from.downloaded(), yield* from.downloaded(4), yield* from.downloaded(4, 6)]).toEqual([
        10, 6, 2
      ])
      const later = feed.downloaded()
      for (const index of [7, 2, 3]) yield* transfer(from, feed, index)
      expect([feed.length, yield* later]).toEqual([10, 3])
      const held = yield* Effect.forEach(
        Array.from({ length: 11 }, (_, i) => i),
        (i) => feed.has(i)
      )
      expect(held.flatMap((has, i) => (has ? [i] : []))).toEqual([2, 3, 7])
      expect([yield* feed.downloaded(), yield* feed.downloaded(3), yield* feed.downloaded(0, 3)]).toEqual([
        3, 2, 1
      ])
      expect([yield* feed.has(2, 4), yield* feed.has(2, 5), yield* feed.has(7, 8)]).toEqual([
        true,
        false,
        true
      ])
    })
  )
})

describe("seek", () => {
  onEachStorage("finds the block of every byte, and its place in it", () =>
    Effect.gen(function* () {
      const blocks = someBlocks(37)
      const feed = yield* Feed.open()
      yield* feed.appendBatch(blocks.slice(0, 20))
      for (const block of blocks.slice(20)) yield* feed.append(block)
      const expected = blocks.flatMap((block, index) => [...block].map((_, offset) => ({ index, offset })))
      expect(expected).toHaveLength(feed.byteLength)
      for (const [byte, at] of expected.entries()) expect(yield* feed.seek(byte)).toEqual(at)
    })
  )

  onEachStorage("to the end is the length, and 0, of the empty feed too", () =>
    Effect.gen(function* () {
      const feed = yield* openText()
      expect(yield* feed.seek(0)).toEqual({ index: 0, offset: 0 })
      yield* feed.appendBatch(["abc", ""])
      expect(yield* feed.seek(3)).toEqual({ index: 2, offset: 0 })
    })
  )

  onEachStorage("past the end, and in parts that a reader does not know, is unavailable", () =>
    Effect.gen(function* () {
      const from = yield* source(Array.from({ length: 8 }, (_, i) => bytes(`${i}${i}`)))
      const feed = yield* Feed.open({ key: from.key, sparse: true })
      yield* transfer(from, feed, 6)
      const unavailable = { _tag: "BlockUnavailable" }
      yield* expectFailure(feed.seek(17, { wait: false }), { ...unavailable, reason: "out-of-range" })
      yield* expectFailure(feed.seek(2, { wait: false }), { ...unavailable, reason: "not-held" })
      expect(yield* feed.seek(13, { wait: false })).toEqual({ index: 6, offset: 1 })
      yield* transfer(from, feed, 1)
      expect(yield* feed.seek(3, { wait: false })).toEqual({ index: 1, offset: 1 })
    })
  )

  onEachStorage("finds what lies to the left in parts that a reader knows little of", () =>
    Effect.gen(function* () {
      const from = yield* source([bytes("aa")])
      const feed = yield* Feed.open({ key: from.key, sparse: true })
      yield* transfer(from, feed, 0)
      yield* from.appendBatch(Array.from({ length: 15 }, () => bytes("bb")))
      // Proves the way to the last block, and nothing of the way to the first.
      yield* transfer(from, feed, 15)
      expect(yield* feed.seek(0, { wait: false })).toEqual({ index: 0, offset: 0 })
      expect(yield* feed.seek(1, { wait: false })).toEqual({ index: 0, offset: 1 })
      expect(yield* feed.seek(31, { wait: false })).toEqual({ index: 15, offset: 1 })
      const failure = { _tag: "BlockUnavailable", index: 1, reason: "not-held" }
      yield* expectFailure(feed.seek(2, { wait: false }), failure)
    })
  )

  onEachStorage("does not need the blocks themselves", () =>
    Effect.gen(function* () {
      const feed = yield* openText()
      yield* feed.appendBatch(["abc", "def", "ghi"])
      yield* feed.clear(0, 3)
      expect(yield* feed.seek(4)).toEqual({ index: 1, offset: 1 })
    })
  )
})

describe("clear", () => {
  onEachStorage("with `free: false` only forgets that blocks are held: their bytes stay", () =>
    Effect.gen(function* () {
      const feed = yield* Feed.open()
      yield* feed.appendBatch(["a", "b", "c"].map((text) => bytes(text.repeat(8192))))
      const { data } = yield* stored()
      yield* feed.clear(0, 3, { free: false })
      expect([yield* feed.downloaded(), (yield* stored()).data === data]).toEqual([0, true])
      yield* expectFailure(feed.get(1, { wait: false }), { _tag: "BlockUnavailable", reason: "not-held" })
      yield* feed.appendBatch(["d", "e"].map((text) => bytes(text.repeat(8192))))
      yield* feed.clear(3, 5, { free: true })
      expect(yield* stored()).toMatchObject({ data })
      yield* feed.close
      const again = yield* Feed.open()
      expect([again.length, yield* again.downloaded()]).toEqual([5, 0])
    })
  )

  onEachStorage("drops blocks: they are not held, reads fail, lengths and the rest stay", () =>
    Effect.gen(function* () {
      const blocks = someBlocks(12)
      const feed = yield* Feed.open()
      yield* feed.appendBatch(blocks)
      const { byteLength } = feed
      const { signature } = yield* feed.signature()
      yield* feed.clear(2, 5)
      yield* feed.clear(9)
      const check = (feed: Feed.Feed) =>
        Effect.gen(function* () {
          expect([feed.length, feed.byteLength, yield* feed.downloaded()]).toEqual([12, byteLength, 8])
          for (const [i, block] of blocks.entries()) {
            const cleared = i === 9 || (i >= 2 && i < 5)
            expect(yield* feed.has(i)).toBe(!cleared)
            if (!cleared) expect(yield* feed.get(i)).toEqual(block)
            else yield* expectFailure(feed.get(i, { wait: false }), { _tag: "BlockUnavailable", index: i })
          }
          yield* expectFailure(feed.getBatch(0, 12, { wait: false }), { _tag: "BlockUnavailable", index: 2 })
          yield* feed.verify(11, signature)
          expect(yield* feed.audit()).toEqual({ valid: 8, invalid: 0 })
        })
      yield* check(feed)
      yield* feed.close
      const again = yield* Feed.open()
      yield* check(again)
      yield* again.close
    })
  )

  onEachStorage("gives the bytes back: they read as zeros, or the file ends before them", () =>
    Effect.gen(function* () {
      const feed = yield* Feed.open()
      const blocks = Array.from({ length: 8 }, (_, i) => new Uint8Array(64 * 1024).fill(i + 1))
      yield* feed.appendBatch(blocks)
      yield* feed.clear(2, 4)
      const middle = Buffer.from((yield* stored()).data, "hex")
      expect(middle).toHaveLength(8 * 64 * 1024)
      expect(middle.subarray(2 * 64 * 1024, 4 * 64 * 1024).every((byte) => byte === 0)).toBe(true)
      yield* feed.clear(6, 8)
      expect((yield* stored()).data).toHaveLength(2 * 6 * 64 * 1024)
      expect(yield* feed.getBatch(4, 6)).toEqual(blocks.slice(4, 6))
    })
  )

  onEachStorage("of everything, and again, and of what is not there, is fine; appending goes on", () =>
    Effect.gen(function* () {
      const feed = yield* openText()
      yield* feed.clear(0, 10)
      yield* feed.appendBatch(["a", "b", "c"])
      yield* feed.clear(0, 1000)
      yield* feed.clear(0, 1000)
      yield* feed.clear(500)
      expect(yield* feed.downloaded()).toBe(0)
      expect(yield* feed.append("d")).toBe(3)
      yield* feed.close
      const again = yield* openText()
      expect([again.length, again.byteLength]).toEqual([4, 4])
      expect(yield* again.get(3)).toBe("d")
      expect(yield* again.append("e")).toBe(4)
      expect(yield* again.audit()).toEqual({ valid: 2, invalid: 0 })
    })
  )

  onEachStorage("in a reader drops its own block only; it can be put again", () =>
    Effect.gen(function* () {
      const blocks = someBlocks(16)
      const from = yield* source(blocks)
      const feed = yield* Feed.open({ key: from.key, sparse: true })
      for (const index of [4, 5, 6, 12]) yield* transfer(from, feed, index)
      yield* feed.clear(5, 12)
      expect(yield* Effect.forEach([4, 5, 6, 12], (i) => feed.has(i))).toEqual([true, false, false, true])
      expect(yield* feed.get(4)).toEqual(blocks[4])
      expect(yield* feed.get(12)).toEqual(blocks[12])
      yield* feed.clear(0, 4)
      yield* feed.clear(7, 12)
      expect(yield* feed.downloaded()).toBe(2)
      yield* transfer(from, feed, 5)
      expect(yield* feed.get(5)).toEqual(blocks[5])
      expect(yield* feed.get(4)).toEqual(blocks[4])
      expect(yield* feed.audit()).toEqual({ valid: 3, invalid: 0 })
    })
  )
})

describe("sizes in the tree that no block has", () => {
  for (const high of [2, 2 ** 20, 2 ** 21 - 1]) {
    onEachStorage(`${high} * 2^32 and 1: are CorruptStorage, and nothing is read for them`, () =>
      Effect.gen(function* () {
        const author = yield* openText()
        yield* author.appendBatch(["a", "b", "c"])
        yield* author.close
        const word = Uint8Array.from([0, high >> 16, (high >> 8) & 255, high & 255])
        yield* overwriteFile("tree", word, 32 + 32)
        const lengths: Array<number> = []
        const noting: Instrument = ({ operation, file, length }) => {
          if (operation === "read" && file === "data") lengths.push(length)
          return undefined
        }
        const feed = yield* withInstrument(noting)(openText())
        const corrupt = { _tag: "CorruptStorage", file: "data" }
        yield* expectFailure(feed.get(0), corrupt)
        yield* expectFailure(feed.get(1), corrupt)
        yield* expectFailure(feed.getBatch(0, 2), corrupt)
        expect(yield* feed.get(2)).toBe("c")
        expect(Math.max(...lengths)).toBeLessThan(10)
        expect(yield* feed.audit()).toEqual({ valid: 1, invalid: 2 })
      })
    )
  }
})

describe("audit", () => {
  onEachStorage("counts held blocks, and clears each that was damaged", () =>
    Effect.gen(function* () {
      const texts = Array.from({ length: 30 }, (_, i) => `block ${i}`.padEnd(10))
      yield* Effect.scoped(Effect.flatMap(openText(), (feed) => feed.appendBatch(texts)))
      yield* overwriteFile("data", bytes("X"), 73)
      yield* overwriteFile("data", bytes("X"), 299)
      const feed = yield* openText()
      expect(yield* feed.audit()).toEqual({ valid: 28, invalid: 2 })
      expect(yield* feed.audit()).toEqual({ valid: 28, invalid: 0 })
      expect([yield* feed.has(7), yield* feed.has(29), yield* feed.has(8)]).toEqual([false, false, true])
      yield* feed.close
      const again = yield* openText()
      expect([yield* again.has(7), yield* again.has(29), yield* again.downloaded()]).toEqual([
        false,
        false,
        28
      ])
    })
  )

  onEachStorage("also clears the blocks of leaves that were damaged", () =>
    Effect.gen(function* () {
      yield* Effect.scoped(Effect.flatMap(openText(), (feed) => feed.appendBatch(["a", "b", "c", "d", "e"])))
      yield* overwriteFile("tree", bytes("?"), 32 + 40 * 2)
      const feed = yield* openText()
      expect(yield* feed.audit()).toEqual({ valid: 4, invalid: 1 })
      expect(yield* feed.has(1)).toBe(false)
      expect(yield* feed.get(2)).toBe("c")
    })
  )

  onEachStorage("of an empty feed and of one without blocks counts none", () =>
    Effect.gen(function* () {
      const feed = yield* openText()
      expect(yield* feed.audit()).toEqual({ valid: 0, invalid: 0 })
      yield* feed.append("a")
      yield* feed.clear(0)
      expect(yield* feed.audit()).toEqual({ valid: 0, invalid: 0 })
    })
  )

  onEachStorage("tells its progress up to the end", () =>
    Effect.gen(function* () {
      const feed = yield* Feed.open()
      yield* feed.appendBatch(Array.from({ length: 9000 }, () => bytes("x")))
      yield* feed.clear(100)
      const seen: Array<number> = []
      const report = yield* feed.audit({
        onProgress: ({ checked, length, valid, invalid }) =>
          Effect.sync(() => {
            expect(length).toBe(9000)
            expect(valid + invalid).toBeLessThanOrEqual(checked)
            seen.push(checked)
          })
      })
      expect(report).toEqual({ valid: 8999, invalid: 0 })
      expect(seen.length).toBeGreaterThan(2)
      expect(seen).toEqual([...new Set(seen)].sort((a, b) => a - b))
      expect(seen.at(-1)).toBe(9000)
    })
  )

  onEachStorage("lets appends happen meanwhile, and does not run after them", () =>
    Effect.gen(function* () {
      const feed = yield* openText()
      yield* feed.appendBatch(Array.from({ length: 9000 }, () => "x"))
      let appended = 0
      const append = Effect.suspend(() => {
        // A bound, or an audit that runs after the appends would never end.
        if (appended >= 50) return Effect.void
        appended++
        return Effect.orDie(feed.append("y"))
      })
      const report = yield* feed.audit({ onProgress: () => append })
      expect(appended).toBeGreaterThan(2)
      expect(appended).toBeLessThan(50)
      expect(report).toEqual({ valid: 9000, invalid: 0 })
      expect(feed.length).toBe(9000 + appended)
    })
  )
})

describe("keys", () => {
  onEachStorage("two feeds with one key pair and the same operations have the same files", () =>
    Effect.gen(function* () {
      const keys = yield* keyPair(9)
      for (const path of ["a", "b"]) {
        const feed = yield* Feed.open({ ...keys, path })
        yield* feed.appendBatch(someBlocks(9))
        yield* feed.append(bytes("last"))
        expect(toHex(feed.key)).toBe(toHex(keys.publicKey))
        yield* feed.close
      }
      expect(yield* stored("b")).toEqual(yield* stored("a"))
    })
  )

  onEachStorage("the caller's arrays are the caller's: what is done to them afterwards does no harm", () =>
    Effect.gen(function* () {
      const keys = yield* keyPair(1)
      const given = { key: Buffer.from(keys.publicKey), secretKey: Buffer.from(keys.secretKey) }
      const feed = yield* Feed.open(given)
      given.key.fill(0)
      given.secretKey.fill(0)
      feed.key.fill(0)
      yield* feed.append(bytes("a"))
      const { index, signature } = yield* feed.signature()
      yield* feed.verify(index, signature)
      yield* feed.close
      const again = yield* Feed.open({ key: keys.publicKey })
      expect(yield* again.get(0)).toEqual(bytes("a"))
    })
  )
})
