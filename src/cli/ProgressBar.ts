/** A line on the terminal that shows how far a long command is. It is never written into a pipe or a file. */
import * as Options from "@effect/cli/Options"
import { SingleBar } from "cli-progress"
import { Clock, Effect, Option, type Scope } from "effect"

export interface ProgressBar {
  /** Work done so far, in the unit of the whole, which may be known only now or have grown. */
  readonly update: (done: number, whole?: number) => Effect.Effect<void>
}

export interface ProgressBarOptions {
  readonly hidden: boolean
  /** Without it there is no bar, only what `describe` says. */
  readonly whole: Option.Option<number>
  /** Done before we began. Default 0. */
  readonly before?: number
  /** Says what is `done`, of how much, at what rate a second; `seconds` since we began. */
  readonly describe: (done: number, rate: number, seconds: number) => string
}

/** `--no-progress` */
export const noProgress = Options.boolean("no-progress").pipe(
  Options.withDescription("Show no progress bar. (None is shown either when standard error is no terminal.)")
)

const hiddenBar: ProgressBar = { update: () => Effect.void }

/** Shows the bar until the scope closes; then its line is cleared, so that only the result stays. */
export const make = (options: ProgressBarOptions): Effect.Effect<ProgressBar, never, Scope.Scope> =>
  options.hidden || !process.stderr.isTTY
    ? Effect.succeed(hiddenBar)
    : Effect.gen(function* () {
        const start = yield* Clock.currentTimeMillis
        const bar = yield* Effect.acquireRelease(
          Effect.sync(() => show(options)),
          (bar) => Effect.sync(() => bar.stop())
        )
        return {
          update: (done, whole) =>
            Effect.map(Clock.currentTimeMillis, (now) => {
              const seconds = Math.max(now - start, 1) / 1000
              const rate = (done - (options.before ?? 0)) / seconds
              if (whole !== undefined) bar.setTotal(whole)
              bar.update(done, { detail: options.describe(done, rate, seconds) })
            })
        }
      })

const show = ({ before = 0, describe, whole }: ProgressBarOptions): SingleBar => {
  const bar = new SingleBar({
    format: Option.isSome(whole) ? "{bar} {percentage}%  {detail}  {eta_formatted} left" : "{detail}",
    barsize: 30,
    barCompleteChar: "█",
    barIncompleteChar: "░",
    stream: process.stderr,
    clearOnComplete: true
  })
  bar.start(
    Option.getOrElse(whole, () => 0),
    before,
    { detail: describe(before, 0, 0) }
  )
  return bar
}
