/**
 * A peer that breaks the rules, on one end of a linked pair, and the feed of ours that it meets on the other: with an honest
 * connection beside it, which must not notice.
 */
import { expect } from "@effect/vitest"
import { Cause, Effect, Either, Exit, Fiber, Option, type Scope, TestClock } from "effect"
import { Multiplexer, type Channel } from "../../src/domain/Multiplexer.js"
import type { Proof } from "../../src/domain/Proof.js"
import type * as Wire from "../../src/domain/Wire.js"
import * as Varint from "../../src/domain/Varint.js"
import { type Connection, Crypto, Feed, NetworkMemory, Replication } from "../../src/index.js"
import { coreOf } from "../../src/services/feed/FeedCore.js"
import { currentSwarm } from "../../src/services/replication/Swarm.js"
import { keyPair, memory, quiet, someBlocks, source } from "../services/harness.js"

export const BLOCKS = 100

const varint = (value: number): Uint8Array => {
  const bytes = new Uint8Array(Varint.encodedLength(value))
  Varint.encode(value, bytes, 0)
  return bytes
}

/** The bytes of a frame, whatever its body says. */
export const frame = (
  channel: number,
  type: number,
  body: Uint8Array | ReadonlyArray<number>
): Uint8Array => {
  const header = varint(channel * 16 + type)
  return Uint8Array.from([...varint(header.length + body.length), ...header, ...body])
}

/** A field of a message: its number and a number or bytes. */
export const field = (number: number, value: number | Uint8Array): ReadonlyArray<number> =>
  typeof value === "number"
    ? [number << 3, ...varint(value)]
    : [(number << 3) | 2, ...varint(value.length), ...value]

export const handshake: Wire.Handshake = {
  _tag: "Handshake",
  id: new Uint8Array(32).fill(66),
  live: true,
  userData: undefined,
  extensions: [],
  ack: false
}

export const info = (downloading: boolean, uploading = true): Wire.Info => ({
  _tag: "Info",
  uploading,
  downloading
})
export const have = (start: number, length = 1, bitfield?: Uint8Array): Wire.Have => ({
  _tag: "Have",
  start,
  length,
  bitfield,
  ack: false
})
export const want = (start: number, length?: number): Wire.Want => ({ _tag: "Want", start, length })
export const unhave = (start: number, length = 1): Wire.Unhave => ({ _tag: "Unhave", start, length })
export const request = (index: number, more: Partial<Wire.Request> = {}): Wire.Request => ({
  _tag: "Request",
  index,
  bytes: 0,
  hash: false,
  nodes: 0,
  ...more
})
export const cancel = (index: number): Wire.Cancel => ({ _tag: "Cancel", index, bytes: 0, hash: false })
export const data = (
  index: number,
  value: Uint8Array | undefined,
  proof: Partial<Proof> = {}
): Wire.Data => ({
  _tag: "Data",
  index,
  value,
  nodes: [],
  ...proof
})

/** The hostile side. It speaks through a multiplexer of ours, or in bytes of its own where that would not let it. */
export class Hostile {
  readonly multiplexer: Multiplexer
  /** All that was heard. */
  readonly heard: Array<Wire.Message> = []
  channel: Channel | undefined
  ended = false

  constructor(
    readonly connection: Connection,
    readonly author: Feed.Feed,
    readonly crypto: Crypto["Type"],
    readonly encrypt: boolean
  ) {
    this.multiplexer = new Multiplexer({ encrypt, handshake, xsalsa20: crypto.xsalsa20 })
  }

  /** Opens the feed and shakes hands. */
  readonly open = Effect.suspend(() => {
    const { discoveryKey, key } = this.author
    this.channel = Either.getOrThrow(this.multiplexer.open(key, discoveryKey, new Uint8Array(24).fill(9)))
    return this.flush
  })

  readonly flush = Effect.suspend(() => this.connection.push(this.multiplexer.take()))

  say(...messages: ReadonlyArray<Wire.Message>) {
    return Effect.suspend(() => {
      for (const message of messages) {
        if (!this.multiplexer.send(this.channel!, message)) throw new Error("no frame carries it")
      }
      return this.flush
    })
  }

  /** Bytes as they are: only where nothing is encrypted. */
  raw(...arrays: ReadonlyArray<Uint8Array>) {
    return this.connection.push(arrays)
  }

