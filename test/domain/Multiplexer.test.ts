/** Two multiplexers, joined by bytes in pieces of any sizes: what one sends on a channel, the other's events say, in order. */
import { describe, expect, it } from "@effect/vitest"
import { Either, FastCheck as fc } from "effect"
import { type Channel, type Event, Multiplexer } from "../../src/domain/Multiplexer.js"
import type * as Wire from "../../src/domain/Wire.js"

/** A stream cipher that is none: XOR with a stream that depends on key, nonce and place. */
const xor = (key: Uint8Array, nonce: Uint8Array) => {
  let place = key[0]! + 3 * nonce[0]!
  return (bytes: Uint8Array): void => {
    for (let i = 0; i < bytes.length; i++) bytes[i]! ^= place++ * 31
  }
}

const handshake: Wire.Handshake = {
  _tag: "Handshake",
  id: new Uint8Array(32).fill(9),
  live: true,
  userData: undefined,
  extensions: [],
  ack: false
}

const keyOf = (feed: number) => new Uint8Array(32).fill(feed + 1)
const discoveryKeyOf = (feed: number) => new Uint8Array(32).fill(feed + 101)
const have = (start: number): Wire.Message => ({
  _tag: "Have",
  start,
  length: 1,
  bitfield: undefined,
  ack: false
})

/** One side: opens feeds, says numbers on them, and notes what it hears, by feed. */
class Side {
  readonly multiplexer: Multiplexer
  readonly heard = new Map<number, Array<number>>()
  readonly opened = new Set<number>()
  handshakes = 0
  problem: unknown

  constructor(
    encrypt: boolean,
    readonly nonce: number
  ) {
    this.multiplexer = new Multiplexer({ encrypt, handshake, xsalsa20: xor })
  }

  open(feed: number): void {
    const { multiplexer, nonce } = this
    const opened = multiplexer.open(keyOf(feed), discoveryKeyOf(feed), new Uint8Array(24).fill(nonce))
    const channel = Either.getOrThrow(opened)
    this.opened.add(feed)
    for (const message of multiplexer.early(channel)) this.#hear(channel, message)
    this.#takeMore()
  }

  say(feed: number, number: number): void {
    const channel = this.multiplexer.channel(discoveryKeyOf(feed))
    if (channel === undefined || channel.localId < 0) return
    expect(this.multiplexer.send(channel, have(number))).toBe(true)
  }

  receive(bytes: Uint8Array): void {
    this.#take(this.multiplexer.receive(bytes))
    this.#takeMore()
  }

  #takeMore(): void {
    while (this.problem === undefined && this.multiplexer.hasMore) this.#take(this.multiplexer.more())
  }

  #take(result: Either.Either<ReadonlyArray<Event>, unknown>): void {
    if (Either.isLeft(result)) {
      this.problem = result.left
      return
    }
    for (const event of result.right) {
      if (event._tag === "Handshake") this.handshakes++
      if (event._tag === "Message") this.#hear(event.channel, event.message)
    }
  }

  #hear(channel: Channel, message: Wire.Message): void {
    const feed = channel.discoveryKey[0]! - 101
    const heard = this.heard.get(feed) ?? []
    this.heard.set(feed, heard)
    if (message._tag === "Have") heard.push(message.start)
  }
}

type Step =
  | { readonly _tag: "Open" | "Say"; readonly side: number; readonly feed: number }
  | { readonly _tag: "Deliver"; readonly side: number; readonly sizes: ReadonlyArray<number> }

const { constant, nat, record } = fc
const step: fc.Arbitrary<Step> = fc.oneof(
  record({ _tag: constant("Open" as const), side: nat(1), feed: nat(4) }),
  { weight: 3, arbitrary: record({ _tag: constant("Say" as const), side: nat(1), feed: nat(4) }) },
  {
    weight: 2,
    arbitrary: record({
      _tag: constant("Deliver" as const),
      side: nat(1),
      sizes: fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1 })
    })
  }
)

const joined = (parts: ReadonlyArray<Uint8Array>) => Uint8Array.from(parts.flatMap((part) => [...part]))

/** In pieces of these sizes, again and again. */
const deliver = (from: Side, to: Side, sizes: ReadonlyArray<number>): void => {
  const bytes = joined(from.multiplexer.take())
  for (let [at, i] = [0, 0]; at < bytes.length; i++) {
    const size = sizes[i % sizes.length]!
    to.receive(bytes.slice(at, at + size))
    at += size
  }
}

