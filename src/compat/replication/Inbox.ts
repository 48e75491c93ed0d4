/**
 * Messages of a channel between the stream that hands them out and the fiber that takes them: the other side's handshake first, and nothing
 * before that.
 */
import { Effect } from "effect"
import type { Wire } from "../../index.js"

/** Bytes of blocks that may wait; more hold the stream up, where it can be. */
const FULL_BYTES = 4 * 1024 * 1024

export class Inbox {
  #messages: Array<Wire.Message> = []
  #bytes = 0
  #greeted = false
  #closed = false
  #wake: (() => void) | undefined
  #drained: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined

  push(message: Wire.Message): void {
    if (this.#closed) return
    this.#messages.push(message)
    if (message._tag === "Data") this.#bytes += message.value?.length ?? 0
    if (this.#greeted) this.#wake?.()
  }

  /** The handshake: from now on messages may be taken. */
  greet(handshake: Wire.Handshake): void {
    this.#greeted = true
    this.#messages.unshift(handshake)
    this.#wake?.()
  }

  /** Nothing more comes. */
  close(): void {
    this.#closed = true
    this.#wake?.()
    this.#drained?.resolve()
  }

  /** When more may be handed out; at once where there is nothing to wait for. */
  whenReady(): Promise<void> | undefined {
    if (this.#bytes < FULL_BYTES || this.#closed) return undefined
    if (this.#drained === undefined) {
      let resolve = (): void => {}
      const promise = new Promise<void>((done) => (resolve = done))
      this.#drained = { promise, resolve }
    }
    return this.#drained.promise
  }

  /** All that came; waits for it. None: it is closed. */
  readonly pull: Effect.Effect<ReadonlyArray<Wire.Message>> = Effect.async((resume) => {
    const answer = (): void => {
      this.#wake = undefined
      resume(this.#take)
    }
    if ((this.#greeted && this.#messages.length > 0) || this.#closed) return answer()
    this.#wake = answer
    return Effect.sync(() => {
      this.#wake = undefined
    })
  })

  /** In the step in which they are handed on: who is interrupted before has taken nothing. */
  readonly #take = Effect.sync(() => {
    const messages = this.#greeted ? this.#messages : []
    this.#messages = []
    this.#bytes = 0
    this.#drained?.resolve()
    this.#drained = undefined
    return messages
  })
}
