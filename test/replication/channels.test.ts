/** How a connection opens, and what a hostile peer can do to that: first frames, nonces, keys, channels, and frames in any pieces. */
import { describe, expect } from "@effect/vitest"
import { Effect, Fiber, Option } from "effect"
import { NetworkMemory, Replication } from "../../src/index.js"
import { expectFailure, inMemory, someBlocks, source } from "../services/harness.js"
import {
  type Attack,
  type Victim,
  arena,
  expectNothingLeft,
  field,
  frame,
  outcome,
  pass,
  underAttack
} from "./Hostile.js"

const feed = (discoveryKey: Uint8Array, nonce?: Uint8Array): ReadonlyArray<number> => [
  ...field(1, discoveryKey),
  ...(nonce === undefined ? [] : field(2, nonce))
]

const other = new Uint8Array(32).fill(7)

interface Case {
  readonly about: string
  readonly victim?: Victim
  readonly does: Attack
  readonly gives: string
  readonly options?: Replication.Options
}

const expectOutcomes = (cases: ReadonlyArray<Case>) => {
  for (const { about, does, gives, options, victim = "reader" } of cases) {
    inMemory(`${about}: ${gives}`, () =>
      Effect.map(underAttack(victim, does, options), (result) => expect(result).toBe(gives))
    )
  }
}

const raws =
  (...frames: ReadonlyArray<Uint8Array>): Attack =>
  ({ hostile }) =>
    hostile.raw(...frames)

/** Opens the author's feed on channel 0, then sends these. */
const opened =
  (...frames: ReadonlyArray<Uint8Array>): Attack =>
  ({ author, hostile }) =>
    hostile.raw(frame(0, 0, feed(author.discoveryKey)), frame(0, 1, field(2, 1)), ...frames)

describe("the first frame", () => {
  const encrypt = { encrypt: true }
  expectOutcomes([
    { about: "is no Feed", does: raws(frame(0, 2, field(1, 1))), gives: "malformed" },
    {
      about: "has no discovery key",
      does: raws(frame(0, 0, field(2, new Uint8Array(24)))),
      gives: "malformed"
    },
    {
      about: "has a short discovery key",
      does: raws(frame(0, 0, feed(other.subarray(1)))),
      gives: "malformed"
    },
    {
      about: "has a nonce of 23 bytes",
      options: encrypt,
      does: ({ author, hostile }) => hostile.raw(frame(0, 0, feed(author.discoveryKey, new Uint8Array(23)))),
      gives: "malformed"
    },
    { about: "has no nonce", options: encrypt, does: opened(), gives: "no-nonce" },
    {
      about: "opens another feed, encrypted",
      options: encrypt,
      does: ({ hostile }) => hostile.raw(frame(0, 0, feed(other, new Uint8Array(24))), new Uint8Array(10)),
      gives: "other-feed"
    },
    { about: "is above 8 MB", does: raws(Uint8Array.of(0xff, 0xff, 0xff, 0x7f)), gives: "too-large" },
    {
      about: "has a length of five bytes",
      does: raws(Uint8Array.of(0x80, 0x80, 0x80, 0x80, 0x00)),
      gives: "too-large"
    },
    {
      about: "has an endless header",
      does: raws(Uint8Array.of(9, ...new Uint8Array(9).fill(0xff))),
      gives: "malformed"
    }
  ])

  inMemory("encrypted by the one and not by the other: both end", () =>
    Effect.gen(function* () {
      const { hostile, session } = yield* arena("reader", { encrypt: true })
      const theirs = yield* Effect.fork(
        Replication.replicate(hostile.author, hostile.connection, { live: true, encrypt: false })
      )
      expect(yield* outcome(session)).toBe("no-nonce")
      yield* pass(10)
      expect(["malformed", "too-large", "too-many", "timeout", "ended-early", "NetworkError"]).toContain(
        yield* outcome(theirs)
      )
    })
  )
})

const onChannel = (number: number, key: Uint8Array = other) => frame(number, 0, feed(key))
const keyOf = (i: number) => new Uint8Array(32).fill(1 + (i % 250)).fill(i >> 3, 0, 1)
const range = (count: number) => Array.from({ length: count }, (_, i) => i)
const info = (channel: number) => frame(channel, 2, field(1, 1))