describe("what is said on a channel", () => {
  it("is heard on it, once the feed is open on both sides, in order and whole", () =>
    fc.assert(
      fc.property(fc.boolean(), fc.array(step, { size: "max", maxLength: 60 }), (encrypt, steps) => {
        const sides = [new Side(encrypt, 1), new Side(encrypt, 2)] as const
        const said = [new Map<number, Array<number>>(), new Map<number, Array<number>>()] as const
        // Both begin with the same feed, as they must; each after some steps.
        const open = (side: number, feed: number) => {
          for (const one of sides[side]!.opened.size === 0 ? [0, feed] : [feed]) sides[side]!.open(one)
        }
        let number = 0
        for (const one of steps) {
          if (one._tag === "Open") open(one.side, one.feed)
          else if (one._tag === "Deliver") deliver(sides[one.side]!, sides[1 - one.side]!, one.sizes)
          else if (sides[one.side]!.opened.has(one.feed)) {
            const own = said[one.side]!.get(one.feed) ?? []
            said[one.side]!.set(one.feed, own)
            // More than 17 before it is open over there would end the connection.
            if (own.length === 17) continue
            own.push(++number)
            sides[one.side]!.say(one.feed, number)
          }
        }
        for (const [side, own] of said.entries()) {
          deliver(sides[side]!, sides[1 - side]!, [7, 1, 40])
          for (const feed of [0, ...own.keys()]) open(1 - side, feed)
          open(side, 0)
        }
        for (const side of [0, 1]) deliver(sides[side]!, sides[1 - side]!, [3])
        for (const [side, own] of said.entries()) {
          const other = sides[1 - side]!
          expect(other.problem).toBeUndefined()
          expect(other.handshakes).toBe(1)
          for (const [feed, numbers] of own) expect(other.heard.get(feed)).toEqual(numbers)
          expect(other.multiplexer.atBoundary).toBe(true)
          expect(other.multiplexer.isHeld).toBe(false)
        }
      })
    ))

  it("before the feed is open here is kept, up to 17 messages", () => {
    const [left, right] = [new Side(true, 1), new Side(true, 2)]
    left.open(0)
    right.open(0)
    left.open(1)
    for (let number = 0; number < 17; number++) left.say(1, number)
    deliver(left, right, [1000])
    expect(right.problem).toBeUndefined()
    left.say(1, 17)
    deliver(left, right, [1000])
    expect(right.problem).toMatchObject({ _tag: "ProtocolError", reason: "too-many" })
  })

  it("before the feed is open here takes room until it is handed out", () => {
    const [left, right] = [new Side(false, 1), new Side(false, 2)]
    left.open(0)
    for (const feed of [1, 2, 3]) {
      left.open(feed)
      for (const number of [1, 2]) {
        const bitfield = new Uint8Array(400_000)
        const channel = left.multiplexer.channel(discoveryKeyOf(feed))!
        left.multiplexer.send(channel, { _tag: "Have", start: number, length: 1, bitfield, ack: false })
      }
      deliver(left, right, [2 ** 20])
      if (feed < 3) right.open(feed)
    }
    expect(right.problem).toBeUndefined()
    left.open(4)
    left.say(4, 1)
    const channel = left.multiplexer.channel(discoveryKeyOf(4))!
    const bitfield = new Uint8Array(400_000)
    left.multiplexer.send(channel, { _tag: "Have", start: 1, length: 1, bitfield, ack: false })
    deliver(left, right, [2 ** 20])
    expect(right.problem).toMatchObject({ reason: "too-many", about: "unopened" })
  })

  it("on a feed that is opened when that is heard is not early", () => {
    const [left, right] = [new Side(false, 1), new Side(false, 2)]
    right.open(0)
    for (const feed of [0, 1]) left.open(feed)
    for (let number = 0; number < 40; number++) left.say(1, number)
    const bytes = joined(left.multiplexer.take())
    let events = Either.getOrThrow(right.multiplexer.receive(bytes))
    const tags: Array<string> = []
    while (events.length > 0 || right.multiplexer.hasMore) {
      for (const { _tag } of events) tags.push(_tag)
      if (tags.at(-1) === "Opened" && tags.length > 1) {
        const opened = right.multiplexer.open(keyOf(1), discoveryKeyOf(1), new Uint8Array(24))
        expect(right.multiplexer.early(Either.getOrThrow(opened))).toEqual([])
      }
      events = Either.getOrThrow(right.multiplexer.more())
    }
    expect(tags).toEqual(["Opened", "Handshake", "Opened", ...Array<string>(40).fill("Message")])
  })

  it("before something wrong is heard, then what is wrong, again and again", () => {
    const [left, right] = [new Side(false, 1), new Side(false, 2)]
    for (const side of [left, right]) side.open(0)
    for (const number of [1, 2]) left.say(0, number)
    const good = joined(left.multiplexer.take())
    // A Have without a start; a frame without a header.
    for (const bad of [
      [3, 3, 0x10, 1],
      [2, 0x80, 0x80]
    ]) {
      const side = new Side(false, 3)
      side.open(0)
      side.receive(Uint8Array.from([...good, ...bad, ...good]))
      expect(side.heard.get(0)).toEqual([1, 2])
      expect(side.problem).toMatchObject({ reason: "malformed" })
      expect(Either.isLeft(side.multiplexer.more())).toBe(true)
      expect(side.multiplexer.hasMore).toBe(true)
    }
  })

  it("without a nonce is refused with the first frame", () => {
    const [left, right] = [new Side(false, 1), new Side(true, 2)]
    left.open(0)
    deliver(left, right, [2])
    expect(right.problem).toMatchObject({ reason: "no-nonce" })
  })

  it("is on as many channels as may be", () => {
    const options = { encrypt: false, handshake, xsalsa20: xor, maxChannels: 300 }
    const [one, other] = [new Multiplexer(options), new Multiplexer(options)]
    const open = (feed: number) =>
      one.open(keyOf(0), new Uint8Array(32).fill(feed, 0, 1).fill(feed >> 8, 1), new Uint8Array())
    for (let feed = 0; feed < 300; feed++) expect(Either.isRight(open(feed))).toBe(true)
    expect(Either.flip(open(300))).toMatchObject({ right: { reason: "too-many", about: "channel" } })
    let opened = 0
    for (let events = other.receive(joined(one.take())); ; events = other.more()) {
      for (const { _tag } of Either.getOrThrow(events)) if (_tag === "Opened") opened++
      if (!other.hasMore) break
    }
    expect(opened).toBe(300)
  })

  it("with another first feed is refused, whichever side is first", () => {
    for (const first of [0, 1]) {
      const sides = [new Side(true, 1), new Side(true, 2)] as const
      sides[first]!.open(first)
      deliver(sides[first]!, sides[1 - first]!, [1000])
      sides[1 - first]!.open(1 - first)
      deliver(sides[1 - first]!, sides[first]!, [1000])
      for (const side of sides) expect(side.problem).toMatchObject({ reason: "other-feed" })
    }
  })
})
