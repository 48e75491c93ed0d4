/**
 * Frames on the wire (FORMATS, "Wire"):
 *
 *     varint(length of header and body) | header: varint(channel << 4 | type) | body
 *
 * A frame of length 0 keeps the connection alive; one of length 1 has no body; both say nothing.
 *
 * Encryption is the connection's: it XORs what `FrameWriter.take` gives, which therefore belongs to the taker, and what it gives to
 * `FrameReader.read`, which keeps views of it in the frames.
 */
import { Either } from "effect"
import { arrays, LARGE } from "./ArrayPool.js"
import { concat, empty } from "./Bytes.js"
import { ProtocolError } from "./Errors.js"
import * as Varint from "./Varint.js"
import * as Wire from "./Wire.js"

/** XORs the bytes it is given, in place, with the next bytes of a key stream. */
export type StreamCipher = (bytes: Uint8Array) => void

/** Bytes of header and body together. */
export const MAX_FRAME_SIZE = 8_388_608
export const MAX_CHANNELS = 256

/** What the header of the last channel takes. */
const MAX_HEADER_BYTES = 2

/** The number of bytes that `MAX_FRAME_SIZE` takes: a longer length is refused, whatever it says. */
const MAX_LENGTH_BYTES = 4

/** Values from this size on are sent from where they are: encryption changes them there. */
export const OWN_ARRAY = LARGE
const CHUNK_SIZE = 65_536

/** Writes frames one after another into shared chunks. */
export class FrameWriter {
  #done: Array<Uint8Array> = []
  #doneSize = 0
  #chunk = new Uint8Array(0)
  /** What of the chunk is not in `done` yet. */
  #start = 0
  #end = 0

  /** Bytes that wait to be taken. */
  get size(): number {
    return this.#doneSize + this.#end - this.#start
  }

  /**
   * Writes a frame; false, and nothing is written, when it would be above `MAX_FRAME_SIZE`. The value of a Data of 4096 bytes or
   * more is not copied: it belongs to the writer from now on, and to the taker after that.
   */
  message(channel: number, message: Wire.Message): boolean {
    const header = channel * 16 + Wire.TYPE[message._tag]
    const length = Varint.encodedLength(header) + Wire.encodedLength(message)
    if (length > MAX_FRAME_SIZE) return false
    const value = message._tag === "Data" ? message.value : undefined
    if (message._tag === "Data" && value !== undefined && value.length >= OWN_ARRAY) {
      this.#room(length - value.length + MAX_LENGTH_BYTES)
      this.#end = Wire.encodeDataHead(message, this.#chunk, this.#head(length, header))
      this.#own(value)
      this.#end = Wire.encodeDataTail(message, this.#chunk, this.#end)
      return true
    }
    this.#room(length + MAX_LENGTH_BYTES)
    this.#end = Wire.encode(message, this.#chunk, this.#head(length, header))
    return true
  }

  keepAlive(): void {
    this.#room(1)
    this.#chunk[this.#end++] = 0
  }

  /** What was written since, in order. The arrays belong to the caller, who may change them in place. */
  take(): Array<Uint8Array> {
    this.#flush()
    const taken = this.#done
    this.#done = []
    this.#doneSize = 0
    return taken
  }

  #head(length: number, header: number): number {
    return Varint.encode(header, this.#chunk, Varint.encode(length, this.#chunk, this.#end))
  }

  /** Makes `count` bytes follow `end` in the chunk. What is left of the one before is given up, the rest of one is used after `take`. */
  #room(count: number): void {
    if (this.#chunk.length - this.#end >= count) return
    this.#flush()
    this.#chunk = new Uint8Array(Math.max(count, CHUNK_SIZE))
    this.#start = 0
    this.#end = 0
  }

  #own(bytes: Uint8Array): void {
    this.#flush()
    this.#done.push(bytes)
    this.#doneSize += bytes.length
  }

  #flush(): void {
    if (this.#start === this.#end) return
    this.#done.push(this.#chunk.subarray(this.#start, this.#end))
    this.#doneSize += this.#end - this.#start
    this.#start = this.#end
  }
}

/**
 * A frame: its body is `bytes` from `start` to `end`, of what was read, or of its own when it came in parts. Of a Data whose value came as an
 * array by itself that stays `value`, and the body is what is around it.
 */
export class Frame {
  constructor(
    readonly channel: number,
    readonly type: number,
    readonly bytes: Uint8Array,
    readonly start: number,
    readonly end: number,
    readonly value?: Uint8Array
  ) {}

  get size(): number {
    return this.end - this.start + (this.value?.length ?? 0)
  }

  /** A view, which costs more than all else of a small frame. */
  get body(): Uint8Array {
    const { bytes, end, start } = this
    return new Uint8Array(bytes.buffer, bytes.byteOffset + start, end - start)
  }
}

