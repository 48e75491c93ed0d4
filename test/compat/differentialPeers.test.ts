/** The façade against the peer, 7.7.1: two feeds that replicate, both of one kind. What order the network decides is not compared. */
import type { Duplex } from "node:stream"
import type { HypercoreOptions, ReplicateOptions } from "../../src/compat/options.js"
import type { LegacyPeer } from "../../src/compat/replication/LegacyPeer.js"
import { type AnyFeed, called, ends, join, once, ram, ready } from "./peers.js"
import { author, compare, key, type Make, outcome, told } from "./scenario.js"

const append = (feed: AnyFeed, values: unknown): Promise<unknown> =>
  called((done) => feed.append(values as never, done))

const reader = (make: Make, options: HypercoreOptions = {}): AnyFeed =>
  make(ram, key, { valueEncoding: "utf-8", ...options })

/** Joined and live, until the function that it gives is called. */
const joined = (
  one: AnyFeed,
  other: AnyFeed,
  a: ReplicateOptions = {},
  b: ReplicateOptions = {}
): readonly [Duplex, Duplex] => {
  const streams = [one.replicate({ live: true, ...a }), other.replicate({ live: true, ...b })] as const
  join(...streams)
  return streams
}

/** Ends both, and waits until neither has a peer. */
const parted = async (streams: ReadonlyArray<Duplex>, ...feeds: ReadonlyArray<AnyFeed>): Promise<void> => {
  const gone = feeds.filter(({ peers }) => peers.length > 0).map((feed) => once(feed, "peer-remove"))
  for (const stream of streams) stream.destroy()
  await Promise.all(gone)
}

/** Joined, with a peer at each side. */
const met = async (one: AnyFeed, other: AnyFeed, a: ReplicateOptions = {}, b: ReplicateOptions = {}) => {
  const peers = [once(one, "peer-add"), once(other, "peer-add")]
  const streams = joined(one, other, a, b)
  await Promise.all(peers)
  return streams
}

