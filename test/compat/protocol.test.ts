/** What a stream and its channels do, on the real package and on ours. */
import { afterEach, beforeEach, describe, expect, it, vi } from "@effect/vitest"
import { EventEmitter } from "node:events"
import type { Protocol, ProtocolPeer } from "../../src/compat/protocol.js"
import { frame, have, opening, TYPE } from "./frames.js"
import { bytesFrom, deliver, endOf, keyOf, kinds, type Kind, make, write } from "./streams.js"

const KINDS: ReadonlyArray<Kind> = ["real", "ours"]

/** Two streams that have opened feed 0. */
const pair = (kind: Kind, options: object = {}) => {
  const left = make(kind, options)
  const right = make(kind, options)
  return { left, right, ours: left.feed(keyOf(0))!, theirs: right.feed(keyOf(0))! }
}

const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

const peerThatNotes = (notes: Array<string>): ProtocolPeer =>
  new Proxy(
    {},
    { get: (_, name) => (name === "whenReady" ? undefined : () => void notes.push(String(name))) }
  )

describe.each(KINDS)("a stream (%s)", (kind) => {
  it("is made with new or without", () => {
    const protocol = kinds[kind]
    class Sub extends protocol {
      readonly more = 1
    }
    for (const stream of [protocol(), new protocol(), new Sub()]) {
      expect(stream).toBeInstanceOf(protocol)
      expect(stream).toBeInstanceOf(EventEmitter)
      stream.destroy()
    }
    expect(new Sub()).toBeInstanceOf(Sub)
    expect(new Sub().more).toBe(1)
  })

  it("has its options, or their defaults", () => {
    const stream = make(kind)
    expect(stream.id).toHaveLength(32)
    expect(make(kind).id).not.toEqual(stream.id)
    expect({ ...pick(stream), id: null }).toEqual({
      id: null,
      live: false,
      ack: false,
      userData: null,
      encrypted: true,
      destroyed: false,
      expectedFeeds: 0,
      maxFeeds: 256,
      extensions: [],
      feeds: [],
      key: null,
      discoveryKey: null,
      remoteDiscoveryKey: null,
      remoteId: null,
      remoteLive: false,
      remoteUserData: null,
      remoteAck: undefined,
      remoteExtensions: null
    })
    const given = {
      id: "me",
      live: true,
      ack: true,
      userData: "mine",
      encrypt: false,
      expectedFeeds: 3,
      maxFeeds: 5,
      extensions: ["e"]
    }
    const { encrypt: encrypted, ...rest } = given
    expect(pick(make(kind, given))).toMatchObject({ ...rest, encrypted })
  })

  it("opens a feed once, and answers for it", () => {
    const { left, ours } = pair(kind)
    expect(left.feed(keyOf(0))).toBe(ours)
    expect([ours.id, ours.remoteId, ours.closed, ours.peer]).toEqual([0, -1, false, null])
    expect([ours.key, ours.stream, left.key]).toEqual([keyOf(0), left, keyOf(0)])
    expect(left.discoveryKey).toEqual(ours.discoveryKey)
    const peer = peerThatNotes([])
    expect(left.feed(keyOf(0), { peer })?.peer).toBe(peer)
    const discoveryKey = Buffer.alloc(32, 9)
    const other = left.feed(keyOf(1), { discoveryKey, peer })
    expect([other?.id, other?.discoveryKey, other?.peer === peer]).toEqual([1, discoveryKey, true])
    expect(left.feeds).toEqual([ours, other])
    expect([left.has(keyOf(0)), left.has(keyOf(1))]).toEqual([true, false])
    left.destroy()
    expect(left.feed(keyOf(0))).toBeNull()
  })

  it("opens as many feeds as it may", () => {
    const stream = make(kind, { maxFeeds: 2 })
    const end = endOf(stream)
    stream.feed(keyOf(0))
    stream.feed(keyOf(1))?.close()
    expect(stream.feed(keyOf(2))).toBeNull()
    expect(end.error?.message).toMatch(/^Only 2 feeds currently supported/)
    expect(end.events).toEqual(["error", "close"])
  })

  it("that closes a channel may open its feed anew, where the real one throws", async () => {
    const { left, ours, right, theirs } = pair(kind)
    const heard: Array<number> = []
    theirs.on("have", ({ start }) => heard.push(start))
    ours.close()
    expect([ours.id, ours.closed, left.feeds, left.has(keyOf(0))]).toEqual([-1, false, [], true])
    if (kind === "real") {
      expect(() => left.feed(keyOf(0))).toThrow(TypeError)
      return
    }
    expect(left.feed(keyOf(0))).toBe(ours)
    expect(ours.id).toBe(1)
    ours.have({ start: 7 })
    await deliver(left, right)
    expect(heard).toEqual([7])
    expect(theirs.remoteId).toBe(1)
  })

  it("hears a channel that it has closed", async () => {
    const { left, ours, right, theirs } = pair(kind)
    const heard: Array<number> = []
    ours.on("have", ({ start }) => heard.push(start))
    await deliver(right, left)
    ours.close()
    theirs.have({ start: 3 })
    await deliver(right, left)
    expect(heard).toEqual([3])
  })

  it("closes a channel whose number the other side gives to another feed", async () => {
    const stream = make(kind, { encrypt: false })
    const notes: Array<string> = []
    const one = stream.feed(keyOf(0))!
    const two = stream.feed(keyOf(1), { peer: peerThatNotes(notes) })!
    stream.on("feed", () => notes.push("feed"))
    one.on("close", () => notes.push("close of one"))
    await write(stream, Buffer.concat([opening(0, 0), opening(1, 1), have(1, 5)]))
    expect(notes).toEqual(["feed", "feed", "onhave"])
    await write(stream, Buffer.concat([opening(0, 2), opening(1, 2)]))
    expect(notes.slice(3)).toEqual(["close of one", "feed", "onclose", "feed"])
    expect([one.closed, two.closed, one.id, two.id, stream.feeds]).toEqual([true, true, -1, -1, []])
    expect([0, 1, 2].map((feed) => stream.has(keyOf(feed)))).toEqual([false, false, true])
    const again = stream.feed(keyOf(0))
    expect(again).not.toBe(one)
    expect(again?.id).toBe(2)
  })

  it("gives messages and ticks to a peer in place of events", async () => {
    const { left, ours, right, theirs } = pair(kind)
    const notes: Array<string> = []
    left.feed(keyOf(0), { peer: peerThatNotes(notes) })
    ours.on("have", () => notes.push("event"))
    theirs.info({ uploading: true })
    theirs.have({ start: 1 })
    theirs.unhave({ start: 1 })
    theirs.want({ start: 0 })
    theirs.unwant({ start: 0 })
    theirs.request({ index: 1 })
    theirs.cancel({ index: 1 })
    theirs.data({ index: 1 })
    await deliver(right, left)
    left.destroy()
    expect(notes).toEqual([
      "oninfo",
      "onhave",
      "onunhave",
      "onwant",
      "onunwant",
      "onrequest",
      "oncancel",
      "ondata",
      "onclose"
    ])
  })

  it("gives an extension to a peer that takes any, and else emits it", async () => {
    const { left, ours, right, theirs } = pair(kind, { extensions: ["one", "two"] })
    const heard: Array<unknown> = []
    await deliver(left, right)
    await deliver(right, left)
    ours.on("extension", (...args) => heard.push(["event", ...args]))
    const takes = { onextension: (...args: ReadonlyArray<unknown>) => heard.push(["peer", ...args]) }
    for (const peer of [{}, takes as ProtocolPeer]) {
      left.feed(keyOf(0), { peer })
      theirs.extension("two", Buffer.from("hi"))
      await deliver(right, left)
    }
    expect(heard).toEqual([
      ["event", "two", Buffer.from("hi")],
      ["peer", "two", Buffer.from("hi")]
    ])
    expect(theirs.extension("three", Buffer.from("hi"))).toBe(false)
    expect([ours.remoteSupports("two"), ours.remoteSupports("three")]).toEqual([true, false])
  })

  it.each([
    ["have", {}, "start is required"],
    ["unhave", {}, "start is required"],
    ["want", { start: Number.NaN }, "start is required"],
    ["unwant", { start: null }, "start is required"],
    ["request", {}, "index is required"],
    ["cancel", {}, "index is required"],
    ["data", {}, "index is required"],
    ["data", { index: 1, nodes: [{ size: 1, hash: Buffer.alloc(32) }] }, "index is required"],
    ["data", { index: 1, nodes: [{ index: 1, size: 1 }] }, "hash is required"],
    ["data", { index: 1, nodes: [{ index: 1, hash: Buffer.alloc(32) }] }, "size is required"]
  ] as const)("throws for %s(%j): %s", (name, message, words) => {
    const { left, ours } = pair(kind)
    bytesFrom(left)
    expect(() => ours[name](message as never)).toThrow(words)
    expect(bytesFrom(left)).toHaveLength(0)
  })

  it("keeps what comes before the feed is open, and hands it out a tick after", async () => {
    const { left, ours, right } = pair(kind)
    const heard: Array<number> = []
    const early = left.feed(keyOf(1))!
    for (let start = 0; start < 17; start++) early.have({ start })
    await deliver(left, right)
    const late = right.feed(keyOf(1))!
    late.on("have", ({ start }) => heard.push(start))
    expect(heard).toEqual([])
    await tick()
    early.have({ start: 17 })
    ours.have({ start: 18 })
    await deliver(left, right)
    expect(heard).toEqual(Array.from({ length: 18 }, (_, start) => start))
  })

  it("that is answered within the event is heard at once", async () => {
    const stream = make(kind, { encrypt: false })
    const heard: Array<string> = []
    stream.feed(keyOf(0))!.on("have", ({ start }) => heard.push(`0: ${start}`))
    stream.on("feed", () => {
      if (stream.feeds.length === 1) {
        stream.feed(keyOf(1))!.on("have", ({ start }) => heard.push(`1: ${start}`))
      }
    })
    const said = Array.from({ length: 40 }, (_, start) => have(1 - (start % 2), start))
    await write(stream, Buffer.concat([opening(0, 0), opening(1, 1), ...said]))
    expect(heard).toEqual(said.map((_, start) => `${1 - (start % 2)}: ${start}`))
  })

  it("takes nothing more until the feed of the other side is open", async () => {
    const left = make(kind)
    const right = make(kind)
    left.feed(keyOf(0))!.have({ start: 1 })
    const heard: Array<unknown> = []
    right.on("feed", (discoveryKey) => heard.push(discoveryKey))
    let taken = false
    const writing = write(right, bytesFrom(left)).then(() => (taken = true))
    await tick()
    expect([taken, heard, right.remoteId]).toEqual([false, [left.discoveryKey], null])
    expect(right.remoteDiscoveryKey).toEqual(left.discoveryKey)
    right.feed(keyOf(0))!.on("have", ({ start }) => heard.push(start))
    await writing
    expect(heard).toEqual([left.discoveryKey, 1])
    expect(right.remoteId).toEqual(left.id)
  })

  it("with another first feed is refused when it is opened", async () => {
    const left = make(kind)
    const right = make(kind)
    left.feed(keyOf(0))
    const end = endOf(right)
    right.write(bytesFrom(left))
    expect(right.feed(keyOf(1))).toBeNull()
    expect(end.events).toEqual(["error", "close"])
    expect(end.error?.message).toBe("First shared hypercore must be the same")
    expect(bytesFrom(right)).toHaveLength(0)
  })
})