/** Parts of a frame that are kept apart: 8 MB that come in 64 KB fit, and joining them early costs little. */
const MOST_PARTS = 256

/** Frames, lengths and keep-alives that are read at a time, where that is asked for: some 0.1 ms. */
export const SOME_STEPS = 2048

/** Reads frames from bytes that come in parts of any size. After an error it gives the same error again. */
export class FrameReader {
  readonly #maxChannels: number
  #problem: ProtocolError | undefined
  /** The length of the frame that is being read, as far as it came; how many bytes of it came, 0 to 4. */
  #length = 0
  #lengthBytes = 0
  /** Whether the length is complete, so that what comes next is the frame. */
  #inFrame = false
  /** A frame that comes in parts: views of what has come, joined when it is whole. What was only claimed takes nothing. */
  #parts: Array<Uint8Array> = []
  #gatheredSize = 0
  /** Which of the parts is a whole array by itself, and a large one, if one is; the first that is. */
  #apart = -1
  /** The array that is being read; whether somebody else looks at it, too. */
  #array = empty
  #isShared = false
  /** Arrays that were read, but for their parts. */
  #done: Array<Uint8Array> = []
  #rest = empty

  constructor(maxChannels: number = MAX_CHANNELS) {
    this.#maxChannels = maxChannels
  }

  /** Whether no frame is partly read: a connection may end here. */
  get atBoundary(): boolean {
    return !this.#inFrame && this.#lengthBytes === 0
  }

  /** What the last `read` left, having made its steps: to be read next. */
  get rest(): Uint8Array {
    return this.#rest
  }

  /** What is wrong with what was read. */
  get problem(): ProtocolError | undefined {
    return this.#problem
  }

