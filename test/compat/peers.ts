/** Both sides of the comparison: the façade, and the real peers with the few types that these tests use of them. */
import { createRequire } from "node:module"
import type { Duplex } from "node:stream"
import hypercore from "../../src/compat/index.js"
import type { HypercoreOptions } from "../../src/compat/options.js"
// The real peer's encryption needs what this puts in place.
import "../reference/peerWire.js"

const require = createRequire(import.meta.url)
/** `random-access-memory@3`, made anew for each file. */
export const ram = require("random-access-memory") as () => never

/** What these tests call of a feed, ours or theirs. */
export type AnyFeed = ReturnType<typeof hypercore<unknown>>

type Make = (storage: unknown, key?: Uint8Array | null, options?: HypercoreOptions) => AnyFeed

export const ours: Make = hypercore as unknown as Make
export const real7 = require("hypercore-7") as Make
export const real6 = require("hypercore-6") as Make

export const makers = { ours, "7.7.1": real7, "6.25.2": real6 }
export type Maker = keyof typeof makers

/** `run` with a callback, as a promise of what it is called with. */
export const called = <A>(run: (callback: (error: Error | null, value?: A) => void) => void): Promise<A> =>
  new Promise((resolve, reject) => {
    run((error, value) => (error ? reject(error) : resolve(value as A)))
  })

/** Ends with the event's first value. */
export const once = (emitter: NodeJS.EventEmitter, event: string): Promise<unknown> =>
  new Promise((resolve) => emitter.once(event, resolve))

export const ready = (feed: AnyFeed): Promise<unknown> =>
  new Promise((resolve, reject) => {
    feed.once("error", reject)
    feed.ready(() => resolve(undefined))
  })

/** A feed with blocks, and a reader of it, ready. */
export const pair = async (
  from: Maker,
  to: Maker,
  blocks: ReadonlyArray<unknown>,
  options: HypercoreOptions = {}
): Promise<readonly [AnyFeed, AnyFeed]> => {
  const author = makers[from](ram)
  await ready(author)
  if (blocks.length > 0) await called((callback) => author.append(blocks, callback))
  const reader = makers[to](ram, author.key, options)
  await ready(reader)
  return [author, reader]
}

export const join = (a: Duplex, b: Duplex): void => void a.pipe(b).pipe(a)

/** Each ends: both streams are over. */
export const ends = (...streams: ReadonlyArray<Duplex>): Promise<unknown> =>
  Promise.all(
    streams.map(
      (stream) =>
        new Promise((resolve, reject) => {
          stream.once("error", reject)
          stream.once("end", resolve)
        })
    )
  )

/** All values of a feed. */
export const values = (feed: AnyFeed): Promise<ReadonlyArray<unknown>> =>
  called((callback) => feed.getBatch(0, feed.length, callback as never))
