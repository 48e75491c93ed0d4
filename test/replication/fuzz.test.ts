/**
 * Any messages, and any bytes, against a session: it ends with a typed error or goes on, and nothing that was not verified
 * is stored. A defect, or a wait that outlives its deadline, is a failure.
 */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Layer, type Scope, TestContext } from "effect"
import fc from "fast-check"
import { concat } from "../../src/domain/Bytes.js"
import type { Position } from "../../src/domain/FlatTree.js"
import type * as Wire from "../../src/domain/Wire.js"
import { type Connection, Feed, NetworkMemory, Replication } from "../../src/index.js"
import { coreOf } from "../../src/services/feed/FeedCore.js"
import { share } from "../domain/arbitraries.js"
import { message } from "../domain/messages.js"
import { type Services, memory, quiet, source } from "../services/harness.js"
import {
  type Arena,
  type Victim,
  arena,
  blocks,
  expectNothingLeft,
  expectUnharmed,
  honest,
  outcome,
  pass
} from "./Hostile.js"

/** Places in a log where something may go wrong, and far outside of it. */
const place = fc.oneof(
  fc.nat({ max: 120 }),
  fc.constantFrom(8192, 1_048_576, 2 ** 31, 2 ** 32, 2 ** 45, 2 ** 46 - 1, 2 ** 46, 2 ** 50, 2 ** 53 - 1),
  fc.maxSafeNat()
)

/** Run-length bitfields: runs of any length, whole and cut off. */
const rle = fc.oneof(
  fc.uint8Array({ maxLength: 12 }),
  fc
    .constantFrom(
      [0x83, 0x80, 0x20],
      [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x07],
      [0x03],
      [0x1a, 0xff],
      []
    )
    .map((bytes) => Uint8Array.from(bytes))
)

const hash = fc.uint8Array({ minLength: 32, maxLength: 32 })

const hostileMessage: fc.Arbitrary<Wire.Message> = fc.oneof(
  message,
  fc.record({
    _tag: fc.constant("Have" as const),
    start: place,
    length: place,
    bitfield: fc.option(rle, { nil: undefined }),
    ack: fc.boolean()
  }),
  fc.record({
    _tag: fc.constant("Have" as const),
    start: fc.constant(0),
    length: fc.constant(100),
    ack: fc.constant(false)
  }),
  fc.record({ _tag: fc.constant("Unhave" as const), start: place, length: place }),
  fc.record({
    _tag: fc.constantFrom("Want" as const, "Unwant" as const),
    start: place.map((n) => n - (n % 8192)),
    length: fc.option(place, { nil: undefined })
  }),
  fc.record({
    _tag: fc.constant("Request" as const),
    index: place,
    bytes: fc.oneof(fc.constant(0), place),
    hash: fc.boolean(),
    nodes: place
  }),
  fc.record({
    _tag: fc.constant("Cancel" as const),
    index: place,
    bytes: fc.constant(0),
    hash: fc.boolean()
  }),
  fc.record({
    _tag: fc.constant("Data" as const),
    index: place,
    value: fc.option(fc.oneof(fc.uint8Array({ maxLength: 30 }), fc.constantFrom(...blocks)), {
      nil: undefined
    }),
    nodes: fc.array(fc.record({ index: place.map((n) => n as Position), hash, size: place }), {
      maxLength: 8
    }),
    signature: fc.option(fc.uint8Array({ minLength: 64, maxLength: 64 }), { nil: undefined })
  })
)

/** What the hostile side does next. */
type Step =
  | { readonly does: "say"; readonly messages: ReadonlyArray<Wire.Message> }
  /** Answers a request as an honest peer would, but for the change. */
  | {
      readonly does: "answer"
      readonly which: number
      readonly change: "none" | "value" | "node" | "signature" | "cut" | "twice"
    }
  | { readonly does: "wait"; readonly seconds: number }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      does: fc.constant("say" as const),
      messages: fc.array(hostileMessage, { minLength: 1, maxLength: 6 })
    })
  },
  {
    weight: 4,
    arbitrary: fc.record({
      does: fc.constant("answer" as const),
      which: fc.nat({ max: 40 }),
      change: fc.constantFrom(
        "none" as const,
        "none" as const,
        "none" as const,
        "value" as const,
        "node" as const,
        "signature" as const,
        "cut" as const,
        "twice" as const
      )
    })
  },
  {
    weight: 1,
    arbitrary: fc.record({ does: fc.constant("wait" as const), seconds: fc.integer({ min: 1, max: 9 }) })
  }
)

