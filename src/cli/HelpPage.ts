/**
 * The help texts, from what @effect/cli knows of each command, set as a page that fits a terminal: it renders two blank lines
 * around every word of its own, and spells out that a flag is "a true or false value".
 */
import * as Command from "@effect/cli/Command"
import * as CliConfig from "@effect/cli/CliConfig"
import * as HelpDoc from "@effect/cli/HelpDoc"
import { stripVTControlCharacters } from "node:util"
import { ownArguments } from "./Operand.js"

export interface Page {
  readonly name: string
  readonly help: HelpDoc.HelpDoc
  readonly examples: ReadonlyArray<string>
}

export const make = <Name extends string, R, E, A>(
  command: Command.Command<Name, R, E, A>,
  examples: ReadonlyArray<string>
): Page => ({
  name: [...Command.getNames(command)][0]!,
  help: Command.getHelp(command, CliConfig.make({ showBuiltIns: false })),
  examples
})

const WIDTH = 80
const NAME_WIDTH = 26

type Row = readonly [name: string, text: string]

const plain = (doc: HelpDoc.HelpDoc): string =>
  stripVTControlCharacters(HelpDoc.toAnsiText(doc)).replace(/\s+/g, " ").trim()

const flatten = (doc: HelpDoc.HelpDoc): ReadonlyArray<HelpDoc.HelpDoc> => {
  if (doc._tag === "Empty") return []
  return doc._tag === "Sequence" ? [...flatten(doc.left), ...flatten(doc.right)] : [doc]
}

const wrap = (text: string, width: number): Array<string> => {
  const lines = [""]
  for (const word of text.split(" ")) {
    const last = lines.at(-1)!
    if (last === "") lines[lines.length - 1] = word
    else if (last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines
}

const toRows = (rows: ReadonlyArray<Row>): Array<string> =>
  rows.flatMap(([name, text]) => {
    const [first, ...rest] = wrap(text, WIDTH - NAME_WIDTH - 2)
    const indented = rest.map((line) => " ".repeat(NAME_WIDTH + 2) + line)
    return name.length < NAME_WIDTH - 1
      ? [`  ${name.padEnd(NAME_WIDTH)}${first}`, ...indented]
      : [`  ${name}`, " ".repeat(NAME_WIDTH + 2) + first, ...indented]
  })

/** Said of every option by @effect/cli, and true of all of ours. */
const OBVIOUS = "This setting is optional."
const REPEATED = "This argument may be repeated zero or more times."
const REPEATED_ONCE = "This argument must be repeated at least 1 times."
const UNSAID = new Set([OBVIOUS, REPEATED, REPEATED_ONCE])

interface Described {
  readonly description: string
  readonly arguments: ReadonlyArray<Row>
  readonly options: ReadonlyArray<Row>
}

const describe = ({ help }: Page): Described => {
  const described = { description: "", arguments: [] as Array<Row>, options: [] as Array<Row> }
  for (const doc of flatten(help)) {
    if (doc._tag === "Paragraph") described.description = plain(doc)
    if (doc._tag !== "DescriptionList") continue
    for (const [span, definition] of doc.definitions) {
      const name = plain(HelpDoc.p(span)).replace(" 1+", "...")
      // The first paragraph is the type of the value.
      const texts = flatten(definition).slice(1).map(plain)
      const shown = texts.includes(REPEATED) ? `[${name}]` : name
      const text = texts.filter((text) => !UNSAID.has(text)).join(" ")
      described[name.startsWith("-") ? "options" : "arguments"].push([shown, text])
    }
  }
  return described
}

const firstSentence = (text: string): string => text.slice(0, text.indexOf(". ") + 1) || text

const section = (title: string, lines: ReadonlyArray<string>): Array<string> =>
  lines.length === 0 ? [] : ["", `${title}:`, ...lines]

const toExamples = (examples: ReadonlyArray<string>): Array<string> =>
  section(
    examples.length === 1 ? "Example" : "Examples",
    examples.map((line) => `  ${line}`)
  )

const operands = (described: Described): string => described.arguments.map(([name]) => name).join(" ")

/** The help of one command. */
export const ofCommand = (page: Page): string => {
  const described = describe(page)
  const options = described.options.length === 0 ? "" : "[options] "
  return [
    `Usage: hypercore ${page.name} ${options}${operands(described)}`,
    "",
    ...wrap(described.description, WIDTH),
    ...section("Arguments", toRows(described.arguments)),
    ...section("Options", toRows(described.options)),
    ...toExamples(page.examples)
  ].join("\n")
}

const BUILT_IN: ReadonlyArray<Row> = [
  ["--help, -h", "Show this, or the help of a command: hypercore cat --help"],
  ["--version", "Show the version."],
  ["--completions <shell>", "Print a completion script for bash, fish or zsh."],
  ["--log-level <level>", "Log to standard error; 'debug' tells which crypto is used."]
]

/** The help of all. */
export const ofAll = (
  description: string,
  pages: ReadonlyArray<Page>,
  examples: ReadonlyArray<string>
): string =>
  [
    "Usage: hypercore <command> [options] <dir> ...",
    "",
    ...wrap(description, WIDTH),
    ...section(
      "Commands",
      toRows(
        pages.map((page) => {
          const described = describe(page)
          return [`${page.name} ${operands(described)}`, firstSentence(described.description)]
        })
      )
    ),
    ...section("Options", toRows(BUILT_IN)),
    ...toExamples(examples)
  ].join("\n")

/** The command whose help `args` ask for, "all" of it, or none. */
export const requested = (args: ReadonlyArray<string>, pages: ReadonlyArray<Page>): Page | "all" | "none" => {
  const [named, ...rest] = ownArguments(args)
  const asked = named === undefined || named === "help" || [named, ...rest].some(isHelpOption)
  if (!asked) return "none"
  const name = [named, ...rest].find((arg) => arg !== "help" && arg?.startsWith("-") === false)
  return pages.find((page) => page.name === name) ?? "all"
}

const isHelpOption = (arg: string): boolean => arg === "--help" || arg === "-h"
