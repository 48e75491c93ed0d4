/** One hostile message at a time, or many of one kind: what it does to its own connection, and to nothing else. */
import { describe, expect } from "@effect/vitest"
import { Effect } from "effect"
import type { Position } from "../../src/domain/FlatTree.js"
import type * as Wire from "../../src/domain/Wire.js"
import type { Replication } from "../../src/index.js"
import { inMemory } from "../services/harness.js"
import {
  type Attack,
  type Hostile,
  type Victim,
  BLOCKS,
  blocks,
  cancel,
  data,
  field,
  frame,
  have,
  info,
  request,
  underAttack,
  unhave,
  want
} from "./Hostile.js"

const TYPE = {
  Feed: 0,
  Handshake: 1,
  Info: 2,
  Have: 3,
  Unhave: 4,
  Want: 5,
  Request: 7,
  Data: 9,
  Extension: 15
}

interface Case {
  readonly about: string
  readonly victim?: Victim
  /** What the hostile side does once both opened the feed and shook hands. */
  readonly does: Attack
  /** The session's end: a `ProtocolError`'s reason, or `goes on`. */
  readonly gives: string
  readonly options?: Replication.Options
}

const expectOutcomes = (cases: ReadonlyArray<Case>, isOpen = true) => {
  for (const { about, does, gives, options, victim = "reader" } of cases) {
    inMemory(`${about} (${victim}): ${gives}`, () =>
      Effect.gen(function* () {
        const attack: Attack = (arena) =>
          isOpen ? Effect.zipRight(arena.hostile.open, does(arena)) : does(arena)
        expect(yield* underAttack(victim, attack, options)).toBe(gives)
      })
    )
  }
}

const says =
  (...messages: ReadonlyArray<Wire.Message>): Attack =>
  ({ hostile }) =>
    hostile.say(...messages)

const raw =
  (type: number, ...body: ReadonlyArray<number>): Attack =>
  ({ hostile }) =>
    hostile.raw(frame(0, type, body))

/** A field of a byte and its value of one, `count` times. */
const pairs = (count: number, tag: number): Uint8Array =>
  Uint8Array.from({ length: 2 * count }, (_, i) => (i % 2 === 0 ? tag : 0))

const times = <A>(count: number, make: (i: number) => A): ReadonlyArray<A> =>
  Array.from({ length: count }, (_, i) => make(i))

/** The have that a victim which wants region 0 takes a bitfield from. */
const describes =
  (rle: ReadonlyArray<number>): Attack =>
  ({ hostile }) =>
    Effect.zipRight(
      hostile.until(() => hostile.all("Want").length > 0),
      hostile.say(have(0, 1_048_576, Uint8Array.from(rle)))
    )

describe("what FORMATS lists", () => {
  expectOutcomes([
    {
      about: "a run-length bomb: a run of 2^50 bytes",
      does: describes([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x07]),
      gives: "too-large"
    },
    {
      about: "a run-length bomb: many runs",
      does: describes(times(4000, () => [0xff, 0xff, 0x03]).flat()),
      gives: "too-large"
    },
    {
      about: "a run-length bomb: a million runs of nothing",
      does: describes(times(1_000_000, () => 1)),
      gives: "too-large"
    },
    { about: "a truncated run length", does: describes([0xff]), gives: "malformed" },
    { about: "a literal longer than the bitfield", does: describes([0x20, 1, 2]), gives: "malformed" },
    {
      about: "a run length of 2^60",
      does: describes([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f]),
      gives: "malformed"
    },
    { about: "an empty bitfield", does: describes([]), gives: "goes on" },
    {
      about: "a bitfield for what nobody wanted",
      does: says(have(2 ** 40, 1, Uint8Array.of(0xff))),
      gives: "goes on"
    },
    { about: "a huge Want.length", victim: "author", does: says(want(0, 2 ** 53 - 8192)), gives: "goes on" },
    {
      about: "a huge Want.start",
      victim: "author",
      does: says(want(2 ** 53 - 8192, 8192)),
      gives: "goes on"
    },
    { about: "an unaligned Want", victim: "author", does: says(want(1, 8192), want(0, 1)), gives: "goes on" },
    {
      about: "a 3-byte node hash",
      does: raw(
        TYPE.Data,
        ...field(1, 0),
        ...field(3, Uint8Array.from([...field(1, 2), ...field(2, new Uint8Array(3)), ...field(3, 1)]))
      ),
      gives: "malformed"
    },
    { about: "a Request before any Have", victim: "author", does: says(request(0)), gives: "goes on" },
    { about: "a Request before any Have", does: says(request(0)), gives: "goes on" },
    { about: "Have{length: 4e9}", does: says(have(0, 4e9)), gives: "goes on" },
    { about: "Have{start: 2^50}", does: says(have(2 ** 50)), gives: "malformed" },
    { about: "Have{start + length: 2^54}", does: says(have(2 ** 53 - 1, 2 ** 53 - 1)), gives: "malformed" }
  ])
})