compare("replicating as 7.7.1 does", {
  "peers come, have news, and go": async (make, log) => {
    const [a, b] = [author(make, { id: Buffer.alloc(32, 1) }), reader(make, { id: Buffer.alloc(32, 2) })]
    await append(a, ["a", "b", "c"])
    await ready(b)
    // Which side hears of the other first is chance.
    const seen: Record<"author" | "reader", Array<unknown>> = { author: [], reader: [] }
    for (const [name, feed] of [
      ["author", a],
      ["reader", b]
    ] as const) {
      for (const event of ["peer-add", "peer-remove"]) {
        feed.on(event, (peer: LegacyPeer) =>
          seen[name].push([event, feed.peers.length, peer.feed === feed, peer.remoteId, peer.live])
        )
      }
      feed.on("replicating", (stream: Duplex) => log(name, "replicating", typeof stream.pipe))
    }
    a.on("remote-update", () => seen.author.push("remote-update"))
    const news = once(b, "remote-update")
    const streams = joined(a, b)
    const peer = (await news) as LegacyPeer
    log(peer === b.peers[0], peer.remoteLength, b.remoteLength, b.peers.length)
    log(await outcome((done) => b.download({ start: 0, end: 3 }, done)))
    const more = once(b, "remote-update")
    await append(a, "d")
    await more
    log(b.remoteLength, peer.remoteLength)
    log(await outcome((done) => b.get(3, done)))
    await parted(streams, a, b)
    log(seen, a.peers, b.peers, b.remoteLength)
  },

  "the handshake, on the stream": async (make, log) => {
    const [a, b] = [author(make, { id: Buffer.alloc(32, 1) }), reader(make, { id: Buffer.alloc(32, 2) })]
    await Promise.all([append(a, "a"), ready(b)])
    const streams = [
      a.replicate({ live: true, userData: Buffer.from("hello") } as never),
      b.replicate({ live: true, ack: true })
    ]
    const shaken = streams.map((stream) => once(stream, "handshake"))
    log(
      streams.map((stream) => [
        stream.id,
        stream.remoteId,
        stream.key,
        stream.discoveryKey,
        stream.destroyed,
        stream.feeds.length
      ])
    )
    join(streams[0]!, streams[1]!)
    await Promise.all(shaken)
    log(
      streams.map((stream) => [stream.remoteId, stream.remoteLive, stream.remoteAck, stream.remoteUserData])
    )
    log(
      streams
        .map((stream) => (stream.feeds[0]!.peer as unknown as LegacyPeer).feed)
        .map((feed, i) => feed === [a, b][i])
    )
    log(streams.map((stream) => [stream.feeds[0]!.key, stream.feeds[0]!.discoveryKey]))
    await parted(streams, a, b)
    log(streams.map((stream) => stream.destroyed))
  },

  "a feed that the stream tells of": async (make, log) => {
    const [a, b] = [author(make), reader(make)]
    await Promise.all([append(a, "a"), ready(b)])
    const streams = [a.replicate({ live: true }), b.replicate({ live: true })]
    const told = streams.map((stream) => once(stream, "feed"))
    join(streams[0]!, streams[1]!)
    log(await Promise.all(told))
    await parted(streams, a, b)
  },

  "what is downloaded and uploaded": async (make, log) => {
    const [a, b] = [author(make), reader(make)]
    await append(a, ["a", "bc", "def"])
    await ready(b)
    const lines: Array<string> = []
    b.on("download", (index, data, peer) =>
      lines.push(`download ${index} ${data} ${peer === b.peers[0]} ${Buffer.isBuffer(data)}`)
    )
    a.on("upload", (index, data, peer) =>
      lines.push(`upload ${index} ${data} ${peer === a.peers[0]} ${Buffer.isBuffer(data)}`)
    )
    const synced = once(b, "sync")
    const streams = joined(a, b)
    await synced
    log(lines.sort())
    log(b.stats, b.downloaded(), b.has(0, 3), b.length, b.byteLength)
    log(a.stats!.totals, a.stats!.peers)
    await parted(streams, a, b)
    log(b.stats, a.stats)
  },

  "stats can be left out": async (make, log) => {
    const [a, b] = [author(make), reader(make, { stats: false })]
    await append(a, ["a"])
    const synced = once(b, "sync")
    const streams = joined(a, b)
    await synced
    log(b.stats, a.stats!.totals)
    await parted(streams, a, b)
  },

  "extension messages": async (make, log) => {
    const [a, b] = [
      author(make, { extensions: ["two", "one"] }),
      reader(make, { extensions: ["one", "three", "two"] })
    ]
    await Promise.all([append(a, "a"), ready(b)])
    const streams = await met(a, b)
    const heard = once(b, "extension")
    b.on("extension", (name, message, peer) => log("b", name, message, peer === b.peers[0]))
    a.on("extension", (name, message, peer) => log("a", name, message, peer === a.peers[0]))
    a.extension("nobody", Buffer.from("unheard"))
    a.extension("one", Buffer.from("hi"))
    await heard
    const answered = once(a, "extension")
    b.peers[0]!.extension("three", Buffer.from("not theirs"))
    b.peers[0]!.extension("two", Buffer.from("ho"))
    await answered
    log(
      streams.map((stream) =>
        (stream as never as { remoteSupports: (name: string) => boolean }).remoteSupports("two")
      )
    )
    await parted(streams, a, b)
  },

  "blocks that are stored are acknowledged": async (make, log) => {
    const [a, b] = [author(make), reader(make)]
    await append(a, ["a", "b"])
    await ready(b)
    const streams = [a.replicate({ live: true, ack: true }), b.replicate({ live: true })] as const
    const acks: Array<string> = []
    const all = new Promise((resolve) =>
      streams[0].on("ack", (ack: { start: number; length: number }) => {
        acks.push(`${ack.start} ${ack.length}`)
        if (acks.length === 2) resolve(undefined)
      })
    )
    join(...streams)
    await all
    log(acks.sort())
    await parted(streams, a, b)
  },

  "onwrite is told of the peer, and refuses its block": async (make, log) => {
    const lines: Array<string> = []
    const b: AnyFeed = reader(make, {
      onwrite: (index, data: Buffer, peer, done) => {
        lines.push(`${index} ${data.toString()} ${peer === b.peers[0]} ${peer!.remoteId!.toString("hex")}`)
        peer!.maxRequests++
        done(null)
      }
    })
    const a = author(make, { id: Buffer.alloc(32, 1) })
    await append(a, ["a", "b"])
    const synced = once(b, "sync")
    const streams = joined(a, b, {}, { maxRequests: 2 })
    await synced
    log(lines.sort(), b.peers[0]!.maxRequests)
    await parted(streams, a, b)

    const c = reader(make, { onwrite: (_, __, ___, done) => done(new Error("not wanted")) })
    await ready(c)
    const refused = joined(a, c)
    log(await once(refused[1], "error"), c.has(0), c.has(1))
    await parted(refused, a, c)
  },

  "what is not there": async (make, log) => {
    const [a, b] = [author(make), reader(make, { sparse: true })]
    await append(a, ["a", "b", "c"])
    await called((done) => a.clear(1, done))
    await ready(b)
    log(await outcome((done) => b.get(0, { ifAvailable: true }, done)))
    log(await outcome((done) => b.update({ ifAvailable: true }, done)))
    const streams = await met(a, b)
    log(await outcome((done) => b.update({ ifAvailable: true }, done)), b.length)
    log(await outcome((done) => b.get(0, { ifAvailable: true }, done)))
    log(await outcome((done) => b.get(1, { ifAvailable: true }, done)))
    log(await outcome((done) => b.get(9, { ifAvailable: true }, done)))
    log(await outcome((done) => b.update({ ifAvailable: true, minLength: 9 }, done)))
    log(await outcome((done) => b.get(1, { timeout: 20 }, done)))
    await parted(streams, a, b)
  },

  "ifAvailable is held back by who waits": async (make, log) => {
    const b = reader(make, { sparse: true })
    await ready(b)
    b.ifAvailable.wait()
    const got = outcome((done) => b.get(0, { ifAvailable: true }, done))
    log(
      await Promise.race([
        got.then(() => "concluded"),
        new Promise((resolve) => setImmediate(resolve, "waits"))
      ])
    )
    b.ifAvailable.continue()
    log(await got)
  },

  "a sparse feed that follows the length": async (make, log) => {
    const [a, b] = [author(make), reader(make, { sparse: true, eagerUpdate: true })]
    await append(a, ["a", "b"])
    await ready(b)
    const grown = once(b, "append")
    const streams = joined(a, b)
    await grown
    log(b.length)
    const more = once(b, "append")
    await append(a, "c")
    await more
    log(b.length)
    await parted(streams, a, b)
  },

  "updates and seeks, with the block or without": async (make, log) => {
    const a = author(make)
    await append(a, ["aaa", "bb", "c", "dddd", "e"])
    const b = reader(make, { sparse: true })
    await ready(b)
    const streams = await met(a, b)
    log(await outcome((done) => b.update(done)), b.length, b.byteLength)
    log(await outcome((done) => b.update(5, done)), b.length)
    log(await outcome((done) => b.seek(6, { hash: false }, done)), b.has(3))
    log(await outcome((done) => b.seek(3, { start: 0, end: 3 }, done)))
    log(await outcome((done) => b.seek(11, done)))
    log(await outcome((done) => b.seek(0, done)))
    await append(a, "f")
    log(await outcome((done) => b.update({ hash: false }, done)), b.length, b.has(5))
    log(await outcome((done) => b.update({ minLength: 3 }, done)))
    log(await outcome((done) => b.seek(9, { start: 0, end: 2, wait: false }, done)))
    await parted(streams, a, b)
  },

  "downloads of a sparse feed, and their end": async (make, log) => {
    const a = author(make)
    await append(a, ["a", "b", "c", "d", "e", "f"])
    const b = reader(make, { sparse: true })
    await ready(b)
    const streams = await met(a, b)
    log(await outcome((done) => b.download(3, done)), b.has(3), b.downloaded())
    log(await outcome((done) => b.download({ start: 0, end: 2, linear: true }, done)), b.downloaded())
    log(await outcome((done) => b.download({ start: 0, end: 2 }, done)), b.downloaded())
    log(await outcome((done) => b.getBatch(4, 6, done)))
    await parted(streams, a, b)
    const handle = b.download({ start: 0, end: 9 }, told(log, "cancelled"))
    b.cancel(0, 9)
    await new Promise((resolve) => setImmediate(resolve))
    log(typeof handle)
  },

  "blocks that were not asked for": async (make, log) => {
    const a = author(make)
    await append(a, ["a", "b"])
    for (const allowPush of [false, true]) {
      const b = reader(make, { sparse: true, allowPush })
      await ready(b)
      const streams = await met(a, b)
      log(await outcome((done) => b.update(done)))
      const [, proof] = await outcome((done) => a.proof(1, done as never))
      const { nodes, signature } = proof as { nodes: never; signature: Buffer }
      const arrived = allowPush ? once(b, "download") : outcome((done) => b.get(0, done))
      const data = { index: 1, value: Buffer.from("b"), nodes, signature }
      ;(a.peers[0] as unknown as { stream: { data: (data: unknown) => void } }).stream.data(data)
      await arrived
      log(allowPush, b.has(1))
      await parted(streams, a, b)
    }
  },

  "a feed without signatures": async (make, log) => {
    const a = make(ram, null, { live: false, valueEncoding: "utf-8" })
    await append(a, ["a", "b", "c"])
    await called((done) => a.finalize(done))
    const b = make(ram, a.key, { valueEncoding: "utf-8" })
    await ready(b)
    const [one, two] = [a.replicate(), b.replicate()]
    const over = ends(one, two)
    join(one, two)
    await over
    log(b.length, b.live, b.writable, await outcome((done) => b.getBatch(0, 3, done)))
  },

  "a stream of another feed, or with other encryption": async (make, log) => {
    const [a, b] = [author(make), make(ram, Buffer.alloc(32, 1))]
    await Promise.all([ready(a), ready(b)])
    const streams = [a.replicate(), b.replicate()]
    const errors = streams.map((stream) => new Promise((resolve) => stream.on("error", resolve)))
    join(streams[0]!, streams[1]!)
    log((await Promise.race(errors)) instanceof Error)
    for (const stream of streams) stream.destroy()
    log(a.peers, b.peers)
  },

  "closing a feed that replicates": async (make, log) => {
    const [a, b] = [author(make), reader(make)]
    await append(a, ["a"])
    const synced = once(b, "sync")
    const streams = joined(a, b)
    await synced
    const waiting = outcome((done) => b.get(5, done))
    log(await outcome((done) => b.close(done)), await waiting)
    await parted(streams, a)
  }
})
