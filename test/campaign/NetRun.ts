/** The readers of an author's run, over a net that cuts, delays and lies: one history, and what all of them must have of it. */
import { Effect, type Scope } from "effect"
import { equals, toHex } from "../../src/domain/Bytes.js"
import { Random, seedOf } from "../../src/domain/Random.js"
import { Crypto, type Feed, NetworkMemory, type StorageService } from "../../src/index.js"
import * as StorageFaulty from "../../src/layers/StorageFaulty.js"
import { coreOf } from "../../src/services/feed/FeedCore.js"
import * as Invariants from "../../src/testing/Invariants.js"
import { InvariantBroken, signaturesIn } from "../../src/testing/KnownLog.js"
import { leftoversOf, Station } from "../replication/Station.js"
import { seededCrypto } from "../replication/world.js"
import type { AuthorRun } from "./AuthorRun.js"
import type { Companion } from "./Companion.js"
import { drawConditions, trouble } from "./conditions.js"
import { addNet, type Counts } from "./Counts.js"
import { heldBy, NetHost } from "./NetHost.js"
import { noticing } from "./noticing.js"

/** Simulated seconds in which all must be alike, after the last trouble. */
const SETTLING = 600
const AUTHOR = "author"

const broken = (invariant: InvariantBroken["invariant"], detail: string) =>
  new InvariantBroken({ invariant, detail })

type Step<R = Scope.Scope> = Effect.Effect<void, InvariantBroken, R>

/** A machine for a host of this name. */
export const drawMachine = (seed: number, name: string) => {
  const random = new Random(seedOf(seed, `machine of ${name}`))
  const slowest = [0, 0, 5, 50][random.below(4)]!
  return StorageFaulty.make({
    seed: seedOf(seed, `disk of ${name}`),
    sectorSize: random.next() < 0.5 ? 512 : 4096,
    garbage: random.next() < 0.5 ? 0 : 0.3,
    ...(slowest === 0 ? {} : { delay: { min: 0, max: slowest } })
  })
}

export class NetRun implements Companion {
  readonly random: Random
  readonly storage: StorageService
  readonly station: Station
  readonly readers: Array<NetHost> = []
  readonly #feeds: Array<Feed.Feed> = []
  #crashes = 0

  private constructor(
    readonly author: AuthorRun,
    readonly net: NetworkMemory.SimulatedNet
  ) {
    this.random = new Random(seedOf(author.seed, "net"))
    this.station = new Station({
      name: AUTHOR,
      net,
      onPush: () => author.announce(author.feed?.length ?? 0, false)
    })
    this.storage = noticing(author.machine, () => this.station.unsafeVanish())
  }

  static readonly make = (author: AuthorRun) =>
    Effect.gen(function* () {
      const { seed } = author
      const conditions = drawConditions(new Random(seedOf(seed, "conditions")))
      author.note(JSON.stringify(conditions))
      const net = yield* NetworkMemory.make({ ...conditions, seed })
      const self = new NetRun(author, net)
      const { random } = self
      const count = 1 + random.below(3)
      for (let i = 0; i < count; i++) {
        const name = `reader ${i}`
        const others = Array.from({ length: i }, (_, other) => `reader ${other}`)
        self.readers.push(
          new NetHost({
            name,
            seed,
            net,
            crypto: seededCrypto(author.crypto, seedOf(seed, name)),
            open: { key: author.keys.publicKey, sparse: random.next() < 0.3 },
            durability: random.next() < 0.3 ? "process" : "power",
            machine: yield* drawMachine(seed, name),
            counts: author.counts,
            note: (what) => author.note(what),
            dials: [AUTHOR, ...others.filter(() => random.next() < 0.5)],
            check: (feed) => self.#check(feed),
            mayFork: () => false
          })
        )
      }
      return self
    })

