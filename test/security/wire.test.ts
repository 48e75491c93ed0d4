/** What docs/security.md says of the wire: what its encryption keeps, and each thing that it does not. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Either, Fiber, type Layer, Option } from "effect"
import { concat, toHex } from "../../src/domain/Bytes.js"
import { type Event, Multiplexer } from "../../src/domain/Multiplexer.js"
import type * as Wire from "../../src/domain/Wire.js"
import { type Connection, Crypto, Feed, NetworkMemory, Replication } from "../../src/index.js"
import { handshake, outcome } from "../replication/Hostile.js"
import { bytes, memory, quiet, source } from "../services/harness.js"

const SECRET = "what nobody else should read, "
const blocks = Array.from({ length: 20 }, (_, i) => bytes(`${SECRET}${i}`))

const inMemory = <A, E>(name: string, body: () => Effect.Effect<A, E, Layer.Layer.Success<typeof memory>>) =>
  it.effect(name, () => Effect.provide(body(), memory))

/** Each array that is pushed, changed in place by who sits between, and noted. */
const tapped = (
  inner: Connection,
  pushed: Array<Uint8Array>,
  change: (array: Uint8Array, at: number) => void
) => {
  let at = 0
  const push: Connection["push"] = (arrays) =>
    Effect.suspend(() => {
      for (const array of arrays) {
        change(array, at)
        at += array.length
        pushed.push(array.slice())
      }
      return inner.push(arrays)
    })
  return { remote: inner.remote, pull: inner.pull, end: inner.end, push } satisfies Connection
}

interface Conversation {
  readonly author: Feed.Feed
  readonly reader: Feed.Feed
  /** What the author said, as it came over the wire. */
  readonly said: Uint8Array
  /** Blocks that the reader has, and how many of them are the author's. */
  readonly held: number
  readonly sound: number
  readonly given: string
  readonly taken: string
}

interface Told {
  readonly options?: Replication.Options
  readonly ofReader?: Replication.Options
  readonly change?: (array: Uint8Array, at: number) => void
}

/** An author gives its blocks to a reader; somebody listens in between, and may change what the author says. */
const converse = ({ change = () => {}, ofReader, options }: Told = {}) =>
  Effect.gen(function* () {
    const author = yield* source(blocks)
    const reader = yield* Effect.provide(Feed.open({ key: author.key }), memory)
    const [left, right] = yield* NetworkMemory.pair()
    const pushed: Array<Uint8Array> = []
    const giving = yield* Effect.fork(Replication.replicate(author, tapped(left, pushed, change), options))
    const taking = yield* Effect.fork(Replication.replicate(reader, right, { ...options, ...ofReader }))
    for (let turn = 0; turn < 10; turn++) yield* quiet
    let sound = 0
    for (let index = 0; index < reader.length; index++) {
      const block = yield* Effect.option(reader.get(index, { wait: false }))
      if (Option.isSome(block) && toHex(block.value) === toHex(blocks[index]!)) sound++
    }
    const conversation: Conversation = {
      held: yield* reader.downloaded(),
      sound,
      author,
      reader,
      given: yield* outcome(giving),
      taken: yield* outcome(taking),
      said: concat(pushed)
    }
    yield* Fiber.interruptAll([giving, taking])
    return conversation
  }).pipe(Effect.scoped)

/** What the author said, to who listened in and knows a key. */
const overhear = ({ author, said }: Conversation, key: Uint8Array) =>
  Effect.map(Crypto, ({ xsalsa20 }) => {
    // Whoever replays it hears it as the author's other side did.
    const listener = new Multiplexer({ encrypt: true, handshake, xsalsa20 })
    listener.open(key, author.discoveryKey, new Uint8Array(24))
    listener.keep(said.slice())
    const events: Array<Event> = []
    while (listener.hasMore) {
      const more = listener.more()
      if (Either.isLeft(more)) break
      events.push(...more.right)
    }
    return events.flatMap((event): Array<Wire.Message> => (event._tag === "Message" ? [event.message] : []))
  })

