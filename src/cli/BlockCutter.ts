/**
 * Cuts a stream of bytes into blocks, in chunks as they come: whole, by lines, or in pieces of one size. Pure but for what a
 * cutter has pending, which is never more than one block.
 */
import { Either } from "effect"
import { MAX_BLOCK_SIZE } from "../index.js"

/** How bytes become blocks. */
export type Cutting =
  | { readonly _tag: "Whole" }
  | { readonly _tag: "Lines" }
  | { readonly _tag: "Pieces"; readonly size: number }

/** The blocks that a chunk completed, or why one of them cannot be. Blocks are views of the chunks. */
export type Cut = Either.Either<ReadonlyArray<Uint8Array>, string>

export interface BlockCutter {
  readonly push: (chunk: Uint8Array) => Cut
  /** The blocks that the end completes. */
  readonly end: () => Cut
}

const NEWLINE = 10
const TOO_MANY = `more than ${MAX_BLOCK_SIZE} bytes, which is the most that one block can have`

export const tooLargeForOne = `has ${TOO_MANY}: cut it into blocks with --block-size 1m, or --lines for text`

const tooLongLine = (line: number): string =>
  `line ${line} has ${TOO_MANY}: cut the input into blocks with --block-size 1m`

/** The bytes of a block that is not complete yet. */
class Pending {
  #parts: Array<Uint8Array> = []
  length = 0

  add(part: Uint8Array): void {
    this.#parts.push(part)
    this.length += part.length
  }

  take(): Uint8Array {
    const block = this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts)
    this.#parts = []
    this.length = 0
    return block
  }
}

const none: Cut = Either.right([])

/** One block, the whole; also when it is empty. */
const whole = (): BlockCutter => {
  const pending = new Pending()
  return {
    push: (chunk) => {
      pending.add(chunk)
      return pending.length > MAX_BLOCK_SIZE ? Either.left(tooLargeForOne) : none
    },
    end: () => Either.right([pending.take()])
  }
}

/** A block a line, without its newline; what follows the last newline is a line unless it is empty. */
const lines = (): BlockCutter => {
  const pending = new Pending()
  let complete = 0
  return {
    push: (chunk) => {
      const blocks: Array<Uint8Array> = []
      let start = 0
      for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
        pending.add(chunk.subarray(start, end))
        start = end + 1
        complete++
        if (pending.length > MAX_BLOCK_SIZE) return Either.left(tooLongLine(complete))
        blocks.push(pending.take())
      }
      if (start < chunk.length) pending.add(chunk.subarray(start))
      return pending.length > MAX_BLOCK_SIZE ? Either.left(tooLongLine(complete + 1)) : Either.right(blocks)
    },
    end: () => (pending.length === 0 ? none : Either.right([pending.take()]))
  }
}

/** Blocks of `size` bytes; the last has what is left. */
const pieces = (size: number): BlockCutter => {
  const pending = new Pending()
  return {
    push: (chunk) => {
      const blocks: Array<Uint8Array> = []
      for (let start = 0; start < chunk.length;) {
        const end = Math.min(start + size - pending.length, chunk.length)
        pending.add(chunk.subarray(start, end))
        if (pending.length === size) blocks.push(pending.take())
        start = end
      }
      return Either.right(blocks)
    },
    end: () => (pending.length === 0 ? none : Either.right([pending.take()]))
  }
}

export const make = (cutting: Cutting): BlockCutter => {
  switch (cutting._tag) {
    case "Whole":
      return whole()
    case "Lines":
      return lines()
    case "Pieces":
      return pieces(cutting.size)
  }
}