/** Regions whose bits are kept at a time. */
const REGIONS = 32

const flood = (hostile: Hostile, count: number, make: (i: number) => Wire.Message) =>
  hostile.say(...times(count, make))

/** A flood once the victim wants as many regions as it keeps at a time, so that each message meets all of them. */
const floodAll =
  (count: number, make: (i: number) => Wire.Message): Attack =>
  ({ hostile }) =>
    Effect.gen(function* () {
      yield* hostile.say(have(0, 2 ** 46))
      yield* hostile.until(() => hostile.all("Want").length >= REGIONS)
      yield* flood(hostile, count, make)
    })

describe("ranges", () => {
  expectOutcomes([
    {
      about: "Have of every region, each on its own",
      does: floodAll(4000, (i) => have(i * 1_048_576, 1_048_576)),
      gives: "goes on"
    },
    {
      about: "Have of 2^46 blocks, again and again",
      does: floodAll(2000, () => have(0, 2 ** 46)),
      gives: "goes on"
    },
    {
      about: "Have of one block a page, 2^46 in all",
      does: floodAll(10_000, (i) => have(i * 8192 + 5)),
      gives: "goes on"
    },
    {
      about: "a described region, again and again",
      does: floodAll(20_000, (i) =>
        have((i % REGIONS) * 1_048_576, 1_048_576, Uint8Array.of(0x83, 0x80, 0x20))
      ),
      gives: "goes on"
    },
    {
      about: "Unhave of 2^53 blocks",
      does: says(have(0, 2 ** 40), unhave(0, 2 ** 53 - 1), unhave(2 ** 53 - 1, 2 ** 53 - 1)),
      gives: "goes on"
    },
    {
      about: "Have and Unhave of everything in turns",
      does: floodAll(20_000, (i) => (i % 2 === 0 ? have(1, 2 ** 45) : unhave(1, 2 ** 45))),
      gives: "goes on"
    },
    { about: "Have{length: 0}", does: says(have(0, 0), have(5, 0), unhave(0, 0)), gives: "goes on" },
    {
      about: "Unwant of anything",
      victim: "author",
      does: says({ _tag: "Unwant", start: 2 ** 53 - 1, length: 2 ** 53 - 1 }),
      gives: "goes on"
    },
    { about: "Have without a start", does: raw(TYPE.Have, ...field(2, 5)), gives: "malformed" },
    {
      about: "a start of 2^53",
      does: raw(TYPE.Have, 0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10),
      gives: "malformed"
    },
    {
      about: "a start that is bytes",
      does: raw(TYPE.Have, ...field(1, Uint8Array.of(1, 2))),
      gives: "malformed"
    },
    {
      about: "acknowledgements of everything",
      does: says({ ...have(0, 2 ** 53 - 1), ack: true }),
      gives: "goes on",
      options: { ack: true }
    }
  ])
})

const far = [BLOCKS, BLOCKS + 1, 2 ** 32, 2 ** 46, 2 ** 50, 2 ** 53 - 1]

