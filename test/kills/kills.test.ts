/**
 * A real writer process, killed again and again while another replicates: nothing acknowledged is lost, no length is ever signed twice, the
 * reader comes to have it all. `npm run kills` does it some hundred times, to real hypercore 7 too.
 */
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { temporaryDirectory } from "../temporaryDirectory.js"
import { HARM, harm, noCounts } from "./Counts.js"
import { kill } from "./kill.js"

const KILLS = 8
/** Another each time, to be given to `npm run kills -- --seed`. */
const seed = Math.floor(Math.random() * 2 ** 32)

it.scoped(`a writer killed ${KILLS} times, seed ${seed}`, () =>
  Effect.gen(function* () {
    const directory = yield* temporaryDirectory
    const found: Array<string> = []
    const counts = yield* Effect.promise(() =>
      kill({ party: "ours", kills: KILLS, seed, directory, report: (what) => found.push(what) })
    )
    expect(found).toEqual([])
    for (const name of HARM) expect([name, counts[name]]).toEqual([name, 0])
    expect(counts.kills).toBe(KILLS)
    expect(counts.acknowledged).toBeGreaterThan(KILLS)
    expect(counts.signatures).toBeGreaterThan(KILLS)
  })
)

it("what is counted as harm is", () => {
  expect(harm(noCounts())).toBe(0)
  for (const name of HARM) expect(harm({ ...noCounts(), [name]: 1 })).toBe(1)
})
