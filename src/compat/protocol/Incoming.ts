/**
 * What comes, until it is handed out: one event after another, so that whoever hears one decides about the next. A chunk is done (and the
 * next one may come) when all of it was handed out and the peers that heard it are ready.
 *
 * It stops for what is before it in line: messages that came before a feed was opened here, which are handed out a tick after that, and
 * bytes that cannot be decrypted before the first feed is opened.
 */
import { Either } from "effect"
import type { Multiplexer, ProtocolError, Wire } from "../../index.js"
import type { Channel } from "./Channel.js"

export interface IncomingHost {
  /** Nothing is handed out any more. */
  readonly destroyed: boolean
  readonly handle: (event: Multiplexer.Event) => void
  readonly fail: (problem: ProtocolError) => void
  /** A peer's promise was broken. */
  readonly destroy: (error: Error) => void
}

type Early = readonly [channel: Channel, messages: ReadonlyArray<Wire.Message>]

export class Incoming {
  #events: ReadonlyArray<Multiplexer.Event> = []
  #next = 0
  #early: Array<Early> = []
  /** Channels whose peers must be ready before the chunk is done. */
  #told = new Set<Channel>()
  #waits = 0
  #done: (() => void) | undefined

  constructor(
    private readonly multiplexer: Multiplexer.Multiplexer,
    private readonly host: IncomingHost
  ) {}

  /** Whether it is our peers that keep the other side from being heard. */
  get isWaiting(): boolean {
    return this.#waits > 0
  }

  /** Takes a chunk, which becomes ours, and is decrypted where it is. */
  write(chunk: Uint8Array, done: () => void): void {
    this.#done = done
    if (!this.host.destroyed) this.#take(this.multiplexer.receive(chunk))
    this.#run()
  }

  /** A channel was opened here, for which these messages have come before. */
  opened(channel: Channel, early: ReadonlyArray<Wire.Message>): void {
    if (early.length > 0) this.#early.push([channel, early])
    else if (this.#done === undefined) return
    process.nextTick(() => {
      const opened = this.#early
      this.#early = []
      for (const [channel, messages] of opened) {
        for (const message of messages) this.give(channel, message)
      }
      if (!this.#mustWait()) this.#run()
    })
  }

  give(channel: Channel, message: Wire.Message): void {
    if (channel.closed || this.host.destroyed) return
    channel.receive(message)
    if (channel.peer?.whenReady !== undefined) this.#told.add(channel)
  }

  /** The stream is over: whoever writes to it goes on. */
  stop(): void {
    this.#events = []
    this.#early = []
    this.#run()
  }

  #run(): void {
    while (!this.host.destroyed) {
      if (this.#early.length > 0 || this.isWaiting) return
      const event = this.#events[this.#next++]
      if (event !== undefined) this.host.handle(event)
      else if (this.#mustWait()) return
      else if (this.multiplexer.hasMore) this.#take(this.multiplexer.more())
      else if (this.multiplexer.isHeld) return
      else break
    }
    const done = this.#done
    this.#done = undefined
    done?.()
  }

  #take(events: Either.Either<ReadonlyArray<Multiplexer.Event>, ProtocolError>): void {
    this.#next = 0
    this.#events = []
    if (Either.isLeft(events)) this.host.fail(events.left)
    else this.#events = events.right
  }

  #mustWait(): boolean {
    if (this.#told.size === 0) return false
    const waits: Array<Promise<void>> = []
    for (const { peer } of this.#told) {
      const wait = peer?.whenReady?.()
      if (wait !== undefined) waits.push(wait)
    }
    this.#told.clear()
    if (waits.length === 0) return false
    this.#waits++
    // Not within the promise: what a listener throws is no broken promise.
    const goOn = () =>
      process.nextTick(() => {
        this.#waits--
        this.#run()
      })
    void Promise.all(waits).then(goOn, (error: Error) => this.host.destroy(error))
    return true
  }
}
