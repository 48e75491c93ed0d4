/**
 * One file in a random-access instance, with its size, which is found once and then kept here: instances fail to read what is not there
 * whole, and not all can say their size or be cut. Nothing else is kept: bytes that someone else changes are read as they are.
 */
import { Either } from "effect"
import { allocate, empty } from "../../domain/Bytes.js"
import { StorageError } from "../../domain/Errors.js"
import { toStorageError } from "../toStorageError.js"
import { join, zeros } from "./Buffers.js"
import { done, inOrder, invoke, type Settle } from "./Callback.js"
import { findSize, maxSize } from "./InstanceSize.js"
import { canStat, diskName, type RandomAccessStorage, statedLength } from "./RandomAccessStorage.js"
import { freeInside, shorten } from "./Truncation.js"

/** Zeros written at a time where there are remains. */
const WIPE_BYTES = 1024 * 1024

/** Tells whether a file that cannot say its size is known to be empty, without a look at it. */
export type KnownEmpty = (settle: Settle<boolean>) => void

export class SizedFile {
  readonly name: string
  #size: number | undefined
  /** So many bytes are there for sure, while the size is not known. */
  #atLeast = 0
  /** Up to here there can be remains behind the size, of what was cut off but stayed. */
  #remainsEnd = 0
  /** Who waits for the size. */
  #waiting: Array<Settle<number>> | undefined

  constructor(
    name: string,
    readonly instance: RandomAccessStorage,
    readonly knownEmpty?: KnownEmpty
  ) {
    this.name = diskName(instance) ?? name
  }

  #fail(operation: string, cause: unknown): Either.Either<never, StorageError> {
    return Either.left(toStorageError(operation, this.name, cause))
  }

  size(settle: Settle<number>): void {
    if (this.#size !== undefined) return settle(Either.right(this.#size))
    if (this.#waiting !== undefined) return void this.#waiting.push(settle)
    this.#waiting = [settle]
    this.#find((result) => {
      const waiting = this.#waiting!
      this.#waiting = undefined
      if (Either.isRight(result)) this.#size = Math.max(result.right, this.#atLeast)
      for (const one of waiting) one(Either.isRight(result) ? Either.right(this.#size!) : result)
    })
  }

  #find(settle: Settle<number>): void {
    const { instance } = this
    const search = (): void =>
      findSize(instance, this.#atLeast, (error, size) =>
        settle(error === undefined ? Either.right(size) : this.#fail("size", error))
      )
    const mustProbe = !canStat(instance) && statedLength(instance) === undefined && this.#atLeast === 0
    if (!mustProbe || this.knownEmpty === undefined) return search()
    this.knownEmpty((result) => {
      if (Either.isRight(result) && !result.right) search()
      else settle(Either.map(result, () => 0))
    })
  }

  /** Bytes of the caller's own, short where the file ends. */
  read(offset: number, length: number, settle: Settle<Uint8Array>): void {
    this.size((size) => {
      if (Either.isLeft(size)) return settle(Either.left(size.left))
      const wanted = Math.min(length, size.right - offset)
      if (!(wanted > 0)) return settle(Either.right(empty))
      invoke<unknown>(
        (callback) => this.instance.read(offset, wanted, callback),
        (error, bytes) => {
          if (error !== undefined) return settle(this.#fail("read", error))
          if (bytes instanceof Uint8Array) return settle(Either.right(copy(bytes, wanted)))
          settle(this.#fail("read", new TypeError("the instance gave no bytes")))
        }
      )
    })
  }

  /** Writes the parts, `length` bytes in all, as one. */
  write(offset: number, parts: ReadonlyArray<Uint8Array>, length: number, settle: Settle<void>): void {
    const end = offset + length
    const most = maxSize(this.instance)
    if (!(end <= most)) {
      const cause = new RangeError(`it can have at most ${most} bytes`)
      const refusal = new StorageError({ reason: "full", operation: "write", file: this.name, cause })
      return settle(Either.left(refusal))
    }
    this.#wipeGap(offset, (wiped) => {
      if (wiped !== undefined) return settle(this.#fail("write", wiped))
      invoke<unknown>(
        (callback) => this.instance.write(offset, join(parts, length), callback),
        (error) => {
          if (error !== undefined) {
            this.#doubt(this.#size ?? this.#atLeast, end)
            return settle(this.#fail("write", error))
          }
          if (this.#size === undefined) this.#atLeast = Math.max(this.#atLeast, end)
          else this.#size = Math.max(this.#size, end)
          settle(done)
        }
      )
    })
  }

  /**
   * Something failed: the size, at least `sure`, is to be looked at again, unless there are remains, which would be taken for the
   * file's own. Then what it did up to `end` remains too.
   */
  #doubt(sure: number, end: number): void {
    if (this.#remainsEnd > 0) {
      this.#remainsEnd = Math.max(this.#remainsEnd, end)
    } else {
      this.#size = undefined
      this.#atLeast = sure
    }
  }

  /** The gap before a write past the end reads as zeros. */
  #wipeGap(offset: number, answer: (error: unknown) => void): void {
    const start = this.#size ?? offset
    const end = Math.min(offset, this.#remainsEnd)
    const count = Math.max(0, Math.ceil((end - start) / WIPE_BYTES))
    const wipe = (i: number, next: (error: unknown) => void): void => {
      const at = start + i * WIPE_BYTES
      const piece = zeros(Math.min(WIPE_BYTES, end - at))
      invoke<unknown>((callback) => this.instance.write(at, piece, callback), next)
    }
    inOrder(count, wipe, answer)
  }

  truncate(to: number, settle: Settle<void>): void {
    this.size((size) => {
      if (Either.isLeft(size)) return settle(Either.left(size.left))
      if (to >= size.right) return settle(done)
      this.#cut("truncate", size.right, to, settle)
    })
  }

  remove(offset: number, length: number, settle: Settle<void>): void {
    this.size((size) => {
      if (Either.isLeft(size)) return settle(Either.left(size.left))
      if (!(length > 0) || offset >= size.right) return settle(done)
      if (offset + length >= size.right) return this.#cut("remove", size.right, offset, settle)
      freeInside(this.instance, offset, length, (error) =>
        settle(error === undefined ? done : this.#fail("remove", error))
      )
    })
  }

  #cut(operation: string, size: number, to: number, settle: Settle<void>): void {
    shorten(this.instance, size, to, (error, isShort) => {
      if (error !== undefined) {
        this.#doubt(to, size)
        return settle(this.#fail(operation, error))
      }
      this.#size = to
      this.#remainsEnd = isShort ? 0 : Math.max(this.#remainsEnd, size)
      settle(done)
    })
  }

  sync(settle: Settle<void>): void {
    const { instance } = this
    if (typeof instance.sync !== "function") return settle(done)
    invoke<unknown>(
      (callback) => instance.sync!(callback),
      (error) => settle(error === undefined ? done : this.#fail("sync", error))
    )
  }

  close(settle: Settle<void>): void {
    const { instance } = this
    if (typeof instance.close !== "function") return settle(done)
    invoke<unknown>(
      (callback) => instance.close!(callback),
      (error) => settle(error === undefined ? done : this.#fail("close", error))
    )
  }
}

/** Some instances give views of what they keep. */
const copy = (bytes: Uint8Array, wanted: number): Uint8Array => {
  const own = allocate(Math.min(bytes.length, wanted))
  own.set(bytes.length > wanted ? bytes.subarray(0, wanted) : bytes)
  return own
}
