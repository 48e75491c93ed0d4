/** The `hypercore` command. `scripts/build.mjs` bundles it into one file, which starts three times as fast. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect, Exit } from "effect"
import * as CommandLine from "./CommandLine.js"
import { report } from "./Failure.js"
import * as StandardError from "./StandardError.js"

const SIGNALS = { SIGINT: 2, SIGTERM: 15 } as const

/** What ended us, as shells count it. */
let signal = 0
for (const [name, number] of Object.entries(SIGNALS)) {
  process.once(name, () => {
    signal = number
  })
}

let exitCode = 0

const main = CommandLine.run(process.argv).pipe(
  Effect.catchAllCause((cause) => {
    if (signal !== 0) return Effect.interrupt
    const { exitCode: code, message } = report(cause)
    exitCode = code
    return message === "" ? Effect.void : StandardError.complain(message)
  })
)

NodeRuntime.runMain(main, {
  disableErrorReporting: true,
  disablePrettyLogger: true,
  teardown: (exit, onExit) => onExit(Exit.isSuccess(exit) ? exitCode : 128 + signal)
})
