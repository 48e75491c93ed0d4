/** One of two histories that a key signs: who signs it, and what is known of it. */
import { Effect } from "effect"
import { toHex } from "../../src/domain/Bytes.js"
import { Crypto, type CryptoService, type Feed, type KeyPair } from "../../src/index.js"
import * as Invariants from "../../src/testing/Invariants.js"
import { InvariantBroken, KnownLog } from "../../src/testing/KnownLog.js"
import type { NetHost } from "./NetHost.js"

type Step = Effect.Effect<void, InvariantBroken>

export class Branch {
  readonly known = new KnownLog()
  /** Signatures that its writer made. */
  readonly made = new Set<string>()
  readonly crypto: CryptoService
  /** Who writes it; there as soon as it is made. */
  writer!: NetHost

  constructor(
    readonly name: string,
    readonly keys: KeyPair,
    crypto: CryptoService
  ) {
    this.crypto = {
      ...crypto,
      sign: (message, secretKey) =>
        Effect.tap(crypto.sign(message, secretKey), (signature) =>
          Effect.sync(() => this.made.add(toHex(signature)))
        )
    }
  }

  /** What must hold of the writer's feed; `isNow`: as it is now. */
  check(feed: Feed.Feed, isNow: boolean): Step {
    return Effect.zipRight(
      isNow ? Invariants.keepsPromises(feed, this.known) : Effect.void,
      Effect.provideService(Invariants.isProvable(feed), Crypto, this.crypto)
    )
  }

  /** The writer was opened again: what it has of appends that nobody was told of is known now. */
  settle(feed: Feed.Feed): Step {
    return Effect.map(Invariants.keepsPromises(feed, this.known), (more) => this.known.settle(more))
  }

  /** Blocks that no other branch has. */
  append(count: number): Step {
    return Effect.gen(this, function* () {
      const { writer } = this
      const { feed } = writer
      if (feed === undefined || writer.station.isDown) return
      const batch = Array.from({ length: count }, (_, i) =>
        new TextEncoder().encode(`${this.name} ${feed.length + i} ${"-".repeat(writer.random.below(60))}`)
      )
      const { crashes } = writer.options.machine.counts
      const hasForked = feed.fork !== undefined
      writer.note(`appends ${count} at ${feed.length}`)
      writer.options.counts.appends++
      const exit = yield* Effect.either(feed.appendBatch(batch))
      if (writer.options.machine.counts.crashes > crashes) return this.known.attempted([batch])
      if (exit._tag === "Right") {
        if (hasForked) return yield* writer.broken("fork", "it appends, and knows of another history")
        this.known.appended(exit.right, batch)
        writer.options.counts.blocks += count
        return
      }
      const { _tag: tag, message } = exit.left
      writer.note(`failed: ${message}`)
      if (tag === "ForkDetected" && feed.fork !== undefined) return
      if (tag === "StaleWriter" && !hasForked) return
      if (tag !== "StorageError") return yield* writer.broken("stuck", message)
      this.known.attempted([batch])
    })
  }
}
