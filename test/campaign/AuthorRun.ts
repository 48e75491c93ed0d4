/** One random history of an author on a machine that fails, with what must hold checked after every step of it. */
import { Deferred, Effect, Exit, FiberId, Scope } from "effect"
import { Random, seedOf } from "../../src/domain/Random.js"
import { toHex } from "../../src/domain/Bytes.js"
import { FILES } from "../../src/domain/Sleep.js"
import { isSignature } from "../../src/domain/Signature.js"
import { Crypto, type CryptoService, Feed, type KeyPair, Storage } from "../../src/index.js"
import * as StorageFaulty from "../../src/layers/StorageFaulty.js"
import * as Invariants from "../../src/testing/Invariants.js"
import { InvariantBroken, KnownLog, signaturesIn } from "../../src/testing/KnownLog.js"
import type { Companion } from "./Companion.js"
import { addMachine, type Counts } from "./Counts.js"

interface Announced {
  readonly length: number
  /** Whether nothing was being written. */
  readonly isQuiet: boolean
  readonly machine: StorageFaulty.StorageFaulty
}

type Batch = ReadonlyArray<Uint8Array>

/** At once, in this order, whoever has the turn next. */
const appendAll = (feed: Feed.Feed, batches: ReadonlyArray<Batch>) =>
  Effect.suspend(() => {
    const ends = batches.map((batch) => {
      const end = Deferred.unsafeMake<number, Feed.AppendError>(FiberId.none)
      feed.unsafeAppend(batch, (exit) => Deferred.unsafeDone(end, exit))
      return Effect.either(Deferred.await(end))
    })
    return Effect.all(ends)
  })

const broken = (invariant: InvariantBroken["invariant"], detail: string) =>
  new InvariantBroken({ invariant, detail })

export class AuthorRun {
  readonly random: Random
  readonly known = new KnownLog()
  readonly made = new Set<string>()
  readonly trace: Array<string> = []
  readonly crypto: CryptoService
  feed: Feed.Feed | undefined
  /** Who takes part, beside the author. */
  companion: Companion | undefined
  #life: Scope.CloseableScope | undefined
  #isCreated = false
  #announced: Array<Announced> = []
  #watching = false
  #isFull = false
  /** Whether operations failed otherwise than for want of room, since the feed was opened. */
  #hasFailed = false

  private constructor(
    readonly seed: number,
    readonly machine: StorageFaulty.StorageFaulty,
    readonly keys: KeyPair,
    readonly durability: Feed.Durability,
    crypto: CryptoService,
    readonly counts: Counts
  ) {
    this.random = new Random(seedOf(seed, "author"))
    this.crypto = {
      ...crypto,
      keyPair: (seed) => (seed === undefined ? Effect.succeed(this.keys) : crypto.keyPair(seed)),
      sign: (message, secretKey) =>
        Effect.tap(crypto.sign(message, secretKey), (signature) =>
          Effect.sync(() => this.made.add(toHex(signature)))
        )
    }
  }

  static readonly make = (seed: number, crypto: CryptoService, counts: Counts) =>
    Effect.gen(function* () {
      const random = new Random(seedOf(seed, "setting"))
      const keys = yield* crypto.keyPair(Uint8Array.from({ length: 32 }, () => random.below(256)))
      const durability = random.next() < 0.5 ? "process" : "power"
      const machine = yield* StorageFaulty.make({
        seed,
        sectorSize: random.next() < 0.5 ? 512 : 4096,
        garbage: random.next() < 0.5 ? 0 : 0.3
      })
      return new AuthorRun(seed, machine, keys, durability, crypto, counts)
    })

  note(what: string): void {
    this.trace.push(what)
  }

  get kind(): StorageFaulty.CrashKind {
    return this.durability === "power" && this.random.next() < 0.7 ? "power" : "process"
  }

  services<A, E>(storage: Storage["Type"], effect: Effect.Effect<A, E, Crypto | Storage | Scope.Scope>) {
    return effect.pipe(Effect.provideService(Storage, storage), Effect.provideService(Crypto, this.crypto))
  }

