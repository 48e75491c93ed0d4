/** Who takes part in an author's run, beside the author: called at these moments of it. */
import type { Effect, Scope } from "effect"
import type { Feed, StorageService } from "../../src/index.js"
import type { InvariantBroken } from "../../src/testing/KnownLog.js"
import type { Counts } from "./Counts.js"

type Part<R = Scope.Scope> = Effect.Effect<void, InvariantBroken, R>

export interface Companion {
  /** The author's storage, if not its machine's own. */
  readonly storage?: StorageService
  /** The author's feed is open again, for as long as the scope. */
  readonly opened?: (feed: Feed.Feed) => Part
  /** After an action of the author's; what was planned for its machine may still come. */
  readonly pass?: Part
  /** After it was seen to that the author is up, and that it keeps its promises. */
  readonly step: (feed: Feed.Feed) => Part
  /** After the last step: the author's disk works, and nothing more is planned. */
  readonly end?: (feed: Feed.Feed) => Part
  /** Adds what was injected, and seen. */
  readonly count: (counts: Counts) => void
}
