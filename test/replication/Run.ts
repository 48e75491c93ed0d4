/** A scenario under way: what its actions do, what must come of them, and what came. */
import { expect } from "@effect/vitest"
import { Effect, Exit, Fiber, type Scope } from "effect"
import { equals } from "../../src/domain/Bytes.js"
import { Random, seedOf } from "../../src/domain/Random.js"
import type { Feed, NetworkMemory } from "../../src/index.js"
import { coreOf } from "../../src/services/feed/FeedCore.js"
import type { Action, Scenario, Wait } from "./scenario.js"
import type { Simulation } from "./Simulation.js"
import { blockOf, type Host } from "./world.js"

/** A wait of somebody's, and how it ended. */
interface Waiting {
  readonly host: Host
  readonly wait: Wait
  readonly fiber: Fiber.RuntimeFiber<unknown, unknown>
}

/** The blocks that each host must have in the end. */
type Due = ReadonlyMap<Host, Set<number>>

export class Run {
  readonly blocks: Array<Uint8Array> = []
  readonly waits: Array<Waiting> = []
  /** Blocks that a host cleared: nobody gets them from there. */
  readonly cleared = new Map<Host, Set<number>>()
  readonly trace: Array<string> = []
  readonly random: Random

  constructor(
    readonly scenario: Scenario,
    readonly hosts: ReadonlyArray<Host>,
    readonly net: NetworkMemory.SimulatedNet,
    readonly clock: Simulation
  ) {
    this.random = new Random(seedOf(scenario.seed, "run"))
  }

  get author(): Host {
    return this.hosts[0]!
  }

  note(text: string): void {
    this.trace.push(`${this.clock.now} ${text}`)
  }

  append(count: number): Effect.Effect<void> {
    return Effect.gen(this, function* () {
      if (!this.author.isUp) return
      const first = this.blocks.length
      const blocks = Array.from({ length: count }, (_, i) => blockOf(this.scenario.seed, first + i))
      yield* this.author.feed!.appendBatch(blocks)
      this.blocks.push(...blocks)
    }).pipe(Effect.orDie)
  }

  clear(host: Host, start: number, count: number): Effect.Effect<void> {
    return Effect.gen(this, function* () {
      if (host === this.author || !host.isUp) return
      const end = Math.min(start + count, host.feed!.length)
      if (start >= end) return
      const cleared = this.cleared.get(host) ?? new Set()
      this.cleared.set(host, cleared)
      for (let block = start; block < end; block++) cleared.add(block)
      yield* host.feed!.clear(start, end)
    }).pipe(Effect.orDie)
  }

  wait(host: Host, wait: Wait, scope: Scope.Scope): Effect.Effect<void> {
    return Effect.gen(this, function* () {
      if (!host.isUp) return
      const effect = waitOf(host.feed!, wait)
      const fiber = yield* Effect.forkIn(effect, scope)
      this.waits.push({ host, wait, fiber })
      if (wait.interruptAfter !== undefined) {
        yield* Effect.forkIn(Effect.delay(Fiber.interrupt(fiber), wait.interruptAfter), scope)
      }
    })
  }

  perform(action: Action, scope: Scope.Scope): Effect.Effect<void> {
    const host = this.hosts["host" in action ? action.host % this.hosts.length : 0]!
    this.note(JSON.stringify(action))
    switch (action._tag) {
      case "Append":
        return this.append(action.count)
      case "Clear":
        return this.clear(host, action.start, action.count)
      case "Cut":
      case "Vanish": {
        const connections = [...host.connections]
        const one = connections[this.random.below(connections.length)]
        if (one === undefined) return Effect.void
        return action._tag === "Cut" ? this.net.cut(one) : this.net.vanish(one)
      }
      case "CutAll":
        return this.net.cutAll
      case "Partition": {
        const names = this.hosts.map(({ options }) => options.name)
        const left = names.filter((_, i) => ((action.mask >> i) & 1) === 1)
        return this.net.partition(
          left,
          names.filter((name) => !left.includes(name))
        )
      }
      case "Heal":
        return this.net.heal
      case "Crash":
        return Effect.asVoid(
          Effect.zipRight(
            host.crash(action.kind, action.silent),
            Effect.forkIn(Effect.delay(host.start(), action.down), scope)
          )
        )
      case "Wait":
        return this.wait(host, action.wait, scope)
    }
  }

  /** Blocks that a sparse host asked for and still wants, or got. */
  wanted(host: Host): Set<number> {
    const wanted = new Set<number>()
    for (const { fiber, host: one, wait } of this.waits) {
      if (one !== host || !isLasting(wait) || (wait._tag !== "Get" && wait._tag !== "Download")) continue
      const exit = fiber.unsafePoll()
      if (exit !== null && Exit.isFailure(exit)) continue
      for (let block = wait.start; block < endOf(wait); block++) wanted.add(block)
    }
    return wanted
  }

