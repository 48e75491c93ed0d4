/** What a net of a campaign is like, and what happens on it, drawn from a seed. */
import { Effect } from "effect"
import type { Random } from "../../src/domain/Random.js"
import type { NetworkMemory } from "../../src/index.js"
import type { Station } from "../replication/Station.js"

type Conditions = Omit<NetworkMemory.SimulationOptions, "seed">

/** Of all things between two bounds, as likely small as large. */
const between = (random: Random, min: number, max: number): number =>
  Math.floor(min * (max / min) ** random.next())

export const drawConditions = (random: Random): Conditions => {
  const kind = random.below(3)
  return {
    latency: kind === 0 ? 0 : kind === 1 ? random.below(150) : { min: 1, max: 200 },
    bandwidth: random.next() < 0.5 ? undefined : between(random, 50_000, 10_000_000),
    splitting: random.next() < 0.5 ? undefined : { min: 1, max: between(random, 1, 100_000) },
    bufferSize: between(random, 1000, 1024 * 1024),
    cuts:
      random.next() < 0.6
        ? undefined
        : { meanBytes: between(random, 10_000, 500_000), silent: random.next() < 0.5 ? 0 : 0.3 },
    adversary: random.next() < 0.5 ? undefined : { meanBytes: between(random, 1000, 100_000) }
  }
}

/** Something happens on the net, or nothing. */
export const trouble = (
  random: Random,
  net: NetworkMemory.SimulatedNet,
  stations: ReadonlyArray<Station>,
  note: (what: string) => void
): Effect.Effect<void> =>
  Effect.suspend(() => {
    const drawn = random.below(20)
    const connections = stations.flatMap((station) => [...station.connections])
    const one = connections[random.below(connections.length)]
    if (drawn < 3 && one !== undefined) {
      note(`the connection with ${one.remote} is cut`)
      return net.cut(one)
    }
    if (drawn < 5 && one !== undefined) {
      note(`the connection with ${one.remote} is half open`)
      return net.vanish(one)
    }
    if (drawn < 7) {
      const names = stations.map(({ options }) => options.name)
      const left = names.filter(() => random.next() < 0.5)
      note(`${left.join(" ")} are cut off`)
      const right = names.filter((name) => !left.includes(name))
      return left.length === 0 || right.length === 0 ? Effect.void : net.partition(left, right)
    }
    if (drawn < 11) return net.heal
    if (drawn > 11) return Effect.void
    note("all connections are cut")
    return net.cutAll
  })