  /** What it holds is the author's, as far as that is known, and proves itself. */
  #check(feed: Feed.Feed): Effect.Effect<void, InvariantBroken> {
    return Effect.gen(this, function* () {
      const { blocks } = this.author.known
      for (const index of heldBy(feed)) {
        if (index >= blocks.length) break
        const block = yield* Effect.orDie(feed.get(index, { wait: false }))
        if (!equals(block, blocks[index]!))
          return yield* broken("wrong", `block ${index} reads as other bytes`)
      }
      const held = heldBy(feed)
      const some = held.length <= 30 ? held : held.filter(() => this.random.next() < 20 / held.length)
      yield* Invariants.isProvable(feed, some)
    }).pipe(Effect.provideService(Crypto, this.author.crypto))
  }

  opened(feed: Feed.Feed) {
    this.#feeds.push(feed)
    return Effect.orDie(this.station.listen(feed))
  }

  readonly pass: Step = Effect.suspend(() => {
    const { author, net, random } = this
    const { crashes } = author.machine.counts
    if (crashes !== this.#crashes) this.station.unsafeVanish()
    this.#crashes = crashes
    const stations = [this.station, ...this.readers.map(({ station }) => station)]
    return Effect.gen(this, function* () {
      yield* trouble(random, net, stations, (what) => author.note(what))
      for (const reader of this.readers) {
        if (reader.feed === undefined) {
          if (random.next() < 0.7) yield* reader.start()
          continue
        }
        yield* reader.plan()
        const start = random.below(author.known.blocks.length + 3)
        if (random.next() < 0.5) yield* reader.wait(start, start + 1 + random.below(10))
        else yield* reader.misbehave()
        yield* Effect.sleep(random.below(1000))
      }
      yield* Effect.sleep(random.next() < 0.2 ? 0 : random.below(4000))
    })
  })

  /** The author is up, with all that is known of its log. */
  step(feed: Feed.Feed): Step {
    return Effect.gen(this, function* () {
      const { known, made } = this.author
      for (const reader of this.readers) {
        const { machine } = reader.options
        yield* machine.crashAfter(undefined, "process")
        yield* reader.noticeCrash()
        yield* reader.see()
        if (reader.length > feed.length) {
          return yield* reader.broken("announced", `it has ${reader.length} blocks of ${feed.length}`)
        }
        const files = yield* machine.contents()
        for (const [length, signature] of signaturesIn(files.get("signatures") ?? new Uint8Array(0)))
          if (made.has(toHex(signature))) known.signed(length, signature)
      }
      if (feed.fork !== undefined)
        return yield* broken("fork", "the author has evidence of a fork that is none")
    })
  }

  /** Without trouble, all get all that there is to get. */
  end(feed: Feed.Feed): Step {
    return Effect.gen(this, function* () {
      const { author, net } = this
      yield* net.heal
      yield* net.calm
      // Whoever was lied to about what a peer has believes it as long as they are connected.
      yield* net.cutAll
      for (const reader of this.readers) yield* reader.recover()
      yield* author.append([[Uint8Array.of(1)]])
      for (let seconds = 0; ; seconds++) {
        const missing = this.#missing(feed)
        if (missing.length === 0) break
        if (seconds > SETTLING) return yield* broken("stuck", missing.join("\n"))
        yield* Effect.sleep("1 second")
      }
      yield* this.step(feed)
      if (!feed.writable) return yield* broken("stuck", "the author may not write")
    })
  }

  #missing(feed: Feed.Feed): ReadonlyArray<string> {
    const held = new Set(heldBy(feed))
    return this.readers.flatMap((reader) => {
      if (reader.feed === undefined) return []
      const { name, open } = reader.options
      const { bitfield } = coreOf(reader.feed)
      const due = open.sparse === true ? [] : [...held]
      const missing = due.filter((block) => !bitfield.has(block) && !reader.cleared.has(block))
      return [
        ...(missing.length > 0 ? [`${name} lacks ${missing.join(" ")}`] : []),
        ...(due.length > 0 && reader.feed.length < feed.length
          ? [`${name} has a log of ${reader.feed.length}`]
          : []),
        ...reader.unended(held)
      ]
    })
  }

  /** Everything is closed, and nothing is left. */
  readonly finish: Step<never> = Effect.gen(this, function* () {
    for (const reader of this.readers) yield* reader.stop()
    yield* this.author.stop()
    yield* Effect.repeatN(Effect.yieldNow(), 100)
    const left = [
      ...this.readers.flatMap((reader) => reader.leftovers()),
      ...this.#feeds.flatMap((feed) => leftoversOf(feed, this.station))
    ]
    if (left.length > 0) return yield* broken("left", left.join("\n"))
  })

  count(counts: Counts): void {
    counts.netRuns++
    addNet(counts, this.net.counts)
    for (const reader of this.readers) reader.count()
  }
}
