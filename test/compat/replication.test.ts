/** `replicate()` of the façade with the real peers', in one process: streams piped into each other, shared, and each other's. */
import type { Duplex } from "node:stream"
import { describe, expect, it } from "vitest"
import { type Protocol, protocol } from "../../src/compat/protocol.js"
import type { ReplicateOptions } from "../../src/compat/options.js"
import { protocol as realProtocol } from "../reference/peerWire.js"
import { called, ends, join, type Maker, once, pair, values } from "./peers.js"

const COMBINATIONS: ReadonlyArray<readonly [Maker, Maker]> = [
  ["ours", "ours"],
  ["ours", "7.7.1"],
  ["7.7.1", "ours"],
  ["ours", "6.25.2"],
  ["6.25.2", "ours"]
]

const someBlocks = (count: number): ReadonlyArray<Buffer> =>
  Array.from({ length: count }, (_, i) => Buffer.alloc((i * 37) % 300, i))

describe.each(COMBINATIONS)("%s to %s", (from, to) => {
  for (const encrypt of [true, false]) {
    it(`copies the whole feed and ends, encrypt: ${encrypt}`, async () => {
      const blocks = someBlocks(300)
      const [author, reader] = await pair(from, to, blocks)
      const [a, b] = [author.replicate({ encrypt }), reader.replicate({ encrypt })]
      const over = ends(a, b)
      join(a, b)
      await over
      expect(await values(reader)).toEqual(blocks)
      // 6.25.2 counts nothing.
      if (to !== "6.25.2") {
        expect(reader.stats!.totals).toMatchObject({ downloadedBlocks: 300, uploadedBlocks: 0 })
      }
      if (from !== "6.25.2") {
        expect(author.stats!.totals).toMatchObject({ downloadedBlocks: 0, uploadedBlocks: 300 })
      }
    })
  }

  it("gives Buffers of large blocks that are the listener's", async () => {
    const blocks = Array.from({ length: 120 }, (_, i) => Buffer.alloc(4000 + ((i * 997) % 9000), i + 1))
    const [author, reader] = await pair(from, to, blocks)
    const heard: Record<"download" | "upload", Array<[index: number, data: Buffer]>> = {
      download: [],
      upload: []
    }
    reader.on("download", (index: number, data: Buffer) => heard.download.push([index, data]))
    author.on("upload", (index: number, data: Buffer) => heard.upload.push([index, data]))
    const [a, b] = [author.replicate(), reader.replicate()]
    const over = ends(a, b)
    join(a, b)
    await over
    const isKept = ([index, data]: readonly [number, Buffer]) => Buffer.compare(data, blocks[index]!) === 0
    expect(heard.download).toHaveLength(blocks.length)
    expect(heard.download.filter((one) => !isKept(one))).toEqual([])
    // The real peers encrypt what they have told of where it is.
    if (from !== "ours") return
    expect(heard.upload).toHaveLength(blocks.length)
    expect(heard.upload.filter((one) => !isKept(one))).toEqual([])
  })

  it("follows a live feed, and tells of each block and peer", async () => {
    const [author, reader] = await pair(from, to, ["a"])
    const [a, b] = [author.replicate({ live: true }), reader.replicate({ live: true })]
    const downloads: Array<unknown> = []
    reader.on("download", (index: number, data, peer) => {
      downloads[index] = [index, String(data), peer === reader.peers[0]]
    })
    join(a, b)
    await called((callback) => reader.get(0, callback))
    await called((callback) => author.append(["b", "c"], callback))
    expect(await called((callback) => reader.get(2, callback))).toEqual(Buffer.from("c"))
    await called((callback) => reader.get(1, callback))
    expect(downloads).toEqual([
      [0, "a", true],
      [1, "b", true],
      [2, "c", true]
    ])
    expect(author.peers).toHaveLength(1)
    const gone = once(author, "peer-remove")
    a.destroy()
    b.destroy()
    await gone
    expect(author.peers).toHaveLength(0)
  })

  it("fetches single blocks of a sparse feed, seeks and updates", async () => {
    const [author, reader] = await pair(from, to, someBlocks(40), { sparse: true })
    const [a, b] = [author.replicate({ live: true }), reader.replicate({ live: true })]
    join(a, b)
    expect(await called((callback) => reader.get(33, callback))).toEqual(someBlocks(40)[33])
    expect(reader.downloaded()).toBe(1)
    const place = await new Promise((resolve, reject) => {
      reader.seek(1000, (error, index, offset) => (error ? reject(error) : resolve([index, offset])))
    })
    expect(place).toEqual(
      await new Promise((resolve) => author.seek(1000, (_, index, offset) => resolve([index, offset])))
    )
    await called((callback) => author.append("more", callback))
    await called((callback) => reader.update(41, callback))
    expect(reader.length).toBe(41)
    await called((callback) => void reader.download({ start: 3, end: 7 }, callback))
    expect(reader.has(3, 7)).toBe(true)
    a.destroy()
    b.destroy()
  })
})

