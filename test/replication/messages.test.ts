/** Replication over decoded messages, as a protocol stream that is not ours gives them; who is told of peers; requests taken back. */
import { describe, expect } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import type * as Wire from "../../src/domain/Wire.js"
import { Feed, NetworkMemory, Replication } from "../../src/index.js"
import { onEachStorage, someBlocks, source } from "../services/harness.js"

const handshake = (ordered: boolean): Wire.Handshake => ({
  _tag: "Handshake",
  id: new Uint8Array(32).fill(7),
  live: false,
  extensions: [],
  ack: false,
  ordered
})

/** One way between two channels: what one sends the other pulls. */
class Line {
  #messages: Array<Wire.Message>
  #ended = false
  #wake: (() => void) | undefined
  readonly sent: Array<Wire.Message["_tag"]> = []

  constructor(first: Wire.Message) {
    this.#messages = [first]
  }

  push(message: Wire.Message): void {
    this.sent.push(message._tag)
    this.#messages.push(message)
    this.#wake?.()
  }

  end(): void {
    this.#ended = true
    this.#wake?.()
  }

  readonly pull: Effect.Effect<ReadonlyArray<Wire.Message>> = Effect.async((resume) => {
    const answer = (): void => {
      this.#wake = undefined
      const messages = this.#messages
      this.#messages = []
      resume(Effect.succeed(messages))
    }
    if (this.#messages.length > 0 || this.#ended) return answer()
    this.#wake = answer
    return Effect.sync(() => {
      this.#wake = undefined
    })
  })
}

const channel = (into: Line, out: Line): Replication.MessageChannel => ({
  remote: "the other side",
  pull: into.pull,
  send: (message) => {
    out.push(message)
    return true
  },
  drained: Effect.yieldNow(),
  end: Effect.sync(() => out.end())
})

const linked = (ordered: boolean) => {
  const [there, back] = [new Line(handshake(ordered)), new Line(handshake(ordered))]
  return { there, back, near: channel(back, there), far: channel(there, back) }
}

describe("replicateMessages", () => {
  for (const ordered of [true, false]) {
    onEachStorage(`copies a feed and ends, ordered: ${ordered}`, () =>
      Effect.gen(function* () {
        const from = yield* source(someBlocks(700))
        const to = yield* Feed.open({ key: from.key })
        const { far, near, there } = linked(ordered)
        const giving = yield* Effect.fork(Replication.replicateMessages(from, near))
        yield* Replication.replicateMessages(to, far)
        yield* Fiber.join(giving)
        expect(yield* to.getBatch(0, 700)).toEqual(yield* from.getBatch(0, 700))
        expect(there.sent.filter((tag) => tag === "Data")).toHaveLength(700)
        expect(there.sent).not.toContain("Feed")
      })
    )
  }

  onEachStorage("fails when the channel is closed and owes blocks", () =>
    Effect.gen(function* () {
      const from = yield* source(someBlocks(3))
      const to = yield* Feed.open({ key: from.key })
      const { back, far, there } = linked(false)
      const fails = yield* Effect.fork(Effect.flip(Replication.replicateMessages(to, far)))
      while (!back.sent.includes("Want")) yield* Effect.yieldNow()
      there.end()
      expect(yield* Fiber.join(fails)).toMatchObject({ _tag: "ProtocolError", reason: "ended-early" })
    })
  )
})

describe("a failure", () => {
  onEachStorage("aborts the channel instead of ending it, where that is another thing", () =>
    Effect.gen(function* () {
      const to = yield* Feed.open({ key: (yield* source(someBlocks(3))).key })
      const { back, far, there } = linked(false)
      const ends: Array<string> = []
      const own: Replication.MessageChannel = {
        ...far,
        end: Effect.sync(() => void ends.push("end")),
        abort: Effect.sync(() => void ends.push("abort"))
      }
      const fails = yield* Effect.fork(Effect.flip(Replication.replicateMessages(to, own)))
      while (!back.sent.includes("Want")) yield* Effect.yieldNow()
      there.end()
      yield* Fiber.join(fails)
      expect(ends).toEqual(["abort"])
    })
  )
})

describe("onPeer", () => {
  onEachStorage("tells when the other side came, told more, and went; always as the same peer", () =>
    Effect.gen(function* () {
      const from = yield* source(someBlocks(4))
      const to = yield* Feed.open({ key: from.key })
      const [near, far] = yield* NetworkMemory.pair()
      const news: Array<readonly [Replication.PeerNews, Replication.PeerInfo]> = []
      const giving = yield* Effect.fork(Replication.replicate(from, near))
      yield* Replication.replicate(to, far, { onPeer: (what, peer) => void news.push([what, peer]) })
      yield* Fiber.join(giving)
      const tags = news.map(([what]) => what)
      expect(tags[0]).toBe("added")
      expect(tags.at(-1)).toBe("removed")
      expect(tags.slice(1, -1).every((tag) => tag === "updated")).toBe(true)
      expect(tags.length).toBeGreaterThan(2)
      expect(new Set(news.map(([, peer]) => peer)).size).toBe(1)
      expect(news[0]![1]).toMatchObject({ remoteLength: 4, inFlight: 0, maxRequests: undefined })
    })
  )
})

describe("cancel", () => {
  onEachStorage("takes a request back: the block is refused when it comes", () =>
    Effect.gen(function* () {
      const from = yield* source(someBlocks(4))
      const to = yield* Feed.open({ key: from.key, sparse: true })
      const { back, far, near, there } = linked(false)
      let peer: Replication.PeerInfo | undefined
      const held: Array<Wire.Message> = []
      const holding: Replication.MessageChannel = {
        ...far,
        send: (message) => (message._tag === "Request" ? held.push(message) > 0 : far.send(message))
      }
      const options: Replication.Options = { live: true, onPeer: (_, it) => void (peer = it) }
      const taking = yield* Effect.fork(Replication.replicateMessages(to, holding, options))
      const giving = yield* Effect.fork(Replication.replicateMessages(from, near, { live: true }))
      const wait = yield* Effect.fork(to.get(1))
      while (held.length === 0) yield* Effect.yieldNow()
      expect(peer!.requests).toEqual([{ index: 1, hash: false, bytes: 0 }])
      yield* Fiber.interrupt(wait)
      Replication.cancel(to, 0, 2)
      expect(peer!.inFlight).toBe(0)
      back.push(held[0]!)
      while (!back.sent.includes("Unhave")) yield* Effect.yieldNow()
      expect(there.sent).toContain("Data")
      expect(back.sent).toContain("Cancel")
      expect(yield* to.has(1)).toBe(false)
      yield* Fiber.interruptAll([taking, giving])
    })
  )
})
