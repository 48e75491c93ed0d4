/**
 * What is sent, until it is read: the messages of a tick are joined, so that many small ones make one chunk. They are pushed when the tick
 * is over, when 64 KB wait, when somebody reads, and before the stream ends.
 */
import type { Duplex } from "node:stream"
import type { Multiplexer } from "../../index.js"
import { toBuffer } from "../toBuffer.js"

/** Bytes that are pushed at once, and larger arrays alone. */
export const CHUNK_SIZE = 65_536

export class Outgoing {
  #scheduled = false
  /** Taken, so encrypted already: must be pushed in this order. */
  #chunks: Array<Buffer> = []
  #drained: Array<() => void> = []

  constructor(
    private readonly multiplexer: Multiplexer.Multiplexer,
    private readonly stream: Duplex
  ) {}

  /** Whether the stream is below its high water mark. */
  get isLow(): boolean {
    return this.multiplexer.size + this.stream.readableLength < this.stream.readableHighWaterMark
  }

  /** Something was written to the multiplexer. */
  wrote(): void {
    if (this.multiplexer.size >= CHUNK_SIZE) this.flush()
    else if (!this.#scheduled) {
      this.#scheduled = true
      process.nextTick(() => {
        this.#scheduled = false
        this.flush()
      })
    }
  }

  /** Pushes all that was written. A listener may write and flush while one is handed a chunk. */
  flush(): void {
    if (this.multiplexer.size > 0) this.#chunks.push(...joined(this.multiplexer.take()))
    for (let next = this.#chunks.shift(); next !== undefined; next = this.#chunks.shift()) {
      this.stream.push(next)
    }
    this.drainedMaybe()
  }

  /** Something was read: whoever waits for room may have it. */
  drainedMaybe(): void {
    if (this.#drained.length > 0 && this.isLow) this.release()
  }

  whenDrained(): Promise<void> | undefined {
    return this.isLow ? undefined : new Promise((resolve) => this.#drained.push(resolve))
  }

  /** Whoever waits goes on. */
  release(): void {
    const drained = this.#drained
    this.#drained = []
    for (const go of drained) go()
  }
}

/** Neighbours up to `CHUNK_SIZE` become one chunk. */
const joined = (parts: ReadonlyArray<Uint8Array>): Array<Buffer> => {
  const chunks: Array<Buffer> = []
  let group: Array<Uint8Array> = []
  let size = 0
  const close = () => {
    if (group.length > 0) chunks.push(group.length === 1 ? toBuffer(group[0]!) : Buffer.concat(group))
    group = []
    size = 0
  }
  for (const part of parts) {
    if (size + part.length > CHUNK_SIZE) close()
    group.push(part)
    size += part.length
  }
  close()
  return chunks
}