  /** What each host must have in the end: what came to it by neighbours that had it and did not clear it. */
  due(): Due {
    const due = new Map<Host, Set<number>>(this.hosts.map((host) => [host, new Set()]))
    const wanted = new Map(
      this.hosts.filter(({ options }) => options.sparse).map((host) => [host, this.wanted(host)])
    )
    for (let block = 0; block < this.blocks.length; block++) {
      const reached = [this.author]
      due.get(this.author)!.add(block)
      for (const from of reached) {
        for (const host of this.#neighbours(from)) {
          if (due.get(host)!.has(block) || this.cleared.get(host)?.has(block) === true) continue
          if (wanted.get(host)?.has(block) === false) continue
          due.get(host)!.add(block)
          reached.push(host)
        }
      }
    }
    return due
  }

  /** What is not as it must be in the end: blocks that have not come, waits that have not ended. */
  missing(): ReadonlyArray<string> {
    const problems: Array<string> = []
    const due = this.due()
    for (const host of this.hosts) {
      const { name } = host.options
      if (!host.isUp) {
        problems.push(`${name} is down`)
        continue
      }
      const core = coreOf(host.feed!)
      const missing = [...due.get(host)!].filter((block) => !core.bitfield.has(block))
      if (missing.length > 0)
        problems.push(`${name} lacks ${missing.length} blocks: ${missing.slice(0, 10).join(" ")}`)
      const length = Math.max(0, ...due.get(host)!) + 1
      if (due.get(host)!.size > 0 && core.tip.length < length)
        problems.push(`${name} has a log of ${core.tip.length} blocks, not ${length}`)
    }
    for (const { fiber, host, wait } of this.waits) {
      if (fiber.unsafePoll() !== null || !isLasting(wait) || !this.#canEnd(host, wait, due)) continue
      problems.push(`${host.options.name} still waits: ${JSON.stringify(wait)}`)
    }
    return problems
  }

  /** What a host's feed is said to be waited for, beside what is. */
  abandoned(): ReadonlyArray<string> {
    return this.hosts.flatMap((host) => {
      const { demand, sparse } = coreOf(host.feed!)
      const open = this.waits.filter((one) => one.host === host && one.fiber.unsafePoll() === null)
      const count = (tags: ReadonlyArray<Wait["_tag"]>) =>
        open.filter(({ wait }) => tags.includes(wait._tag)).length
      const counts = [
        ["waits", demand.size, open.length],
        ["ranges", demand.ranges.size - (sparse ? 0 : 1), count(["Download"])],
        ["wishes", demand.wishes.size, count(["Update", "Seek"])]
      ] as const
      return counts.flatMap(([what, found, due]) =>
        found === due ? [] : [`${host.options.name}: ${found} ${what} instead of ${due}`]
      )
    })
  }

  /** Whether what a wait needs is there for the host to get. */
  #canEnd(host: Host, wait: Wait, due: Due): boolean {
    if (wait._tag === "Get" || wait._tag === "Download") {
      for (let block = wait.start; block < endOf(wait); block++) if (!due.get(host)!.has(block)) return false
      return true
    }
    // The log's length and a byte's place come from whoever knows all of it.
    const sources = [host, ...this.#neighbours(host)]
    const size = wait._tag === "Update" ? this.blocks.length : this.author.feed!.byteLength
    return wait.start <= size && sources.some((one) => due.get(one)!.size === this.blocks.length)
  }

  #neighbours(host: Host): ReadonlyArray<Host> {
    return this.hosts.filter(
      (other) =>
        other.options.dials.includes(host.options.name) || host.options.dials.includes(other.options.name)
    )
  }

  /** Every block that a host holds is the author's. */
  verify(): Effect.Effect<void> {
    return Effect.forEach(
      this.hosts,
      (host) =>
        Effect.gen(this, function* () {
          const feed = host.feed!
          expect(feed.length).toBeLessThanOrEqual(this.blocks.length)
          const held = yield* feed.downloaded()
          expect(yield* feed.audit()).toEqual({ valid: held, invalid: 0 })
          for (let block = 0; block < feed.length; block++) {
            if (!(yield* feed.has(block))) continue
            const bytes = yield* feed.get(block, { wait: false })
            if (!equals(bytes, this.blocks[block]!)) expect.fail(`block ${block} of ${host.options.name}`)
          }
          this.note(`${host.options.name} ${feed.length} ${held}`)
        }),
      { discard: true }
    ).pipe(Effect.orDie)
  }
}

const endOf = (wait: Wait): number => wait.start + (wait._tag === "Download" ? wait.count : 1)

const isLasting = (wait: Wait): boolean => wait.interruptAfter === undefined && wait.timeout === undefined

const waitOf = (feed: Feed.Feed, wait: Wait): Effect.Effect<unknown, unknown> => {
  const timeout = wait.timeout === undefined ? {} : { timeout: wait.timeout }
  switch (wait._tag) {
    case "Get":
      return feed.get(wait.start, timeout)
    case "Download":
      return feed.download({ start: wait.start, end: wait.start + wait.count, linear: wait.linear })
    case "Update":
      return feed.update(wait.start, timeout)
    case "Seek":
      return feed.seek(wait.start, timeout)
  }
}
