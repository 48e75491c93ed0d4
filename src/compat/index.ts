/**
 * `effect-hypercore/compat`: what legacy code uses in the place of `hypercore` 6 and 7, required or imported.
 */
import type { Feed } from "../index.js"
import { Given } from "./feed/FeedBase.js"
import type { CreateStorage } from "./feed/open.js"
import { Hypercore } from "./Hypercore.js"
import type { HypercoreOptions } from "./options.js"
import { discoveryKeyOf } from "./crypto.js"

/** Makes a feed, with or without `new`. */
export interface HypercoreConstructor {
  <T = Buffer>(
    storage: CreateStorage,
    key?: Uint8Array | string | null,
    options?: HypercoreOptions | null
  ): Hypercore<T>
  <T = Buffer>(storage: CreateStorage, options?: HypercoreOptions | null): Hypercore<T>
  new <T = Buffer>(
    storage: CreateStorage,
    key?: Uint8Array | string | null,
    options?: HypercoreOptions | null
  ): Hypercore<T>
  new <T = Buffer>(storage: CreateStorage, options?: HypercoreOptions | null): Hypercore<T>
  // As of each generic class: those who extend it say of what.
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly prototype: Hypercore<any>
  readonly discoveryKey: (key: Uint8Array) => Buffer
  /** A façade of an open Effect feed: both may be used at once; closing one closes the other. */
  readonly fromFeed: <T = Buffer>(feed: Feed.Feed, options?: HypercoreOptions) => Hypercore<T>
}

/** A façade of an open Effect feed: both may be used at once; closing one closes the other. */
export const fromFeed = <T = Buffer>(feed: Feed.Feed, options: HypercoreOptions = {}): Hypercore<T> =>
  new Hypercore<T>(new Given(feed), null, options)

// A function, as classes cannot be called; what extends it is made of its own class.
function construct(this: unknown, ...given: ConstructorParameters<typeof Hypercore>): object {
  return Reflect.construct(Hypercore, given, new.target ?? Hypercore) as object
}

const hypercore = Object.assign(construct, {
  discoveryKey: discoveryKeyOf,
  fromFeed
}) as unknown as HypercoreConstructor
Object.defineProperty(hypercore, "name", { value: "Hypercore" })
Object.defineProperty(hypercore, "prototype", { value: Hypercore.prototype })

export { hypercore as default, hypercore as "module.exports" }
export type { Hypercore }
