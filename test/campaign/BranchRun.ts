/**
 * A key that signs two histories: a machine was copied, and both copies append. Readers and the two writers meet in random order, over a net
 * that fails, on machines that do. Whoever meets both must know, by evidence that anyone can check, and nothing may be mixed.
 */
import { Effect, Fiber, type Scope } from "effect"
import { Random, seedOf } from "../../src/domain/Random.js"
import { type CryptoService, NetworkMemory } from "../../src/index.js"
import type { InvariantBroken } from "../../src/testing/KnownLog.js"
import { seededCrypto } from "../replication/world.js"
import { Branch } from "./Branch.js"
import { BranchReader } from "./BranchReader.js"
import { drawConditions, trouble } from "./conditions.js"
import { addNet, type Counts } from "./Counts.js"
import { finalMeetings, type Party } from "./finalMeetings.js"
import { NetHost } from "./NetHost.js"
import { drawMachine } from "./NetRun.js"

type Step = Effect.Effect<void, InvariantBroken, Scope.Scope>

export class BranchRun {
  readonly random: Random
  readonly trace: Array<string> = []
  readonly branches: Array<Branch> = []
  readonly readers: Array<BranchReader> = []
  #net!: NetworkMemory.SimulatedNet
  #meetings: Array<Fiber.RuntimeFiber<void>> = []
  /** Whether nobody is in two meetings at once. */
  #isOrderly = true

  constructor(
    readonly seed: number,
    readonly crypto: CryptoService,
    readonly counts: Counts
  ) {
    this.random = new Random(seedOf(seed, "two histories"))
  }

  note(what: string): void {
    this.trace.push(what)
  }

  get hosts(): ReadonlyArray<NetHost> {
    return [...this.branches.map(({ writer }) => writer), ...this.readers.map(({ host }) => host)]
  }

  run(steps: number): Step {
    return Effect.gen(this, function* () {
      const { random } = this
      const conditions = drawConditions(random)
      this.#isOrderly = random.next() < 0.6
      this.note(`${this.#isOrderly ? "one by one" : "all at once"}, ${JSON.stringify(conditions)}`)
      this.#net = yield* NetworkMemory.make({ ...conditions, seed: this.seed })
      yield* this.#begin()
      for (let step = 0; step < steps; step++) {
        this.counts.actions++
        yield* this.#step()
        yield* this.#see()
      }
      yield* this.#end()
      for (const host of this.hosts) yield* host.stop()
      yield* Effect.repeatN(Effect.yieldNow(), 100)
      const left = this.hosts.flatMap((host) => host.leftovers())
      if (left.length > 0) return yield* this.hosts[0]!.broken("left", left.join("\n"))
    })
  }

  /** The two writers, whose logs differ from some block on, and readers with nothing. */
  #begin(): Step {
    return Effect.gen(this, function* () {
      const { random, seed } = this
      const keys = yield* this.crypto.keyPair(Uint8Array.from({ length: 32 }, () => random.below(256)))
      const machine = yield* drawMachine(seed, "writer")
      const first = new Branch("one", keys, this.#cryptoOf("one"))
      const durability = random.next() < 0.3 ? ("process" as const) : ("power" as const)
      const writerOf = (branch: Branch, on: typeof machine) =>
        new NetHost({
          ...this.#optionsOf(branch.name),
          crypto: branch.crypto,
          open: { key: keys.publicKey, secretKey: keys.secretKey },
          durability,
          machine: on,
          check: (feed, isNow) => branch.check(feed, isNow),
          opened: (feed) => branch.settle(feed),
          mayFork: () => true
        })
      first.writer = writerOf(first, machine)
      this.branches.push(first)
      yield* first.writer.start(true)
      for (let batches = random.below(4); batches > 0; batches--) yield* first.append(1 + random.below(6))
      yield* first.writer.stop()
      const second = new Branch("two", keys, this.#cryptoOf("two"))
      if (first.known.blocks.length > 0) second.known.appended(0, first.known.blocks)
      for (const signature of first.made) second.made.add(signature)
      second.writer = writerOf(second, yield* machine.fork(seedOf(seed, "the copy")))
      this.branches.push(second)
      for (const branch of this.branches) {
        yield* branch.writer.start(true)
        yield* branch.append(1 + random.below(10))
      }
      for (let i = 1 + random.below(3); i > 0; i--) {
        const name = `reader ${i}`
        const reader = new BranchReader(this.branches, this.#cryptoOf(name), {
          ...this.#optionsOf(name),
          open: { key: keys.publicKey },
          durability: random.next() < 0.3 ? "process" : "power",
          machine: yield* drawMachine(seed, name)
        })
        this.readers.push(reader)
        yield* reader.host.start()
      }
    })
  }

