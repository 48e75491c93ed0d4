/** A feed on a machine that fails, on a net: it is opened, crashes, is opened again, and is held to what it promised and what it told others. */
import { Cause, Effect, ExecutionStrategy, Exit, type Fiber, Option, Scope } from "effect"
import { Random, seedOf } from "../../src/domain/Random.js"
import {
  type Connection,
  Crypto,
  type CryptoService,
  Feed,
  Fork,
  type NetworkMemory,
  Storage
} from "../../src/index.js"
import * as StorageFaulty from "../../src/layers/StorageFaulty.js"
import { coreOf, isHeldForGood } from "../../src/services/feed/FeedCore.js"
import { InvariantBroken } from "../../src/testing/KnownLog.js"
import { leftoversOf, Station } from "../replication/Station.js"
import { addMachine, type Counts } from "./Counts.js"
import { noticing } from "./noticing.js"

export interface NetHostOptions {
  readonly name: string
  readonly seed: number
  readonly net: NetworkMemory.SimulatedNet
  readonly crypto: CryptoService
  readonly open: Pick<Feed.OpenOptions, "key" | "secretKey" | "sparse">
  readonly durability: Feed.Durability
  readonly machine: StorageFaulty.StorageFaulty
  readonly counts: Counts
  readonly note: (what: string) => void
  /** Whom it dials, as soon as it is up. */
  readonly dials: ReadonlyArray<string>
  /** What must hold of its feed whenever it was opened, be it in a copy of its machine; `isNow`: as it is now. */
  readonly check: (feed: Feed.Feed, isNow: boolean) => Effect.Effect<void, InvariantBroken>
  /** It was opened, and is as `check` wants it. */
  readonly opened?: (feed: Feed.Feed) => Effect.Effect<void, InvariantBroken>
  /** Whether a fork may be found. */
  readonly mayFork: () => boolean
  readonly onBegin?: (connection: Connection) => void
  readonly onDownload?: () => void
  /** Whether evidence of a fork is lost when the feed is closed. Default: it is kept, and given to it again. */
  readonly forgets?: boolean
}

/** What a feed said it had at a moment, and the machine as it was then. */
interface Told {
  readonly length: number
  readonly held: ReadonlyArray<number>
  readonly machine: StorageFaulty.StorageFaulty
}

interface Waiting {
  readonly feed: Feed.Feed
  readonly fiber: Fiber.RuntimeFiber<unknown, unknown>
  readonly what: string
  /** The blocks that it waits for. */
  readonly start: number
  readonly end: number
}

type Step<A = void> = Effect.Effect<A, InvariantBroken, Scope.Scope>

export class NetHost {
  readonly random: Random
  readonly station: Station
  readonly storage: Storage["Type"]
  /** Blocks that it had when it was last seen, and the log's length: they must be there when it is opened again. */
  held: ReadonlyArray<number> = []
  length = 0
  feed: Feed.Feed | undefined
  isGivenUp = false
  /** What showed that the key has signed two histories: kept by a program, outside of the feed. */
  evidence: Fork.Evidence | undefined
  readonly cleared = new Set<number>()
  readonly waits: Array<Waiting> = []
  readonly feeds: Array<Feed.Feed> = []
  /** Of sessions: what should not have been. */
  readonly problems: Array<string> = []
  #isCreated = false
  #life: Scope.CloseableScope | undefined
  #crashes = 0
  #told: Told | undefined
  #isWatching = false

  constructor(readonly options: NetHostOptions) {
    const { machine, name, net, onBegin, seed } = options
    this.random = new Random(seedOf(seed, name))
    this.station = new Station({
      name,
      net,
      onBegin,
      onPush: () => this.#tell(),
      onEnd: (exit) => this.#hear(exit)
    })
    this.storage = noticing(machine, () => this.station.unsafeVanish())
  }

  broken(invariant: InvariantBroken["invariant"], detail: string): InvariantBroken {
    return new InvariantBroken({ invariant, detail: `${this.options.name}: ${detail}` })
  }

  note(what: string): void {
    this.options.note(`${this.options.name}: ${what}`)
  }

  get kind(): StorageFaulty.CrashKind {
    return this.options.durability === "power" && this.random.next() < 0.7 ? "power" : "process"
  }

  /** Something is about to leave: what is said may be all that it has. */
  #tell(): void {
    const { feed } = this
    if (!this.#isWatching || feed === undefined || this.station.isDown) return
    this.#isWatching = false
    const machine = Effect.runSync(this.options.machine.fork(this.random.uint32()))
    this.#told = { length: feed.length, held: heldBy(feed), machine }
  }