describe("requests", () => {
  expectOutcomes([
    {
      about: "beyond the end",
      victim: "author",
      does: says(...far.map((index) => request(index))),
      gives: "goes on"
    },
    {
      about: "of leaves beyond the end",
      victim: "author",
      does: says(...far.map((index) => request(index, { hash: true }))),
      gives: "goes on"
    },
    {
      about: "of bytes beyond the end",
      victim: "author",
      does: says(
        ...far.map((bytes) => request(0, { bytes })),
        ...far.map((bytes) => request(bytes, { bytes }))
      ),
      gives: "goes on"
    },
    {
      about: "with any digest",
      victim: "author",
      does: says(
        ...times(53, (i) => request(i, { nodes: 2 ** i })),
        ...times(53, (i) => request(99 - i, { nodes: 2 ** (i + 1) - 1 }))
      ),
      gives: "goes on"
    },
    {
      about: "100,000 at once",
      victim: "author",
      does: ({ hostile }) => flood(hostile, 100_000, (i) => request(i % BLOCKS)),
      gives: "too-many"
    },
    {
      about: "100,000 at once, of 2^50",
      victim: "author",
      does: ({ hostile }) => flood(hostile, 100_000, () => request(2 ** 50)),
      gives: "too-many"
    },
    {
      about: "100,000 Wants at once",
      victim: "author",
      does: ({ hostile }) => flood(hostile, 100_000, (i) => want(8192 * i)),
      gives: "too-many"
    },
    {
      about: "of one block, and Cancel of it, in turns",
      victim: "author",
      does: ({ hostile }) => flood(hostile, 20_000, (i) => (i % 2 === 0 ? request(3) : cancel(3))),
      gives: "goes on"
    },
    {
      about: "Cancel of what was never asked, again and again",
      victim: "author",
      does: ({ hostile }) => flood(hostile, 50_000, (i) => (i < 10_000 ? request(i) : cancel(2 ** 40 + i))),
      gives: "goes on"
    }
  ])
})

/** Waits for a request and answers it, changed. */
const answers =
  (change: (honest: Wire.Data) => Wire.Data | ReadonlyArray<Wire.Message>): Attack =>
  ({ hostile }) =>
    Effect.gen(function* () {
      const [asked] = yield* hostile.asked()
      const changed = change(yield* hostile.answer(asked!))
      yield* hostile.say(
        ...(Array.isArray(changed) ? (changed as ReadonlyArray<Wire.Message>) : [changed as Wire.Data])
      )
    })

const flipped = (bytes: Uint8Array): Uint8Array => bytes.map((byte, i) => (i === 0 ? byte ^ 1 : byte))

const firstNode = (answer: Wire.Data, change: Partial<Wire.Data["nodes"][number]>): Wire.Data => ({
  ...answer,
  nodes: answer.nodes.map((node, i) => (i === 0 ? { ...node, ...change } : node))
})

describe("answers", () => {
  expectOutcomes([
    { about: "an honest one", does: answers((honest) => honest), gives: "goes on" },
    {
      about: "another value",
      does: answers((honest) => ({ ...honest, value: Uint8Array.of(1, 2, 3) })),
      gives: "invalid-data"
    },
    {
      about: "an empty value",
      does: answers((honest) => ({ ...honest, value: new Uint8Array(50) })),
      gives: "invalid-data"
    },
    {
      about: "another hash",
      does: answers((honest) => firstNode(honest, { hash: flipped(honest.nodes[0]!.hash) })),
      gives: "invalid-data"
    },
    {
      about: "another size",
      does: answers((honest) => firstNode(honest, { size: 1 + honest.nodes[0]!.size })),
      gives: "invalid-data"
    },
    {
      about: "a size of 2^53 - 1",
      does: answers((honest) => firstNode(honest, { size: 2 ** 53 - 1 })),
      gives: "invalid-data"
    },
    {
      about: "a node at 2^53 - 1",
      does: answers((honest) => firstNode(honest, { index: (2 ** 53 - 1) as Position })),
      gives: "invalid-data"
    },
    {
      about: "another signature",
      does: answers((honest) => ({ ...honest, signature: flipped(honest.signature!) })),
      gives: "invalid-data"
    },
    {
      about: "no signature",
      does: answers((honest) => ({ ...honest, signature: undefined })),
      gives: "invalid-data"
    },
    {
      about: "a signature of zeros",
      does: answers((honest) => ({ ...honest, signature: new Uint8Array(64) })),
      gives: "invalid-data"
    },
    { about: "no proof", does: answers((honest) => data(honest.index, honest.value)), gives: "invalid-data" },
    {
      about: "a proof that is too short",
      does: answers((honest) => ({ ...honest, nodes: honest.nodes.slice(0, -1) })),
      gives: "invalid-data"
    },
    {
      about: "a proof without its first node",
      does: answers((honest) => ({ ...honest, nodes: honest.nodes.slice(1) })),
      gives: "invalid-data"
    },
    {
      about: "a proof that goes on",
      does: answers((honest) => ({
        ...honest,
        nodes: [
          ...honest.nodes,
          ...times(4000, (i) => ({ ...honest.nodes[0]!, index: (2 ** 47 - 2 * i) as Position }))
        ]
      })),
      gives: "invalid-data"
    },
    {
      about: "too many nodes",
      does: answers((honest) => ({ ...honest, nodes: times(5000, () => honest.nodes[0]!) })),
      gives: "too-large"
    },
    {
      about: "the block of another index",
      does: answers((honest) => ({ ...honest, value: blocks[(honest.index + 1) % BLOCKS] })),
      gives: "invalid-data"
    },
    { about: "the same again", does: answers((honest) => times(1000, () => honest)), gives: "goes on" },
    {
      about: "the same again, pushed",
      does: answers((honest) => times(1000, () => honest)),
      gives: "goes on",
      options: { allowPush: true }
    },
    {
      about: "what was not asked for",
      does: says(...times(1000, (i) => data(i, Uint8Array.of(1)))),
      gives: "goes on"
    },
    {
      about: "what was not asked for, pushed",
      does: says(data(3, Uint8Array.of(1))),
      gives: "invalid-data",
      options: { allowPush: true }
    },
    {
      about: "what was not asked for, at 2^53 - 1, pushed",
      does: says(data(2 ** 53 - 1, Uint8Array.of(1))),
      gives: "invalid-data",
      options: { allowPush: true }
    },
    { about: "a leaf that was not asked for", does: says(data(3, undefined)), gives: "goes on" },
    {
      about: "an author is given blocks",
      victim: "author",
      does: says(have(0, 2 ** 40), data(200, Uint8Array.of(1))),
      gives: "goes on"
    },
    {
      about: "Unhave of what is asked, then Data",
      does: answers((honest) => [unhave(honest.index), honest]),
      gives: "goes on"
    }
  ])
})

