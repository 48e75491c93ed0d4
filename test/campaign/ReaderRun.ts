/** A reader on a machine of its own that fails, who fetches from an author block by block or many at once. */
import { Effect, Exit, Scope } from "effect"
import { Random, seedOf } from "../../src/domain/Random.js"
import { type Claim, Crypto, type CryptoService, Feed, Storage } from "../../src/index.js"
import * as StorageFaulty from "../../src/layers/StorageFaulty.js"
import { coreOf } from "../../src/services/feed/FeedCore.js"
import { putAll } from "../../src/services/feed/put.js"
import * as Invariants from "../../src/testing/Invariants.js"
import { InvariantBroken, type KnownLog } from "../../src/testing/KnownLog.js"
import type { Companion } from "./Companion.js"
import { addMachine, type Counts } from "./Counts.js"

const broken = (invariant: InvariantBroken["invariant"], detail: string) =>
  new InvariantBroken({ invariant, detail: `the reader: ${detail}` })

export class ReaderRun implements Companion {
  readonly random: Random
  readonly promised = new Set<number>()
  readonly cleared = new Set<number>()
  /** Blocks of the log that it was promised to know of. */
  length = 0
  fetched = 0
  feed: Feed.Feed | undefined
  isGivenUp = false
  #isCreated = false
  #life: Scope.CloseableScope | undefined

  private constructor(
    readonly key: Uint8Array,
    readonly author: KnownLog,
    readonly machine: StorageFaulty.StorageFaulty,
    readonly durability: Feed.Durability,
    readonly crypto: CryptoService,
    readonly note: (what: string) => void,
    seed: number
  ) {
    this.random = new Random(seed)
  }

  static readonly make = (
    seed: number,
    key: Uint8Array,
    author: KnownLog,
    crypto: CryptoService,
    note: (what: string) => void
  ) =>
    Effect.gen(function* () {
      const random = new Random(seedOf(seed, "reader"))
      const durability = random.next() < 0.3 ? "process" : "power"
      const machine = yield* StorageFaulty.make({
        seed: seedOf(seed, "reader's machine"),
        sectorSize: random.next() < 0.5 ? 512 : 4096,
        garbage: random.next() < 0.5 ? 0 : 0.3
      })
      return new ReaderRun(key, author, machine, durability, crypto, note, random.uint32())
    })

  get kind(): StorageFaulty.CrashKind {
    return this.durability === "power" && this.random.next() < 0.7 ? "power" : "process"
  }

  open(storage: Storage["Type"]) {
    return Feed.open({ key: this.key, sparse: true, durability: this.durability }).pipe(
      Effect.provideService(Storage, storage),
      Effect.provideService(Crypto, this.crypto)
    )
  }

  /** One step: it opens if it must, does something, and is held to what it promised. */
  step(source: Feed.Feed): Effect.Effect<void, InvariantBroken, Scope.Scope> {
    return Effect.gen(this, function* () {
      const { machine, random } = this
      if (this.isGivenUp) return
      if (this.feed === undefined) return yield* this.start()
      const crashes = machine.counts.crashes
      if (random.next() < 0.4) {
        const [after, kind] = [random.below(12), this.kind]
        this.note(`reader: a crash (${kind}) is planned, ${after} steps on`)
        yield* machine.crashAfter(after, kind)
      }
      const drawn = random.below(100)
      if (drawn < 70) yield* this.fetch(this.feed, source)
      else if (drawn < 85) yield* this.clear(this.feed)
      else if (drawn < 92) {
        this.note("reader: close")
        yield* Effect.ignore(this.feed.close)
        yield* this.stop()
      } else {
        const faults = random.next() < 0.5 ? { writes: 0.1, syncs: 0.1, reads: 0.02, shortReads: 0.02 } : {}
        this.note(`reader: ${JSON.stringify(faults)}`)
        yield* machine.fail(faults)
      }
      yield* machine.crashAfter(undefined, "process")
      if (machine.counts.crashes > crashes) yield* this.stop()
      else if (random.next() < 0.4) yield* this.checkFork()
    })
  }

