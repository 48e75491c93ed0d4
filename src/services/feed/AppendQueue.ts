/** The line of appends in front of the one writer (`append`), taken group by group. */
import type { Exit } from "effect"
import { totalLength } from "../../domain/Bytes.js"
import type {
  BadArgument,
  FeedClosed,
  ForkDetected,
  NotWritable,
  StaleWriter,
  StorageError,
  WriteRefused
} from "../../domain/Errors.js"
import { Turn } from "../Turn.js"

export type AppendError =
  | BadArgument
  | FeedClosed
  | ForkDetected
  | NotWritable
  | StaleWriter
  | StorageError
  | WriteRefused

/** One caller's batch; `settle` gives the caller its result, and is `undefined` from then on. */
export interface AppendRequest {
  readonly blocks: ReadonlyArray<Uint8Array>
  settle: ((exit: Exit.Exit<number, AppendError>) => void) | undefined
}

/** A group takes no more requests once it has this many blocks or bytes: one commit stays short. */
const GROUP_BLOCKS = 8192
const GROUP_BYTES = 16 * 1024 * 1024

export class AppendQueue {
  waiting: Array<AppendRequest> = []
  /** Whether the fiber that commits groups runs. */
  started = false
  /** Wakes that fiber where it waits for a line; `undefined` while it works, or before the first append. */
  wake: (() => void) | undefined
  /** Of that fiber. */
  readonly turn = new Turn()

  /** The requests that are committed together next: in order, at least one. */
  takeGroup(): ReadonlyArray<AppendRequest> {
    let blocks = 0
    let bytes = 0
    let end = 0
    for (; end < this.waiting.length && blocks < GROUP_BLOCKS && bytes < GROUP_BYTES; end++) {
      const request = this.waiting[end]!
      blocks += request.blocks.length
      bytes += totalLength(request.blocks)
    }
    if (end < this.waiting.length) return this.waiting.splice(0, end)
    const all = this.waiting
    this.waiting = []
    return all
  }
}
