/** Plays a scenario in simulated time. */
import { expect } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import { seedOf } from "../../src/domain/Random.js"
import { type CryptoService, NetworkMemory } from "../../src/index.js"
import { Run } from "./Run.js"
import type { Scenario } from "./scenario.js"
import { Simulation } from "./Simulation.js"
import { Host, seededCrypto } from "./world.js"

/** Simulated milliseconds in which all must be alike, after the last trouble. Links may be slow, and break all the time. */
const SETTLING = 600 * 1000

const settled = (run: Run): Effect.Effect<void> =>
  Effect.gen(function* () {
    const end = run.clock.now + SETTLING
    while (true) {
      const missing = run.missing()
      if (missing.length === 0) return
      if (run.clock.now > end) expect.fail(missing.join("\n"))
      yield* Effect.sleep("1 second")
    }
  })

const makeHosts = (
  crypto: CryptoService,
  net: NetworkMemory.SimulatedNet,
  { dials, machines, peers, seed }: Scenario
) =>
  Effect.gen(function* () {
    const keys = yield* crypto.keyPair(new Uint8Array(32).fill(7))
    return yield* Effect.forEach(peers, ({ onFeed, sparse }, i) => {
      const name = `host${i}`
      return Host.make(
        { name, sparse: sparse && i > 0, onFeed, dials: dials[i]!.map((to) => `host${to}`) },
        {
          ...(i === 0 ? keys : { key: keys.publicKey }),
          ...(machines === undefined ? {} : { durability: "power" as const })
        },
        net,
        seededCrypto(crypto, seedOf(seed, name)),
        machines && {
          seed: seedOf(seed, `machine ${name}`),
          sectorSize: machines.sectorSize,
          garbage: machines.garbage,
          ...(machines.slowest === 0 ? {} : { delay: { min: 0, max: machines.slowest } })
        }
      )
    })
  })

const play = (crypto: CryptoService, clock: Simulation, given: Scenario) =>
  Effect.gen(function* () {
    const world = yield* Scope.make()
    const waits = yield* Scope.make()
    const net = yield* Scope.extend(NetworkMemory.make({ ...given.net, seed: given.seed }), world)
    const hosts = yield* Scope.extend(makeHosts(crypto, net, given), world)
    const run = new Run(given, hosts, net, clock)
    yield* Effect.forEach(hosts, (host) => host.start())
    for (const { after, action } of given.steps) {
      yield* Effect.sleep(after)
      yield* run.perform(action, waits)
    }
    yield* Effect.sleep("30 seconds")
    yield* net.heal
    yield* net.calm
    // Whoever was lied to about what a peer has believes it as long as they are connected.
    if (given.net.adversary !== undefined) yield* net.cutAll
    yield* run.append(3)
    yield* settled(run)
    run.note("settled")
    // What is slow or was given up has its time to end.
    if (given.net.cuts === undefined) {
      yield* Effect.sleep("60 seconds")
      expect(hosts.flatMap((host) => host.underWay())).toEqual([])
    }
    expect(run.abandoned()).toEqual([])
    yield* run.verify()
    yield* Effect.forEach(hosts, (host, i) => host.stop(i % 3 === 1))
    for (const { fiber } of run.waits) yield* Fiber.await(fiber)
    expect(hosts.flatMap((host) => host.leftovers())).toEqual([])
    yield* Scope.close(waits, Exit.void)
    yield* Scope.close(world, Exit.void)
    return run.trace
  })

/** Plays a scenario, checks what comes of it, and answers what happened. */
export const simulate = (crypto: CryptoService, given: Scenario) => {
  const clock = new Simulation({ seed: given.seed, yielding: given.yielding, limit: 8 * 3600 * 1000 })
  return clock.runWhole(
    Effect.map(play(crypto, clock, given), (trace) => ({ trace, turns: clock.turns, now: clock.now }))
  )
}
