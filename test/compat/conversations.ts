/** Conversations of two streams, for property tests: what is said, and where the bytes are cut. */
import fc from "fast-check"
import type { ChannelEvents, Protocol, ProtocolChannel, ProtocolOptions } from "../../src/compat/protocol.js"
import { deliver, type Kind, keyOf, make } from "./streams.js"

const number = fc.oneof(fc.nat({ max: 300 }), fc.nat(), fc.maxSafeNat())
const size = fc.oneof(
  { weight: 6, arbitrary: fc.nat({ max: 60 }) },
  { weight: 1, arbitrary: fc.integer({ min: 4000, max: 5000 }) },
  { weight: 1, arbitrary: fc.integer({ min: 60_000, max: 70_000 }) }
)
const bytes = fc.tuple(size, fc.nat({ max: 255 })).map(([length, fill]) => Buffer.alloc(length, fill))
/** What callback code leaves out in any of these ways. */
const optional = <A>(arbitrary: fc.Arbitrary<A>) =>
  fc.oneof({ weight: 3, arbitrary }, fc.constantFrom(null, undefined))
const digest = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((hash) => Buffer.from(hash))
const range = fc.record({ start: number, length: optional(number) })
const node = fc.record({ index: number, hash: digest, size: number })

const messages = {
  info: fc.record({ uploading: optional(fc.boolean()), downloading: optional(fc.boolean()) }),
  have: fc.record({
    start: number,
    length: optional(number),
    bitfield: optional(bytes),
    ack: optional(fc.boolean())
  }),
  unhave: range,
  want: range,
  unwant: range,
  request: fc.record({
    index: number,
    bytes: optional(number),
    hash: optional(fc.boolean()),
    nodes: optional(number)
  }),
  cancel: fc.record({ index: number, bytes: optional(number), hash: optional(fc.boolean()) }),
  data: fc.record({
    index: number,
    value: optional(fc.oneof(bytes, fc.string({ unit: "grapheme" }))),
    nodes: optional(fc.array(node, { maxLength: 3 })),
    signature: optional(fc.constant(Buffer.alloc(64, 7)))
  })
}

const FEEDS = 3
/** More on a feed that is not open on the other side would end the connection. */
const MOST_EARLY = 17

const feed = fc.nat({ max: FEEDS - 1 })
const side = fc.nat({ max: 1 })

export type Step =
  | { readonly does: "open" | "deliver" | "ping"; readonly side: number; readonly feed: number }
  | {
      readonly does: "say"
      readonly side: number
      readonly feed: number
      readonly name: keyof typeof messages
      readonly message: object
    }
  | { readonly does: "extend"; readonly side: number; readonly name: string; readonly message: Buffer }

const says: fc.Arbitrary<Step> = fc.oneof(
  ...Object.entries(messages).map(([name, message]) =>
    fc.record({
      does: fc.constant("say" as const),
      side,
      feed,
      name: fc.constant(name as keyof typeof messages),
      message: message as fc.Arbitrary<object>
    })
  )
)

const NAMES = ["a", "b", "c"]

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: says },
  fc.record({ does: fc.constantFrom("open" as const, "deliver" as const, "ping" as const), side, feed }),
  fc.record({ does: fc.constant("extend" as const), side, name: fc.constantFrom(...NAMES), message: bytes })
)

const options: fc.Arbitrary<ProtocolOptions> = fc.record(
  {
    id: fc.oneof(bytes, fc.string({ minLength: 1 })),
    live: fc.boolean(),
    ack: fc.boolean(),
    userData: bytes,
    extensions: fc.subarray(NAMES)
  },
  { requiredKeys: [] }
)

export interface Conversation {
  readonly encrypt: boolean
  readonly options: readonly [ProtocolOptions, ProtocolOptions]
  readonly steps: ReadonlyArray<Step>
  readonly sizes: ReadonlyArray<number>
}

export const conversation: fc.Arbitrary<Conversation> = fc.record({
  encrypt: fc.boolean(),
  options: fc.tuple(options, options),
  steps: fc.array(step, { size: "max", maxLength: 40 }),
  sizes: fc.array(fc.oneof(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1000, max: 90_000 })), {
    minLength: 1,
    maxLength: 6
  })
})