  #cryptoOf(name: string): CryptoService {
    return seededCrypto(this.crypto, seedOf(this.seed, name))
  }

  #optionsOf(name: string) {
    const { counts, random, seed } = this
    const note = (what: string) => this.note(what)
    return { name, seed, counts, note, net: this.#net, dials: [], forgets: random.next() < 0.5 }
  }

  #step(): Step {
    return Effect.gen(this, function* () {
      const { random } = this
      const stations = this.hosts.map(({ station }) => station)
      yield* trouble(random, this.#net, stations, (what) => this.note(what))
      for (const { writer } of this.branches) {
        if (writer.feed === undefined) yield* writer.start()
        else yield* random.next() < 0.7 ? writer.plan() : writer.misbehave()
      }
      for (const branch of this.branches) {
        if (random.next() < 0.5) yield* branch.append(1 + random.below(random.next() < 0.9 ? 4 : 60))
      }
      for (const { host } of this.readers) {
        if (host.feed === undefined) yield* host.start()
        else yield* random.next() < 0.7 ? host.plan() : host.misbehave()
      }
      yield* this.#meet()
      yield* Effect.sleep(random.below(6000))
    })
  }

  /** Meetings end, and one or two begin. */
  #meet(): Step {
    return Effect.gen(this, function* () {
      const { random } = this
      const ending = this.#meetings.filter(() => this.#isOrderly || random.next() < 0.4)
      this.#meetings = this.#meetings.filter((meeting) => !ending.includes(meeting))
      yield* Fiber.interruptAll(ending)
      for (let count = this.#isOrderly ? 1 : 1 + random.below(2); count > 0; count--) {
        const from = this.hosts[random.below(this.hosts.length)]!
        const to = this.hosts[random.below(this.hosts.length)]!
        if (from === to || from.feed === undefined) continue
        this.note(`${from.options.name} meets ${to.options.name}`)
        this.#meetings.push(yield* Effect.forkScoped(from.station.dial(from.feed, to.options.name)))
      }
    })
  }

  #see(): Step {
    return Effect.gen(this, function* () {
      for (const host of this.hosts) {
        yield* host.options.machine.crashAfter(undefined, "process")
        yield* host.noticeCrash()
      }
      for (const { writer } of this.branches) yield* writer.see()
      for (const reader of this.readers) yield* reader.see()
    })
  }

  /** Without trouble, in meetings of two. */
  #end(): Step {
    return Effect.gen(this, function* () {
      yield* Fiber.interruptAll(this.#meetings)
      this.#meetings = []
      yield* this.#net.heal
      yield* this.#net.calm
      yield* this.#net.cutAll
      for (const host of this.hosts) yield* host.recover()
      for (const branch of this.branches) yield* branch.append(1 + this.random.below(3))
      yield* this.#see()
      const parties: ReadonlyArray<Party> = [
        ...this.branches.map((branch) => ({ host: branch.writer, writes: branch, reader: undefined })),
        ...this.readers.map((reader) => ({ host: reader.host, writes: undefined, reader }))
      ]
      yield* finalMeetings(this.random, parties, this.counts, (what) => this.note(what))
      yield* this.#see()
      for (const branch of this.branches) yield* branch.append(1)
    })
  }

  count(): void {
    this.counts.netRuns++
    this.counts.twoHistories++
    // A run that failed early may have no net.
    if ((this.#net as NetworkMemory.SimulatedNet | undefined) !== undefined)
      addNet(this.counts, this.#net.counts)
    for (const host of this.hosts) host.count()
  }
}
