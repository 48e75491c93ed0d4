/** Bytes that no honest side sends: the stream ends with `error` and `close`, and nothing is thrown at whoever writes to it. */
import { describe, expect, it } from "@effect/vitest"
import fc from "fast-check"
import type { ProtocolOptions } from "../../src/compat/protocol.js"
import { ProtocolError } from "../../src/index.js"
import * as peer from "../reference/peerWire.js"
import { frame, have, opening, TYPE } from "./frames.js"
import { endOf, keyOf, type Kind, make, split, write } from "./streams.js"

interface Attack {
  readonly about: string
  readonly sends: ReadonlyArray<Buffer>
  readonly reason: ProtocolError["reason"]
  readonly words: string
  readonly options?: ProtocolOptions
  /** Borne by the real package. */
  readonly oursOnly?: true
}

const feedMessage = (discoveryKey: number, nonce?: number): Buffer =>
  frame(
    0,
    TYPE.Feed,
    peer.messages.Feed.encode({
      discoveryKey: Buffer.alloc(discoveryKey, 1),
      ...(nonce === undefined ? {} : { nonce: Buffer.alloc(nonce) })
    })
  )

const range = (count: number): ReadonlyArray<number> => Array.from({ length: count }, (_, i) => i)

const FEED = "Remote sent invalid feed message"
const LARGE = "Remote message is larger than 8MB (max allowed)"
const MANY = "Only 256 feeds currently supported. Open a Github issue if you need more"
const encrypted: ProtocolOptions = { encrypt: true }

const attacks: ReadonlyArray<Attack> = [
  {
    about: "a frame above 8 MB",
    sends: [Buffer.from(peer.varint.encode(8_388_609))],
    reason: "too-large",
    words: LARGE
  },
  { about: "a length without end", sends: [Buffer.alloc(9, 0x80)], reason: "too-large", words: LARGE },
  {
    about: "a frame without a header",
    sends: [opening(0, 0), Buffer.from([2, 0x80, 0x80])],
    reason: "malformed",
    words: "Remote sent invalid header"
  },
  { about: "channel 256", sends: [opening(256, 0)], reason: "too-many", words: MANY },
  {
    about: "channel 3 of 3",
    sends: [opening(3, 0)],
    reason: "too-many",
    words: MANY.replace("256", "3"),
    options: { maxFeeds: 3 }
  },
  { about: "a message before any feed", sends: [have(0, 1)], reason: "malformed", words: FEED },
  {
    about: "a message on a channel that is not open",
    sends: [opening(0, 0), have(1, 1)],
    reason: "malformed",
    words: FEED
  },
  {
    about: "a Feed without a discovery key",
    sends: [frame(0, TYPE.Feed, Buffer.from([0x28, 1]))],
    reason: "malformed",
    words: FEED
  },
  { about: "a discovery key of 31 bytes", sends: [feedMessage(31)], reason: "malformed", words: FEED },
  { about: "a nonce of 23 bytes", sends: [feedMessage(32, 23)], reason: "malformed", words: FEED },
  {
    about: "no nonce",
    sends: [opening(0, 0)],
    reason: "no-nonce",
    words: "Remote did not include a nonce",
    options: encrypted
  },
  {
    about: "another first feed",
    sends: [opening(0, 1, Buffer.alloc(24))],
    reason: "other-feed",
    words: "First shared hypercore must be the same",
    options: encrypted
  },
  {
    about: "18 messages on a feed that is not open",
    sends: [opening(0, 1), ...range(18).map((start) => have(0, start))],
    reason: "too-many",
    words: "Remote sent too many messages on an unopened feed"
  },
  {
    about: "a megabyte on feeds that are not open",
    sends: [
      opening(0, 1),
      ...range(2).map(() =>
        frame(
          0,
          TYPE.Data,
          Buffer.from(peer.messages.Data.encode({ index: 1, value: Buffer.alloc(600_000) }))
        )
      )
    ],
    reason: "too-many",
    words: "Remote sent too many messages on an unopened feed",
    oursOnly: true
  },
  {
    about: "a Have without a start",
    sends: [opening(0, 0), frame(0, TYPE.Have, Buffer.from([0x10, 1]))],
    reason: "malformed",
    words: "Remote sent an invalid message: the start of a Have is missing",
    oursOnly: true
  },
  {
    about: "a signature of 3 bytes",
    sends: [
      opening(0, 0),
      frame(0, TYPE.Data, peer.messages.Data.encode({ index: 0, signature: Buffer.alloc(3) }))
    ],
    reason: "malformed",
    words: "Remote sent an invalid message: field 4 has 3 bytes instead of 64",
    oursOnly: true
  },
  {
    about: "257 extensions",
    sends: [
      opening(0, 0),
      frame(0, TYPE.Handshake, peer.messages.Handshake.encode({ extensions: range(257).map(String) }))
    ],
    reason: "too-large",
    words: "Remote sent an invalid message: more than 256 extensions",
    oursOnly: true
  }
]

