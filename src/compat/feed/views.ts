/** What legacy code looks up in `feed.bitfield` and `feed.tree`, and holds back with `feed.ifAvailable`. */
import { Effect } from "effect"
import type { Feed } from "../../index.js"

export interface BitfieldView {
  /** Whether the block is held. */
  readonly get: (index: number) => boolean
  /** How many blocks of [start, end) are held. */
  readonly total: (start?: number, end?: number) => number
}

export const bitfieldView = (feed: Feed.Feed): BitfieldView => ({
  get: (index) => has(feed, index),
  total: (start, end) => downloaded(feed, start, end)
})

export interface TreeView {
  /** What is held towards a proof of the node at `index`, twice its block's. */
  readonly digest: (index: number) => number
}

export const treeView = (feed: Feed.Feed): TreeView => ({
  digest: (index) => digest(feed, index / 2)
})

/** Nothing is held of what is no block, and of a feed that is closed. */
const orElse = <A>(program: Effect.Effect<A, unknown>, otherwise: A): A =>
  Effect.runSync(Effect.orElseSucceed(program, () => otherwise))

export const has = (feed: Feed.Feed, start: number, end?: number): boolean =>
  orElse(feed.has(start, end), false)

export const downloaded = (feed: Feed.Feed, start?: number, end?: number): number => {
  const from = start ?? 0
  const to = end ?? feed.length
  return to <= from ? 0 : orElse(feed.downloaded(from, to), 0)
}

export const digest = (feed: Feed.Feed, index: number): number => orElse(feed.digest(index), 0)
