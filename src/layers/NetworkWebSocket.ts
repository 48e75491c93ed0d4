/**
 * Network over the platform's own WebSocket, in browsers and Node from 22 on: binary messages, whose borders mean nothing. It connects; to
 * listen is refused.
 *
 * A browser's WebSocket cannot hold up the other side: what arrives and is not pulled is kept, up to `maxWaiting` bytes; then
 * the connection breaks. Nor does it tell when it has sent something: a pusher looks again every few milliseconds. Why a connection could not
 * be made it does not tell either: that is always `refused`. It has no half-close: `end` closes it after what was pushed.
 */
import { type Duration, Effect, type Fiber, FiberSet, Layer } from "effect"
import { type Address, Network, type NetworkService } from "../services/Network.js"
import { Duplex } from "./network/Duplex.js"
import { establish } from "./network/establish.js"
import { networkError } from "./network/Fault.js"
import { frames, isEnd } from "./network/frames.js"
import { nameOf } from "./network/nameOf.js"

/** What is used of a WebSocket. */
export interface WebSocketLike {
  binaryType: string
  readonly bufferedAmount: number
  readonly send: (data: Uint8Array<ArrayBuffer>) => void
  readonly close: (code?: number, reason?: string) => void
  onopen: ((event: never) => void) | null
  onmessage: ((event: never) => void) | null
  onclose: ((event: never) => void) | null
  onerror: ((event: never) => void) | null
}

export interface NetworkWebSocketOptions {
  /** How long to wait for a connection. Absent: as long as the platform does. */
  readonly connectTimeout?: Duration.DurationInput | undefined
  /** Bytes that may wait to be sent before a pusher is held up. 1 MiB when absent. */
  readonly bufferSize?: number | undefined
  /** Bytes that may have arrived and not been pulled before the connection breaks. 64 MiB when absent. */
  readonly maxWaiting?: number | undefined
  /** Another constructor than `globalThis.WebSocket`. */
  readonly WebSocket?: (new (url: string) => WebSocketLike) | undefined
}

const BUFFER_SIZE = 1024 * 1024
const MAX_WAITING = 64 * 1024 * 1024
/** Between two looks at what is still to be sent. */
const LOOK_AGAIN = "4 millis"
/** Codes from 4000 on have no meaning but between the two ends. */
const TOO_MUCH = 4009

class BrowserConnection extends Duplex {
  #isLooking = false

  constructor(
    readonly webSocket: WebSocketLike,
    remote: string,
    readonly options: NetworkWebSocketOptions,
    readonly run: (looking: Effect.Effect<void>) => Fiber.RuntimeFiber<void>
  ) {
    super(remote)
    webSocket.onmessage = ({ data }: { readonly data: unknown }) => this.#received(data)
    webSocket.onerror = () => this.broke({ reason: "reset" })
    webSocket.onclose = ({ code }: { readonly code: number }) => {
      if (!isEnd(code)) return this.broke({ reason: "reset" })
      // Both ways at once; what is pushed from now on reaches nobody.
      this.ended()
      this.finished()
      this.broke({ reason: "closed" })
    }
  }

  #received(data: unknown): void {
    if (!(data instanceof ArrayBuffer)) {
      return this.broke({ reason: "io", cause: new Error("a text message") })
    }
    const { maxWaiting = MAX_WAITING } = this.options
    this.arrived(new Uint8Array(data))
    if (this.waiting <= maxWaiting) return
    const detail = `more than ${maxWaiting} bytes arrived and were not pulled`
    this.webSocket.close(TOO_MUCH, detail)
    this.broke({ reason: "io", cause: new Error(detail) })
  }

  protected send(arrays: ReadonlyArray<Uint8Array>): void {
    for (const frame of frames(arrays)) this.webSocket.send(frame as Uint8Array<ArrayBuffer>)
    if (this.isFull()) this.#look()
  }

  protected isFull(): boolean {
    return this.webSocket.bufferedAmount >= (this.options.bufferSize ?? BUFFER_SIZE)
  }

  protected finish(): void {
    this.webSocket.close(1000)
    this.#look()
  }

  #look(): void {
    if (this.#isLooking) return
    this.#isLooking = true
    this.run(Effect.interruptible(this.#looking))
  }

  readonly #looking: Effect.Effect<void> = Effect.suspend(() => {
    if (this.isEnding && this.webSocket.bufferedAmount === 0) this.finished()
    if (!this.isFull()) this.drained()
    const goesOn = this.isEnding ? this.webSocket.bufferedAmount > 0 : this.isFull()
    if (goesOn && !this.isBroken) return Effect.zipRight(Effect.sleep(LOOK_AGAIN), this.#looking)
    this.#isLooking = false
    return Effect.void
  })

  protected resume(): void {}

  protected destroy(): void {
    this.webSocket.onmessage = null
    this.webSocket.close(1000)
  }
}

const connect = (address: Address, options: NetworkWebSocketOptions) =>
  Effect.flatMap(FiberSet.makeRuntime<never, void>(), (run) => {
    const name = nameOf(address.host, address.port)
    return establish(name, options.connectTimeout, (succeed, fail) => {
      const { WebSocket = globalWebSocket() } = options
      if (WebSocket === undefined) {
        const cause = new Error("this platform has no WebSocket")
        fail(networkError("connect", name, { reason: "address", cause }))
        return () => undefined
      }
      const webSocket = new WebSocket(
        `${address.secure === true ? "wss" : "ws"}://${name}${address.path ?? "/"}`
      )
      webSocket.binaryType = "arraybuffer"
      const refused = (): void => fail(networkError("connect", name, { reason: "refused" }))
      webSocket.onerror = refused // not every platform lets a close follow
      webSocket.onclose = refused
      webSocket.onopen = () => succeed(new BrowserConnection(webSocket, name, options, run))
      return () => webSocket.close()
    })
  })

const globalWebSocket = () =>
  (globalThis as { readonly WebSocket?: NetworkWebSocketOptions["WebSocket"] }).WebSocket

export const make = (options: NetworkWebSocketOptions = {}): NetworkService => ({
  connect: (address) => connect(address, options),
  listen: (address) =>
    Effect.fail(
      networkError("listen", nameOf(address.host, address.port), {
        reason: "address",
        cause: new Error("a WebSocket of the platform cannot listen")
      })
    )
})

export const layer = (options: NetworkWebSocketOptions = {}): Layer.Layer<Network> =>
  Layer.sync(Network, () => make(options))
