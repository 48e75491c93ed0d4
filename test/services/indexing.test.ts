/** indexing: a feed over bytes that are in `data` already. */
import { describe, expect } from "@effect/vitest"
import { Effect } from "effect"
import { Feed, toHex } from "../../src/index.js"
import {
  bytes,
  expectFailure,
  keyPair,
  onEachStorage,
  overwriteFile,
  someBlocks,
  stored,
  transfer
} from "./harness.js"
import { withInstrument } from "./InstrumentedStorage.js"

const blocks = someBlocks(20)
const content = new Uint8Array(Buffer.concat(blocks))

/** The bytes of the blocks, written by somebody before there is a feed. */
const fill = overwriteFile("data", content)

const open = (options: Feed.OpenOptions = {}) => Feed.open({ indexing: true, ...options })

describe("a feed that indexes", () => {
  onEachStorage("stores all but the bytes of the blocks, as one that stores them would", () =>
    Effect.gen(function* () {
      const { secretKey } = yield* keyPair(1)
      yield* fill
      const feed = yield* open({ secretKey })
      yield* feed.appendBatch(blocks.slice(0, 3))
      for (const block of blocks.slice(3)) yield* feed.append(block)
      expect([feed.length, feed.byteLength]).toEqual([20, content.length])
      const other = yield* Feed.open({ path: "other", secretKey })
      yield* other.appendBatch(blocks.slice(0, 3))
      for (const block of blocks.slice(3)) yield* other.append(block)
      expect(yield* stored()).toEqual(yield* stored("other"))
      expect(yield* feed.getBatch(0, 20)).toEqual(blocks)
      expect(yield* feed.audit()).toEqual({ valid: 20, invalid: 0 })
      yield* feed.close
      const again = yield* open()
      expect([again.length, again.writable, yield* again.get(7)]).toEqual([20, true, blocks[7]])
    })
  )

  onEachStorage("writes nothing to `data`, whatever is done", () =>
    Effect.gen(function* () {
      yield* fill
      const touched: Array<string> = []
      const feed = yield* withInstrument(({ file, operation }) => {
        if (file === "data" && operation !== "read") touched.push(operation)
        return undefined
      })(open())
      yield* feed.appendBatch(blocks)
      yield* feed.clear(2, 9)
      yield* feed.clear(0, 20)
      expect([touched, yield* feed.downloaded()]).toEqual([[], 0])
      expect((yield* stored()).data).toBe(toHex(content))
      yield* feed.close
      const anew = yield* open({ overwrite: true })
      expect([anew.length, (yield* stored()).data]).toEqual([0, toHex(content)])
    })
  )

  onEachStorage("is made over bytes that are there, which another is not", () =>
    Effect.gen(function* () {
      yield* fill
      yield* expectFailure(Feed.open(), { _tag: "CorruptStorage", file: "data" })
      expect((yield* open()).length).toBe(0)
    })
  )

  onEachStorage("that says what is not so is told by its audit", () =>
    Effect.gen(function* () {
      yield* fill
      const feed = yield* open()
      yield* feed.appendBatch(blocks.slice(0, 2))
      yield* feed.append(bytes("something else"))
      expect(yield* feed.audit()).toEqual({ valid: 2, invalid: 1 })
    })
  )

  onEachStorage("gives its blocks to others", () =>
    Effect.gen(function* () {
      yield* fill
      const feed = yield* open()
      yield* feed.appendBatch(blocks)
      const reader = yield* Feed.open({ path: "reader", key: feed.key, sparse: true })
      for (const index of [4, 17]) yield* transfer(feed, reader, index)
      expect(yield* reader.get(17)).toEqual(blocks[17])
    })
  )

  onEachStorage("stores the bytes of what comes from elsewhere", () =>
    Effect.gen(function* () {
      const from = yield* Feed.open({ path: "from" })
      yield* from.appendBatch(blocks)
      const reader = yield* open({ path: "reader", key: from.key, sparse: true })
      yield* transfer(from, reader, 0)
      expect(yield* reader.get(0)).toEqual(blocks[0])
    })
  )
})
