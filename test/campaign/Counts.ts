/** What a campaign injected and checked. */
import type { NetworkMemory } from "../../src/index.js"
import type * as StorageFaulty from "../../src/layers/StorageFaulty.js"

/** Nothing yet. */
export const noCounts = () => ({
  actions: 0,
  appends: 0,
  blocks: 0,
  clears: 0,
  reopenings: 0,
  /** Crashes of the program that ran, and of copies of its machine. */
  crashes: 0,
  forks: 0,
  powerCuts: 0,
  torn: 0,
  garbage: 0,
  lost: 0,
  faults: 0,
  shortReads: 0,
  full: 0,
  refused: 0,
  doubtful: 0,
  fetched: 0,
  flippedBits: 0,
  checks: 0,
  /** Runs over a net, and of them those of a key that signs two histories. */
  netRuns: 0,
  twoHistories: 0,
  connections: 0,
  cuts: 0,
  halfOpen: 0,
  partitions: 0,
  changed: 0,
  dropped: 0,
  repeated: 0,
  reordered: 0,
  /** Blocks that came over a net. */
  replicated: 0,
  /** Copies of a machine, taken when something left it, that crashed and had all that it had said. */
  announced: 0,
  waits: 0,
  /** Feeds that learnt that their key has signed two histories. */
  forksFound: 0,
  /** Meetings of two histories after which one side had to know. */
  meetings: 0
})

export type Counts = ReturnType<typeof noCounts>

/** What was injected on a machine counts. */
export const addMachine = (counts: Counts, injected: Readonly<StorageFaulty.Counts>): void => {
  counts.crashes += injected.crashes
  counts.powerCuts += injected.powerCuts
  counts.torn += injected.torn
  counts.garbage += injected.garbage
  counts.lost += injected.lost
  counts.faults += injected.failures
  counts.shortReads += injected.shortReads
  counts.full += injected.full
}

export const addNet = (counts: Counts, injected: Readonly<NetworkMemory.Counts>): void => {
  for (const [what, many] of Object.entries(injected)) counts[what as keyof NetworkMemory.Counts] += many
}
