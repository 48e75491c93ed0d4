/** What ours adds: messages joined to chunks, back-pressure both ways, order that is promised. */
import { describe, expect, it, vi } from "@effect/vitest"
import fc from "fast-check"
import { PassThrough, pipeline } from "node:stream"
import type { Protocol, ProtocolOptions, ProtocolPeer } from "../../src/compat/protocol.js"
import { have, opening } from "./frames.js"
import { bytesFrom, deliver, endOf, keyOf, make, write } from "./streams.js"

const pair = (options: ProtocolOptions = {}) => {
  const left = make("ours", options)
  const right = make("ours", options)
  return { left, right, ours: left.feed(keyOf(0))!, theirs: right.feed(keyOf(0))! }
}

const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** The sizes of the chunks that a stream gives. */
const chunksOf = (stream: Protocol): ReadonlyArray<number> => {
  const sizes: Array<number> = []
  stream.on("data", (chunk: Buffer) => sizes.push(chunk.length))
  return sizes
}

/** A promise, and what keeps or breaks it. */
const promised = () => {
  let keep!: () => void
  let fail!: (error: Error) => void
  const promise = new Promise<void>((resolve, reject) => {
    keep = resolve
    fail = reject
  })
  return { promise, keep, fail }
}

describe("what is sent", () => {
  it("in a tick is one chunk", async () => {
    const { left, ours } = pair()
    const sizes = chunksOf(left)
    for (let start = 0; start < 1000; start++) ours.have({ start })
    expect(sizes).toEqual([])
    await tick()
    expect(sizes).toHaveLength(1)
    ours.have({ start: 0 })
    await Promise.resolve()
    ours.have({ start: 1 })
    await tick()
    expect(sizes).toHaveLength(2)
  })

  it("is pushed when 64 KB wait, in chunks of at most that", async () => {
    const { left, ours } = pair()
    const sizes = chunksOf(left)
    await tick()
    const value = Buffer.alloc(5000)
    for (let index = 0; index < 100; index++) ours.data({ index, value })
    expect(left.readableLength).toBe(0)
    expect(sizes.length).toBeGreaterThan(5)
    await tick()
    expect(sizes.length).toBeLessThan(20)
    expect(Math.max(...sizes)).toBeLessThanOrEqual(65_536)
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeGreaterThan(500_000)
  })

  it("belongs to who sent it, and does not change", async () => {
    const sizes = fc.array(fc.integer({ min: 0, max: 12_000 }), { minLength: 1, maxLength: 6 })
    await fc.assert(
      fc.asyncProperty(sizes, fc.boolean(), async (lengths, encrypt) => {
        const { left, ours, right, theirs } = pair({ encrypt, extensions: ["e"] })
        await deliver(left, right)
        await deliver(right, left)
        const heard: Array<Buffer | null> = []
        theirs.on("data", ({ value }) => heard.push(value))
        theirs.on("extension", (_, message) => heard.push(message))
        theirs.on("have", ({ bitfield }) => heard.push(bitfield))
        const values = lengths.map((length) => Buffer.alloc(length, 7))
        for (const [index, value] of values.entries()) {
          ours.data({ index, value })
          ours.extension("e", value)
          ours.have({ start: 0, bitfield: value })
        }
        await deliver(left, right)
        const said = lengths.map((length) => Buffer.alloc(length, 7))
        expect(values.map((value, i) => value.equals(said[i]!))).not.toContain(false)
        expect(heard).toHaveLength(3 * said.length)
        expect(heard.map((value, i) => value!.equals(said[Math.floor(i / 3)]!))).not.toContain(false)
      })
    )
  })

  it("gives false above the high water mark, and whenDrained a promise", async () => {
    const { left, ours } = pair()
    const value = Buffer.alloc(30_000)
    expect([ours.data({ index: 0, value }), ours.data({ index: 1, value })]).toEqual([true, true])
    expect(left.whenDrained()).toBeUndefined()
    expect(ours.data({ index: 2, value })).toBe(false)
    let drained = false
    const waiting = left.whenDrained()!.then(() => (drained = true))
    await tick()
    expect(drained).toBe(false)
    bytesFrom(left)
    await waiting
    expect(ours.have({ start: 0 })).toBe(true)
  })

  it("by whom waits for room is over with the stream", async () => {
    for (const end of ["destroy", "finalize"] as const) {
      const { left, ours } = pair()
      ours.data({ index: 0, value: Buffer.alloc(100_000) })
      const waiting = left.whenDrained()
      expect(waiting).toBeInstanceOf(Promise)
      left[end]()
      await waiting
      expect(left.whenDrained()).toBeUndefined()
    }
  })

  it("while a listener ends the stream in the midst of a chunk comes whole, and in order", async () => {
    for (const end of ["destroy", "finalize"] as const) {
      const { left, ours, right, theirs } = pair()
      const heard: Array<number> = []
      theirs.on("data", ({ index }) => heard.push(index))
      const chunks: Array<Buffer> = []
      left.once("data", () => {
        ours.have({ start: 1 })
        left[end]()
      })
      left.on("data", (chunk: Buffer) => chunks.push(chunk))
      for (let index = 0; index < 5; index++) ours.data({ index, value: Buffer.alloc(70_000) })
      await tick()
      for (const chunk of chunks) await write(right, chunk)
      expect(heard).toEqual([0, 1, 2, 3, 4])
    }
  })

  it("that no frame can carry destroys the stream", () => {
    const { left, ours } = pair()
    const end = endOf(left)
    expect(ours.data({ index: 0, value: Buffer.alloc(8 * 1024 * 1024) })).toBe(false)
    expect(end.events).toEqual(["error", "close"])
    expect(end.error).toMatchObject({ cause: { _tag: "ProtocolError", reason: "too-large" } })
  })

  it.each([
    [{ index: -1 }, "index must be an integer from 0 to 2^53 - 1, not -1"],
    [{ index: 1.5 }, "index must be"],
    [{ index: 2 ** 53 }, "index must be"],
    [{ index: 0, value: 5 }, "value must be a Buffer or a string"],
    [{ index: 0, nodes: [{ index: 0, size: 0, hash: Buffer.alloc(31) }] }, "hash must have 32 bytes"]
  ])("throws what cannot be sent: %j", (message, words) => {
    const { left, ours } = pair()
    bytesFrom(left)
    expect(() => ours.data(message as never)).toThrow(words)
    expect([left.destroyed, bytesFrom(left).length]).toEqual([false, 0])
  })
})