const changed = (answer: Wire.Data, change: string): ReadonlyArray<Wire.Data> => {
  switch (change) {
    case "value":
      return [{ ...answer, value: Uint8Array.of(1, 2, 3) }]
    case "node":
      return [{ ...answer, nodes: answer.nodes.map((node) => ({ ...node, size: node.size + 1 })) }]
    case "signature":
      return [{ ...answer, signature: new Uint8Array(64).fill(1) }]
    case "cut":
      return [{ ...answer, nodes: answer.nodes.slice(0, -1) }]
    case "twice":
      return [answer, answer]
    default:
      return [answer]
  }
}

const perform = ({ author, hostile }: Arena, one: Step): Effect.Effect<unknown, unknown> =>
  Effect.gen(function* () {
    if (one.does === "wait") return yield* pass(one.seconds)
    if (one.does === "say") return yield* Effect.fork(hostile.say(...one.messages))
    const asked = hostile.all("Request").filter(({ index }) => index < author.length)
    if (asked.length === 0) return
    const answer = yield* hostile.answer(asked[one.which % asked.length]!)
    yield* Effect.fork(hostile.say(...changed(answer, one.change)))
  })

/** What may come of it. */
const OUTCOMES = [
  "goes on",
  "ended",
  "malformed",
  "too-large",
  "too-many",
  "other-feed",
  "no-nonce",
  "invalid-data",
  "timeout",
  "ended-early"
]

/** Only the author's blocks, each as it is, whatever was claimed. */
const expectSound = (author: Feed.Feed, victim: Feed.Feed) =>
  Effect.gen(function* () {
    expect(victim.length).toBeLessThanOrEqual(author.length)
    const held = coreOf(victim).bitfield.count(0, author.length)
    expect(coreOf(victim).bitfield.lastHeld(author.length, 2 ** 52)).toBeUndefined()
    expect(yield* victim.audit()).toEqual({ valid: held, invalid: 0 })
    for (let block = 0; block < victim.length; block++) {
      if (!(yield* victim.has(block))) continue
      expect(yield* victim.get(block, { wait: false })).toEqual(yield* author.get(block, { wait: false }))
    }
  })

/** Runs `body` once for each value, with services, a clock and a scope of its own. */
const always = <A>(
  arbitrary: fc.Arbitrary<A>,
  numRuns: number,
  body: (value: A) => Effect.Effect<void, unknown, Services | Scope.Scope>
) =>
  fc.assert(
    fc.asyncProperty(arbitrary, (value) =>
      Effect.runPromise(
        Effect.scoped(body(value)).pipe(Effect.provide(Layer.merge(memory, TestContext.TestContext)))
      )
    ),
    { numRuns }
  )

const options = fc.record({
  live: fc.boolean(),
  ack: fc.boolean(),
  encrypt: fc.boolean(),
  allowPush: fc.boolean(),
  upload: fc.boolean()
})

const scenario = fc.record({
  victimIs: fc.constantFrom<Victim>("reader", "reader", "sparse", "author"),
  options,
  reads: fc.boolean(),
  steps: fc.array(step, { minLength: 1, maxLength: 12 })
})

const attack = (all: Arena, reads: boolean, steps: ReadonlyArray<Step>) =>
  Effect.gen(function* () {
    const { hostile } = all
    yield* Effect.fork(hostile.open)
    yield* quiet
    const hearing = yield* Effect.fork(reads ? hostile.until(() => false) : Effect.never)
    yield* quiet
    for (const one of steps) {
      yield* perform(all, one)
      yield* quiet
    }
    return hearing
  })

