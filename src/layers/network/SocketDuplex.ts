/** A connection that writes to a socket of Node's: when it is full, and how long it may write without a break. */
import type * as net from "node:net"
import { Duplex } from "./Duplex.js"

/** Bytes pushed, over all connections, before the event loop gets its turn: pushes that never wait must not keep all others waiting. */
const TURN_BYTES = 4 * 1024 * 1024

/** Bytes that arrive, over all connections, before the event loop goes on: each socket would be read until it is empty, or its buffer full. */
const ARRIVAL_BYTES = 2 * 1024 * 1024

/** What an array takes, beside its bytes: who sends byte by byte has us keep as many arrays. */
const ARRAY_BYTES = 256

let pushedSinceTurn = 0
let arrivedSinceTurn = 0
/** Connections that are not read until then. */
const halted = new Set<SocketDuplex>()
let arrivalTurn: NodeJS.Immediate | undefined

const goOn = (): void => {
  arrivalTurn = undefined
  arrivedSinceTurn = 0
  for (const one of halted) one.goOn()
  halted.clear()
}

export abstract class SocketDuplex extends Duplex {
  #turn: NodeJS.Immediate | undefined
  #arrival: NodeJS.Immediate | undefined

  constructor(
    readonly socket: net.Socket,
    remote: string
  ) {
    super(remote)
    socket.on("drain", () => this.drained())
  }

  /**
   * A socket tells of every 64 KB by itself, many times a turn of the event loop. Whoever pulls is woken once, after them: then it
   * has a batch to work on, which costs it a fraction.
   */
  protected override arrivedInTurn(wake: () => void): void {
    this.#arrival ??= setImmediate(() => {
      this.#arrival = undefined
      wake()
    })
  }

  /** Bytes that may have arrived and not been pulled. */
  abstract readonly bufferSize: number
  protected abstract pause(): void

  /** The socket has read something. */
  received(array: Uint8Array): void {
    this.arrived(array)
    arrivedSinceTurn += array.length
    arrivalTurn ??= setImmediate(goOn)
    if (arrivedSinceTurn >= ARRIVAL_BYTES) halted.add(this)
    if (this.#isFull || arrivedSinceTurn >= ARRIVAL_BYTES) this.pause()
  }

  get #isFull(): boolean {
    return this.waiting + ARRAY_BYTES * this.waitingArrays >= this.bufferSize
  }

  goOn(): void {
    if (!this.#isFull) this.resume()
  }

  /** Writes one array: a part of what the socket is corked for. */
  protected abstract write(array: Uint8Array): void

  protected send(arrays: ReadonlyArray<Uint8Array>): void {
    this.socket.cork() // one writev for all
    for (const array of arrays) {
      pushedSinceTurn += array.length
      this.write(array)
    }
    this.socket.uncork()
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

  protected destroy(): void {
    halted.delete(this)
    clearImmediate(this.#turn)
    clearImmediate(this.#arrival)
  }
}