describe("a feed that is closed while it replicates", () => {
  it("ends its part of the stream, without an error", async () => {
    const [author, reader] = await pair("ours", "ours", ["a"])
    const [a, b] = [author.replicate({ live: true }), reader.replicate({ live: true })]
    const errors: Array<unknown> = []
    for (const stream of [a, b]) stream.on("error", (error) => errors.push(error))
    const over = Promise.all([ends(a), once(author, "peer-remove")])
    join(a, b)
    await called((callback) => reader.get(0, callback))
    await called((callback) => reader.close(callback))
    await over
    expect(errors).toEqual([])
    expect(author.peers).toHaveLength(0)
    expect(await called((callback) => author.append("b", callback))).toBe(1)
  })
})

describe.each<Maker>(["7.7.1", "ours"])("%s on the stream that the other side opened", (to) => {
  it("fetches all though nobody has read from the real stream yet", async () => {
    const [author, reader] = await pair("ours", to, ["a", "b"])
    const [a, b] = [author.replicate({ live: true }), realProtocol({ live: true })]
    b.once("feed", () => reader.replicate({ stream: b, live: true } as unknown as ReplicateOptions))
    const synced = once(reader, "sync")
    join(a, b)
    await synced
    expect((await values(reader)).map(String)).toEqual(["a", "b"])
    a.destroy()
    b.destroy()
  })
})

describe.each<Maker>(["7.7.1", "ours"])("%s", (from) => {
  it("has told its peers of a block when the append calls back", async () => {
    const [author, reader] = await pair(from, "7.7.1", ["a"])
    const [a, b] = [author.replicate({ live: true }), reader.replicate({ live: true })]
    join(a, b)
    await called((callback) => reader.get(0, callback))
    for (const length of [2, 3, 4]) {
      expect(await new Promise((resolve) => author.append("more", () => resolve(reader.remoteLength)))).toBe(
        length
      )
    }
    a.destroy()
    b.destroy()
  })

  it("ends the feed at once when the other side says its last word", async () => {
    const [, reader] = await pair("7.7.1", from, ["a"])
    const a = reader.replicate({ encrypt: false })
    const b = realProtocol({ encrypt: false }) as unknown as Protocol
    const channel = b.feed(reader.key!)!
    // It has nothing: the reader is done.
    channel.on("want", ({ length, start }) => channel.have({ start, length, bitfield: Buffer.alloc(0) }))
    const done = once(channel, "info")
    join(a, b)
    await done
    await new Promise((resolve) => setImmediate(resolve))
    expect(a.feeds).toHaveLength(1)
    channel.info({ downloading: false, uploading: false })
    expect(a.feeds).toHaveLength(0)
  })
})

/** Feeds on one stream of each kind, at each end. */
const streams: ReadonlyArray<readonly [string, (options: object) => Duplex]> = [
  ["our protocol", (options) => protocol(options)],
  ["the real protocol", (options) => realProtocol(options)]
]

describe.each(streams)("a stream of %s, which others opened", (_, open) => {
  it.each(streams)("carries several feeds to one of %s", async (__, openOther) => {
    const [one, two] = await Promise.all([pair("ours", "ours", ["a", "b"]), pair("ours", "ours", ["c"])])
    const [a, b] = [open({ expectedFeeds: 2 }), openOther({ expectedFeeds: 2 })]
    const over = ends(a, b)
    for (const [author, reader] of [one, two]) {
      const back = author.replicate({ stream: a } as unknown as ReplicateOptions)
      expect(back).toBe(a)
      reader.replicate({ stream: b } as unknown as ReplicateOptions)
    }
    join(a, b)
    await over
    expect((await values(one[1])).map(String)).toEqual(["a", "b"])
    expect((await values(two[1])).map(String)).toEqual(["c"])
  })
})
