/** The command with any words after it, as a process: it ends with one of its exit codes, and says why in a line, never in a stack. */
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import fc from "fast-check"
import { bundle, ended, start } from "../cli/commandProcess.js"
import { temporaryDirectory } from "../temporaryDirectory.js"

/** A process takes some tenths of a second. */
const RUNS = Number(process.env.FUZZ_COMMANDS ?? 12)

const verbs = fc.constantFrom("create", "append", "get", "cat", "info", "verify", "audit")

/** What would go on until it is interrupted goes nowhere: there is no such directory, and nobody listens. */
const endless = fc.constantFrom(
  ["serve", "missing"],
  ["tail", "missing"],
  ["clone", "f".repeat(64), "missing/../..", "--from", "127.0.0.1:1"]
)

const words = fc.oneof(
  fc.constantFrom(
    "log",
    "log/data",
    "other",
    "0",
    "1",
    "-1",
    "9007199254740993",
    "--",
    "-",
    "--lines",
    "--json"
  ),
  fc.constantFrom(
    "--start",
    "--end",
    "--key",
    "--secret-key-file",
    "--block-size",
    "--create",
    "--help",
    "--version"
  ),
  fc.constantFrom(
    "f".repeat(64),
    "64k",
    "1e9",
    "--end=5",
    "--start=x",
    "--log-level",
    "--completions",
    "log/key"
  ),
  fc.string({ maxLength: 12 }).filter((text) => !/[./\0]/.test(text))
)

const commandLine = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.tuple(verbs, fc.array(words, { maxLength: 4 })).map(([verb, all]) => [verb, ...all])
  },
  { weight: 1, arbitrary: endless },
  { weight: 1, arbitrary: fc.array(words, { maxLength: 3 }) }
)

it.scoped(
  "any command line",
  () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const command = yield* Effect.promise(() => bundle(directory))
      const run = async (args: ReadonlyArray<string>) => {
        const child = start(command, args, directory)
        child.stdin!.on("error", () => {}) // it does not read
        child.stdin!.end("a line\n")
        return ended(child)
      }
      yield* Effect.promise(() => run(["create", "log"]))
      yield* Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(commandLine, async (args) => {
            const { code, stderr } = await run(args)
            expect({ args, code, stderr, isCode: [0, 1, 2].includes(code ?? -1) }).toMatchObject({
              isCode: true
            })
            expect(stderr).not.toMatch(/^\s+at |Error:|undefined|\[object/m)
            if (code !== 0) expect(stderr).toMatch(/^hypercore: .+\n$/)
          }),
          { numRuns: RUNS }
        )
      )
    }),
  60_000 + 4000 * RUNS
)