  #hear(exit: Exit.Exit<void, unknown>): void {
    if (Exit.isSuccess(exit)) return
    if (Option.isSome(Cause.dieOption(exit.cause)))
      this.problems.push(`a defect: ${Cause.pretty(exit.cause)}`)
    const error = Option.getOrUndefined(Cause.failureOption(exit.cause))
    if (error === undefined) return
    const tag = (error as { readonly _tag?: string })._tag
    this.note(`a session ended with ${tag}`)
    if (tag === "ForkDetected" && !this.options.mayFork()) this.problems.push("a fork where there is none")
  }

  #open(storage: Storage["Type"]) {
    const { crypto, durability, open } = this.options
    const fork = this.evidence === undefined ? {} : { fork: this.evidence }
    // It is told the keys again until they are known to be stored.
    return Feed.open({ ...open, ...fork, durability }).pipe(
      Effect.provideService(Storage, storage),
      Effect.provideService(Crypto, crypto)
    )
  }

  /** Opens the feed and joins the net, unless a crash comes first, which it may not when it `isSafe`: then it is still down. */
  start(isSafe = false): Step {
    return Effect.gen(this, function* () {
      const { machine } = this.options
      if (this.isGivenUp || this.feed !== undefined) return
      if (!isSafe && this.random.next() < 0.2) yield* machine.crashAfter(this.random.below(20), this.kind)
      const life = yield* Scope.fork(yield* Effect.scope, ExecutionStrategy.sequential)
      const opened = yield* Effect.either(Scope.extend(this.#open(this.storage), life))
      yield* machine.crashAfter(undefined, "process")
      if (machine.counts.crashes > this.#crashes) {
        this.#crashes = machine.counts.crashes
        return yield* Scope.close(life, Exit.void)
      }
      if (opened._tag === "Left") {
        yield* Scope.close(life, Exit.void)
        // What is left of a creation may be a stranger's files. Nothing was promised yet.
        if (this.#isCreated || opened.left._tag === "StorageError")
          return yield* this.broken("refused", opened.left.message)
        this.isGivenUp = true
        return
      }
      const feed = opened.right
      this.#isCreated = true
      this.#life = life
      this.feed = feed
      this.feeds.push(feed)
      this.note(`opened at ${feed.length}`)
      yield* this.#judge(feed, this, true)
      yield* this.options.opened?.(feed) ?? Effect.void
      const unlisten = feed.unsafeListen((event) => {
        if (event._tag === "Fork") {
          this.evidence = event.evidence
          this.options.counts.forksFound++
        }
        if (event._tag !== "Download") return
        this.options.counts.replicated++
        this.options.onDownload?.()
      })
      yield* Scope.addFinalizer(life, Effect.sync(unlisten))
      yield* Scope.extend(this.#join(feed), life)
    })
  }

  #join(feed: Feed.Feed) {
    return Effect.gen(this, function* () {
      yield* Effect.orDie(this.station.listen(feed))
      for (const host of this.options.dials) yield* Effect.forkScoped(this.station.dial(feed, host))
    })
  }

  /** What was promised and told is there; and what `check` asks for. */
  #judge(feed: Feed.Feed, told: Pick<Told, "length" | "held">, isNow: boolean) {
    return Effect.gen(this, function* () {
      const { bitfield } = coreOf(feed)
      if (feed.length < told.length)
        return yield* this.broken("lost", `a length of ${feed.length} after ${told.length}`)
      for (const block of told.held) {
        if (!bitfield.has(block) && !this.cleared.has(block))
          return yield* this.broken("lost", `block ${block} is not held`)
      }
      this.options.counts.checks++
      yield* this.options.check(feed, isNow)
    })
  }

  /** Whether it has crashed since it was last asked: it is down then. */
  noticeCrash(): Step<boolean> {
    return Effect.gen(this, function* () {
      const { crashes } = this.options.machine.counts
      if (crashes === this.#crashes) return false
      this.#crashes = crashes
      this.note("crashed")
      yield* this.stop()
      return true
    })
  }

  stop(): Effect.Effect<void> {
    return Effect.gen(this, function* () {
      const life = this.#life
      this.feed = undefined
      this.#life = undefined
      if (this.options.forgets === true) this.evidence = undefined
      if (life !== undefined) yield* Scope.close(life, Exit.void)
      this.station.isDown = true
      yield* this.options.machine.fail()
      yield* this.options.machine.limit()
    })
  }

  /** Plans a crash at a step of its machine's, by chance, and looks at what it says to others. */
  plan(): Effect.Effect<void> {
    return Effect.gen(this, function* () {
      this.#isWatching = this.random.next() < 0.5
      if (this.random.next() > 0.3) return
      const [after, kind] = [this.random.below(30), this.kind]
      this.note(`a crash (${kind}) is planned, ${after} steps on`)
      yield* this.options.machine.crashAfter(after, kind)
    })
  }

  /** Clears, closes, or has a disk that fails or works again. */
  misbehave(): Step {
    return Effect.gen(this, function* () {
      const { feed, options, random } = this
      const drawn = random.below(10)
      if (feed === undefined || drawn < 3) return
      if (drawn < 5 && options.open.secretKey === undefined) return yield* this.clear(feed)
      if (drawn < 7) {
        this.note("closes")
        yield* Effect.ignore(feed.close)
        if (!(yield* this.noticeCrash())) yield* this.stop()
        return
      }
      const faults = drawn < 9 ? { reads: 0.02, shortReads: 0.05, writes: 0.1, syncs: 0.1 } : {}
      this.note(JSON.stringify(faults))
      yield* options.machine.fail(faults)
    })
  }

  /** Ends what was planned and what fails, and is up, if it ever can be. */
  recover(): Step {
    return Effect.gen(this, function* () {
      yield* this.options.machine.crashAfter(undefined, "process")
      yield* this.noticeCrash()
      // A feed that failed to store something need not go on; one that is opened again must.
      yield* this.stop()
      while (this.feed === undefined && !this.isGivenUp) yield* this.start()
    })
  }

  clear(feed: Feed.Feed) {
    return Effect.gen(this, function* () {
      if (feed.length === 0) return
      const start = this.random.below(feed.length)
      const end = Math.min(feed.length, start + 1 + this.random.below(4))
      this.note(`clears ${start} to ${end}`)
      this.options.counts.clears++
      for (let block = start; block < end; block++) this.cleared.add(block)
      yield* Effect.ignore(feed.clear(start, end))
    })
  }

  /** Waits for blocks [start, end), in a fiber of its own. */
  wait(start: number, end: number): Step {
    return Effect.gen(this, function* () {
      const { feed } = this
      if (feed === undefined) return
      const what = `waits for ${start} to ${end}`
      this.note(what)
      this.options.counts.waits++
      const effect = end === start + 1 ? feed.get(start) : feed.download({ start, end })
      this.waits.push({ feed, what, start, end, fiber: yield* Effect.forkScoped(effect) })
    })
  }

  /** Looks at it when nothing of the run's own is under way: what is held is promised from now on, and a copy that crashes has it. */
  see(): Step {
    return Effect.gen(this, function* () {
      const { feed } = this
      if (this.problems.length > 0) return yield* this.broken("wrong", this.problems.join("\n"))
      const told = this.#told
      this.#told = undefined
      if (told !== undefined) {
        yield* this.#crashed(told.machine, told, "announced")
        this.options.counts.announced++
      }
      if (feed === undefined || this.station.isDown) return
      this.length = feed.length
      this.held = heldBy(feed)
      yield* this.#checkEvidence(feed)
      if (this.random.next() < 0.3) {
        const machine = yield* this.options.machine.fork(this.random.uint32())
        yield* this.#crashed(machine, this, "lost")
      }
    })
  }

  #crashed(
    machine: StorageFaulty.StorageFaulty,
    told: Pick<Told, "length" | "held">,
    invariant: InvariantBroken["invariant"]
  ) {
    return Effect.gen(this, function* () {
      const { kind } = this
      yield* machine.crash(kind)
      this.options.counts.forks++
      const opened = yield* Effect.either(this.#open(machine.storage))
      if (opened._tag === "Left") return yield* this.broken("refused", opened.left.message)
      yield* Effect.mapError(this.#judge(opened.right, told, invariant === "lost"), (error) =>
        this.broken(
          error.invariant === "lost" ? invariant : error.invariant,
          `in a copy that crashed (${kind}): ${error.detail}`
        )
      )
    }).pipe(Effect.scoped)
  }

  #checkEvidence(feed: Feed.Feed) {
    return Effect.gen(this, function* () {
      const { fork } = feed
      if (fork === undefined && this.evidence !== undefined)
        return yield* this.broken("fork", "it has forgotten the fork that it was told of")
      if (fork === undefined) return
      if (!this.options.mayFork()) return yield* this.broken("fork", "it has evidence of a fork that is none")
      const decoded = yield* Effect.orDie(Fork.decode(Fork.encode(fork)))
      if (!(yield* Fork.verify(decoded, feed.key)))
        return yield* this.broken("fork", "the evidence shows no fork")
    }).pipe(Effect.provideService(Crypto, this.options.crypto))
  }

  /** Why what it waits for has not come, though all of `held` can be had. */
  unended(held: ReadonlySet<number>): ReadonlyArray<string> {
    return this.waits.flatMap(({ end, feed, fiber, start, what }) => {
      if (feed !== this.feed || fiber.unsafePoll() !== null) return []
      for (let block = start; block < end; block++) if (!held.has(block)) return []
      return [`${this.options.name} still ${what}`]
    })
  }

  /** What is left when it has stopped. */
  leftovers(): ReadonlyArray<string> {
    return [
      ...this.feeds.flatMap((feed) => leftoversOf(feed, this.station)),
      ...this.waits
        .filter(({ fiber }) => fiber.unsafePoll() === null)
        .map(({ what }) => `${this.options.name} still ${what}, though it is closed`)
    ]
  }

  count(): void {
    addMachine(this.options.counts, this.options.machine.counts)
  }
}

/** The blocks that a feed tells others it has. */
export const heldBy = (feed: Feed.Feed): ReadonlyArray<number> => {
  const core = coreOf(feed)
  return Array.from({ length: feed.length }, (_, i) => i).filter((i) => isHeldForGood(core, i))
}
