/**
 * One file by positional, synchronous I/O. It is opened for reading when first read and for writing when first
 * written, so that looking at a feed creates nothing.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { empty } from "../../domain/Bytes.js"

/** Parts smaller than this are gathered into one buffer: a copy is cheaper than an entry of writev. */
const GATHER_BELOW = 16 * 1024
const GATHER_BYTES = 1024 * 1024
/** The kernel's limit on buffers of one writev (IOV_MAX). */
const MAX_VECTORS = 1024
/** Reads up to this size trust the caller's length; longer ones are cut to the file first, so a corrupt length allocates nothing. */
const TRUSTED_LENGTH = 64 * 1024
/** Reads below this size come from a shared slab: an array of its own costs more than the read. */
const SLAB_BELOW = 4 * 1024
const SLAB_SIZE = 16 * 1024

/** To be read and written by the owner alone. */
const PRIVATE = 0o600

let slab = new Uint8Array(0)
let slabUsed = 0

/** An array nobody else has, though below `SLAB_BELOW` its `buffer` is shared, as with Node's own buffers. */
const allocate = (length: number): Uint8Array => {
  if (length >= SLAB_BELOW) {
    const buffer = Buffer.allocUnsafeSlow(length)
    return new Uint8Array(buffer.buffer, buffer.byteOffset, length)
  }
  if (slabUsed + length > slab.length) {
    slab = new Uint8Array(SLAB_SIZE)
    slabUsed = 0
  }
  const bytes = slab.subarray(slabUsed, slabUsed + length)
  slabUsed += length
  return bytes
}

export class PositionalFile {
  #fd: number | undefined
  #canWrite = false

  constructor(
    readonly name: string,
    /** For its owner alone: mode 0600, whatever it had before it is written. */
    readonly isPrivate: boolean,
    /** Told of each directory that gained an entry. */
    readonly onNewEntry: (directory: string) => void
  ) {}

  /** Whether there is such a file; opens it. */
  exists(): boolean {
    return this.#readable() !== undefined
  }

  /** The descriptor of a file that exists, open for reading at least. */
  descriptor(): number {
    return this.#readable() ?? this.writable()
  }