describe("a peer that is not ready", () => {
  const waiting = async (options: ProtocolOptions = {}) => {
    const stream = make("ours", { encrypt: false, ...options })
    const asked: Array<ReturnType<typeof promised>> = []
    const heard: Array<number> = []
    const peer: ProtocolPeer = {
      onhave: ({ start }) => void heard.push(start),
      whenReady: () => {
        asked.push(promised())
        return asked.at(-1)!.promise
      }
    }
    stream.feed(keyOf(0), { peer })
    stream.feed(keyOf(1), { peer: { whenReady: () => promised().promise } })
    await write(stream, Buffer.concat([opening(0, 0), opening(1, 1)]))
    let taken = 0
    const taking = [1, 2].map((start) => write(stream, have(0, start)).then(() => taken++))
    await tick()
    return { stream, asked, heard, taking, taken: () => taken }
  }

  it("holds the next chunk up until it is", async () => {
    const { asked, heard, stream, taken, taking } = await waiting()
    expect([asked.length, heard, taken()]).toEqual([1, [1], 0])
    asked[0]!.keep()
    await taking[0]
    await tick()
    expect([asked.length, heard, taken()]).toEqual([2, [1, 2], 1])
    asked[1]!.keep()
    await taking[1]
    expect(stream.destroyed).toBe(false)
  })

  it("and never will be ends the stream", async () => {
    const { asked, stream, taking } = await waiting()
    const end = endOf(stream)
    asked[0]!.fail(new Error("full"))
    await Promise.all(taking)
    expect([end.events, end.error?.message]).toEqual([["error", "close"], "full"])
  })

  it("holds nobody up after the end", async () => {
    for (const end of ["destroy", "finalize"] as const) {
      const { asked, heard, stream, taking } = await waiting()
      stream[end]()
      await Promise.all(taking)
      asked[0]!.keep()
      await tick()
      expect(heard).toEqual([1])
    }
  })

  it("is waited for after early messages too", async () => {
    const stream = make("ours", { encrypt: false })
    const { keep, promise } = promised()
    await write(stream, Buffer.concat([opening(0, 0), have(0, 1)]))
    const heard: Array<number> = []
    stream.feed(keyOf(0), {
      peer: { onhave: ({ start }) => void heard.push(start), whenReady: () => promise }
    })
    let taken = false
    const taking = write(stream, have(0, 2)).then(() => (taken = true))
    await tick()
    expect([heard, taken]).toEqual([[1], false])
    keep()
    await taking
    expect(heard).toEqual([1, 2])
  })

  it("is not the other side's silence", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] })
    try {
      const { asked, stream, taking } = await waiting({ timeout: 400 })
      const end = endOf(stream)
      vi.advanceTimersByTime(2000)
      expect(stream.destroyed).toBe(false)
      asked[0]!.keep()
      await taking[0]
      asked[1]!.keep()
      await taking[1]
      vi.advanceTimersByTime(500)
      expect(stream.destroyed).toBe(false)
      vi.advanceTimersByTime(100)
      expect(end.error?.message).toBe("Remote timed out")
    } finally {
      vi.useRealTimers()
    }
  })
})

it("says that its answers come in order only when it is told to", async () => {
  for (const [ordered, expected] of [
    [true, true],
    [undefined, false]
  ] as const) {
    const left = make("ours", ordered === undefined ? {} : { ordered })
    const right = make("ours")
    left.feed(keyOf(0))
    right.feed(keyOf(0))
    expect(right.remoteOrdered).toBe(false)
    await deliver(left, right)
    await deliver(right, left)
    expect([right.remoteOrdered, left.remoteOrdered]).toEqual([expected, false])
  }
})

it("goes through Node's pipeline both ways, with everything, to its end", async () => {
  const { left, ours, right, theirs } = pair({ expectedFeeds: 1 })
  const heard: Array<number> = []
  theirs.on("data", ({ index, value }) => {
    heard.push(index)
    expect(value).toHaveLength(50_000)
    if (index === 99) theirs.close()
  })
  const ended = new Promise<NodeJS.ErrnoException | null | undefined>((resolve) =>
    pipeline(left, new PassThrough(), right, new PassThrough(), left, resolve)
  )
  const value = Buffer.alloc(50_000)
  for (let index = 0; index < 100; index++) {
    if (!ours.data({ index, value })) await left.whenDrained()
  }
  expect((await ended) ?? undefined).toBeUndefined()
  expect(heard).toEqual(Array.from({ length: 100 }, (_, index) => index))
})