const attacked = (kind: Kind, options: ProtocolOptions = {}) => {
  const stream = make(kind, { encrypt: false, ...options })
  const end = endOf(stream)
  const heard: Array<number> = []
  const channel = stream.feed(keyOf(0))!
  channel.on("have", ({ start }) => heard.push(start))
  return { stream, end, heard, channel }
}

describe("a stream that is sent", () => {
  for (const { about, options, oursOnly, reason, sends, words } of attacks) {
    it(`${about} ends with "${words}", in any split`, async () => {
      for (const size of [1, 7, 2 ** 20]) {
        const bytes = Buffer.concat(sends)
        if (size === 1 && bytes.length > 10_000) continue
        for (const kind of oursOnly ? (["ours"] as const) : (["ours", "real"] as const)) {
          const { channel, end, stream } = attacked(kind, options)
          for (const part of split(bytes, [size])) await write(stream, part)
          expect([end.events, end.error?.message], kind).toEqual([["error", "close"], words])
          expect([stream.destroyed, channel.closed, stream.feeds]).toEqual([true, true, []])
          if (kind === "real") continue
          expect(end.error?.cause).toBeInstanceOf(ProtocolError)
          expect(end.error?.cause).toMatchObject({ reason })
        }
      }
    })
  }

  it("something wrong after messages hands these out first, in any split", async () => {
    const bad = [
      opening(0, 0),
      have(0, 1),
      have(0, 2),
      frame(0, TYPE.Have, Buffer.from([0x10, 1])),
      have(0, 3)
    ]
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 99 }), { minLength: 1 }), async (sizes) => {
        const { end, heard, stream } = attacked("ours")
        for (const part of split(Buffer.concat(bad), sizes)) await write(stream, part)
        expect([heard, end.events]).toEqual([
          [1, 2],
          ["error", "close"]
        ])
      })
    )
  })

  it("any bytes goes on, or ends with a typed error, the same in any split", async () => {
    const byte = fc.oneof(fc.nat({ max: 255 }), fc.nat({ max: 40 }))
    const bytes = fc.array(byte, { maxLength: 120 }).map((list) => Buffer.from(list))
    const sizes = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 4 })
    const starts = fc.constantFrom(
      { encrypt: false, start: Buffer.alloc(0) },
      { encrypt: false, start: opening(0, 0) },
      { encrypt: true, start: Buffer.alloc(0) },
      { encrypt: true, start: opening(0, 0, Buffer.alloc(24, 5)) }
    )
    await fc.assert(
      fc.asyncProperty(starts, bytes, sizes, async ({ encrypt, start }, rest, parts) => {
        const outcome = async (sizes: ReadonlyArray<number>) => {
          const { end, heard, stream } = attacked("ours", { encrypt })
          for (const part of split(Buffer.concat([start, rest]), sizes)) await write(stream, part)
          if (stream.destroyed) expect(end.error?.cause).toBeInstanceOf(ProtocolError)
          expect(end.events).toEqual(stream.destroyed ? ["error", "close"] : [])
          return { heard, message: end.error?.message }
        }
        expect(await outcome(parts)).toEqual(await outcome([1000]))
      }),
      { numRuns: 400 }
    )
  })

  it("hostile bytes, and has no listener for errors, does not throw at whoever writes", async () => {
    const stream = make("ours", { encrypt: false })
    const closed: Array<string> = []
    stream.feed(keyOf(0))!.on("close", () => closed.push("channel"))
    stream.on("close", () => closed.push("stream"))
    const listeners = process.listeners("uncaughtException")
    process.removeAllListeners("uncaughtException")
    try {
      const uncaught = new Promise((resolve) => process.once("uncaughtException", resolve))
      expect(() => stream.write(have(0, 1))).not.toThrow()
      expect(closed).toEqual(["channel", "stream"])
      expect(await uncaught).toMatchObject({ message: FEED })
    } finally {
      for (const listener of listeners) process.on("uncaughtException", listener)
    }
  })
})
