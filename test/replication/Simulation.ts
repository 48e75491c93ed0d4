/**
 * Simulated time: a clock and a scheduler in one. When no fiber can go on, time passes, at once, until the next that sleeps can.
 *
 * Effect's TestClock finds out that nothing can go on by waiting for real timers, some 4 ms a step; the runs here take tens of
 * thousands of steps. The scheduler knows. It also hands out the turns in an order of its own, so that the same seed gives the same
 * run, and it tells what is left: sleeps that nobody ended, a run that cannot end.
 *
 * What runs in it must not wait for anything real (files, promises): time would not stand still for it.
 */
import {
  Cause,
  Clock,
  Duration,
  Effect,
  Exit,
  type Fiber,
  LogLevel,
  Logger,
  Scheduler,
  Supervisor
} from "effect"
import { Random } from "../../src/domain/Random.js"

export interface SimulationOptions {
  readonly seed: number
  /** Of a fiber's losing its turn at any operation. Default 0; above a tenth nothing gets done. */
  readonly yielding?: number
  /** Milliseconds of simulated time that it may take. Default: three hours. */
  readonly limit?: number
}

interface Sleeper {
  readonly at: number
  readonly wake: () => void
}

const REAL_TURN = 2000

/** Every fiber that can go on does so. */
const quiet = Effect.repeatN(Effect.yieldNow(), 100)

/** What is looked at of a fiber of Effect's. */
interface Insides {
  readonly _children: ReadonlySet<Insides> | null
  readonly _running: boolean
  readonly _asyncBlockingOn: unknown
  readonly _stack: ReadonlyArray<unknown>
  readonly _queue: ReadonlyArray<unknown>
  readonly unsafePoll: () => unknown
}

const isUnstarted = (fiber: Insides): boolean =>
  !fiber._running &&
  fiber._asyncBlockingOn === null &&
  fiber._stack.length + fiber._queue.length === 0 &&
  fiber.unsafePoll() === null

/**
 * Whether a fiber has made others that it has not started. A race of Effect 3's is made in two operations: a fiber that loses its turn between them, and is
 * interrupted then, waits for ever for those that never began.
 */
const isStarting = (fiber: unknown): boolean => [...((fiber as Insides)._children ?? [])].some(isUnstarted)

export class Simulation extends Scheduler.MixedScheduler implements Clock.Clock {
  readonly [Clock.ClockTypeId]: Clock.ClockTypeId = Clock.ClockTypeId
  now = 0
  /** Turns that were given to fibers, in all. */
  turns = 0
  readonly #random: Random
  readonly #yielding: number
  readonly #limit: number
  #tasks: Array<() => void> = []
  /** Next last; of two at one time, the one that came first. */
  readonly #sleepers: Array<Sleeper> = []
  #running = false
  #stalled: ((why: Error) => void) | undefined

  constructor(options: SimulationOptions) {
    super(2048)
    this.#random = new Random(options.seed)
    this.#yielding = options.yielding ?? 0
    this.#limit = options.limit ?? 3 * 3600 * 1000
  }

  /** Fibers that sleep. */
  get sleeping(): number {
    return this.#sleepers.length
  }

  override shouldYield(fiber: Fiber.RuntimeFiber<unknown, unknown>): number | false {
    if (this.#yielding > 0 && this.#random.next() < this.#yielding && !isStarting(fiber)) return 0
    return super.shouldYield(fiber)
  }

  override scheduleTask(task: () => void): void {
    this.#tasks.push(task)
    if (this.#running) return
    this.#running = true
    setImmediate(this.#run)
  }

  unsafeCurrentTimeMillis(): number {
    return this.now
  }

  unsafeCurrentTimeNanos(): bigint {
    return BigInt(Math.floor(this.now * 1e6))
  }

  readonly currentTimeMillis: Effect.Effect<number> = Effect.sync(() => this.unsafeCurrentTimeMillis())
  readonly currentTimeNanos: Effect.Effect<bigint> = Effect.sync(() => this.unsafeCurrentTimeNanos())

  /** The clean-up stands around the wait: `Effect.async` loses its own when it loses its turn right after it began. */
  sleep(duration: Duration.Duration): Effect.Effect<void> {
    return Effect.suspend(() => {
      let sleeper: Sleeper | undefined
      const slept = Effect.async<void>((resume) => {
        sleeper = { at: this.now + Duration.toMillis(duration), wake: () => resume(Effect.void) }
        let place = this.#sleepers.length
        while (place > 0 && this.#sleepers[place - 1]!.at <= sleeper.at) place--
        this.#sleepers.splice(place, 0, sleeper)
      })
      return Effect.onInterrupt(slept, () =>
        Effect.sync(() => {
          const found = sleeper === undefined ? -1 : this.#sleepers.indexOf(sleeper)
          if (found >= 0) this.#sleepers.splice(found, 1)
        })
      )
    })
  }

  readonly #run = (): void => {
    const until = this.turns + REAL_TURN
    while (true) {
      const tasks = this.#tasks
      this.#tasks = []
      for (const task of tasks) task()
      this.turns += tasks.length
      if (this.#tasks.length === 0 && !this.#pass()) return
      // The real world has its turn too, so that a test that takes too long is stopped.
      if (this.turns > until) return void setImmediate(this.#run)
    }
  }

  /** Lets time pass until somebody can go on; false when nobody will. */
  #pass(): boolean {
    const next = this.#sleepers.pop()
    if (next !== undefined && next.at <= this.#limit) {
      this.now = next.at
      next.wake()
      return true
    }
    this.#running = false
    this.#stalled?.(
      new Error(
        `${next === undefined ? "nothing can go on" : "it goes on and on"}: not ended after ${this.now} ms`
      )
    )
    return false
  }

  /** As `run`; fails when fibers or sleeps are left of it. */
  runWhole<A, E>(effect: Effect.Effect<A, E>): Promise<A> {
    return this.run(
      Effect.gen(this, function* () {
        const fibers = yield* Supervisor.track
        const value = yield* Effect.supervised(
          Effect.tap(effect, () => this.#settle),
          fibers
        )
        const left = (yield* fibers.value).filter((fiber) => fiber.unsafePoll() === null)
        if (left.length > 0) yield* Effect.dieMessage(`${left.length} fibers are left`)
        if (this.sleeping > 0) yield* Effect.dieMessage(`${this.sleeping} fibers still sleep`)
        return value
      })
    )
  }

  /** Fibers that were told to end, without anybody's waiting for it, do so; who watched for the event loop's turn hears of it, twice. */
  readonly #settle = Effect.gen(function* () {
    yield* quiet
    yield* Effect.sleep(0)
    yield* quiet
    yield* Effect.sleep(0)
    yield* quiet
  })

  /** Runs `effect` in simulated time, without a log. */
  run<A, E>(effect: Effect.Effect<A, E>): Promise<A> {
    return new Promise<A>((resolve, reject) => {
      this.#stalled = reject
      const fiber = Effect.runFork(
        // A fiber begins without a turn; the first turn is what makes time pass.
        Effect.zipRight(Effect.yieldNow(), effect).pipe(
          Effect.withClock(this),
          Logger.withMinimumLogLevel(LogLevel.None)
        ),
        { scheduler: this }
      )
      fiber.addObserver((exit) => {
        this.#stalled = undefined
        if (Exit.isSuccess(exit)) resolve(exit.value)
        else reject(Cause.squash(exit.cause))
      })
    })
  }
}
