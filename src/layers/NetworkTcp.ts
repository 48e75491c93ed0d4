/**
 * Network over TCP, on `node:net`. Reading and writing are driven by the socket's events: an Effect a batch, not one a chunk.
 *
 * Closing a connection without `end` drops what is not in the kernel yet; the other side then sees a reset, not an end: what was
 * cut short must not look complete.
 */
import { Deferred, type Duration, Effect, Layer, Runtime } from "effect"
import * as net from "node:net"
import type { NetworkError } from "../domain/Errors.js"
import {
  type Address,
  type Connection,
  type Listener,
  Network,
  type NetworkService
} from "../services/Network.js"
import { Duplex } from "./network/Duplex.js"
import { establish } from "./network/establish.js"
import { faultOf, networkError } from "./network/Fault.js"
import { serve } from "./network/serve.js"

export interface NetworkTcpOptions {
  /** How long to wait for a connection, name look-up included. Absent: as long as the system does, some two minutes. */
  readonly connectTimeout?: Duration.DurationInput | undefined
  /**
   * Bytes that may wait in a connection, in each direction, besides the kernel's own buffers, before the other side or
   * the pusher is held up. 256 KiB when absent.
   */
  readonly bufferSize?: number | undefined
}

const BUFFER_SIZE = 256 * 1024

/** Bytes pushed, over all connections, before the event loop gets its turn: pushes that never wait must not keep all others waiting. */
const TURN_BYTES = 4 * 1024 * 1024

let pushedSinceTurn = 0

class TcpConnection extends Duplex {
  #turn: NodeJS.Immediate | undefined

  constructor(
    readonly socket: net.Socket,
    remote: string,
    readonly bufferSize: number
  ) {
    super(remote)
    socket.on("data", (chunk: Buffer) => {
      this.arrived(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length))
      if (this.waiting >= this.bufferSize) socket.pause()
    })
    socket.on("end", () => this.ended())
    socket.on("drain", () => this.drained())
    socket.on("error", (cause) => this.broke(faultOf(cause)))
    socket.on("close", () => {
      if (!this.hasEnded || !this.isEnding) this.broke({ reason: "reset" })
    })
  }

  protected send(arrays: ReadonlyArray<Uint8Array>): void {
    const { socket } = this
    if (arrays.length > 1) socket.cork() // one writev for all
    for (const array of arrays) {
      pushedSinceTurn += array.length
      socket.write(array)
    }
    if (arrays.length > 1) socket.uncork()
    if (pushedSinceTurn >= TURN_BYTES) this.#turn ??= setImmediate(this.#turned)
  }

  readonly #turned = (): void => {
    pushedSinceTurn = 0
    this.#turn = undefined
    this.drained()
  }

  /** What the kernel took is gone at once, though `drain` comes later. */
  protected isFull(): boolean {
    return this.#turn !== undefined || (this.socket.writableLength > 0 && this.socket.writableNeedDrain)
  }

  protected finish(): void {
    this.socket.end(() => this.finished())
  }

  protected resume(): void {
    if (this.socket.isPaused()) this.socket.resume()
  }

  protected destroy(): void {
    if (this.#turn !== undefined) clearImmediate(this.#turn)
    if (this.socket.writableLength > 0) this.socket.resetAndDestroy()
    else this.socket.destroy()
  }
}

const nameOf = (host: string | undefined, port: number | undefined): string =>
  `${host?.includes(":") === true ? `[${host}]` : (host ?? "localhost")}:${port ?? 0}`

const connect = (address: Address, options: NetworkTcpOptions) => {
  const { bufferSize = BUFFER_SIZE, connectTimeout } = options
  const { host = "localhost", port } = address
  const name = nameOf(host, port)
  return establish(name, connectTimeout, (succeed, fail) => {
    const socket = net.connect({ host, port, allowHalfOpen: true, noDelay: true, ...marks(bufferSize) })
    socket.once("error", fail)
    socket.once("connect", () => {
      socket.off("error", fail)
      succeed(new TcpConnection(socket, name, bufferSize))
    })
    return () => socket.destroy()
  })
}

/** Not in the types of `net.connect`, though every socket takes them. */
const marks = (bufferSize: number): object => ({
  readableHighWaterMark: 64 * 1024, // what is read while the socket is paused
  writableHighWaterMark: bufferSize
})

const started = (server: net.Server, { host, port }: Address) =>
  Effect.async<Listener["address"], NetworkError>((resume) => {
    let isAbandoned = false
    const fail = (cause: unknown): void =>
      resume(Effect.fail(networkError("listen", nameOf(host, port), faultOf(cause))))
    server.once("error", fail)
    try {
      server.listen({ port, ...(host === undefined ? {} : { host }) }, () => {
        server.off("error", fail)
        if (isAbandoned) server.close() // closed while the host's name was looked up, which does not stop it
        const bound = server.address() as net.AddressInfo
        resume(Effect.succeed({ host: bound.address, port: bound.port }))
      })
    } catch (cause) {
      fail(cause)
    }
    return Effect.sync(() => {
      isAbandoned = true
    })
  })

const listen = <E, R>(
  address: Address,
  bufferSize: number,
  handle: (connection: Connection) => Effect.Effect<void, E, R>
) =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const server = net.createServer({ allowHalfOpen: true, noDelay: true, highWaterMark: bufferSize })
      const closed = yield* Deferred.make<void>()
      const runtime = yield* Effect.runtime()
      // Finalizers run in reverse: no new connections, then an end to those there are, then the wait until nothing is left.
      yield* Effect.addFinalizer(() => Deferred.await(closed))
      const run = yield* serve(handle)
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => server.close(() => Deferred.unsafeDone(closed, Effect.void)))
      )
      server.on("connection", (socket) =>
        run(new TcpConnection(socket, nameOf(socket.remoteAddress, socket.remotePort), bufferSize))
      )
      const listener = { address: yield* restore(started(server, address)) }
      server.on("error", (cause) =>
        Runtime.runFork(
          runtime,
          Effect.logWarning(networkError("accept", nameOf(address.host, address.port), faultOf(cause)))
        )
      )
      return listener
    })
  )

export const make = (options: NetworkTcpOptions = {}): NetworkService => ({
  connect: (address) => connect(address, options),
  listen: (address, handle) => listen(address, options.bufferSize ?? BUFFER_SIZE, handle)
})

export const layer = (options: NetworkTcpOptions = {}): Layer.Layer<Network> =>
  Layer.sync(Network, () => make(options))