const includes = (all: Uint8Array, part: Uint8Array): boolean => toHex(all).includes(toHex(part))

describe("encryption", () => {
  inMemory("hides blocks and the public key from who does not know it, not the discovery key", () =>
    Effect.gen(function* () {
      const conversation = yield* converse()
      const { author, reader, said } = conversation
      expect(reader.length).toBe(blocks.length)
      expect(includes(said, bytes(SECRET))).toBe(false)
      expect(includes(said, author.key)).toBe(false)
      expect(includes(said, author.discoveryKey)).toBe(true)
      const stranger = new Uint8Array(32).fill(7)
      expect((yield* overhear(conversation, stranger)).some(({ _tag }) => _tag === "Data")).toBe(false)
    })
  )

  inMemory("hides nothing from who knows the public key, now or years later", () =>
    Effect.gen(function* () {
      const conversation = yield* converse()
      const heard = yield* overhear(conversation, conversation.author.key)
      const values = heard.flatMap((one) => (one._tag === "Data" && one.value ? [toHex(one.value)] : []))
      expect(values.sort()).toEqual(blocks.map(toHex).sort())
    })
  )

  inMemory("has another nonce each time, and each way", () =>
    Effect.gen(function* () {
      const nonces = yield* Effect.forEach([1, 2, 3], () =>
        Effect.map(converse(), ({ author, said }) => {
          const after = toHex(said).indexOf(toHex(author.discoveryKey)) / 2 + 32
          return toHex(said.subarray(after + 2, after + 26))
        })
      )
      expect(nonces.every((nonce) => /^[0-9a-f]{48}$/.test(nonce))).toBe(true)
      expect(new Set(nonces).size).toBe(3)
    })
  )

  inMemory("of all feeds on a connection is the first one's: its readers read the others", () =>
    Effect.gen(function* () {
      const { randomBytes, xsalsa20 } = yield* Crypto
      const discoveryKeyOf = (key: Uint8Array) => key.map((byte) => byte + 100)
      const side = new Multiplexer({ encrypt: true, handshake, xsalsa20 })
      const listener = new Multiplexer({ encrypt: true, handshake, xsalsa20 })
      const keys = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)]
      const channels = yield* Effect.forEach(keys, (key) =>
        Effect.flatMap(randomBytes(24), (nonce) => side.open(key, discoveryKeyOf(key), nonce))
      )
      side.send(channels[1]!, { _tag: "Data", index: 0, value: bytes(SECRET), nodes: [] })
      listener.open(keys[0]!, discoveryKeyOf(keys[0]!), new Uint8Array(24))
      listener.keep(concat(side.take()))
      while (listener.hasMore) Either.getOrThrow(listener.more())
      const other = listener.channel(discoveryKeyOf(keys[1]!))
      expect(other && listener.early(other)).toMatchObject([{ _tag: "Data", value: bytes(SECRET) }])
    })
  )

  inMemory("off: all of it is to be read", () =>
    Effect.gen(function* () {
      const { said } = yield* converse({ options: { encrypt: false } })
      expect(includes(said, bytes(SECRET))).toBe(true)
    })
  )
})