  /** Where its feed is; a companion may stand in between. */
  get storage(): Storage["Type"] {
    return this.companion?.storage ?? this.machine.storage
  }

  /** The keys are given, or made, until it is known that they are stored. */
  open(storage: Storage["Type"]) {
    const { publicKey: key, secretKey } = this.keys
    const keys = this.#isCreated || this.seed % 3 > 0 ? {} : { key, secretKey }
    return this.services(storage, Feed.open({ ...keys, durability: this.durability }))
  }

  block(): Uint8Array {
    const { random } = this
    const size = random.below(8) === 0 ? 0 : random.below(16) === 0 ? random.below(5000) : random.below(40)
    const isZeros = random.below(12) === 0
    return Uint8Array.from({ length: size }, () => (isZeros ? 0 : random.below(256)))
  }

  batch(): Batch {
    const { random } = this
    const count =
      random.below(3) > 0 ? 1 : random.below(20) === 0 ? 200 + random.below(900) : 1 + random.below(12)
    return Array.from({ length: count }, () => this.block())
  }

  run(steps: number): Effect.Effect<void, InvariantBroken, Scope.Scope> {
    return Effect.gen(this, function* () {
      this.note(this.durability)
      yield* this.start()
      if (this.feed === undefined) return
      // The end of a page of the bitfield is near.
      if (this.random.next() < (this.companion?.pass === undefined ? 0.03 : 0)) {
        const count = 8192 - this.random.below(30)
        yield* this.append([Array.from({ length: count }, (_, i) => Uint8Array.of(i))])
      }
      for (let step = 0; step < steps; step++) {
        this.counts.actions++
        const crashes = this.machine.counts.crashes
        if (this.random.next() < 0.3) {
          const [after, kind] = [this.random.below(this.random.next() < 0.5 ? 8 : 40), this.kind]
          this.note(`a crash (${kind}) is planned, ${after} steps on`)
          yield* this.machine.crashAfter(after, kind)
        }
        this.#watching = this.random.next() < 0.3
        yield* this.act()
        if (this.feed === undefined && this.machine.counts.crashes === crashes) return
        if (this.companion?.pass !== undefined) yield* this.companion.pass
        this.#watching = false
        yield* this.machine.crashAfter(undefined, "process")
        yield* this.checkAnnounced()
        if (this.machine.counts.crashes > crashes) yield* this.restart("crashed")
        else yield* this.checkForks()
        if (this.feed === undefined) return
        yield* this.companion?.step(this.feed) ?? Effect.void
      }
      yield* this.machine.fail()
      yield* this.machine.limit()
      yield* this.reopen()
      if (this.feed !== undefined) yield* this.companion?.end?.(this.feed) ?? Effect.void
      yield* this.checkRot()
    })
  }

  act(): Effect.Effect<void, InvariantBroken, Scope.Scope> {
    const { random } = this
    const drawn = random.below(100)
    if (drawn < 50) return this.append([this.batch()])
    if (drawn < 60) return this.append(Array.from({ length: 2 + random.below(4) }, () => this.batch()))
    if (drawn < 75) return this.clear()
    if (drawn < 85) return this.reopen()
    if (drawn < 92) return this.misbehave()
    return Effect.suspend(() => {
      const { kind } = this
      this.note(`crash now (${kind})`)
      return this.machine.crash(kind)
    })
  }

  /** Faults begin, or end. */
  misbehave() {
    const { random } = this
    const drawn = random.below(4)
    if (drawn < 2) {
      this.note("the disk works")
      this.#isFull = false
      return Effect.zipRight(this.machine.fail(), this.machine.limit())
    }
    if (drawn === 2) {
      const room = random.below(6000)
      this.note(`room for ${room} bytes`)
      this.#isFull = true
      return Effect.flatMap(this.machine.used, (used) => this.machine.limit(used + room))
    }
    this.note("the disk fails at times")
    this.#hasFailed = true
    return this.machine.fail({ reads: 0.02, shortReads: 0.02, writes: 0.1, syncs: 0.1 })
  }

