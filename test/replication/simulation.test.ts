/**
 * Whole nets of peers in simulated time: whatever is cut, partitioned, cleared or crashed, every live peer ends with the same
 * verified log, every wait ends, and nothing is left.
 *
 * SIMULATION_RUNS=1000 runs more of them. A failure prints the seed and the path that replay it:
 * SIMULATION_SEED=... SIMULATION_PATH=...
 */
import { beforeAll, describe, expect, it } from "@effect/vitest"
import { Effect, FastCheck as fc } from "effect"
import { Crypto, type CryptoService } from "../../src/index.js"
import { CryptoNode } from "../../src/node.js"
import { simulate } from "./play.js"
import { scenario } from "./scenario.js"

let crypto: CryptoService
beforeAll(async () => {
  crypto = await Effect.runPromise(Effect.provide(Crypto, CryptoNode.layer))
})

const { SIMULATION_PATH, SIMULATION_RUNS, SIMULATION_SEED } = process.env
const TIMEOUT = 3600 * 1000

/** `seconds` of real time at most, however slow the machine; as many runs as are asked for take as long as they take. */
const parameters = (runs: number, seconds: number): fc.Parameters<unknown> => ({
  ...(SIMULATION_RUNS === undefined
    ? { numRuns: runs, interruptAfterTimeLimit: 1000 * seconds, endOnFailure: true }
    : { numRuns: Number(SIMULATION_RUNS) }),
  ...(SIMULATION_SEED === undefined ? {} : { seed: Number(SIMULATION_SEED) }),
  ...(SIMULATION_PATH === undefined ? {} : { path: SIMULATION_PATH })
})

describe("a net of peers", () => {
  it(
    "ends alike, with every wait ended and nothing left",
    () =>
      fc.assert(
        fc.asyncProperty(scenario, async (given) => void (await simulate(crypto, given))),
        parameters(25, 30)
      ),
    TIMEOUT
  )

  it(
    "does the same again for the same seed",
    () =>
      fc.assert(
        fc.asyncProperty(scenario, async (given) => {
          expect(await simulate(crypto, given)).toEqual(await simulate(crypto, given))
        }),
        parameters(4, 10)
      ),
    TIMEOUT
  )
})