const pick = (stream: Protocol) => ({
  id: stream.id,
  live: stream.live,
  ack: stream.ack,
  userData: stream.userData,
  encrypted: stream.encrypted,
  destroyed: stream.destroyed,
  expectedFeeds: stream.expectedFeeds,
  maxFeeds: stream.maxFeeds,
  extensions: stream.extensions,
  feeds: stream.feeds,
  key: stream.key,
  discoveryKey: stream.discoveryKey,
  remoteDiscoveryKey: stream.remoteDiscoveryKey,
  remoteId: stream.remoteId,
  remoteLive: stream.remoteLive,
  remoteUserData: stream.remoteUserData,
  remoteAck: stream.remoteAck,
  remoteExtensions: stream.remoteExtensions
})

describe.each(KINDS)("the end (%s)", (kind) => {
  it("by destroy: error, channels, close, at once; what was sent before can be read", async () => {
    const { left, ours, right, theirs } = pair(kind)
    const end = endOf(left)
    const heard: Array<number> = []
    theirs.on("have", ({ start }) => heard.push(start))
    ours.on("close", () => (end.events as Array<string>).push("channel"))
    ours.have({ start: 1 })
    left.destroy(new Error("enough"))
    expect([end.events, end.error?.message, left.destroyed]).toEqual([
      ["error", "channel", "close"],
      "enough",
      true
    ])
    expect([ours.closed, left.feeds, ours.have({ start: 2 }) || false, left.setTimeout(5)]).toEqual([
      true,
      [],
      false,
      undefined
    ])
    left.destroy(new Error("again"))
    left.finalize()
    await deliver(left, right)
    expect(heard).toEqual([1])
    expect(end.events).toHaveLength(3)
    await write(left, have(0, 1))
  })

  it("by finalize: channels, then the end, after what was sent before", async () => {
    const { left, ours, right, theirs } = pair(kind)
    const end = endOf(left)
    const heard: Array<number> = []
    theirs.on("have", ({ start }) => heard.push(start))
    ours.on("close", () => (end.events as Array<string>).push("channel"))
    ours.have({ start: 1 })
    left.finalize()
    expect([end.events, left.destroyed]).toEqual([["channel"], true])
    await deliver(left, right)
    await tick()
    expect(heard).toEqual([1])
    expect(end.events).toEqual(["channel", "end"])
  })

  it("of the other side finalizes", async () => {
    const { left } = pair(kind)
    const end = endOf(left)
    left.resume()
    left.end()
    await tick()
    expect(end.events.toSorted()).toEqual(["end", "finish"])
    expect(left.destroyed).toBe(true)
  })

  it("comes when the expected feeds are closed", () => {
    const stream = make(kind, { expectedFeeds: 2 })
    const one = stream.feed(keyOf(0))!
    const two = stream.feed(keyOf(1))!
    one.close()
    one.close()
    expect([stream.expectedFeeds, stream.destroyed]).toEqual([1, false])
    two.close()
    expect([stream.expectedFeeds, stream.destroyed]).toEqual([0, true])
  })

  it("can be put off, made one, or broken off, by who hears prefinalize", () => {
    const outcomes = [1, 2, 3].map((choice) => {
      const stream = make(kind, { expectedFeeds: 1 })
      const end = endOf(stream)
      stream.on("prefinalize", (done: (error?: Error) => void) => {
        if (choice === 1) stream.expectedFeeds++
        done(choice === 3 ? new Error("no") : undefined)
      })
      stream.feed(keyOf(0))!.close()
      return [stream.destroyed, end.error?.message]
    })
    expect(outcomes).toEqual([
      [false, undefined],
      [true, undefined],
      [true, "no"]
    ])
  })
})

