/**
 * A machine with a disk: the files of all feeds, who has them open, and what goes wrong. Everything that a program does to a file is a
 * step, and at any step the program, or the machine, may end.
 */
import { StorageError } from "../../domain/Errors.js"
import { Random, seedOf } from "../../domain/Random.js"
import type { FileName } from "../../domain/Sleep.js"
import { type Held, HeldFile, type LossCounts } from "./HeldFile.js"

/** What ends: the program (what it wrote stays), or the machine (of what is not synced, anything is lost). */
export type CrashKind = "process" | "power"

export interface MachineOptions {
  readonly seed: number
  readonly sectorSize: number
  readonly garbage: number
}

/** Chances, of 1, of a step to fail, or to do less than it should. */
export interface Faults {
  readonly reads: number
  /** Of a read to give fewer bytes than the file has, and no error. */
  readonly shortReads: number
  readonly writes: number
  readonly syncs: number
}

export interface Counts extends LossCounts {
  steps: number
  crashes: number
  powerCuts: number
  /** Steps that failed: `io`, and `full`. */
  failures: number
  full: number
  shortReads: number
  flippedBits: number
}

export interface Directory {
  readonly files: Map<FileName, HeldFile>
  /** Whose life holds the lock. */
  lockedBy: object | undefined
}

export const NO_FAULTS: Faults = { reads: 0, shortReads: 0, writes: 0, syncs: 0 }

export class Machine {
  readonly directories = new Map<string, Directory>()
  readonly counts: Counts = {
    steps: 0,
    crashes: 0,
    powerCuts: 0,
    failures: 0,
    full: 0,
    shortReads: 0,
    flippedBits: 0,
    landed: 0,
    lost: 0,
    torn: 0,
    garbage: 0
  }
  /** The life of the program that runs: what an earlier one has open is dead. */
  life = 0
  faults = NO_FAULTS
  /** Bytes that there is room for, in all files together. */
  capacity = Number.POSITIVE_INFINITY
  #planned: { stepsLeft: number; readonly kind: CrashKind } | undefined
  readonly #faultRandom: Random
  readonly #lossRandom: Random

  constructor(readonly options: MachineOptions) {
    this.#faultRandom = new Random(seedOf(options.seed, "faults"))
    this.#lossRandom = new Random(seedOf(options.seed, "loss"))
  }

  /** The same files, held changes too, and nothing else. */
  fork(seed: number): Machine {
    const copy = new Machine({ ...this.options, seed })
    for (const [path, { files }] of this.directories) {
      const into = copy.directory(path).files
      for (const [name, file] of files) into.set(name, file.copy())
    }
    return copy
  }

  directory(path: string): Directory {
    let directory = this.directories.get(path)
    if (directory === undefined) {
      directory = { files: new Map(), lockedBy: undefined }
      this.directories.set(path, directory)
    }
    return directory
  }

  /** The machine goes down, or the program, before the so many-th step from now is done. */
  planCrash(stepsLeft: number | undefined, kind: CrashKind): void {
    this.#planned = stepsLeft === undefined ? undefined : { stepsLeft, kind }
  }

  crash(kind: CrashKind): void {
    this.#planned = undefined
    this.life++
    this.counts.crashes++
    for (const directory of this.directories.values()) directory.lockedBy = undefined
    if (kind === "process") return
    this.counts.powerCuts++
    const random = this.#lossRandom
    const loss = {
      random,
      sectorSize: this.options.sectorSize,
      landing: [0, 0.1, 0.5, 0.9, 1][random.below(5)]!,
      isOrdered: random.next() < 0.2,
      garbage: random.next() < 0.5 ? this.options.garbage : 0
    }
    for (const { files } of this.directories.values()) {
      for (const file of files.values()) file.lose(loss, this.counts)
    }
  }

  /** Counts a step; true when the crash that was planned is now. */
  #isLastStep(): CrashKind | undefined {
    this.counts.steps++
    if (this.#planned === undefined || this.#planned.stepsLeft-- > 0) return undefined
    return this.#planned.kind
  }

  /** Of a write that is cut off, or fails, how many bytes are done. */
  #share(length: number): number {
    return this.#faultRandom.below(length + 1)
  }

  read(file: HeldFile | undefined, name: FileName, offset: number, length: number): Uint8Array {
    this.#step("read", name, this.faults.reads)
    const bytes = file?.read(offset, length) ?? new Uint8Array(0)
    const { shortReads } = this.faults
    if (shortReads === 0 || bytes.length === 0 || this.#faultRandom.next() >= shortReads) return bytes
    this.counts.shortReads++
    return bytes.subarray(0, this.#faultRandom.below(bytes.length))
  }

  write(file: HeldFile, name: FileName, offset: number, bytes: Uint8Array): void {
    const begun = (length: number) => {
      if (length > 0) file.change({ _tag: "Write", offset, bytes: bytes.subarray(0, length) })
    }
    this.#step("write", name, this.faults.writes, () => begun(this.#share(bytes.length)))
    const room = Math.max(0, this.capacity - this.used())
    const fits = Math.max(0, Math.min(bytes.length, file.size + room - offset))
    begun(fits)
    if (fits < bytes.length) throw this.#fail("full", "write", name)
  }

  change(file: HeldFile, name: FileName, operation: "truncate" | "remove", change: Held): void {
    this.#step(operation, name, this.faults.writes)
    file.change(change)
  }

  sync(file: HeldFile | undefined, name: FileName): void {
    this.#step("sync", name, this.faults.syncs)
    file?.sync()
  }

  flipBits(file: HeldFile, count: number): void {
    for (let i = 0; i < count; i++) file.flipBit(this.#faultRandom.below(8 * file.size))
    this.counts.flippedBits += count
  }

  used(): number {
    let used = 0
    for (const { files } of this.directories.values()) for (const file of files.values()) used += file.size
    return used
  }

  /** Fails when the step is where the program ends, or by chance; `half` is what is done of it all the same. */
  #step(operation: string, name: FileName, chance: number, half: () => void = () => undefined): void {
    const kind = this.#isLastStep()
    if (kind !== undefined) {
      half()
      this.crash(kind)
      throw closed(operation, name)
    }
    if (chance === 0 || this.#faultRandom.next() >= chance) return
    half()
    throw this.#fail("io", operation, name)
  }

  #fail(reason: "io" | "full", operation: string, name: FileName): StorageError {
    if (reason === "io") this.counts.failures++
    else this.counts.full++
    return new StorageError({ reason, operation, file: name, cause: new Error("injected") })
  }
}

/** What a program is told that has ended. */
export const closed = (operation: string, file: string): StorageError =>
  new StorageError({ reason: "closed", operation, file })