/** After it all: a typed end or none, sound blocks, nothing left. */
const aftermath = (all: Arena, hearing: Fiber.Fiber<unknown, unknown>) =>
  Effect.gen(function* () {
    const { author, session, victim } = all
    expect(OUTCOMES).toContain(yield* outcome(session))
    yield* expectSound(author, victim)
    yield* Fiber.interruptAll([session, hearing])
    yield* expectNothingLeft(victim)
  })

describe("messages", () => {
  it("of any kind, in any order, end in a typed error or go on", () =>
    always(scenario, 80, ({ options: given, reads, steps, victimIs }) =>
      Effect.gen(function* () {
        const all = yield* arena(victimIs, given)
        yield* aftermath(all, yield* attack(all, reads, steps))
      })
    ))

  it("of any kind do not disturb an honest connection of the same feed", () =>
    always(scenario, 25, ({ options: given, reads, steps, victimIs }) =>
      Effect.gen(function* () {
        const all = yield* arena(victimIs, { ...given, upload: true })
        const connection = yield* honest(all)
        const hearing = yield* attack(all, reads, steps)
        yield* expectUnharmed(all, connection)
        yield* aftermath(all, hearing)
      })
    ))
})

/** What `connection` pushes is noted. */
const recording = (inner: Connection, pushed: Array<Uint8Array>): Connection => ({
  remote: inner.remote,
  pull: inner.pull,
  end: inner.end,
  push: (arrays) =>
    Effect.suspend(() => {
      for (const array of arrays) pushed.push(array.slice())
      return inner.push(arrays)
    })
})

/** What an author and a reader say to each other, each as one run of bytes. */
const record = (encrypt: boolean) =>
  Effect.gen(function* () {
    const author = yield* source(blocks)
    const reader = yield* Effect.provide(Feed.open({ key: author.key }), memory)
    const [left, right] = yield* NetworkMemory.pair()
    const said = { author: new Array<Uint8Array>(), reader: new Array<Uint8Array>() }
    yield* Effect.all(
      [
        Replication.replicate(author, recording(left, said.author), { encrypt }),
        Replication.replicate(reader, recording(right, said.reader), { encrypt })
      ],
      { concurrency: "unbounded", discard: true }
    )
    return { author: concat(said.author), reader: concat(said.reader) }
  }).pipe(Effect.scoped, Effect.provide(Layer.merge(memory, TestContext.TestContext)))

const damage = fc.oneof(
  fc.record({ how: fc.constant("flip" as const), at: share, bit: fc.nat({ max: 7 }) }),
  fc.record({ how: fc.constant("cut" as const), at: share, length: fc.integer({ min: 1, max: 200 }) }),
  fc.record({ how: fc.constant("repeat" as const), at: share, length: fc.integer({ min: 1, max: 200 }) }),
  fc.record({
    how: fc.constant("insert" as const),
    at: share,
    bytes: fc.uint8Array({ minLength: 1, maxLength: 20 })
  }),
  fc.record({ how: fc.constant("swap" as const), at: share, length: fc.integer({ min: 1, max: 200 }) }),
  fc.record({ how: fc.constant("end" as const), at: share })
)

type Damage = typeof damage extends fc.Arbitrary<infer D> ? D : never

const damaged = (bytes: Uint8Array, one: Damage, at = Math.floor(one.at * bytes.length)): Uint8Array => {
  const [head, tail] = [bytes.subarray(0, at), bytes.subarray(at)]
  switch (one.how) {
    case "flip":
      return bytes.map((byte, i) => (i === at ? byte ^ (1 << one.bit) : byte))
    case "cut":
      return concat([head, tail.subarray(one.length)])
    case "repeat":
      return concat([head, tail.subarray(0, one.length), tail])
    case "insert":
      return concat([head, one.bytes, tail])
    case "swap":
      return concat([
        head,
        tail.subarray(one.length, 2 * one.length),
        tail.subarray(0, one.length),
        tail.subarray(2 * one.length)
      ])
    case "end":
      return head.slice()
  }
}