  /** The descriptor, open for writing; the file and its directories come to be. */
  writable(): number {
    if (this.#fd !== undefined && this.#canWrite) return this.#fd
    const directory = path.dirname(this.name)
    const firstNew = fs.mkdirSync(directory, { recursive: true })
    if (firstNew !== undefined) {
      for (let name = directory; name.length >= firstNew.length; name = path.dirname(name)) {
        this.onNewEntry(path.dirname(name))
      }
    }
    const isNew = !fs.existsSync(this.name)
    if (isNew) this.onNewEntry(directory)
    const mode = this.isPrivate ? PRIVATE : 0o666
    const fd = fs.openSync(this.name, fs.constants.O_RDWR | fs.constants.O_CREAT, mode)
    const before = this.#fd
    this.#fd = fd
    if (before !== undefined) closeReadOnly(before)
    if (this.isPrivate && !isNew) makePrivate(fd)
    this.#canWrite = true
    return fd
  }

  #readable(): number | undefined {
    if (this.#fd !== undefined) return this.#fd
    try {
      return (this.#fd = fs.openSync(this.name, "r"))
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined
      throw error
    }
  }

  size(): number {
    const fd = this.#readable()
    return fd === undefined ? 0 : fs.fstatSync(fd).size
  }

  /** The bytes are in `into`, if that is given, from its start on. */
  read(offset: number, length: number, into?: Uint8Array): Uint8Array {
    const fd = this.#readable()
    // A negative length would take back memory that was given away.
    if (fd === undefined || length <= 0) return empty
    const wanted =
      length <= TRUSTED_LENGTH ? length : Math.max(0, Math.min(length, fs.fstatSync(fd).size - offset))
    const bytes = into?.subarray(0, wanted) ?? allocate(wanted)
    let filled = 0
    while (filled < wanted) {
      const count = fs.readSync(fd, bytes, filled, wanted - filled, offset + filled)
      if (count === 0) return into === undefined ? bytes.slice(0, filled) : bytes.subarray(0, filled)
      filled += count
    }
    return bytes
  }

  /**
   * Writes parts from number `from` on at `offset`, whole parts, until some `budget` bytes are written; answers how many bytes that
   * was and the next part.
   */
  write(
    offset: number,
    parts: ReadonlyArray<Uint8Array>,
    from: number,
    budget: number
  ): { readonly bytes: number; readonly nextPart: number } {
    const fd = this.writable()
    let bytes = 0
    let next = from
    while (next < parts.length && bytes < budget) {
      const run = takeRun(parts, next)
      if (run.length === 1) writeFully(fd, run[0]!, offset + bytes)
      else if (run[0]!.length < GATHER_BELOW) writeFully(fd, gather(run), offset + bytes)
      else writeVector(fd, run, offset + bytes)
      for (const part of run) bytes += part.length
      next += run.length
    }
    return { bytes, nextPart: next }
  }

  truncate(size: number): void {
    if (size < this.size()) fs.ftruncateSync(this.writable(), size)
  }

  /** The descriptor is gone whether or not this throws: a second try could close somebody else's. */
  close(): void {
    const fd = this.#fd
    this.#fd = undefined
    this.#canWrite = false
    if (fd !== undefined) fs.closeSync(fd)
  }
}

/**
 * Takes from others what they may do with a file that was there before. Somebody else's file cannot be made private, and gets no secret; a file
 * system that knows no modes keeps none.
 */
const makePrivate = (fd: number): void => {
  try {
    fs.fchmodSync(fd, PRIVATE)
  } catch (error) {
    if (fs.fstatSync(fd).uid !== process.getuid?.()) throw error
  }
}

/** Nothing was written by it that its end could fail to store. */
export const closeReadOnly = (fd: number): void => {
  try {
    fs.closeSync(fd)
  } catch {
    // The kernel has taken it back all the same.
  }
}

/** Parts from `from` on that go to the kernel together: all small or all large, within the limits. */
const takeRun = (parts: ReadonlyArray<Uint8Array>, from: number): ReadonlyArray<Uint8Array> => {
  const small = parts[from]!.length < GATHER_BELOW
  let end = from
  for (let bytes = 0; end < parts.length && bytes < GATHER_BYTES; end++) {
    if (parts[end]!.length < GATHER_BELOW !== small) break
    if (!small && end - from >= MAX_VECTORS) break
    bytes += parts[end]!.length
  }
  return parts.slice(from, end)
}

/** Reused by every gathered write: they are synchronous, and fresh memory costs more than the copy. */
let gathered = new Uint8Array(0)

const gather = (parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  if (gathered.length === 0) gathered = new Uint8Array(GATHER_BYTES + GATHER_BELOW)
  let end = 0
  for (const part of parts) {
    gathered.set(part, end)
    end += part.length
  }
  return gathered.subarray(0, end)
}

const writeFully = (fd: number, bytes: Uint8Array, offset: number): void => {
  for (let done = 0; done < bytes.length;) {
    const count = fs.writeSync(fd, bytes, done, bytes.length - done, offset + done)
    // No file system should; one that did would be asked for ever.
    if (count === 0) throw new Error("nothing was written, and no error given")
    done += count
  }
}

const writeVector = (fd: number, parts: ReadonlyArray<Uint8Array>, offset: number): void => {
  let skip = fs.writevSync(fd, parts, offset)
  let position = offset + skip
  for (const part of parts) {
    if (skip >= part.length) {
      skip -= part.length
      continue
    }
    // The kernel took less than all: finish part by part.
    const rest = part.subarray(skip)
    writeFully(fd, rest, position)
    position += rest.length
    skip = 0
  }
}
