/** Whose log is killed: the least of a log that both implementations can do, so that one program tries both. */
import { createRequire } from "node:module"
import type * as Hypercore7 from "./hypercore7.js"
import type * as Ours from "./ours.js"

export const PARTIES = ["ours", "hypercore-7"] as const
export type PartyName = (typeof PARTIES)[number]

/** An open log. */
export interface PartyLog {
  readonly key: Uint8Array
  readonly length: () => number
  /** Blocks held, of all. */
  readonly downloaded: () => number
  /** The index of the first, once all are stored as well as this party ever stores them. */
  readonly append: (blocks: ReadonlyArray<Uint8Array>) => Promise<number>
  /** A block that is held; rejects where it is not. */
  readonly get: (index: number) => Promise<Uint8Array>
  /** Replicates, live, with whoever connects; the port. */
  readonly listen: () => Promise<number>
  /** Replicates, live, with who listens there, until the connection ends in whatever way: `undefined`, or how it failed. */
  readonly follow: (port: number) => Promise<string | undefined>
  /** Calls `listener` when there are more blocks, or more of them are held. */
  readonly onProgress: (listener: () => void) => void
}

/** Opens the log in a directory: one to write, or with a key one to read. */
export type OpenParty = (directory: string, key: Uint8Array | undefined) => Promise<PartyLog>

/** Loads only the party that is asked for: the other's packages cost a start of the process time. */
export const partyOf = async (name: PartyName): Promise<OpenParty> => {
  if (name === "ours") return ((await import("./ours.js")) as typeof Ours).open
  return ((await import("./hypercore7.js")) as typeof Hypercore7).open
}

export const requirePackage = createRequire(import.meta.url)