describe("channels", () => {
  expectOutcomes([
    { about: "a message on one that is not open", does: opened(info(1)), gives: "malformed" },
    { about: "the 257th", does: opened(onChannel(256)), gives: "too-many" },
    { about: "number 2^40", does: opened(onChannel(2 ** 40)), gives: "too-many" },
    {
      about: "256 of them, none of which we have",
      does: opened(...range(255).map((i) => onChannel(1 + i, keyOf(i)))),
      gives: "goes on"
    },
    {
      about: "17 early messages",
      does: opened(onChannel(1), ...range(17).map(() => info(1))),
      gives: "goes on"
    },
    {
      about: "18 early messages",
      does: opened(onChannel(1), ...range(18).map(() => info(1))),
      gives: "too-many"
    },
    {
      about: "early messages above 1 MB",
      does: opened(onChannel(1), ...range(2).map(() => frame(1, 15, new Uint8Array(600_000)))),
      gives: "too-many"
    },
    {
      about: "early messages above 1 MB, over many",
      does: opened(
        ...range(200).flatMap((i) => [onChannel(1 + i, keyOf(i)), frame(1 + i, 15, new Uint8Array(6000))])
      ),
      gives: "too-many"
    },
    {
      about: "the same feed on another",
      does: ({ author, hostile }) =>
        hostile.raw(
          frame(0, 0, feed(author.discoveryKey)),
          frame(0, 1, field(2, 1)),
          onChannel(1, author.discoveryKey)
        ),
      gives: "goes on"
    },
    {
      about: "other feeds on the same number, again and again",
      does: opened(onChannel(1), ...range(5000).map((i) => onChannel(1, keyOf(i)))),
      gives: "goes on"
    },
    { about: "Handshake on a second", does: opened(onChannel(1), frame(1, 1, field(2, 0))), gives: "goes on" }
  ])

  inMemory("onFeed is asked for each, and makes no more than 256", () =>
    Effect.gen(function* () {
      const author = yield* source(someBlocks(3))
      const [ours, theirs] = yield* NetworkMemory.pair()
      let asked = 0
      const replicator = yield* Replication.connect(ours, {
        encrypt: false,
        onFeed: () =>
          Effect.sync(() => {
            asked++
            return Option.some(author)
          })
      })
      const again = range(600).map(() => onChannel(0, author.discoveryKey))
      yield* Effect.fork(theirs.push(again))
      yield* expectFailure(replicator.ended, { _tag: "ProtocolError", reason: "too-many" })
      expect(asked).toBe(257)
      yield* expectNothingLeft(author)
    })
  )

  inMemory("requests of many feeds that wait are bounded together", () =>
    Effect.gen(function* () {
      const feeds = yield* Effect.forEach(range(10), (i) => source(someBlocks(3), 10 + i))
      const [ours, theirs] = yield* NetworkMemory.pair({ bufferSize: 1 })
      const replicator = yield* Replication.connect(ours, { encrypt: false })
      for (const one of feeds) yield* replicator.add(one)
      yield* Effect.fork(
        theirs.push(
          feeds.flatMap(({ discoveryKey }, i) => [
            frame(i, 0, feed(discoveryKey)),
            ...(i === 0 ? [frame(0, 1, field(2, 1))] : []),
            concatenated(
              16_000,
              frame(i, 7, [...field(1, 2 ** 40), ...field(2, 0), ...field(3, 0), ...field(4, 0)])
            )
          ])
        )
      )
      yield* expectFailure(replicator.ended, { _tag: "ProtocolError", reason: "too-many" })
      for (const one of feeds) yield* expectNothingLeft(one)
    })
  )
})

const concatenated = (count: number, bytes: Uint8Array): Uint8Array => {
  const all = new Uint8Array(count * bytes.length)
  for (let i = 0; i < count; i++) all.set(bytes, i * bytes.length)
  return all
}

describe("frames in pieces", () => {
  inMemory("8 MB in pieces of 100 bytes, each an array of its own", () =>
    Effect.gen(function* () {
      const { hostile, session } = yield* arena("reader")
      yield* hostile.open
      const large = frame(0, 15, new Uint8Array(8_300_000))
      const pieces = range(Math.ceil(large.length / 100)).map((i) => large.slice(100 * i, 100 * (i + 1)))
      yield* Effect.fork(hostile.raw(...pieces))
      expect(yield* outcome(session)).toBe("goes on")
      yield* Effect.fork(hostile.raw(frame(0, 3, field(2, 5))))
      expect(yield* outcome(session)).toBe("malformed")
    })
  )

  for (const live of [true, false]) {
    inMemory(`the end in the middle of one (live: ${live}): ended-early`, () =>
      Effect.gen(function* () {
        const { hostile, session, victim } = yield* arena("reader", { live })
        yield* hostile.open
        yield* hostile.raw(frame(0, 3, field(1, 5)).subarray(0, 2))
        yield* Effect.fork(hostile.connection.end)
        expect(yield* outcome(session)).toBe("ended-early")
        yield* expectNothingLeft(victim)
      })
    )
  }
})

describe("the end of a session", () => {
  for (const [about, key] of [
    ["the same feed", undefined],
    ["another feed", other]
  ] as const) {
    inMemory(`opening ${about} on its channel ends it, live or not`, () =>
      Effect.gen(function* () {
        const { hostile, session, victim } = yield* arena("reader")
        yield* hostile.open
        yield* hostile.raw(...range(5000).map(() => onChannel(0, key ?? victim.discoveryKey)))
        yield* pass(12)
        expect(yield* outcome(session)).toBe("ended")
        yield* expectNothingLeft(victim)
      })
    )
  }

  inMemory("a channel that is closed while blocks are owed: ended-early", () =>
    Effect.gen(function* () {
      const { hostile, session, victim } = yield* arena("reader", { live: false })
      yield* hostile.open
      yield* hostile.asked(5)
      yield* hostile.raw(onChannel(0))
      expect(yield* outcome(session)).toBe("ended-early")
      yield* expectNothingLeft(victim)
    })
  )

  inMemory("a feed cannot be added after it", () =>
    Effect.gen(function* () {
      const author = yield* source(someBlocks(3))
      const [ours, theirs] = yield* NetworkMemory.pair()
      const replicator = yield* Replication.connect(ours)
      yield* Effect.fork(theirs.end)
      yield* replicator.ended
      yield* expectFailure(replicator.add(author), { _tag: "ProtocolError", reason: "ended-early" })
      yield* expectNothingLeft(author)
    })
  )

  inMemory("an interruption at any moment leaves nothing", () =>
    Effect.gen(function* () {
      const author = yield* source(someBlocks(30))
      for (let moment = 0; moment < 60; moment++) {
        const [ours] = yield* NetworkMemory.pair()
        const fiber = yield* Effect.fork(Replication.replicate(author, ours))
        yield* Effect.repeatN(Effect.yieldNow(), moment)
        yield* Fiber.interrupt(fiber)
        yield* expectNothingLeft(author)
      }
    })
  )
})
