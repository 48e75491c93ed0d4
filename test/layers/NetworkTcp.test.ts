/** Network over TCP: the contract, and what is true of sockets only. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Scope, TestClock } from "effect"
import * as net from "node:net"
import * as NetworkTcp from "../../src/layers/NetworkTcp.js"
import { faultOf } from "../../src/layers/network/Fault.js"
import { connectionSuite, expectFailure, MIB, pullAll, through, turn, until } from "../suites/connection.js"
import { fullListenerSuite, networkSuite } from "../suites/network.js"
import { otherProcess } from "../suites/otherProcess.js"

const HOST = "127.0.0.1"

connectionSuite("NetworkTcp", {
  connected: Effect.suspend(() => through(NetworkTcp.make(), HOST)),
  halfCloses: true,
  buffers: [16 * MIB, 16 * MIB]
})

networkSuite("NetworkTcp", Effect.sync(NetworkTcp.make), HOST)
fullListenerSuite("NetworkTcp", NetworkTcp.make({ maxConnections: 1 }), HOST)

/** A bare server, and the socket of the first connection to it. */
const bareServer: Effect.Effect<
  { readonly port: number; readonly socket: Effect.Effect<net.Socket> },
  never,
  Scope.Scope
> = Effect.gen(function* () {
  const sockets: Array<net.Socket> = []
  const server = net.createServer({ allowHalfOpen: true }, (socket) => sockets.push(socket))
  yield* Effect.acquireRelease(
    Effect.async<void>((resume) => {
      server.listen(0, HOST, () => resume(Effect.void))
    }),
    () =>
      Effect.sync(() => {
        for (const socket of sockets) socket.destroy()
        server.close()
      })
  )
  return {
    port: (server.address() as net.AddressInfo).port,
    socket: Effect.map(
      until(() => sockets.length > 0),
      () => sockets[0]!
    )
  }
})

const toBareServer = Effect.gen(function* () {
  const { port, socket } = yield* bareServer
  const connection = yield* NetworkTcp.make().connect({ host: HOST, port })
  return { connection, socket: yield* socket }
})