  /** Takes what has come. */
  readonly hear = Effect.suspend(() =>
    Effect.map(this.connection.pull, (arrays) => {
      if (arrays.length === 0) this.ended = true
      for (const bytes of arrays) {
        for (let more = this.multiplexer.receive(bytes); ; more = this.multiplexer.more()) {
          for (const event of Either.getOrThrow(more)) {
            if (event._tag === "Message") this.heard.push(event.message)
          }
          if (!this.multiplexer.hasMore) break
        }
      }
    })
  )

  /** Hears until `isEnough`, or the other side ends. */
  until(isEnough: () => boolean): Effect.Effect<void, unknown> {
    return Effect.suspend(() =>
      isEnough() || this.ended ? Effect.void : Effect.zipRight(this.hear, this.until(isEnough))
    )
  }

  all<Tag extends Wire.Message["_tag"]>(tag: Tag): ReadonlyArray<Extract<Wire.Message, { _tag: Tag }>> {
    return this.heard.filter((one): one is Extract<Wire.Message, { _tag: Tag }> => one._tag === tag)
  }

  /** Says that it has all of the author's blocks, waits until `count` are asked for. */
  asked(count = 1): Effect.Effect<ReadonlyArray<Wire.Request>, unknown> {
    const requests = () => this.all("Request").filter(({ hash }) => !hash)
    return this.until(() => this.all("Want").length > 0).pipe(
      Effect.zipRight(this.say(have(0, this.author.length))),
      Effect.zipRight(this.until(() => requests().length >= count)),
      Effect.map(requests)
    )
  }

  /** What an honest peer would answer. */
  answer({ hash, index, nodes }: Wire.Request): Effect.Effect<Wire.Data, unknown> {
    return Effect.all({
      value: hash ? Effect.succeed(undefined) : this.author.get(index, { wait: false }),
      proof: this.author.proof(index, { digest: nodes, hash })
    }).pipe(Effect.map(({ proof, value }) => data(index, value, proof)))
  }
}

export type Victim = "author" | "reader" | "sparse"

export interface Arena {
  readonly hostile: Hostile
  /** Our feed. */
  readonly victim: Feed.Feed
  readonly author: Feed.Feed
  /** The session that the hostile peer has with it. */
  readonly session: Fiber.RuntimeFiber<void, Replication.ReplicationError>
}

/** The author's log when the attack begins, and what is appended after it. */
export const blocks = someBlocks(BLOCKS)
export const later = someBlocks(10, "later")

const openReader = (key: Uint8Array, options: Feed.OpenOptions = {}) =>
  Effect.provide(Feed.open({ key, ...options }), memory)

/** Our feed, an honest connection and a hostile one. */
export const arena = (victimIs: Victim, options: Replication.Options = {}) =>
  Effect.gen(function* () {
    const author = yield* source(blocks)
    const victim =
      victimIs === "author" ? author : yield* openReader(author.key, { sparse: victimIs === "sparse" })
    const [ours, theirs] = yield* NetworkMemory.pair()
    const encrypt = options.encrypt ?? false
    const session = yield* Effect.fork(
      Replication.replicate(victim, ours, { live: true, ...options, encrypt })
    )
    const hostile = new Hostile(theirs, author, yield* Crypto, encrypt)
    return { author, victim, session, hostile } satisfies Arena
  })

/** How a session stands: its error's tag and reason, `ended`, `goes on`; a defect fails the test. */
export const outcome = (session: Arena["session"]): Effect.Effect<string> =>
  Effect.gen(function* () {
    for (let turn = 0; turn < 10; turn++) yield* quiet
    const exit = yield* Fiber.poll(session)
    if (Option.isNone(exit)) return "goes on"
    return judge(exit.value)
  })

export const judge = (exit: Exit.Exit<void, Replication.ReplicationError>): string => {
  if (Exit.isSuccess(exit)) return "ended"
  const error = Cause.failureOption(exit.cause)
  if (Option.isNone(error)) {
    if (Cause.isInterruptedOnly(exit.cause)) return "interrupted"
    throw new Error(`a defect: ${Cause.pretty(exit.cause)}`)
  }
  return error.value._tag === "ProtocolError" ? error.value.reason : error.value._tag
}

