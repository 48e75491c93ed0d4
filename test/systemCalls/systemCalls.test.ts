/**
 * System calls on a feed's files made to fail: some of each kind. `npm run faults` does it to each.
 * Where there is no `strace` it is skipped; the reason is in the test's name.
 */
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { temporaryDirectory } from "../temporaryDirectory.js"
import { bundleScript, ERRORS, type Injection, ROLES, run, whyNoStrace } from "./inject.js"

const why = whyNoStrace()

/**
 * Calls whose failure changes nothing that anybody was promised: a look for a file, a directory that is there all the same, a hole, the end of a
 * descriptor.
 */
const UNTOLD = new Set(["access", "mkdir", "fallocate", "close"])

/** Calls of each kind, at these parts of all. */
const injectionsOf = (
  calls: ReadonlyMap<string, number>,
  parts: ReadonlyArray<number>
): ReadonlyArray<Injection> =>
  [...calls].flatMap(([call, count]) =>
    [...new Set(parts.map((part) => Math.ceil(part * count)))].map((when, i) => ({
      call,
      when,
      error: ERRORS[i % 2]!
    }))
  )

/** A run takes some tenths of a second: what both do is tried with the author. */
const PARTS = { author: [0.3, 1], reader: [0.7] }

const about = why === undefined ? "" : ` (${why})`

for (const role of ROLES) {
  it.scoped.skipIf(why !== undefined)(`any one system call of ${role}'s fails${about}`, () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const script = yield* Effect.promise(() => bundleScript(directory))
      const inject = (injection?: Injection) =>
        Effect.promise(() => run(script, directory, "power", role, injection))
      const whole = yield* inject()
      expect(whole).toMatchObject({ isInjected: false, failures: 0, problems: [] })
      const injections = injectionsOf(whole.calls, PARTS[role])
      expect(injections.length).toBeGreaterThan(10)
      for (const injection of injections) {
        const { failures, isInjected, problems } = yield* inject(injection)
        expect({ injection, isInjected, problems }).toEqual({ injection, isInjected: true, problems: [] })
        // A bitfield is only a summary of what is signed: its last write may fail in silence.
        const mayBeSilent = UNTOLD.has(injection.call) || injection.call === "pwrite64"
        if (!mayBeSilent) expect(failures, JSON.stringify(injection)).toBeGreaterThan(0)
      }
    })
  )
}