describe("NetworkTcp", () => {
  it.scoped("a reset is `reset`, for who waits and for who comes later", () =>
    Effect.gen(function* () {
      const { connection, socket } = yield* toBareServer
      const waiting = yield* Effect.fork(connection.pull)
      yield* turn
      socket.resetAndDestroy()
      const error = yield* expectFailure(Fiber.join(waiting), "reset")
      expect(error.cause).toMatchObject({ code: "ECONNRESET" })
      yield* expectFailure(connection.pull, "reset")
      yield* expectFailure(connection.push([Uint8Array.of(1)]), "reset")
      yield* expectFailure(connection.end, "reset")
    })
  )

  it.scoped("the arrays of one push leave as one write", () =>
    Effect.gen(function* () {
      const { connection, socket } = yield* toBareServer
      const chunks: Array<number> = []
      socket.on("data", (chunk) => chunks.push(chunk.length))
      yield* connection.push(Array.from({ length: 100 }, () => new Uint8Array(100)))
      yield* until(() => chunks.length > 0)
      expect(chunks).toEqual([10_000])
    })
  )

  it.scoped("what is cut short by closing is a reset, not an end; what is not is an end", () =>
    Effect.gen(function* () {
      for (const size of [64 * MIB, 100]) {
        const { port, socket } = yield* bareServer
        yield* Effect.scoped(
          Effect.gen(function* () {
            const connection = yield* NetworkTcp.make().connect({ host: HOST, port })
            ;(yield* socket).on("error", () => undefined)
            yield* Effect.fork(connection.push([new Uint8Array(size)]))
            yield* turn
          })
        )
        const accepted = yield* socket
        // After an end one write still leaves; after a reset none does.
        const error = yield* Effect.async<unknown>((resume) => {
          accepted.write("x", (error) => resume(Effect.succeed(error)))
        })
        if (size === 100) expect(error ?? undefined).toBeUndefined()
        else expect(error).toMatchObject({ code: expect.stringMatching(/ECONNRESET|EPIPE/) })
      }
    })
  )

  it.scoped("pushes that the kernel takes at once leave other work its turn all the same", () =>
    Effect.gen(function* () {
      const network = NetworkTcp.make()
      const { address } = yield* network.listen({ host: HOST, port: 0 }, () => Effect.never)
      const connections = yield* Effect.replicateEffect(
        network.connect({ host: HOST, port: address.port }),
        200
      )
      let turns = 0
      yield* Effect.fork(Effect.forever(Effect.tap(turn, () => void turns++)))
      yield* turn
      const before = turns
      // No connection has so much that it would have to wait for its own sake.
      for (const connection of connections) yield* connection.push([new Uint8Array(65_536)])
      expect(turns).toBeGreaterThan(before + 1)
    })
  )

  it.scoped("a name, an IPv6 address and no host at all", (context) =>
    Effect.gen(function* () {
      const network = NetworkTcp.make()
      const { address } = yield* network.listen({ port: 0 }, (connection) => connection.end)
      for (const host of ["localhost", HOST, undefined]) {
        const connection = yield* network.connect({ host, port: address.port })
        expect(connection.remote).toBe(`${host ?? "localhost"}:${address.port}`)
        expect(yield* pullAll(connection)).toHaveLength(0)
      }
      const six = yield* Effect.either(network.listen({ host: "::1", port: 0 }, (one) => one.end))
      if (six._tag === "Left") return context.skip("this machine has no IPv6")
      const connection = yield* network.connect({ host: "::1", port: six.right.address.port })
      expect(connection.remote).toBe(`[::1]:${six.right.address.port}`)
    })
  )

  it.scoped("a name that is none is `address`", () =>
    Effect.gen(function* () {
      const network = NetworkTcp.make()
      yield* expectFailure(network.connect({ host: "no.such.invalid", port: 80 }), "address")
      yield* expectFailure(
        network.listen({ host: "no.such.invalid", port: 0 }, () => Effect.never),
        "address"
      )
    })
  )

  /** A process that listens and then does nothing: once its queue is full, the kernel answers nobody. */
  const deaf = `
    import * as net from "node:net"
    const server = net.createServer().listen({ port: 0, host: "${HOST}", backlog: 1 }, () => {
      process.stdout.write(server.address().port + "\\n", () => { for (;;) {} })
    })
  `

  it.scoped.runIf(process.platform === "linux")(
    "a connection that does not come is `timeout` at its time, and can be interrupted",
    () =>
      Effect.gen(function* () {
        const port = Number((yield* otherProcess(deaf)).said)
        const patient = NetworkTcp.make()
        const limited = NetworkTcp.make({ connectTimeout: "10 seconds" })
        for (let i = 0; i < 2; i++) yield* patient.connect({ host: HOST, port }) // they fill the queue
        const forever = yield* Effect.fork(Effect.scoped(patient.connect({ host: HOST, port })))
        const connecting = yield* Effect.fork(Effect.scoped(limited.connect({ host: HOST, port })))
        yield* TestClock.adjust("9 seconds")
        expect(connecting.unsafePoll()).toBeNull()
        yield* TestClock.adjust("1 seconds")
        yield* expectFailure(Fiber.join(connecting), "timeout")
        expect(forever.unsafePoll()).toBeNull()
        expect(yield* Fiber.interrupt(forever)).toMatchObject({ cause: { _tag: expect.anything() } })
        yield* until(() => !process.getActiveResourcesInfo().includes("TCPConnectWrap"))
      })
  )
})

it.scoped("a time limit that is none is `address`, as other wrong arguments are, and nothing is tried", () =>
  Effect.gen(function* () {
    const { port } = yield* bareServer
    for (const connectTimeout of [-1, Number.NaN, "soon" as "1 second"]) {
      const network = NetworkTcp.make({ connectTimeout })
      const error = yield* expectFailure(network.connect({ host: HOST, port }), "address")
      expect(error.cause).toMatchObject({ _tag: "BadArgument", operation: "connect" })
      expect(error.message).toContain(`connectTimeout ${connectTimeout} is `)
    }
  })
)

describe("faults", () => {
  const codes = [
    ["ECONNREFUSED", "refused"],
    ["ECONNRESET", "reset"],
    ["EPIPE", "reset"],
    ["EHOSTUNREACH", "unreachable"],
    ["ENETUNREACH", "unreachable"],
    ["ETIMEDOUT", "timeout"],
    ["EADDRINUSE", "address"],
    ["EADDRNOTAVAIL", "address"],
    ["EACCES", "address"],
    ["ENOTFOUND", "address"],
    ["EAI_AGAIN", "address"],
    ["ERR_SOCKET_BAD_PORT", "address"],
    ["EMFILE", "io"],
    ["toString", "io"]
  ] as const

  it.each(codes)("%s is `%s`", (code, reason) => {
    const cause = Object.assign(new Error(code), { code })
    expect(faultOf(cause)).toEqual({ reason, cause })
  })

  it("what is not an error of the system is `io`, a URL that is none `address`", () => {
    for (const cause of ["text", undefined, null, new Error("no code"), { code: 5 }]) {
      expect(faultOf(cause).reason).toBe("io")
    }
    expect(faultOf(new SyntaxError("Invalid URL")).reason).toBe("address")
  })
})