  /**
   * The frames that `bytes` complete, as far as `mostSteps` go, or as something is wrong: that is given when no frame stands before it,
   * else by the next call. The reader and the frames keep views of `bytes`.
   */
  read(
    bytes: Uint8Array,
    mostSteps = Number.POSITIVE_INFINITY
  ): Either.Either<ReadonlyArray<Frame>, ProtocolError> {
    const frames: Array<Frame> = []
    let offset = 0
    if (this.#rest.length === 0) {
      this.#array = bytes
      this.#isShared = false
    }
    for (let step = 0; offset < bytes.length && step < mostSteps && this.#problem === undefined; step++) {
      offset = this.#step(bytes, offset, frames)
    }
    this.#rest = offset < bytes.length ? bytes.subarray(offset) : empty
    if (offset === bytes.length) this.#endArray()
    return this.#problem === undefined || frames.length > 0
      ? Either.right(frames)
      : Either.left(this.#problem)
  }

  /**
   * The first frame, which is in clear, and the bytes after it, which are not: they are to be decrypted and given to `read`.
   * `undefined` as long as it is not complete.
   */
  readFirst(
    bytes: Uint8Array
  ): Either.Either<{ readonly frame: Frame; readonly rest: Uint8Array } | undefined, ProtocolError> {
    const frames: Array<Frame> = []
    let offset = 0
    while (offset < bytes.length && this.#problem === undefined) {
      offset = this.#step(bytes, offset, frames)
      const frame = frames[0]
      if (frame !== undefined) return Either.right({ frame, rest: bytes.subarray(offset) })
    }
    return this.#problem === undefined ? Either.right(undefined) : Either.left(this.#problem)
  }

  /** Reads one length, one frame or what there is of it; adds the frame when complete and gives the offset after what was read. */
  #step(bytes: Uint8Array, offset: number, frames: Array<Frame>): number {
    if (!this.#inFrame) return this.#readLength(bytes, offset)
    const end = offset + this.#length - this.#gatheredSize
    if (end > bytes.length) {
      this.#gather(bytes, offset, bytes.length)
      return bytes.length
    }
    if (this.#gatheredSize === 0) {
      // Who is done with a block in it must not give back all of it.
      if (!this.#isShared) arrays.keep(this.#array)
      this.#isShared = true
      this.#parse(bytes, offset, end, frames)
    } else {
      this.#gather(bytes, offset, end)
      this.#parseParts(frames)
      this.#parts = []
      this.#gatheredSize = 0
      this.#apart = -1
    }
    this.#inFrame = false
    this.#length = 0
    return end
  }

  #parseParts(frames: Array<Frame>): void {
    const head = this.#apart === 1 ? this.#parts[0]! : empty
    const { buffer, byteOffset, length } = this.#parts[1]!
    const valueHead = head.length > 0 ? valueHeadLength(head, length) : 0
    if (valueHead === 0) {
      // What else is in a frame that is not large is not copied out of it, and outlives its block.
      const isLarge = this.#length >= LARGE + MAX_HEADER_BYTES
      const whole = isLarge ? arrays.take(this.#length) : new Uint8Array(this.#length)
      join(this.#parts, whole)
      this.#parse(whole, 0, this.#length, frames)
      for (const array of this.#done) arrays.giveWhole(array)
    } else {
      for (const array of this.#done) if (array.buffer !== buffer) arrays.giveWhole(array)
      this.#isShared ||= this.#array.buffer === buffer
      const around = [head.subarray(0, head.length - valueHead), ...this.#parts.slice(2)]
      const rest = concat(around)
      this.#parse(rest, 0, rest.length, frames, new Uint8Array(buffer, byteOffset, length))
    }
    this.#done = []
  }

  /** All of the array was read: it is used again as soon as nobody looks at it. */
  #endArray(): void {
    const array = this.#array
    this.#array = empty
    if (this.#isShared) return
    if (this.#gatheredSize === 0) arrays.giveWhole(array)
    else if (array.length >= OWN_ARRAY) this.#done.push(array)
  }

  #readLength(bytes: Uint8Array, from: number): number {
    let offset = from
    while (offset < bytes.length) {
      const byte = bytes[offset++]!
      this.#length |= (byte & 0x7f) << (7 * this.#lengthBytes++)
      if (byte < 0x80) {
        if (this.#length > MAX_FRAME_SIZE) {
          this.#fail("too-large", "frame", `a frame of ${this.#length} bytes`)
        }
        this.#lengthBytes = 0
        this.#inFrame = this.#length > 0
        return offset
      }
      if (this.#lengthBytes === MAX_LENGTH_BYTES) {
        this.#fail("too-large", "frame", `the length of a frame takes more than ${MAX_LENGTH_BYTES} bytes`)
        return offset
      }
    }
    return offset
  }

  #gather(bytes: Uint8Array, from: number, to: number): void {
    // Bytes that come one by one must not each keep an array.
    if (this.#parts.length === MOST_PARTS) joinLast(this.#parts)
    const isWhole = bytes === this.#array && from === 0 && to === bytes.length
    if (this.#apart < 0 && isWhole && to >= OWN_ARRAY && !arrays.isPart(bytes)) {
      this.#apart = this.#parts.length
    }
    this.#parts.push(bytes.subarray(from, to))
    this.#gatheredSize += to - from
  }

  #parse(bytes: Uint8Array, start: number, end: number, frames: Array<Frame>, value?: Uint8Array): void {
    if (end - start < 2) return
    const reader = new Varint.Reader(bytes, start, end)
    const header = reader.varint()
    if (header < 0) return this.#fail("malformed", "header", "a frame has no header")
    const type = header & 15
    const channel = (header - type) / 16
    if (channel >= this.#maxChannels) {
      return this.#fail("too-many", "channel", `channel ${channel} of at most ${this.#maxChannels}`)
    }
    frames.push(new Frame(channel, type, bytes, reader.offset, end, value))
  }

  #fail(reason: ProtocolError["reason"], about: ProtocolError["about"], detail: string): void {
    this.#problem = new ProtocolError({ reason, about, detail })
  }
}

/** The tags of a Data's index and value. */
const INDEX_TAG = (1 << 3) | 0
const VALUE_TAG = (2 << 3) | 2

/**
 * How many of the last bytes of `head`, a Data's frame up to its value, speak of the value: its tag and its length, which is `length`. 0 when
 * `head` is anything else than a header, an index and these.
 */
const valueHeadLength = (head: Uint8Array, length: number): number => {
  const reader = new Varint.Reader(head, 0, head.length)
  if ((reader.varint() & 15) !== Wire.TYPE.Data) return 0
  if (reader.varint() !== INDEX_TAG || reader.varint() < 0) return 0
  const { offset } = reader
  if (reader.varint() !== VALUE_TAG || reader.varint() !== length || reader.offset < head.length) return 0
  return head.length - offset
}

const join = (parts: ReadonlyArray<Uint8Array>, whole: Uint8Array): void => {
  let offset = 0
  for (const part of parts) {
    whole.set(part, offset)
    offset += part.length
  }
}

/** Joins the last parts, as many as do not dwarf those after them: so each byte is joined a few times, not once for every 256 that follow. */
const joinLast = (parts: Array<Uint8Array>): void => {
  let first = parts.length - 1
  for (let size = parts[first]!.length; first > 0 && parts[first - 1]!.length <= 2 * size; first--) {
    size += parts[first - 1]!.length
  }
  // At least a half, should the sizes fall steeply.
  first = Math.min(first, parts.length / 2)
  parts.splice(first, parts.length, concat(parts.slice(first)))
}
