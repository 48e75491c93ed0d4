/** The state machine of the other side of a feed, without a connection. */
import { describe, expect, it } from "@effect/vitest"
import { type Action, Peer, type PeerOptions } from "../../src/domain/Peer.js"

const options: PeerOptions = {
  live: true,
  download: true,
  upload: true,
  ack: false,
  allowPush: false,
  mostRequests: undefined
}

const nothing = { length: 0, has: () => false }

const data = (index: number, size = 10) => ({
  _tag: "Data" as const,
  index,
  value: new Uint8Array(size),
  nodes: [],
  signature: undefined
})

const request = (peer: Peer, start: number, end: number, now: number) => {
  for (let index = start; index < end; index++) peer.requested(index, false, 0, now)
}

const released = (actions: ReadonlyArray<Action>) =>
  actions.flatMap((action) => (action._tag === "Release" ? [action.index] : []))

describe("requests in flight", () => {
  it("triple a round trip at first, when all answers come at once, while the window was full", () => {
    const peer = new Peer(options, nothing)
    const before = peer.window.limit
    request(peer, 0, before, 0)
    for (let index = 0; index < before; index++) peer.receive(data(index), 100)
    expect(peer.inFlight).toBe(0)
    expect(peer.window.limit).toBe(3 * before)
  })

  it("do not become more while fewer are asked for than may be", () => {
    const peer = new Peer(options, nothing)
    const before = peer.window.limit
    for (let round = 0; round < 20; round++) {
      request(peer, 0, before - 1, 100 * round)
      for (let index = 0; index < before - 1; index++) peer.receive(data(index), 100 * (round + 1))
    }
    expect(peer.window.limit).toBe(before)
  })
})

describe("a request that is not answered", () => {
  const PATIENCE = 1000

  it("is given up after that long when none is", () => {
    const peer = new Peer(options, nothing)
    peer.wantRegion(0, () => false)
    peer.receive({ _tag: "Have", start: 0, length: 10, bitfield: undefined, ack: false }, 0)
    request(peer, 0, 3, 0)
    request(peer, 3, 5, 500)
    expect(released(peer.expire(999 - PATIENCE))).toEqual([])
    expect(released(peer.expire(1000 - PATIENCE))).toEqual([0, 1, 2])
    expect(peer.inFlight).toBe(2)
    expect([0, 2, 3, 4, 5].map((block) => peer.remote.has(block))).toEqual([false, false, true, true, true])
  })

  it("is waited for as long as those before it are answered", () => {
    const peer = new Peer(options, nothing)
    request(peer, 0, 30, 0)
    for (let index = 0; index < 30; index++) {
      const now = 900 * (index + 1)
      expect(released(peer.expire(now - 1 - PATIENCE))).toEqual([])
      peer.receive(data(index), now)
    }
    expect(peer.inFlight).toBe(0)
  })

  it("is given up when one was answered that was asked for later", () => {
    const peer = new Peer(options, nothing)
    request(peer, 0, 3, 0)
    request(peer, 3, 6, 10)
    peer.receive(data(4), 900)
    expect(released(peer.expire(999 - PATIENCE))).toEqual([])
    expect(released(peer.expire(1000 - PATIENCE))).toEqual([0, 1, 2])
    peer.receive(data(3), 1500)
    expect(released(peer.expire(2000 - PATIENCE))).toEqual([])
    expect(peer.inFlight).toBe(1)
  })

  it("may be asked again for what is no block: whoever waits for it would wait for ever", () => {
    const peer = new Peer(options, nothing)
    peer.requested(0, true, 77, 0)
    peer.requested(0, true, 99, 500)
    const { version } = peer
    peer.expire(999 - PATIENCE)
    expect(peer.version).toBe(version)
    expect(peer.expire(1000 - PATIENCE)).toEqual([])
    expect(peer.version).not.toBe(version)
    expect(peer.inFlight).toBe(1)
  })
})

describe("a block that is asked for by one of its bytes", () => {
  const answers = (peer: Peer, message: Parameters<Peer["receive"]>[0]) =>
    peer.receive(message, 10).map((action) => action._tag)
  const leaf = (index: number) => ({ ...data(index), value: undefined })

  it("may be any, and comes once; its leaf is no answer", () => {
    const peer = new Peer(options, nothing)
    peer.requested(0, false, 77, 0)
    expect(peer.inFlight).toBe(1)
    expect(peer.askedAt(0)).toBe(undefined)
    expect(answers(peer, leaf(5))).toEqual([])
    expect(answers(peer, data(5))).toEqual(["Store"])
    expect(peer.inFlight).toBe(0)
    expect(answers(peer, data(6))).toEqual(["Send"])
  })

  it("is not what answers a request of that block, or of a byte's place", () => {
    const peer = new Peer(options, nothing)
    peer.requested(0, false, 77, 0)
    peer.requested(5, false, 0, 1)
    peer.requested(0, true, 99, 2)
    expect(answers(peer, data(5))).toEqual(["Store"])
    expect([peer.askedAt(5), peer.inFlight]).toEqual([undefined, 2])
    expect(answers(peer, leaf(7))).toEqual(["Store"])
    expect(answers(peer, data(5))).toEqual(["Store"])
    expect(peer.inFlight).toBe(0)
  })

  it("says nothing of the link: it may have been looked for long", () => {
    const peer = new Peer(options, nothing)
    const { limit } = peer.window
    for (let i = 0; i < 2 * limit; i++) peer.requested(0, false, i + 1, 0)
    for (let i = 0; i < 2 * limit; i++) peer.receive(data(i), 5)
    expect(peer.window.limit).toBe(limit)
  })
})
