/**
 * Network over TCP, on `node:net`. Reading and writing are driven by the socket's events: an Effect a batch, not one a chunk.
 *
 * Closing a connection without `end` drops what is not in the kernel yet. Then the other side is sent a reset, not an end, for what was cut
 * short must not look complete. (libuv shows a reset as an end to who had stopped reading: a protocol must know its own end.)
 */
import { type Duration, Layer } from "effect"
import * as net from "node:net"
import { arrays, LARGE } from "../domain/ArrayPool.js"
import { type Address, Network, type NetworkService } from "../services/Network.js"
import { establish } from "./network/establish.js"
import { faultOf } from "./network/Fault.js"
import { listening } from "./network/listening.js"
import { nameOf } from "./network/nameOf.js"
import { SocketDuplex } from "./network/SocketDuplex.js"

export interface NetworkTcpOptions {
  /** How long to wait for a connection, name look-up included. Absent: as long as the system does, some two minutes. */
  readonly connectTimeout?: Duration.DurationInput | undefined
  /**
   * Bytes that may wait in a connection, in each direction, besides the kernel's own buffers, before the other side or
   * the pusher is held up. 1 MiB when absent.
   */
  readonly bufferSize?: number | undefined
  /** Connections that a listener has at a time; more are closed as they come, which is logged. Absent: as many as the system gives. */
  readonly maxConnections?: number | undefined
}

const BUFFER_SIZE = 1024 * 1024

/** What a socket reads at a time. */
const READ_SIZE = 64 * 1024

class TcpConnection extends SocketDuplex {
  constructor(
    socket: net.Socket,
    remote: string,
    readonly bufferSize: number
  ) {
    super(socket, remote)
    socket.on("data", (chunk: Buffer) => {
      this.received(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length))
    })
    socket.on("end", () => this.ended())
    socket.on("error", (cause) => this.broke(faultOf(cause)))
    socket.on("close", () => {
      if (!this.hasEnded || !this.isEnding) this.broke({ reason: "reset" })
    })
  }

  protected write(array: Uint8Array): void {
    if (array.length < LARGE) this.socket.write(array)
    else {
      this.socket.write(array, (error) => {
        if (error === undefined || error === null) arrays.giveWhole(array)
      })
    }
  }

  protected finish(): void {
    this.socket.end((error?: Error | null) => {
      if (error === undefined || error === null) this.finished()
    })
  }

  protected pause(): void {
    this.socket.pause()
  }

  protected resume(): void {
    if (this.socket.isPaused()) this.socket.resume()
  }

  protected override destroy(): void {
    super.destroy()
    if (this.socket.writableLength > 0) this.socket.resetAndDestroy()
    else this.socket.destroy()
  }
}

const connect = (address: Address, { bufferSize = BUFFER_SIZE, connectTimeout }: NetworkTcpOptions) => {
  const { host = "localhost", port } = address
  const name = nameOf(host, port)
  return establish(name, connectTimeout, (succeed, fail) => {
    let connection: TcpConnection | undefined
    const reads = pooledReads((array) => connection?.received(array))
    const socket = new net.Socket({ allowHalfOpen: true, ...reads, ...marks(bufferSize) }).setNoDelay(true)
    socket.once("error", fail)
    socket.once("connect", () => {
      socket.off("error", fail)
      connection = new TcpConnection(socket, name, bufferSize)
      succeed(connection)
    })
    try {
      socket.connect({ host, port })
    } catch (cause) {
      socket.destroy() // a port that is none: the socket has a handle by then
      throw cause
    }
    return () => socket.destroy()
  })
}

/** Where sockets read to, each in its turn: what came is copied from there before the next one reads. So an idle one holds nothing. */
const readBuffer = new Uint8Array(READ_SIZE)

/** Has a socket give what it reads in arrays of the pool, instead of a new one each time. */
const pooledReads = (received: (array: Uint8Array) => void): { readonly onread: net.OnReadOpts } => ({
  onread: {
    buffer: readBuffer,
    callback: (length) => {
      const array = arrays.take(length)
      array.set(readBuffer.subarray(0, length))
      received(array)
      return true
    }
  }
})

/** Not in the types of a socket's options, though it takes them, as every stream does. */
const marks = (bufferSize: number): object => ({
  readableHighWaterMark: 64 * 1024, // what is read while the socket is paused
  writableHighWaterMark: bufferSize
})

export const make = (options: NetworkTcpOptions = {}): NetworkService => ({
  connect: (address) => connect(address, options),
  listen: (address, handle) =>
    listening(
      address,
      handle,
      (accept) => {
        const { bufferSize = BUFFER_SIZE, maxConnections } = options
        const settings = { allowHalfOpen: true, noDelay: true, highWaterMark: bufferSize }
        const server = net.createServer(settings, (socket) =>
          accept(new TcpConnection(socket, nameOf(socket.remoteAddress, socket.remotePort), bufferSize))
        )
        if (maxConnections !== undefined) server.maxConnections = maxConnections
        return server
      },
      () => undefined
    )
})

export const layer = (options: NetworkTcpOptions = {}): Layer.Layer<Network> =>
  Layer.sync(Network, () => make(options))