describe.each(KINDS)("time (%s)", (kind) => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] }))
  afterEach(() => void vi.useRealTimers())

  it("ticks four times a timeout, pings when nothing was said, and ends after silence", () => {
    const stream = make(kind, { timeout: 400, encrypt: false })
    const end = endOf(stream)
    let ticks = 0
    stream.feed(keyOf(0))!.on("tick", () => ticks++)
    bytesFrom(stream)
    const story = Array.from({ length: 7 }, () => {
      vi.advanceTimersByTime(100)
      return [ticks, bytesFrom(stream).length, end.events.join()]
    })
    expect(story).toEqual([
      [1, 0, ""],
      [2, 0, ""],
      [3, 0, ""],
      [4, 1, ""],
      [5, 0, ""],
      [5, 0, "error,close"],
      [5, 0, "error,close"]
    ])
    expect(end.error?.message).toBe("Remote timed out")
  })

  it("starts anew with what comes, and with another timeout", async () => {
    const stream = make(kind, { timeout: 400, encrypt: false })
    let calls = 0
    vi.advanceTimersByTime(500)
    await write(stream, opening(0, 0))
    vi.advanceTimersByTime(500)
    stream.setTimeout(4000, () => calls++)
    vi.advanceTimersByTime(5999)
    expect([stream.destroyed, calls]).toEqual([false, 0])
    stream.on("error", () => {})
    vi.advanceTimersByTime(1)
    expect([stream.destroyed, calls]).toEqual([true, 1])
  })

  it("is not kept without a timeout, nor after the end", () => {
    for (const timeout of [0, false] as const) {
      expect(make(kind, { timeout }).destroyed).toBe(false)
      expect(vi.getTimerCount()).toBe(0)
    }
    const streams = [make(kind, { timeout: 100 }), make(kind, { timeout: 100 })]
    expect(vi.getTimerCount()).toBe(2)
    streams[0]!.destroy()
    streams[1]!.finalize()
    expect(vi.getTimerCount()).toBe(0)
  })

  it("a ping is a byte once a feed is open", () => {
    const stream = make(kind, { encrypt: false })
    expect([stream.ping(), bytesFrom(stream).length]).toEqual([true, 0])
    stream.feed(keyOf(0))
    bytesFrom(stream)
    expect([stream.ping(), [...bytesFrom(stream)]]).toEqual([true, [0]])
  })
})

it("a handshake that a channel sends is heard once", async () => {
  for (const kind of KINDS) {
    const stream = make(kind, { encrypt: false })
    let heard = 0
    stream.on("handshake", () => heard++)
    stream.feed(keyOf(0))
    const empty = frame(0, TYPE.Handshake, Buffer.from([16, 1]))
    await write(stream, Buffer.concat([opening(0, 0), empty, empty]))
    expect([heard, stream.remoteId?.length, stream.remoteLive, stream.remoteUserData]).toEqual([
      1,
      32,
      true,
      null
    ])
  }
})
