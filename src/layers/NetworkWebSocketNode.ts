/**
 * Network over WebSockets on Node, client and server, with the `ws` package: binary messages, whose borders mean nothing.
 *
 * A WebSocket has no half-close: `end` sends the close frame after what was pushed, and the other side's WebSocket answers with
 * its own at once. What the other side has pushed by then still arrives.
 */
import { type Duration, Layer } from "effect"
import * as http from "node:http"
import * as https from "node:https"
import type * as net from "node:net"
import type * as tls from "node:tls"
import { WebSocket, WebSocketServer } from "ws"
import { type Address, Network, type NetworkService } from "../services/Network.js"
import type { Duplex } from "./network/Duplex.js"
import { establish } from "./network/establish.js"
import { faultOf, networkError } from "./network/Fault.js"
import { frames, isEnd } from "./network/frames.js"
import { listening } from "./network/listening.js"
import { nameOf } from "./network/nameOf.js"
import { SocketDuplex } from "./network/SocketDuplex.js"

export interface NetworkWebSocketNodeOptions {
  /** How long to wait for a connection, handshake included. Absent: as long as the system does. */
  readonly connectTimeout?: Duration.DurationInput | undefined
  /** Bytes that may have arrived and not been pulled before the other side is held up. 256 KiB when absent. */
  readonly bufferSize?: number | undefined
  /** The longest message taken; a longer one breaks the connection. 16 MiB when absent. */
  readonly maxPayload?: number | undefined
  /** Connections that a listener has at a time; more are closed as they come, which is logged. Absent: as many as the system gives. */
  readonly maxConnections?: number | undefined
  /** For addresses that are `secure`: `key` and `cert` to listen, `ca` and the like to connect. */
  readonly tls?: tls.SecureContextOptions | undefined
}

const BUFFER_SIZE = 256 * 1024
const MAX_PAYLOAD = 16 * 1024 * 1024

/** `ws` gives the other side half a minute to close; here the scope says how long. The option is not in its types yet. */
const PATIENT: object = { closeTimeout: 2 ** 31 - 1 }

class WebSocketConnection extends SocketDuplex {
  constructor(
    readonly webSocket: WebSocket,
    socket: net.Socket,
    remote: string,
    readonly bufferSize: number
  ) {
    super(socket, remote)
    webSocket.on("message", (data: Buffer, isBinary) => {
      if (!isBinary) return this.broke({ reason: "io", cause: new Error("a text message") })
      this.received(new Uint8Array(data.buffer, data.byteOffset, data.length))
    })
    webSocket.on("error", (cause) => this.broke(faultOf(cause)))
    webSocket.on("close", (code) => {
      if (!isEnd(code)) return this.broke({ reason: "reset" })
      // Both ways at once; what is pushed from now on reaches nobody.
      this.ended()
      this.finished()
      this.broke({ reason: "closed" })
    })
  }

  protected override send(arrays: ReadonlyArray<Uint8Array>): void {
    super.send(frames(arrays))
  }

  protected write(frame: Uint8Array): void {
    this.webSocket.send(frame, ignoreError) // a failure is the socket's, which tells
  }

  /** The end of the socket's own stream tells when the close frame has left. */
  protected finish(): void {
    this.webSocket.close(1000)
    this.socket.end((error?: Error | null) => {
      if (error === undefined || error === null) this.finished()
    })
  }

  protected pause(): void {
    this.webSocket.pause()
  }

  protected resume(): void {
    if (this.webSocket.isPaused) this.webSocket.resume()
  }

  /** When all has left, the close frame follows; otherwise the other side sees a break, for something is missing. */
  protected override destroy(): void {
    super.destroy()
    if (this.socket.writableLength === 0) this.webSocket.close(1000)
    this.webSocket.terminate()
  }
}

const ignoreError = (): void => undefined

const connect = (address: Address, options: NetworkWebSocketNodeOptions) => {
  const { bufferSize = BUFFER_SIZE, connectTimeout, maxPayload = MAX_PAYLOAD, tls } = options
  const name = nameOf(address.host, address.port)
  return establish(name, connectTimeout, (succeed, fail) => {
    const webSocket = new WebSocket(
      `${address.secure === true ? "wss" : "ws"}://${name}${address.path ?? "/"}`,
      {
        ...tls,
        maxPayload,
        perMessageDeflate: false,
        ...PATIENT
      }
    )
    let socket: net.Socket
    webSocket.once("upgrade", (response) => {
      socket = response.socket
    })
    webSocket.on("error", fail)
    webSocket.once("unexpected-response", (_, response) => {
      const cause = new Error(`the server answered ${response.statusCode}`)
      fail(networkError("connect", name, { reason: "refused", cause }))
    })
    webSocket.once("open", () => {
      webSocket.off("error", fail)
      succeed(new WebSocketConnection(webSocket, socket, name, bufferSize))
    })
    return () => webSocket.terminate() // which emits an error when it was not open yet: `fail` stays, to hear it
  })
}

const serverOf = (
  address: Address,
  options: NetworkWebSocketNodeOptions,
  accept: (duplex: Duplex) => void
): http.Server | https.Server => {
  const { bufferSize = BUFFER_SIZE, maxConnections, maxPayload = MAX_PAYLOAD, tls = {} } = options
  const needsUpgrade: http.RequestListener = (_, response) => {
    response.writeHead(426, { Upgrade: "websocket", Connection: "close" })
    response.end()
  }
  const server =
    address.secure === true ? https.createServer(tls, needsUpgrade) : http.createServer(needsUpgrade)
  if (maxConnections !== undefined) server.maxConnections = maxConnections
  const webSockets = new WebSocketServer({
    server,
    maxPayload,
    perMessageDeflate: false,
    clientTracking: false,
    ...PATIENT,
    ...(address.path === undefined ? {} : { path: address.path.split("?", 1)[0] })
  })
  webSockets.on("error", ignoreError) // the server's own, heard there
  webSockets.on("connection", (webSocket, { socket }) => {
    const remote = nameOf(socket.remoteAddress, socket.remotePort)
    accept(new WebSocketConnection(webSocket, socket, remote, bufferSize))
  })
  return server
}

export const make = (options: NetworkWebSocketNodeOptions = {}): NetworkService => ({
  connect: (address) => connect(address, options),
  listen: (address, handle) =>
    listening(
      address,
      handle,
      (accept) => serverOf(address, options, accept),
      (server) => server.closeAllConnections()
    )
})

export const layer = (options: NetworkWebSocketNodeOptions = {}): Layer.Layer<Network> =>
  Layer.sync(Network, () => make(options))