const replay = fc.record({
  victimIs: fc.constantFrom<Victim>("reader", "sparse", "author"),
  live: fc.boolean(),
  encrypt: fc.boolean(),
  damages: fc.array(damage, { maxLength: 3 }),
  pieces: fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1, maxLength: 4 })
})

const meddled = fc.record({
  whose: fc.constantFrom("author", "reader"),
  sparse: fc.boolean(),
  live: fc.boolean(),
  encrypt: fc.boolean(),
  damages: fc.array(fc.record({ at: fc.nat({ max: 20_000 }), one: damage }), { minLength: 1, maxLength: 3 })
})

/** Damages what is pushed, at these places of all that is. */
const meddling = (
  inner: Connection,
  damages: ReadonlyArray<{ readonly at: number; readonly one: Damage }>
): Connection => {
  let passed = 0
  const meddle = (bytes: Uint8Array): Uint8Array => {
    const start = passed
    passed += bytes.length
    return damages
      .filter(({ at }) => at >= start && at < passed)
      .reduce((all, { at, one }) => damaged(all, one, Math.min(at - start, all.length)), bytes)
  }
  return {
    remote: inner.remote,
    pull: inner.pull,
    end: inner.end,
    push: (arrays) => Effect.suspend(() => inner.push(arrays.map((bytes) => meddle(bytes).slice())))
  }
}

describe("bytes", () => {
  it("of an honest session, flipped, cut, repeated and swapped, end in a typed error or go on", async () => {
    const recordings = [await Effect.runPromise(record(false)), await Effect.runPromise(record(true))]
    await always(replay, 80, ({ damages, encrypt, live, pieces, victimIs }) =>
      Effect.gen(function* () {
        // Nothing was asked for, so blocks are taken unasked.
        const all = yield* arena(victimIs, { encrypt, live, allowPush: true })
        const said = recordings[encrypt ? 1 : 0]!
        const bytes = damages.reduce(
          (bytes, one) => damaged(bytes, one),
          victimIs === "author" ? said.reader : said.author
        )
        const { connection } = all.hostile
        const pulling = yield* Effect.fork(Effect.forever(connection.pull))
        for (let at = 0, piece = 0; at < bytes.length; piece++) {
          const size = pieces[piece % pieces.length]!
          yield* Effect.fork(connection.push([bytes.slice(at, at + size)]))
          at += size
          yield* Effect.yieldNow()
        }
        yield* pass(2)
        yield* aftermath(all, pulling)
      })
    )
  })

  it("of a session under way, damaged on the way, end in typed errors or go on", () =>
    always(meddled, 60, ({ damages, encrypt, live, sparse, whose }) =>
      Effect.gen(function* () {
        const author = yield* source(blocks)
        const reader = yield* Effect.provide(Feed.open({ key: author.key, sparse }), memory)
        const [left, right] = yield* NetworkMemory.pair()
        const [near, far] =
          whose === "author" ? [meddling(left, damages), right] : [left, meddling(right, damages)]
        const given = yield* Effect.fork(Replication.replicate(author, near, { encrypt, live }))
        const taken = yield* Effect.fork(Replication.replicate(reader, far, { encrypt, live }))
        const wanted = yield* Effect.fork(reader.download({ end: 100 }))
        yield* pass(12)
        for (const session of [given, taken])
          expect([...OUTCOMES, "NetworkError"]).toContain(yield* outcome(session))
        yield* expectSound(author, reader)
        yield* Fiber.interruptAll([given, taken, wanted])
        yield* expectNothingLeft(author)
        yield* expectNothingLeft(reader)
      })
    ))

  it("that are no protocol at all end in a typed error", () =>
    always(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 5 }), 25, (arrays) =>
      Effect.gen(function* () {
        const all = yield* arena("reader", { live: true })
        yield* Effect.fork(Effect.forEach(arrays, (bytes) => all.hostile.connection.push([bytes.slice()])))
        yield* pass(9)
        expect(OUTCOMES.slice(2)).toContain(yield* outcome(all.session))
        yield* aftermath(all, yield* Effect.fork(Effect.never))
      })
    ))
})
