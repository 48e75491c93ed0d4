/** The command line as a whole: its commands, and what stands around them. */
import * as CliConfig from "@effect/cli/CliConfig"
import * as Command from "@effect/cli/Command"
import * as ValidationError from "@effect/cli/ValidationError"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as NodeTerminal from "@effect/platform-node/NodeTerminal"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Terminal from "@effect/platform/Terminal"
import { Console, Context, Effect, Layer, Logger, identity } from "effect"
import { stripVTControlCharacters } from "node:util"
import manifest from "../../package.json" with { type: "json" }
import * as append from "./commands/append.js"
import * as audit from "./commands/audit.js"
import * as backup from "./commands/backup.js"
import * as cat from "./commands/cat.js"
import * as clone from "./commands/clone.js"
import * as create from "./commands/create.js"
import * as get from "./commands/get.js"
import * as info from "./commands/info.js"
import * as repair from "./commands/repair.js"
import * as restore from "./commands/restore.js"
import * as serve from "./commands/serve.js"
import * as tail from "./commands/tail.js"
import * as verify from "./commands/verify.js"
import * as BuiltInOption from "./BuiltInOption.js"
import { misused } from "./Failure.js"
import * as HelpPage from "./HelpPage.js"
import { shieldFlags } from "./Operand.js"
import * as StandardOutput from "./StandardOutput.js"

const DESCRIPTION =
  "A feed is an append-only log of blocks in a directory, signed by its key: whoever has the key can check every block. The " +
  "files are those of hypercore 6 and 7."

const EXAMPLES = [
  "hypercore create log",
  "hypercore append --lines log notes.txt",
  "hypercore cat --lines log",
  "hypercore info log"
]

const hypercore = Command.make("hypercore").pipe(
  Command.withDescription(DESCRIPTION),
  Command.withSubcommands([
    create.create,
    append.append,
    get.get,
    cat.cat,
    info.info,
    verify.verify,
    audit.audit,
    repair.repair,
    backup.backup,
    restore.restore,
    serve.serve,
    clone.clone,
    tail.tail
  ])
)

const PAGES = [
  HelpPage.make(create.create, create.examples),
  HelpPage.make(append.append, append.examples),
  HelpPage.make(get.get, get.examples),
  HelpPage.make(cat.cat, cat.examples),
  HelpPage.make(info.info, info.examples),
  HelpPage.make(verify.verify, verify.examples),
  HelpPage.make(audit.audit, audit.examples),
  HelpPage.make(repair.repair, repair.examples),
  HelpPage.make(backup.backup, backup.examples),
  HelpPage.make(restore.restore, restore.examples),
  HelpPage.make(serve.serve, serve.examples),
  HelpPage.make(clone.clone, clone.examples),
  HelpPage.make(tail.tail, tail.examples)
]

/** The options without a value, of all commands. */
const FLAGS = new Set([
  "--lines",
  "--create",
  "--durable",
  "--no-progress",
  "--json",
  "--read-only",
  "--dry-run",
  "--as-reader",
  "--with-secret-key",
  "--live"
])

const parseAndRun = Command.run(hypercore, {
  name: "hypercore",
  version: manifest.version,
  executable: "hypercore"
})

/**
 * @effect/cli writes to a terminal, in colours, what may go into a pipe. What it says of a wrong call is left out here, because
 * it comes back as the failure too and is reported once, as any other.
 */
const withOwnConsole =
  (edit: (text: string) => string) =>
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Console.consoleWith((console) =>
      Effect.withConsole(self, {
        ...console,
        log: (text: unknown) =>
          Effect.ignore(StandardOutput.write(`${edit(stripVTControlCharacters(String(text)).trimEnd())}\n`)),
        error: () => Effect.void
      })
    )

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

const onTerminal = <A, E, R>(use: (terminal: Terminal.Terminal) => Effect.Effect<A, E, R>) =>
  Effect.flatMap(NodeTerminal.make(), use)

/**
 * @effect/cli wants one to ask questions on, which no command does. Node's takes hold of standard input when it is made, and so makes a pipe
 * non-blocking for every process that shares it: it is made when something is asked.
 */
const terminal = Layer.succeed(
  Terminal.Terminal,
  Terminal.Terminal.of({
    columns: Effect.scoped(onTerminal(({ columns }) => columns)),
    rows: Effect.scoped(onTerminal(({ rows }) => rows)),
    isTTY: Effect.scoped(onTerminal(({ isTTY }) => isTTY)),
    readInput: onTerminal(({ readInput }) => readInput),
    readLine: Effect.scoped(onTerminal(({ readLine }) => readLine)),
    display: (text) => Effect.scoped(onTerminal(({ display }) => display(text)))
  })
)

const environment = Layer.mergeAll(
  fileSystem,
  NodePath.layer,
  terminal,
  logger,
  CliConfig.layer({ isCaseSensitive: true, showBuiltIns: false })
)

/** Runs the command that `argv` (as in `process.argv`) calls. */
export const run = (argv: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    yield* StandardOutput.silenceStreamErrors
    const args = argv.slice(2)
    const page = HelpPage.requested(args, PAGES)
    if (page === "all") {
      return yield* StandardOutput.write(`${HelpPage.ofAll(DESCRIPTION, PAGES, EXAMPLES)}\n`)
    }
    if (page !== "none") return yield* StandardOutput.write(`${HelpPage.ofCommand(page)}\n`)
    const problem = BuiltInOption.problem(args)
    if (problem !== undefined) return yield* misused(problem)
    yield* parseAndRun([...argv.slice(0, 2), ...shieldFlags(args, FLAGS)]).pipe(
      withOwnConsole(BuiltInOption.asksForCompletions(args) ? BuiltInOption.offerable : identity),
      Effect.catchIf(isUnknownCommand, () => misused(unknownCommand(args)))
    )
  }).pipe(Effect.provide(environment))

const isUnknownCommand = (error: unknown): boolean =>
  ValidationError.isValidationError(error) && ValidationError.isCommandMismatch(error)

const unknownCommand = (args: ReadonlyArray<string>): string => {
  const known = `the commands are ${PAGES.map((page) => page.name).join(", ")}`
  const [first] = args
  return first?.startsWith("-")
    ? `unknown option '${first}'; ${known}`
    : `unknown command '${first}'; ${known}`
}
