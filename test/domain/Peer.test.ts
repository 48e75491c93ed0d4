/** The state machine of the other side of a feed, without a connection. */
import { describe, expect, it } from "@effect/vitest"
import { Peer, type PeerOptions } from "../../src/domain/Peer.js"

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

describe("requests in flight", () => {
  it("double a round trip when all answers come at once, while the window was full", () => {
    const peer = new Peer(options, nothing)
    const before = peer.window.limit
    request(peer, 0, before, 0)
    for (let index = 0; index < before; index++) peer.receive(data(index), 100)
    expect(peer.inFlight).toBe(0)
    expect(peer.window.limit).toBe(2 * before)
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
