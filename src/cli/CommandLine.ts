/** The command line as a whole: its commands, and what stands around them. */
import * as CliConfig from "@effect/cli/CliConfig"
import * as Command from "@effect/cli/Command"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as NodeTerminal from "@effect/platform-node/NodeTerminal"
import * as FileSystem from "@effect/platform/FileSystem"
import { Console, Context, Effect, Layer, Logger } from "effect"
import { stripVTControlCharacters } from "node:util"
import manifest from "../../package.json" with { type: "json" }
import { append } from "./commands/append.js"
import { audit } from "./commands/audit.js"
import { cat } from "./commands/cat.js"
import { create } from "./commands/create.js"
import { get } from "./commands/get.js"
import { info } from "./commands/info.js"
import { verify } from "./commands/verify.js"
import { shieldFlags } from "./Operand.js"
import * as StandardOutput from "./StandardOutput.js"

const description = HelpDoc.p("Signed append-only logs in directories: make, fill, read and check them.")

const hypercore = Command.make("hypercore").pipe(
  Command.withDescription(description),
  Command.withSubcommands([create, append, get, cat, info, verify, audit])
)

const FLAGS = new Set(["--lines", "--create", "--durable", "--no-progress", "--json", "--read-only"])

const parseAndRun = Command.run(hypercore, {
  name: "hypercore",
  version: manifest.version,
  executable: "hypercore"
})

/**
 * Help goes to standard output, in colour only on a terminal. What @effect/cli says of a wrong call is left out here, because
 * it comes back as the failure too and is reported once, as any other.
 */
const withOwnConsole = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Console.consoleWith((console) =>
    Effect.withConsole(self, {
      ...console,
      log: (text: unknown) => Effect.ignore(StandardOutput.write(`${plainUnlessTerminal(String(text))}\n`)),
      error: () => Effect.void
    })
  )

const plainUnlessTerminal = (text: string): string =>
  process.stdout.isTTY && process.env["NO_COLOR"] === undefined ? text : stripVTControlCharacters(text)

/** Logs (`--log-level debug`) go to standard error: standard output belongs to the blocks. */
const logger = Logger.replace(
  Logger.defaultLogger,
  Logger.map(Logger.logfmtLogger, (line) => {
    process.stderr.write(`${line}\n`)
  })
)

/** @effect/cli looks whether paths exist, and dies of some that it cannot look at. The commands find out themselves. */
const fileSystem = Layer.map(NodeFileSystem.layer, (context) =>
  Context.add(context, FileSystem.FileSystem, {
    ...Context.get(context, FileSystem.FileSystem),
    exists: () => Effect.succeed(false)
  })
)

const environment = Layer.mergeAll(
  fileSystem,
  NodePath.layer,
  NodeTerminal.layer,
  logger,
  CliConfig.layer({ isCaseSensitive: true, showBuiltIns: false })
)

/** Runs the command that `argv` (as in `process.argv`) calls. */
export const run = (argv: ReadonlyArray<string>) =>
  StandardOutput.silenceStreamErrors.pipe(
    Effect.zipRight(parseAndRun([...argv.slice(0, 2), ...shieldFlags(argv.slice(2), FLAGS)])),
    withOwnConsole,
    Effect.provide(environment)
  )