  /** Blocks in any order; which of them were put is promised from then on. */
  fetch(feed: Feed.Feed, source: Feed.Feed) {
    return Effect.gen(this, function* () {
      const { machine, random } = this
      if (source.length === 0) return
      const first = random.below(source.length)
      const isTogether = random.next() < 0.5
      const count = isTogether ? 1 + random.below(30) : 1 + random.below(3)
      const indexes = Array.from({ length: count }, (_, i) =>
        isTogether ? first + i : random.below(source.length)
      )
      const crashes = machine.counts.crashes
      this.note(`reader: fetch ${indexes.join(" ")}`)
      const claims: Array<Claim> = []
      const put = (ofThese: ReadonlyArray<Claim>) =>
        Effect.gen(this, function* () {
          for (const { index } of ofThese) this.cleared.delete(index)
          const exit = yield* Effect.either(putAll(coreOf(feed), ofThese))
          if (exit._tag === "Left") this.note(`reader: failed: ${exit.left.message}`)
          if (
            exit._tag === "Left" &&
            exit.left._tag !== "StorageError" &&
            machine.counts.crashes === crashes
          ) {
            if (exit.left._tag !== "FeedClosed") return yield* broken("unproven", exit.left.message)
          }
          if (exit._tag === "Left" || machine.counts.crashes > crashes) return
          for (const { index } of ofThese) this.promised.add(index)
          this.fetched += ofThese.length
          this.length = feed.length
        })
      for (const index of indexes) {
        const block = yield* Effect.either(source.get(index, { wait: false }))
        if (block._tag === "Left" || machine.counts.crashes > crashes) continue
        const digest = claims.length > 0 ? 0 : yield* Effect.orElseSucceed(feed.digest(index), () => 0)
        const proof = yield* Effect.either(source.proof(index, { digest }))
        if (proof._tag === "Left") continue
        const claim = { index, block: block.right, proof: proof.right }
        if (isTogether) claims.push(claim)
        else yield* put([claim])
      }
      if (claims.length > 0) yield* put(claims)
    })
  }

  count(counts: Counts): void {
    addMachine(counts, this.machine.counts)
    counts.fetched += this.fetched
  }

  clear(feed: Feed.Feed) {
    return Effect.gen(this, function* () {
      const { machine, random } = this
      if (feed.length === 0) return
      const start = random.below(feed.length)
      const end = start + 1 + random.below(4)
      this.note(`reader: clear ${start} to ${end}`)
      const crashes = machine.counts.crashes
      for (let i = start; i < end; i++) this.promised.delete(i)
      const exit = yield* Effect.either(feed.clear(start, end))
      if (exit._tag === "Left" || machine.counts.crashes > crashes) return
      for (let i = start; i < Math.min(end, feed.length); i++) this.cleared.add(i)
    })
  }

  stop() {
    return Effect.gen(this, function* () {
      this.feed = undefined
      if (this.#life !== undefined) yield* Scope.close(this.#life, Exit.void)
      this.#life = undefined
      yield* this.machine.fail()
    })
  }

  start() {
    return Effect.gen(this, function* () {
      const { machine, random } = this
      const crashes = machine.counts.crashes
      if (random.next() < 0.2) yield* machine.crashAfter(random.below(20), this.kind)
      const life = yield* Scope.fork(yield* Effect.scope, { _tag: "Sequential" })
      const opened = yield* Effect.either(Scope.extend(this.open(machine.storage), life))
      yield* machine.crashAfter(undefined, "process")
      if (machine.counts.crashes > crashes) return yield* Scope.close(life, Exit.void)
      // What is left of a creation may be a stranger's files. Nothing was promised yet.
      if (opened._tag === "Left" && !this.#isCreated && opened.left._tag !== "StorageError") {
        this.isGivenUp = true
        return yield* Scope.close(life, Exit.void)
      }
      if (opened._tag === "Left") return yield* broken("refused", opened.left.message)
      this.#isCreated = true
      this.note(`reader: opened at ${opened.right.length}`)
      yield* this.check(opened.right)
      this.#life = life
      this.feed = opened.right
    })
  }

  check(feed: Feed.Feed) {
    return Effect.zipRight(
      Invariants.keepsPromisesOf(feed, this.author, this),
      Effect.provideService(Invariants.isProvable(feed), Crypto, this.crypto)
    ).pipe(Effect.mapError((error) => broken(error.invariant, error.detail)))
  }

  checkFork() {
    return Effect.gen(this, function* () {
      const fork = yield* this.machine.fork(this.random.uint32())
      const { kind } = this
      yield* fork.crash(kind)
      const opened = yield* Effect.either(this.open(fork.storage))
      if (opened._tag === "Left") return yield* broken("refused", opened.left.message)
      yield* this.check(opened.right).pipe(
        Effect.mapError(({ detail, invariant }) =>
          broken(invariant, `in a copy that crashed (${kind}): ${detail}`)
        )
      )
    }).pipe(Effect.scoped)
  }
}