const NAMES_OF_EVENTS: ReadonlyArray<Exclude<keyof ChannelEvents, "tick">> = [
  ...(Object.keys(messages) as ReadonlyArray<keyof typeof messages>),
  "extension",
  "close"
]

/** What the other side has shaken hands with, once it has. */
const shaken = (stream: Protocol) => ({
  id: stream.remoteId,
  live: stream.remoteLive,
  ack: stream.remoteAck,
  userData: stream.remoteUserData,
  extensions: NAMES.filter((name) => stream.remoteSupports(name)),
  places: stream.remoteExtensions
})

class Side {
  readonly stream: Protocol
  readonly channels = new Map<number, ProtocolChannel>()
  /** What it heard of each feed, as JSON, which tells null from what is missing, and Buffers from other bytes. */
  readonly heard: Record<string, Array<string>> = {}
  /** What it said of each feed since both have it open. */
  readonly said = new Map<number, number>()

  constructor(kind: Kind, options: ProtocolOptions) {
    this.stream = make(kind, options)
    this.stream.on("handshake", () => this.#hear("stream", "handshake", [shaken(this.stream)]))
    this.stream.on("feed", (discoveryKey: Buffer) => this.#hear("stream", "feed", [discoveryKey]))
    this.stream.on("error", (error: Error) => this.#hear("stream", "error", [error.message]))
    this.stream.on("end", () => this.#hear("stream", "end", []))
    this.stream.on("close", () => this.#hear("stream", "close", []))
  }

  open(feed: number): void {
    const channel = this.stream.feed(keyOf(feed))!
    if (this.channels.has(feed)) return
    this.channels.set(feed, channel)
    for (const name of NAMES_OF_EVENTS) {
      channel.on(name, (...values: ReadonlyArray<unknown>) => this.#hear(`feed ${feed}`, name, values))
    }
  }

  #hear(of: string, name: string, values: ReadonlyArray<unknown>): void {
    ;(this.heard[of] ??= []).push(`${name} ${JSON.stringify(values)}`)
  }
}

/** Lets what was put off to the next tick happen. */
const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

const perform = async (sides: readonly [Side, Side], one: Step, sizes: ReadonlyArray<number>) => {
  const [self, other] = one.side === 0 ? sides : [sides[1], sides[0]]
  switch (one.does) {
    case "open":
      self.open(one.feed)
      return tick()
    case "deliver":
      return deliver(self.stream, other.stream, sizes)
    case "ping":
      self.stream.ping()
      return
    case "extend":
      self.channels.get(0)!.extension(one.name, one.message)
      return
    case "say": {
      const channel = self.channels.get(one.feed)
      const early = self.said.get(one.feed) ?? 0
      if (channel === undefined || (early >= MOST_EARLY && !other.channels.has(one.feed))) return
      if (!other.channels.has(one.feed)) self.said.set(one.feed, early + 1)
      channel[one.name](one.message as never)
    }
  }
}

/** Has it, ends it, and gives what either side has heard. */
export const hold = async (
  kinds: readonly [Kind, Kind],
  { encrypt, options, sizes, steps }: Conversation
): Promise<ReadonlyArray<Side["heard"]>> => {
  const sides = [
    new Side(kinds[0], { id: "left", ...options[0], encrypt }),
    new Side(kinds[1], { id: "right", ...options[1], encrypt })
  ] as const
  for (const one of sides) one.open(0)
  for (const one of steps) await perform(sides, one, sizes)
  for (const one of sides) for (let feed = 1; feed < FEEDS; feed++) one.open(feed)
  await tick()
  for (const [from, to] of [sides, [sides[1], sides[0]]] as const) {
    await deliver(from.stream, to.stream, sizes)
  }
  sides[0].stream.finalize()
  await deliver(sides[0].stream, sides[1].stream, sizes)
  sides[1].stream.end()
  await tick()
  bytesRead(sides[1].stream)
  await tick()
  return sides.map(({ heard }) => heard)
}

/** Reads to the end, at which there are no bytes any more. */
const bytesRead = (stream: Protocol): void => {
  if (stream.read() !== null) throw new Error("there were bytes left")
}