  append(batches: ReadonlyArray<Batch>) {
    return Effect.gen(this, function* () {
      const feed = this.feed
      if (feed === undefined) return
      this.note(`append ${batches.map((batch) => batch.length).join(" ")} at ${feed.length}`)
      const crashes = this.machine.counts.crashes
      this.counts.appends += batches.length
      const exits = yield* appendAll(feed, batches)
      if (this.machine.counts.crashes > crashes) {
        this.known.attempted(batches)
        return
      }
      const failed: Array<Batch> = []
      for (const [i, exit] of exits.entries()) {
        const batch = batches[i]!
        if (exit._tag === "Right") {
          this.known.appended(exit.right, batch)
          this.counts.blocks += batch.length
        } else failed.push(batch)
        if (exit._tag === "Right") continue
        this.note(`failed: ${exit.left.message}`)
        // A full disk is said to be full, and the feed goes on when there is room.
        const isToldFull = exit.left._tag === "StorageError" && exit.left.reason === "full"
        if (!this.#hasFailed && !(this.#isFull && isToldFull))
          return yield* broken("stuck", exit.left.message)
      }
      if (failed.length > 0) this.known.attempted(failed)
      if (failed.length < batches.length && feed.length !== this.known.blocks.length) {
        return yield* broken("lost", `length ${feed.length} after ${this.known.blocks.length} were appended`)
      }
      yield* this.seeSignature(feed)
    })
  }

  /** Whoever asks is told the last signature: it exists. */
  seeSignature(feed: Feed.Feed) {
    return Effect.gen(this, function* () {
      const seen = yield* Effect.either(feed.signature())
      if (seen._tag === "Right") this.known.signed(seen.right.index + 1, seen.right.signature)
    })
  }

  clear() {
    return Effect.gen(this, function* () {
      const feed = this.feed
      if (feed === undefined || feed.length === 0) return
      const start = this.random.below(feed.length)
      const end = start + 1 + this.random.below(this.random.next() < 0.8 ? 4 : 40)
      this.note(`clear ${start} to ${end}`)
      const crashes = this.machine.counts.crashes
      this.counts.clears++
      this.known.clearing(start, end)
      const exit = yield* Effect.either(feed.clear(start, end))
      if (exit._tag === "Left") this.note(`failed: ${exit.left.message}`)
      if (exit._tag === "Right" && this.machine.counts.crashes === crashes) {
        this.known.hasCleared(start, Math.min(end, feed.length))
      }
    })
  }

  reopen() {
    return Effect.gen(this, function* () {
      const { feed, machine } = this
      this.note("close")
      const crashes = machine.counts.crashes
      const exit = feed === undefined ? undefined : yield* Effect.either(feed.close)
      if (exit?._tag === "Left") this.note(`failed: ${exit.left.message}`)
      if (machine.counts.crashes === crashes) yield* this.restart("closed")
    })
  }

  /** Opens the feed again, whatever became of it, and holds it to all that it promised. */
  restart(why: string) {
    return Effect.gen(this, function* () {
      yield* this.stop()
      this.#isFull = false
      this.#hasFailed = false
      yield* this.machine.fail()
      yield* this.machine.limit()
      yield* this.checkSignatures(this.machine)
      this.note(`${why}; open`)
      yield* this.start()
    })
  }

  stop() {
    return Effect.gen(this, function* () {
      this.feed = undefined
      const life = this.#life
      this.#life = undefined
      if (life !== undefined) yield* Scope.close(life, Exit.void)
    })
  }

  start(): Effect.Effect<void, InvariantBroken, Scope.Scope> {
    return Effect.gen(this, function* () {
      const { counts, machine, random } = this
      counts.reopenings++
      while (this.feed === undefined) {
        const crashes = machine.counts.crashes
        if (random.next() < (this.#isCreated ? 0.2 : 0.5)) {
          const [after, kind] = [random.below(this.#isCreated ? 30 : 16), this.kind]
          this.note(`a crash (${kind}) is planned while it opens, ${after} steps on`)
          yield* machine.crashAfter(after, kind)
        }
        const life = yield* Scope.fork(yield* Effect.scope, { _tag: "Sequential" })
        const opened = yield* Effect.either(Scope.extend(this.open(this.storage), life))
        yield* machine.crashAfter(undefined, "process")
        if (opened._tag === "Right" && machine.counts.crashes === crashes) {
          this.#life = life
          this.#isCreated = true
          yield* this.accept(opened.right)
          yield* Scope.extend(this.companion?.opened?.(opened.right) ?? Effect.void, life)
          return
        }
        yield* Scope.close(life, Exit.void)
        if (machine.counts.crashes > crashes) continue
        if (opened._tag === "Right") continue
        if (yield* this.isInDoubt(machine)) return
        // Half a secret key may be a stranger's file. Nothing was promised yet.
        if (this.#isCreated || opened.left._tag === "StorageError")
          return yield* broken("refused", opened.left.message)
        this.note(`refused: ${opened.left.message}`)
        counts.refused++
        return
      }
    })
  }

  /**
   * Garbage that could be a signature, where one was being written, may be that of another history: the feed is refused, and can be read only. Of
   * garbage one in sixteen could.
   */
  isInDoubt(machine: StorageFaulty.StorageFaulty) {
    return Effect.gen(this, function* () {
      const files = yield* machine.contents()
      const entries = [...signaturesIn(files.get("signatures") ?? new Uint8Array(0)).values()]
      const last = entries.at(-1)
      if (last === undefined || this.made.has(toHex(last)) || !isSignature(last)) return false
      const { durability } = this
      const reading = this.services(machine.storage, Feed.open({ readOnly: true, durability }))
      const feed = yield* Effect.mapError(reading, (error) => broken("refused", error.message))
      yield* Invariants.keepsPromises(feed, this.known)
      this.counts.doubtful++
      return true
    }).pipe(Effect.scoped)
  }

  accept(feed: Feed.Feed) {
    return Effect.gen(this, function* () {
      this.note(`opened at ${feed.length}`)
      if (!feed.writable) return yield* broken("refused", "the author cannot write any more")
      this.known.settle(yield* Invariants.keepsPromises(feed, this.known))
      for (const index of this.known.cleared) this.known.promised.delete(index)
      yield* this.checkLog(feed)
      yield* this.seeSignature(feed)
      const unlisten = feed.unsafeListen((event) => {
        if (event._tag === "Append") this.announce(event.length, true)
      })
      if (this.#life !== undefined) yield* Scope.addFinalizer(this.#life, Effect.sync(unlisten))
      this.feed = feed
    })
  }

  /** Others are about to hear of a log of this length: what the machine has now is looked at later. */
  announce(length: number, isQuiet: boolean): void {
    if (!this.#watching || this.#announced.length > 0) return
    const machine = Effect.runSync(this.machine.fork(this.random.uint32()))
    this.#announced.push({ length, isQuiet, machine })
  }

  checkLog(feed: Feed.Feed) {
    this.counts.checks++
    const { length } = feed
    const some =
      length <= 30
        ? undefined
        : Array.from({ length: 20 }, (_, i) => (i < 5 ? length - 1 - i : this.random.below(length)))
    return Effect.provideService(Invariants.isProvable(feed, some), Crypto, this.crypto)
  }

  /** Signatures that are on the disk for as good as was promised: anybody may find them there. */
  checkSignatures(machine: StorageFaulty.StorageFaulty) {
    return Effect.gen(this, function* () {
      // What is not synced may go with the power, before anybody opens the feed: it need not have been.
      const files = yield* machine.contents("", this.durability === "power" ? "synced" : "current")
      for (const [length, signature] of signaturesIn(files.get("signatures") ?? new Uint8Array(0))) {
        if (this.made.has(toHex(signature))) this.known.signed(length, signature)
      }
    })
  }

  /** What had been announced when the machine was as it is in a copy of it is there when that crashes. */
  checkAnnounced() {
    return Effect.gen(this, function* () {
      const announced = this.#announced
      this.#announced = []
      for (const { isQuiet, length, machine } of announced) {
        yield* machine.crash(this.kind)
        const feed = yield* Effect.either(this.open(machine.storage))
        // Of a signature that was being written garbage may be left, in which case the feed is rightly refused.
        if (feed._tag === "Left" && feed.left._tag === "CorruptStorage" && !isQuiet) continue
        this.counts.announced++
        if (feed._tag === "Left") return yield* broken("refused", feed.left.message)
        this.counts.forks++
        if (feed.right.length < length)
          return yield* broken("announced", `${length}, of which ${feed.right.length} are left`)
      }
    }).pipe(Effect.scoped)
  }

  /** Copies of the machine crash as it is now: each must open with all that was promised, and go on. */
  checkForks() {
    return Effect.gen(this, function* () {
      const { feed, random } = this
      if (feed === undefined || random.next() < 0.5) return
      const fork = yield* this.machine.fork(random.uint32())
      const { kind } = this
      yield* fork.crash(kind)
      this.counts.forks++
      addMachine(this.counts, fork.counts)
      yield* this.judge(fork).pipe(
        Effect.mapError((error) =>
          broken(error.invariant, `in a copy that crashed (${kind}): ${error.detail}`)
        )
      )
    })
  }

  /** Bits that flip at rest are an error with a type, or are found by an audit; and nothing is signed a second time. */
  checkRot() {
    return Effect.gen(this, function* () {
      for (const file of FILES) {
        const fork = yield* this.machine.fork(this.random.uint32())
        yield* fork.crash("process")
        yield* fork.flipBits("", file, 1 + this.random.below(3))
        this.counts.flippedBits += fork.counts.flippedBits
        const opened = yield* Effect.either(this.open(fork.storage))
        this.note(
          `bits of ${file} flip: ${opened._tag === "Left" ? opened.left.message : opened.right.length}`
        )
        if (opened._tag === "Left") continue
        const feed = opened.right
        const audited = yield* Effect.either(feed.audit())
        // A node of the wrong size moves blocks, depending on where one comes from: to mend a tree takes more than an audit.
        if (audited._tag === "Right" && file !== "tree") {
          const again = yield* Effect.orDie(feed.audit())
          if (again.invalid > 0)
            return yield* broken("wrong", `an audit left ${again.invalid} blocks that do not match`)
        }
        const appended = yield* Effect.either(feed.append(Uint8Array.of(9)))
        if (appended._tag === "Right" && appended.right < this.known.blocks.length) {
          return yield* broken("fork", `appended at ${appended.right} after bits of ${file} flipped`)
        }
      }
    }).pipe(Effect.scoped)
  }

  judge(fork: StorageFaulty.StorageFaulty) {
    return Effect.gen(this, function* () {
      const opened = yield* Effect.either(this.open(fork.storage))
      if (opened._tag === "Left") {
        if (yield* this.isInDoubt(fork)) return
        return yield* broken("refused", opened.left.message)
      }
      const feed = opened.right
      const more = yield* Invariants.keepsPromises(feed, this.known)
      yield* this.checkLog(feed)
      const length = feed.length
      const exit = yield* Effect.either(feed.append(Uint8Array.of(1, 2, 3)))
      if (exit._tag === "Left") return yield* broken("refused", `an append: ${exit.left.message}`)
      if (exit.right !== length || length < this.known.blocks.length + more.length) {
        return yield* broken("fork", `appended at ${exit.right}`)
      }
      const { signature } = yield* Effect.orDie(feed.signature())
      const before = this.known.signatures.get(length + 1)
      if (before !== undefined && before !== toHex(signature)) {
        return yield* broken("fork", `length ${length + 1} is signed a second time`)
      }
    }).pipe(Effect.scoped)
  }
}
