/**
 * A clock by which time passes only as work is done: what is counted (a read, a hash, a frame) takes the time that it is said to
 * take, the same in every run. It notes how much was done between two turns of the event loop, which `sleep(0)` is.
 */
import { Clock, Duration, Effect } from "effect"
import { vi } from "vitest"
import { Multiplexer } from "../../src/domain/Multiplexer.js"
import type { CryptoService } from "../../src/index.js"
import type { Instrument } from "../services/InstrumentedStorage.js"

/** Milliseconds: about what each takes where crypto is portable and files are slow. */
const COST = {
  decoding: 0.2,
  message: 0.02,
  sending: 0.01,
  step: 0.02,
  hash: 0.01,
  hashedByte: 1e-5,
  storedByte: 1e-6,
  node: 0.005,
  verify: 2
}

export class WorkClock implements Clock.Clock {
  readonly [Clock.ClockTypeId]: Clock.ClockTypeId = Clock.ClockTypeId
  /** Milliseconds of work, in all. */
  now = 0
  /** The most that was done between two turns. */
  longest = 0
  /** The hostile side's, whose work is not ours. */
  readonly others = new Set<Multiplexer>()
  #turnAt = 0

  spend(milliseconds: number): void {
    this.now += milliseconds
    this.longest = Math.max(this.longest, this.now - this.#turnAt)
  }

  unsafeCurrentTimeMillis(): number {
    return this.now
  }

  unsafeCurrentTimeNanos(): bigint {
    return BigInt(Math.floor(this.now * 1e6))
  }

  readonly currentTimeMillis = Effect.sync(() => this.unsafeCurrentTimeMillis())
  readonly currentTimeNanos = Effect.sync(() => this.unsafeCurrentTimeNanos())

  /** Nothing else that waits for time is ever woken. */
  sleep(duration: Duration.Duration): Effect.Effect<void> {
    if (Duration.toMillis(duration) > 0) return Effect.never
    return Effect.map(Effect.yieldNow(), () => {
      this.#turnAt = this.now
    })
  }

  readonly instrument: Instrument = ({ length }) => {
    this.spend(COST.step + COST.storedByte * length)
    return undefined
  }

  crypto(inner: CryptoService): CryptoService {
    return {
      ...inner,
      blake2b256: (parts, key) => {
        let size = 0
        for (const part of parts) size += part.length
        this.spend(COST.hash + COST.hashedByte * size)
        return inner.blake2b256(parts, key)
      },
      verify: (...args) => {
        this.spend(COST.verify)
        return inner.verify(...args)
      }
    }
  }

  /** Counts the messages that come and go, over all connections, until the scope closes. */
  readonly watchMessages = Effect.acquireRelease(
    Effect.sync(() => {
      // oxlint-disable-next-line typescript/unbound-method
      const { more, send } = Multiplexer.prototype
      const spend = (one: Multiplexer, milliseconds: number) => {
        if (!this.others.has(one)) this.spend(milliseconds)
      }
      return [
        vi.spyOn(Multiplexer.prototype, "more").mockImplementation(function (this: Multiplexer) {
          const events = more.call(this)
          spend(this, COST.decoding + COST.message * (events._tag === "Right" ? events.right.length : 0))
          return events
        }),
        vi.spyOn(Multiplexer.prototype, "send").mockImplementation(function (
          this: Multiplexer,
          ...args: Parameters<Multiplexer["send"]>
        ) {
          const [, message] = args
          spend(this, COST.sending + COST.node * (message._tag === "Data" ? message.nodes.length : 0))
          return send.apply(this, args)
        })
      ]
    }),
    (spies) => Effect.sync(() => spies.forEach((spy) => spy.mockRestore()))
  )
}
