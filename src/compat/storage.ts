/**
 * `feed._storage`: the peer never said what is in it, and packages use it all the same. Six random-access-storage instances, and what the
 * tree and the signatures say, as they are stored now. Over the caller's own instances, or over a feed's files.
 */
import { Effect } from "effect"
import type { FeedFiles, FileName } from "../index.js"
import type { RandomAccessStorage } from "../layers/StorageRandomAccess.js"
import { fork } from "./fork.js"
import { toBuffer } from "./toBuffer.js"

type Answer<A> = (error: Error | null, value?: A) => void

/** The instance of a file of that name. */
export type CreateInstance = (name: string) => RandomAccessStorage

export interface StoredNode {
  readonly index: number
  /** 32 bytes. */
  readonly hash: Buffer
  /** Bytes under it. */
  readonly size: number
}

export interface StoredSignature {
  readonly index: number
  /** 64 bytes. */
  readonly signature: Buffer
}

/** What the files hold; a key that is not there is null. */
export interface StoredFeed {
  readonly key: Buffer | null
  readonly secretKey: Buffer | null
  readonly bitfield: ReadonlyArray<Buffer>
  readonly bitfieldPageSize: number
}

const HEADER = 32
const NODE = 40
const HASH = 32
const SIGNATURE = 64
const PAGE = 3584

/** Ends `program` by the callback, never before the call has returned. */
const answerWith = <A, B>(
  program: Effect.Effect<A, Error>,
  answer: Answer<B> | undefined,
  value: (result: A) => B
): void => {
  const callback = answer ?? (() => {})
  fork(Effect.either(program)).addObserver((exit) => {
    if (exit._tag === "Failure") process.nextTick(callback, new Error("the feed's storage failed"))
    else if (exit.value._tag === "Left") process.nextTick(callback, exit.value.left)
    else process.nextTick(callback, null, value(exit.value.right))
  })
}

const nothing = (): void => {}

/** A file of a feed as an instance; closing it does nothing: the file is the feed's. */
export const instanceOf = (files: FeedFiles, file: FileName): RandomAccessStorage => ({
  read: (offset, length, callback) => {
    const whole = Effect.flatMap(files.read([{ file, offset, length }]), ([bytes]) =>
      bytes!.length === length
        ? Effect.succeed(toBuffer(bytes!))
        : Effect.fail(new Error(`${file} has not ${length} bytes at ${offset}`))
    )
    answerWith(whole, callback, (bytes) => bytes)
  },
  write: (offset, bytes, callback) =>
    answerWith(files.write([{ file, offset, parts: [bytes] }]), callback, nothing),
  del: (offset, length, callback) => answerWith(files.remove(file, offset, length), callback, nothing),
  stat: (callback) => answerWith(files.size(file), callback, (size) => ({ size })),
  close: (callback) => process.nextTick(callback ?? nothing, null)
})

const FILES = {
  key: "key",
  secret_key: "secretKey",
  tree: "tree",
  data: "data",
  bitfield: "bitfield",
  signatures: "signatures"
} as const

const isFile = (name: string): name is keyof typeof FILES => Object.hasOwn(FILES, name)

const isBlank = (bytes: Buffer): boolean => bytes.every((byte) => byte === 0)

const readExactly = (
  instance: RandomAccessStorage | null,
  offset: number,
  length: number,
  answer: Answer<Buffer>
): void => {
  if (instance === null) return process.nextTick(answer, new Error("the storage is not open"))
  instance.read(offset, length, (error, bytes) => {
    if (error) answer(error as Error)
    else if (bytes?.length === length) answer(null, toBuffer(bytes))
    else answer(new Error(`the storage gave not the ${length} bytes at ${offset}`))
  })
}

/** Positions of the roots over the blocks before `index`, left to right. */
const rootsBefore = (index: number): Array<number> => {
  const roots: Array<number> = []
  for (let start = 0; start < index;) {
    let span = 1
    while (start + 2 * span <= index) span *= 2
    roots.push(2 * start + span - 1)
    start += span
  }
  return roots
}

/** A package's class may be given where a function is meant. */
const make = (storage: CreateInstance, name: string): RandomAccessStorage =>
  /^class\b/.test(Function.prototype.toString.call(storage))
    ? (Reflect.construct(storage, [name]) as RandomAccessStorage)
    : storage(name)

export class LegacyStorage {
  key: RandomAccessStorage | null = null
  secretKey: RandomAccessStorage | null = null
  tree: RandomAccessStorage | null = null
  data: RandomAccessStorage | null = null
  bitfield: RandomAccessStorage | null = null
  signatures: RandomAccessStorage | null = null

