/** Kills a party's writer so many times, on feed after feed. */
import * as fs from "node:fs"
import * as path from "node:path"
import { Random } from "../../src/domain/Random.js"
import { bundled } from "../bundled.js"
import { type Counts, noCounts } from "./Counts.js"
import { KilledFeed } from "./KilledFeed.js"
import type { PartyName } from "./Party.js"

/** Kills of one feed: it should be long enough to be opened with a history, and not so long that looking through it takes all the time. */
const KILLS_A_FEED = 12

export interface KillOptions {
  readonly party: PartyName
  readonly kills: number
  readonly seed: number
  /** An empty directory, for feeds. */
  readonly directory: string
  readonly report?: (what: string) => void
}

export const kill = async (options: KillOptions): Promise<Counts> => {
  const { directory, kills, party, report = () => {}, seed } = options
  const counts = noCounts()
  const killing = {
    script: await bundled("test/kills/process.ts", directory),
    party,
    random: new Random(seed),
    counts,
    report
  }
  while (counts.kills < kills) {
    const feed = new KilledFeed(killing, path.join(directory, `feed${counts.feeds}`))
    for (let round = 0; round < KILLS_A_FEED && counts.kills < kills && !feed.isHarmed; round++) {
      await feed.round(`${round}`)
    }
    await feed.end()
    if (!feed.isHarmed) fs.rmSync(feed.directory, { recursive: true })
  }
  return counts
}