describe("the state of a peer", () => {
  expectOutcomes([
    {
      about: "Info: downloading, then not, then again",
      does: says(...times(1000, (i) => info(i % 2 === 0, i % 3 === 0))),
      gives: "goes on"
    },
    {
      about: "an extension that nobody has",
      does: says(
        { _tag: "Extension", id: 5, payload: new Uint8Array(1000) },
        { _tag: "Extension", id: 2 ** 53 - 1, payload: new Uint8Array(0) }
      ),
      gives: "goes on",
      options: { extensions: ["x"] }
    },
    {
      about: "keep-alives, a million",
      does: ({ hostile }) => hostile.raw(new Uint8Array(1_000_000)),
      gives: "goes on"
    },
    {
      about: "frames of a header, a million",
      does: ({ hostile }) => hostile.raw(new Uint8Array(1_000_000).fill(1)),
      gives: "goes on"
    },
    {
      about: "messages of types that mean nothing",
      does: ({ hostile }) => hostile.raw(frame(0, 12, new Uint8Array(100)), frame(0, 14, new Uint8Array(1))),
      gives: "goes on"
    },
    {
      about: "Handshake twice",
      does: ({ hostile }) => hostile.raw(frame(0, TYPE.Handshake, field(1, new Uint8Array(5)))),
      gives: "goes on"
    },
    {
      about: "a Handshake of 257 extensions",
      does: ({ hostile }) =>
        hostile.raw(frame(0, TYPE.Handshake, times(257, () => field(4, new Uint8Array(1))).flat())),
      gives: "too-large"
    },
    {
      about: "a Handshake of an extension name of 1000 bytes",
      does: ({ hostile }) => hostile.raw(frame(0, TYPE.Handshake, field(4, new Uint8Array(1000)))),
      gives: "too-large"
    },
    {
      about: "a message of a million fields that mean nothing",
      does: ({ hostile }) => hostile.raw(frame(0, TYPE.Info, pairs(1_000_000, 0x78))),
      gives: "too-large"
    },
    {
      about: "a node of a million fields",
      does: ({ hostile }) =>
        hostile.raw(frame(0, TYPE.Data, [...field(1, 0), ...field(3, pairs(1_000_000, 0x08))])),
      gives: "too-large"
    },
    {
      about: "userData of 2 MB",
      does: ({ hostile }) => hostile.raw(frame(0, TYPE.Handshake, field(3, new Uint8Array(2_000_000)))),
      gives: "too-large"
    }
  ])
})