  /** The same function, whose instances are these from then on; a directory stays what it is. */
  over<S extends string | CreateInstance>(storage: S): S {
    if (typeof storage === "string") return storage
    const create: CreateInstance = (name) => {
      const instance = make(storage, name)
      if (isFile(name)) this[FILES[name]] = instance
      return instance
    }
    return create as S
  }

  /** For a feed in a directory. */
  overFiles(files: FeedFiles): void {
    for (const [file, name] of Object.entries(FILES)) this[name] = instanceOf(files, file as FileName)
  }

  /** Fails where there is no node at the position. */
  getNode(index: number, answer: Answer<StoredNode>): void {
    readExactly(this.tree, HEADER + NODE * index, NODE, (error, entry) => {
      if (error !== null) return answer(error)
      if (isBlank(entry!)) return answer(new Error("No node found"))
      answer(null, { index, hash: entry!.subarray(0, HASH), size: Number(entry!.readBigUInt64BE(HASH)) })
    })
  }

  /** Where a block starts in `data`, and its size; `cachedNodes` are not read. */
  dataOffset(
    index: number,
    cachedNodes: ReadonlyArray<StoredNode>,
    answer: (error: Error | null, offset?: number, size?: number) => void
  ): void {
    const positions = [...rootsBefore(index), 2 * index]
    let offset = 0
    const next = (i: number): void => {
      const take: Answer<StoredNode> = (error, node) => {
        if (error !== null) return answer(error)
        if (i === positions.length - 1) return answer(null, offset, node!.size)
        offset += node!.size
        next(i + 1)
      }
      const cached = cachedNodes.find((node) => node.index === positions[i])
      if (cached === undefined) this.getNode(positions[i]!, take)
      else take(null, cached)
    }
    next(0)
  }

  getData(index: number, answer: Answer<Buffer>): void {
    this.dataOffset(index, [], (error, offset, size) => {
      if (error === null) readExactly(this.data, offset!, size!, answer)
      else answer(error)
    })
  }

  #signature(index: number, answer: Answer<Buffer>): void {
    readExactly(this.signatures, HEADER + SIGNATURE * index, SIGNATURE, answer)
  }

  /** Fails where the log that ends with this block was not signed. */
  getSignature(index: number, answer: Answer<Buffer>): void {
    this.#signature(index, (error, signature) => {
      if (error !== null) answer(error)
      else if (isBlank(signature!)) answer(new Error("No signature found"))
      else answer(null, signature)
    })
  }

  /** The signature of this block or the first after it. */
  nextSignature(index: number, answer: Answer<StoredSignature>): void {
    this.#signature(index, (error, signature) => {
      if (error !== null) answer(error)
      // Not at once: an instance that calls back at once would grow the stack with each.
      else if (isBlank(signature!)) process.nextTick(() => this.nextSignature(index + 1, answer))
      else answer(null, { index, signature: signature! })
    })
  }

  /** What is stored. The options, a key that was asked for, are not needed. */
  open(options: unknown, answer?: Answer<StoredFeed>): void {
    const callback = typeof options === "function" ? (options as Answer<StoredFeed>) : answer!
    if (this.bitfield === null) return process.nextTick(callback, new Error("the storage is not open"))
    readExactly(this.key, 0, 32, (_, key) =>
      readExactly(this.secretKey, 0, 64, (__, secretKey) =>
        readExactly(this.bitfield, 0, HEADER, (___, header) => {
          const bitfieldPageSize = header?.readUInt16BE(5) ?? PAGE
          this.#readPages(bitfieldPageSize, [], (bitfield) =>
            callback(null, { key: key ?? null, secretKey: secretKey ?? null, bitfield, bitfieldPageSize })
          )
        })
      )
    )
  }

  /** Pages until there is no whole one. */
  #readPages(size: number, pages: Array<Buffer>, end: (pages: Array<Buffer>) => void): void {
    readExactly(this.bitfield, HEADER + size * pages.length, size, (error, page) => {
      if (error !== null) return end(pages)
      pages.push(page!)
      process.nextTick(() => this.#readPages(size, pages, end))
    })
  }

  /** Closes the instances that can be closed; answers with the last error, if any. */
  close(answer: Answer<void> = nothing): void {
    const closable = Object.values(FILES).flatMap((name) => this[name] ?? [])
    let left = closable.length
    let failed: Error | null = null
    if (left === 0) return process.nextTick(answer, null)
    for (const instance of closable) {
      const closed = (error?: unknown): void => {
        if (error) failed = error as Error
        if (--left === 0) answer(failed)
      }
      if (instance.close === undefined) closed()
      else instance.close(closed)
    }
  }
}