/** Time passes, in steps in which everyone has his turn. */
export const pass = (seconds: number): Effect.Effect<void> =>
  Effect.repeatN(Effect.zipRight(TestClock.adjust("1 second"), quiet), seconds - 1)

/** Ends as soon as `isSo`, while time passes; fails after a minute of it. */
export const eventually = (about: string, isSo: () => boolean) =>
  Effect.gen(function* () {
    for (let turn = 0; turn < 600; turn++) {
      if (isSo()) return
      yield* quiet
      if (turn % 10 === 9) yield* TestClock.adjust("1 second")
    }
    expect.fail(`it never was so: ${about}`)
  })

/** An honest connection of `victim`'s, live: with the author, or with a reader of it. */
export const honest = ({ author, victim }: Arena) =>
  Effect.gen(function* () {
    const other = victim === author ? yield* openReader(author.key) : author
    const [left, right] = yield* NetworkMemory.pair()
    const fiber = yield* Effect.fork(
      Effect.all(
        [
          Replication.replicate(victim, left, { live: true }),
          Replication.replicate(other, right, { live: true })
        ],
        { concurrency: "unbounded", discard: true }
      )
    )
    return { fiber, reader: victim === author ? other : victim }
  })

/** The honest connection brings all that there is, appended blocks too, and nothing else is stored. */
export const expectUnharmed = (arena: Arena, connection: Effect.Effect.Success<ReturnType<typeof honest>>) =>
  Effect.gen(function* () {
    const { author, victim } = arena
    yield* author.appendBatch(later)
    const { fiber, reader } = connection
    const length = BLOCKS + later.length
    const wanted = reader.sparse ? yield* Effect.fork(reader.download({ end: length })) : undefined
    yield* eventually(
      "the honest peer has all blocks",
      () => coreOf(reader).bitfield.count(0, length) === length
    )
    if (wanted !== undefined) yield* Fiber.join(wanted)
    expect(yield* Fiber.poll(fiber)).toEqual(Option.none())
    expect(yield* reader.getBatch(0, length, { wait: false })).toEqual([...blocks, ...later])
    expect(yield* reader.audit()).toEqual({ valid: length, invalid: 0 })
    expect(reader.length).toBe(length)
    expect(victim.length).toBe(length)
    yield* Fiber.interrupt(fiber)
  })

/** Nothing of any session is left with the feed. */
export const expectNothingLeft = (feed: Feed.Feed) =>
  Effect.sync(() => {
    const core = coreOf(feed)
    expect(currentSwarm(core)).toBeUndefined()
    expect(core.listeners.size).toBe(0)
    expect(core.demand.listeners.size).toBe(0)
    expect(core.demand.size).toBe(0)
  })

/** Blocks of the victim's that are reserved for somebody. */
export const reserved = (feed: Feed.Feed): number => currentSwarm(coreOf(feed))?.downloads.reserved ?? 0

export type Attack = (arena: Arena) => Effect.Effect<unknown, unknown, Scope.Scope>

/** Runs an attack on a victim that has an honest connection, and tells how the attacked session stands after it. */
export const underAttack = (victimIs: Victim, attack: Attack, options: Replication.Options = {}) =>
  Effect.gen(function* () {
    const all = yield* arena(victimIs, options)
    const attacking = yield* Effect.fork(Effect.exit(attack(all)))
    for (let turn = 0; turn < 10; turn++) yield* quiet
    const result = yield* outcome(all.session)
    const connection = yield* honest(all)
    yield* expectUnharmed(all, connection)
    const exit = yield* Fiber.poll(attacking)
    if (Option.isSome(exit)) yield* noDefect(yield* exit.value)
    yield* Fiber.interrupt(attacking)
    yield* Fiber.interrupt(all.session)
    yield* expectNothingLeft(all.victim)
    return result
  })

/** The hostile side may be refused its pushes; its own mistakes are the test's. */
const noDefect = (exit: Exit.Exit<unknown, unknown>) =>
  Exit.isFailure(exit) && Option.isSome(Cause.dieOption(exit.cause))
    ? Effect.die(Cause.squash(exit.cause))
    : Effect.void

/** The key of another feed. */
export const otherFeed = Effect.flatMap(keyPair(2), (keys) => Effect.provide(Feed.open(keys), memory))