describe("who sits between, without any key", () => {
  inMemory("can change what is not signed, unnoticed", () =>
    Effect.gen(function* () {
      const [sent, made] = [bytes("pay 100"), bytes("pay 900")]
      const userData = (options?: Told) =>
        Effect.gen(function* () {
          const heard: Array<string> = []
          const ofReader: Replication.Options = {
            onPeer: (_, peer) => {
              heard.push(new TextDecoder().decode(peer.remoteUserData))
            }
          }
          const { taken } = yield* converse({
            options: { userData: sent, id: new Uint8Array(32) },
            ofReader,
            ...options
          })
          expect(taken).toBe("ended")
          return heard[0]
        })
      expect(yield* userData()).toBe("pay 100")
      // It knows where the words are, and what they are likely to be: the protocol is public. An encrypted first frame has a nonce, 26 bytes.
      const plain = yield* converse({ options: { userData: sent, id: new Uint8Array(32), encrypt: false } })
      const place = toHex(plain.said).indexOf(toHex(sent)) / 2 + 26
      const change = (array: Uint8Array, at: number): void => {
        for (let i = 0; i < sent.length; i++) {
          const index = place + i - at
          if (index >= 0 && index < array.length) array[index]! ^= sent[i]! ^ made[i]!
        }
      }
      expect(yield* userData({ change })).toBe("pay 900")
    })
  )

  inMemory("cannot change a block: no bit of it", () =>
    Effect.gen(function* () {
      const whole = yield* converse()
      for (let at = 100; at < whole.said.length; at += 211) {
        const change = (array: Uint8Array, from: number): void => {
          if (at >= from && at < from + array.length) array[at - from]! ^= 0x10
        }
        const { held, reader, sound, taken } = yield* converse({ change })
        expect([
          "goes on",
          "ended",
          "malformed",
          "too-large",
          "too-many",
          "invalid-data",
          "ended-early",
          "NetworkError"
        ]).toContain(taken)
        expect([reader.length <= blocks.length, sound]).toEqual([true, held])
      }
    })
  )
})

describe("identity", () => {
  inMemory("is what each side says: two may say the same", () =>
    Effect.gen(function* () {
      const id = new Uint8Array(32).fill(5)
      const ids: Array<string> = []
      const onPeer: Replication.Options["onPeer"] = (_, peer) =>
        void ids.push(toHex(peer.remoteId ?? new Uint8Array(0)))
      for (let i = 0; i < 2; i++)
        yield* converse({ options: { id }, ofReader: { id: new Uint8Array(32), onPeer } })
      expect(ids.length).toBeGreaterThan(1)
      expect(new Set(ids)).toEqual(new Set([toHex(id)]))
    })
  )
})

describe("signatures", () => {
  inMemory("say nothing of what is newest: an old copy is a true one", () =>
    Effect.gen(function* () {
      const author = yield* source(blocks)
      const copy = yield* Effect.provide(Feed.open({ key: author.key }), memory)
      const give = (from: Feed.Feed, to: Feed.Feed) =>
        Effect.gen(function* () {
          const [left, right] = yield* NetworkMemory.pair()
          yield* Effect.all([Replication.replicate(from, left), Replication.replicate(to, right)], {
            concurrency: "unbounded"
          })
        }).pipe(Effect.scoped)
      yield* give(author, copy)
      yield* author.append(bytes("newer"))
      const reader = yield* Effect.provide(Feed.open({ key: author.key }), memory)
      yield* give(copy, reader)
      expect([author.length, reader.length]).toEqual([blocks.length + 1, blocks.length])
    }).pipe(Effect.scoped)
  )

  inMemory("cannot be made without the secret key, nor moved to another block", () =>
    Effect.gen(function* () {
      const author = yield* source(blocks)
      const reader = yield* Effect.provide(Feed.open({ key: author.key }), memory)
      const proof = yield* author.proof(3)
      const block = yield* author.get(3)
      const [head = 0, ...tail] = block
      const tries = [
        { index: 3, block: Uint8Array.of(head ^ 1, ...tail), proof },
        { index: 4, block, proof },
        { index: 3, block, proof: { ...proof, signature: proof.signature?.map((byte) => byte ^ 1) } },
        {
          index: 3,
          block,
          proof: { ...proof, nodes: proof.nodes.map((node) => ({ ...node, size: node.size + 1 })) }
        }
      ]
      for (const claim of tries) {
        const { _tag } = yield* Effect.flip(reader.put(claim))
        expect(["InvalidProof", "InvalidSignature"]).toContain(_tag)
      }
      expect(reader.length).toBe(0)
      yield* reader.put({ index: 3, block, proof })
      expect(reader.length).toBe(blocks.length)
      expect(yield* Effect.flip(reader.append(block))).toMatchObject({ _tag: "NotWritable" })
    }).pipe(Effect.scoped)
  )
})
