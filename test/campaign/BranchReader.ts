/** A reader that meets two histories of one key: what it has is of one of them. */
import { Effect } from "effect"
import { equals, toHex } from "../../src/domain/Bytes.js"
import { type Connection, Crypto, type CryptoService, type Feed } from "../../src/index.js"
import * as Invariants from "../../src/testing/Invariants.js"
import type { InvariantBroken } from "../../src/testing/KnownLog.js"
import type { Branch } from "./Branch.js"
import { heldBy, NetHost, type NetHostOptions } from "./NetHost.js"

export class BranchReader {
  readonly host: NetHost
  /** The history of its last signature, once that is of one only. */
  branch: Branch | undefined
  /**
   * It lacked blocks while it was connected to more than one host, or to another than before: it may have taken for one of them what the other
   * history has (docs/forks.md, "What cannot be found").
   */
  isExposed = false
  #lastPeer: string | undefined

  constructor(
    readonly branches: ReadonlyArray<Branch>,
    readonly crypto: CryptoService,
    options: Omit<NetHostOptions, "check" | "crypto" | "mayFork" | "onBegin" | "onDownload">
  ) {
    this.host = new NetHost({
      ...options,
      crypto,
      check: (feed) => this.#check(feed),
      mayFork: () => true,
      onBegin: (connection) => this.#begin(connection),
      onDownload: () => {
        if (this.host.station.connections.size > 1 && !this.isWhole) this.isExposed = true
      }
    })
  }

  get isWhole(): boolean {
    const { feed } = this.host
    return feed !== undefined && heldBy(feed).length === feed.length
  }

  #begin({ remote }: Connection): void {
    const peer = remote.slice(0, remote.lastIndexOf(":"))
    if (!this.isWhole && this.#lastPeer !== peer) this.isExposed = true
    this.#lastPeer = peer
  }

  /** The history that signed a feed's log, if it is one only. */
  #branchOf(feed: Feed.Feed) {
    return Effect.gen(this, function* () {
      if (feed.length === 0) return undefined
      const { signature } = yield* feed.signature()
      const hex = toHex(signature)
      const found = this.branches.filter(({ made }) => made.has(hex))
      return found.length === 1 ? found[0] : undefined
    })
  }

  #check(feed: Feed.Feed): Effect.Effect<void, InvariantBroken> {
    return Effect.gen(this, function* () {
      const own = yield* Effect.orDie(this.#branchOf(feed))
      const may = own === undefined || this.isExposed ? this.branches : [own]
      for (const index of heldBy(feed)) {
        const block = yield* Effect.orDie(feed.get(index, { wait: false }))
        // A block beyond what is known of a history was appended, and its writer has not been heard of since.
        const isOf = ({ known }: Branch) =>
          index >= known.blocks.length || equals(known.blocks[index]!, block)
        if (!may.some(isOf)) return yield* this.host.broken("wrong", `block ${index} is of another history`)
      }
      if (!this.isExposed) yield* Effect.provideService(Invariants.isProvable(feed), Crypto, this.crypto)
    })
  }

  /** Looks at it: it keeps to its history. */
  see() {
    return Effect.gen(this, function* () {
      yield* this.host.see()
      const { feed } = this.host
      if (feed === undefined || this.host.station.isDown) return
      const branch = yield* Effect.orElseSucceed(this.#branchOf(feed), () => undefined)
      if (this.branch !== undefined && branch !== undefined && branch !== this.branch)
        return yield* this.host.broken("fork", `it went from history ${this.branch.name} to ${branch.name}`)
      this.branch ??= branch
    })
  }
}
