/** Network over the platform's WebSocket: the contract, and the limits of what a browser offers. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { WebSocket } from "ws"
import * as NetworkWebSocket from "../../src/layers/NetworkWebSocket.js"
import * as NetworkWebSocketNode from "../../src/layers/NetworkWebSocketNode.js"
import {
  connectionSuite,
  expectFailure,
  MIB,
  pullAll,
  settled,
  throughBoth,
  until
} from "../suites/connection.js"

const HOST = "127.0.0.1"

/** The platform's own where there is one (Node 22), and `ws`, which has the same face. */
const constructors = { ws: WebSocket, ...("WebSocket" in globalThis ? { global: undefined } : {}) }

for (const [name, constructor] of Object.entries(constructors)) {
  const connected = (options: NetworkWebSocket.NetworkWebSocketOptions = {}) =>
    Effect.suspend(() =>
      throughBoth(
        NetworkWebSocket.make({ WebSocket: constructor, ...options }),
        NetworkWebSocketNode.make(),
        HOST
      )
    )

  connectionSuite(`NetworkWebSocket, ${name}`, {
    connected: connected(),
    halfCloses: false,
    buffers: [16 * MIB, Infinity]
  })

  describe(`NetworkWebSocket, ${name}`, () => {
    it.scopedLive("what is not pulled breaks the connection beyond its limit; what came before is kept", () =>
      Effect.gen(function* () {
        const [near, far] = yield* connected({ maxWaiting: MIB })
        let pushed = 0
        const block = new Uint8Array(65_536)
        yield* Effect.fork(
          Effect.forever(Effect.tap(far.connection.push([block]), () => void (pushed += block.length)))
        )
        yield* until(() => pushed > MIB)
        yield* settled(() => pushed)
        let pulled = 0
        const error = yield* expectFailure(
          Effect.forever(
            Effect.tap(near.connection.pull, (arrays) => {
              for (const { length } of arrays) pulled += length
            })
          ),
          "io"
        )
        expect(error.message).toContain("not pulled")
        expect(pulled).toBe(MIB + block.length)
      })
    )

    it.scopedLive("where nobody listens it is `refused`", () =>
      Effect.gen(function* () {
        const { address } = yield* Effect.scoped(
          NetworkWebSocketNode.make().listen({ host: HOST, port: 0 }, () => Effect.never)
        )
        const network = NetworkWebSocket.make({ WebSocket: constructor })
        yield* expectFailure(network.connect({ host: HOST, port: address.port }), "refused")
        yield* expectFailure(network.connect({ host: HOST, port: -1 }), "address")
      })
    )

    it.scopedLive("a path is asked for", () =>
      Effect.gen(function* () {
        const { address } = yield* NetworkWebSocketNode.make().listen(
          { host: HOST, port: 0, path: "/feed" },
          (connection) => connection.end
        )
        const network = NetworkWebSocket.make({ WebSocket: constructor })
        const connection = yield* network.connect({ host: HOST, port: address.port, path: "/feed" })
        expect(yield* pullAll(connection)).toHaveLength(0)
        yield* expectFailure(network.connect({ host: HOST, port: address.port }), "refused")
      })
    )
  })
}

describe("NetworkWebSocket", () => {
  it.scoped("does not listen", () =>
    Effect.gen(function* () {
      const error = yield* expectFailure(
        NetworkWebSocket.make().listen({ port: 0 }, () => Effect.never),
        "address"
      )
      expect(error.operation).toBe("listen")
    })
  )

  it.scoped.skipIf("WebSocket" in globalThis)("says where there is no WebSocket", () =>
    Effect.gen(function* () {
      const error = yield* expectFailure(NetworkWebSocket.make().connect({ port: 1 }), "address")
      expect(error.message).toContain("no WebSocket")
    })
  )
})
