/** What came of it all. */
export interface Counts {
  /** Feeds that were begun: a new one after each that something was wrong with, and after some kills. */
  feeds: number
  kills: number
  /** Of these, before the writer had opened its feed and looked for what was acknowledged. */
  killsWhileOpening: number
  readerKills: number
  /** Blocks. */
  acknowledged: number
  /** Acknowledged blocks that were past the end, or other bytes. */
  lost: number
  /** Acknowledged blocks that are in the log and cannot be read. */
  unreadable: number
  /** Blocks that a reader had verified and that the writer's log had no longer. */
  announcedLost: number
  /** Lengths that were signed twice, as seen in the files of writer and reader. */
  forks: number
  /** Signatures that were compared. */
  signatures: number
  /** Openings, of a writer or a reader, that failed. */
  unopenable: number
  /** Processes that failed later, without being killed. */
  failed: number
  /** Feeds whose writer or reader came no further. */
  stuck: number
}

export const noCounts = (): Counts => ({
  feeds: 0,
  kills: 0,
  killsWhileOpening: 0,
  readerKills: 0,
  acknowledged: 0,
  lost: 0,
  unreadable: 0,
  announcedLost: 0,
  forks: 0,
  signatures: 0,
  unopenable: 0,
  failed: 0,
  stuck: 0
})

/** Everything that must stay 0. */
export const HARM = ["lost", "unreadable", "announcedLost", "forks", "unopenable", "failed", "stuck"] as const

export const harm = (counts: Counts): number => HARM.reduce((sum, name) => sum + counts[name], 0)
