/** Network over WebSockets on Node: the contract, and what is true of WebSockets only. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, TestClock } from "effect"
import fc from "fast-check"
import * as http from "node:http"
import * as net from "node:net"
import { WebSocket } from "ws"
import { concat } from "../../src/domain/Bytes.js"
import * as NetworkWebSocketNode from "../../src/layers/NetworkWebSocketNode.js"
import { frames, MAX_FRAME } from "../../src/layers/network/frames.js"
import type { Connection } from "../../src/services/Network.js"
import {
  connectionSuite,
  expectBytes,
  expectFailure,
  MIB,
  pullBytes,
  through,
  until
} from "../suites/connection.js"
import { fullListenerSuite, networkSuite } from "../suites/network.js"
import { pseudoRandomBytes } from "../vectors/dsl.mjs"

const HOST = "127.0.0.1"

connectionSuite("NetworkWebSocketNode", {
  connected: Effect.suspend(() => through(NetworkWebSocketNode.make(), HOST)),
  halfCloses: false,
  buffers: [16 * MIB, 16 * MIB]
})

networkSuite("NetworkWebSocketNode", Effect.sync(NetworkWebSocketNode.make), HOST)
fullListenerSuite("NetworkWebSocketNode", NetworkWebSocketNode.make({ maxConnections: 1 }), HOST)

/** A listener, and a bare WebSocket connected to it. */
const fromBare = (options: NetworkWebSocketNode.NetworkWebSocketNodeOptions = {}) =>
  Effect.gen(function* () {
    let accepted: Connection | undefined
    const { address } = yield* NetworkWebSocketNode.make(options).listen(
      { host: HOST, port: 0 },
      (connection) => {
        accepted = connection
        return Effect.never
      }
    )
    const bare = yield* Effect.acquireRelease(
      Effect.async<WebSocket>((resume) => {
        const webSocket = new WebSocket(`ws://${HOST}:${address.port}`)
        webSocket.on("open", () => resume(Effect.succeed(webSocket)))
      }),
      (webSocket) => Effect.sync(() => webSocket.terminate())
    )
    yield* until(() => accepted !== undefined)
    return { bare, connection: accepted!, port: address.port }
  })

describe("NetworkWebSocketNode", () => {
  it.scoped("a listener with a path takes that one only; a query is not part of it", () =>
    Effect.gen(function* () {
      const network = NetworkWebSocketNode.make()
      const { address } = yield* network.listen({ host: HOST, port: 0, path: "/feed" }, (one) => one.end)
      const at = (path?: string) => network.connect({ host: HOST, port: address.port, path })
      for (const path of ["/feed", "/feed?key=1"]) expect(yield* (yield* at(path)).pull).toEqual([])
      for (const path of ["/", "/other", undefined]) yield* expectFailure(at(path), "refused")
    })
  )

  it.scoped("a server that speaks no WebSocket refuses", () =>
    Effect.gen(function* () {
      const server = yield* Effect.acquireRelease(
        Effect.async<http.Server>((resume) => {
          const started = http.createServer((_, response) => response.end("hello"))
          started.listen(0, HOST, () => resume(Effect.succeed(started)))
        }),
        (started) => Effect.sync(() => started.close())
      )
      const { port } = server.address() as net.AddressInfo
      yield* expectFailure(NetworkWebSocketNode.make().connect({ host: HOST, port }), "refused", "reset")
    })
  )

  it.scoped("who asks a listener for a page is told to upgrade", () =>
    Effect.gen(function* () {
      const { address } = yield* NetworkWebSocketNode.make().listen(
        { host: HOST, port: 0 },
        () => Effect.never
      )
      const response = yield* Effect.promise(() => fetch(`http://${HOST}:${address.port}/`))
      expect(response.status).toBe(426)
    })
  )

  it.scoped("a handshake that is not answered is `timeout` at its time", () =>
    Effect.gen(function* () {
      const server = yield* Effect.acquireRelease(
        Effect.async<net.Server>((resume) => {
          const silent = net.createServer()
          silent.listen(0, HOST, () => resume(Effect.succeed(silent)))
        }),
        (silent) => Effect.sync(() => silent.close())
      )
      const { port } = server.address() as net.AddressInfo
      const network = NetworkWebSocketNode.make({ connectTimeout: "10 seconds" })
      const connecting = yield* Effect.fork(Effect.scoped(network.connect({ host: HOST, port })))
      yield* TestClock.adjust("9 seconds")
      expect(connecting.unsafePoll()).toBeNull()
      yield* TestClock.adjust("1 seconds")
      yield* expectFailure(Fiber.join(connecting), "timeout")
    })
  )

  it.scoped("a WebSocket that is terminated is `reset`; one closed without a code has ended", () =>
    Effect.gen(function* () {
      const broken = yield* fromBare()
      broken.bare.send(Uint8Array.of(1))
      yield* until(() => broken.bare.bufferedAmount === 0)
      expect([...(yield* pullBytes(broken.connection, 1))]).toEqual([1])
      broken.bare.terminate()
      yield* expectFailure(broken.connection.pull, "reset")
      const ended = yield* fromBare()
      ended.bare.close()
      expect(yield* ended.connection.pull).toEqual([])
      yield* expectFailure(ended.connection.push([Uint8Array.of(1)]), "closed")
    })
  )

  it.scoped("a message of text or one too long breaks the connection", () =>
    Effect.gen(function* () {
      const text = yield* fromBare()
      text.bare.send("text")
      yield* expectFailure(text.connection.pull, "io")
      const long = yield* fromBare({ maxPayload: 1000 })
      long.bare.send(new Uint8Array(1000))
      yield* pullBytes(long.connection, 1000)
      long.bare.send(new Uint8Array(1001))
      yield* expectFailure(long.connection.pull, "io")
    })
  )

  it.scoped("messages are binary, and empty ones are nothing", () =>
    Effect.gen(function* () {
      const { bare, connection } = yield* fromBare()
      const heard: Array<unknown> = []
      bare.on("message", (data: Buffer, isBinary) => heard.push([...data], isBinary))
      bare.send(new Uint8Array(0))
      bare.send(Uint8Array.of(1))
      expect((yield* connection.pull).map((array) => [...array])).toEqual([[1]])
      yield* connection.push([Uint8Array.of(2), Uint8Array.of(3)])
      yield* until(() => heard.length > 0)
      expect(heard).toEqual([[2, 3], true])
    })
  )

  it.scoped("`secure` without a certificate cannot be connected to", () =>
    Effect.gen(function* () {
      const network = NetworkWebSocketNode.make()
      const { address } = yield* network.listen({ host: HOST, port: 0, secure: true }, () => Effect.never)
      yield* expectFailure(network.connect({ host: HOST, port: address.port, secure: true }), "io", "reset")
    })
  )
})

describe("frames", () => {
  it("carry the same bytes; small arrays are joined, large ones cut", () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.integer({ min: 1, max: 100 }), fc.constantFrom(65_536, 70_000, 3 * MIB + 1))),
        (sizes) => {
          const arrays = sizes.map((size, i) => pseudoRandomBytes(size, i))
          const all = frames(arrays)
          expectBytes(concat(all), concat(arrays))
          for (const { length } of all) expect(length > 0 && length <= MAX_FRAME).toBe(true)
        }
      ),
      { numRuns: 30 }
    )
    expect(frames(Array.from({ length: 100 }, () => new Uint8Array(100)))).toHaveLength(1)
    const one = new Uint8Array(5)
    expect(frames([one])[0]).toBe(one)
  })
})
