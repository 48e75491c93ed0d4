/**
 * The architecture as a test. Each rule looks through what TypeScript's parser says of the sources (test/reference/SourceCode)
 * and lists what breaks it; beside each is a source that does, so that a rule that sees nothing is seen.
 */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import { builtinModules } from "node:module"
import * as path from "node:path"
import { type Import, readSources, type Source } from "./reference/SourceCode.js"
import { temporaryDirectory } from "./temporaryDirectory.js"

const root = path.resolve(import.meta.dirname, "..")
const sources = readSources(root, "src")

type Rule = (sources: ReadonlyArray<Source>) => ReadonlyArray<string>

interface Target {
  readonly default: string
}
/** A file; or one, or one for each way of asking for it, with its types. */
type Entry = string | Target | { readonly import: Target; readonly require: Target }

const filesOf = (entry: Entry): ReadonlyArray<string> => {
  if (typeof entry === "string") return [entry]
  return "import" in entry ? [entry.import.default, entry.require.default] : [entry.default]
}

const PACKAGE = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8")) as {
  readonly exports: Record<string, Entry>
  readonly dependencies?: Record<string, string>
  readonly peerDependencies?: Record<string, string>
  readonly optionalDependencies?: Record<string, string>
}

/** What a user can import or run: the package's exports, and the command. */
const entryPoints: ReadonlyArray<string> = [
  ...Object.values(PACKAGE.exports)
    .flatMap(filesOf)
    .filter((file) => file.startsWith("./dist/"))
    .map((file) => file.replace("./dist/", "src/").replace(/js$/, "ts")),
  ...(fs.existsSync(path.join(root, "src/cli/main.ts")) ? ["src/cli/main.ts"] : [])
]

const folderOf = (file: string): string => (file.split("/").length === 2 ? "entry" : file.split("/")[1]!)
const packageOf = (specifier: string): string =>
  specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/")
const isNode = (specifier: string): boolean =>
  specifier.startsWith("node:") || builtinModules.includes(packageOf(specifier))

const eachImport = (
  all: ReadonlyArray<Source>,
  problem: (file: string, one: Import) => string | undefined
): ReadonlyArray<string> =>
  all.flatMap(({ file, imports }) =>
    imports.flatMap((one) => {
      const detail = problem(file, one)
      return detail === undefined ? [] : [`${file} imports ${one.specifier}: ${detail}`]
    })
  )

/** Folders of ours that a folder may import; an entry point and the command may import any of them. */
const MAY_IMPORT: Record<string, ReadonlyArray<string>> = {
  domain: ["domain"],
  services: ["services", "domain"],
  layers: ["layers", "services", "domain"],
  compat: ["compat", "layers", "entry"],
  testing: ["testing", "layers", "services", "domain"],
  cli: ["cli", "layers", "services", "domain", "entry"],
  entry: ["entry", "layers", "services", "domain", "compat", "testing"]
}

const direction: Rule = (all) =>
  eachImport(all, (file, { specifier, target }) => {
    if (!specifier.startsWith(".")) return undefined
    if (target === undefined) return "there is no such source"
    const folder = folderOf(file)
    if (target === "package.json") return folder === "cli" ? undefined : "only the command says its version"
    const allowed = MAY_IMPORT[folder] ?? []
    return allowed.includes(folderOf(target)) ? undefined : `${folder} may import ${allowed.join(", ")}`
  })

/** Values and types that need no runtime. */
const DOMAIN_MAY_USE = ["Brand", "Data", "Either", "Option", "ParseResult", "Schema", "Types"]

/** What the callback API is made of. */
const COMPAT_MAY_USE = new Set(["node:events", "node:stream"])

const packages: Rule = (all) =>
  eachImport(all, (file, { names, specifier }) => {
    if (specifier.startsWith(".")) return undefined
    const name = packageOf(specifier)
    switch (folderOf(file)) {
      case "domain": {
        const used = specifier === "effect" ? names : [specifier.replace("effect/", "")]
        if (name === "effect" && used.every((one) => DOMAIN_MAY_USE.includes(one))) return undefined
        return `domain may use ${DOMAIN_MAY_USE.join(", ")} of effect`
      }
      case "services":
        return ["effect", "@effect/platform"].includes(name)
          ? undefined
          : "services may use effect and @effect/platform"
      case "compat":
        if (COMPAT_MAY_USE.has(specifier)) return undefined
        return isNode(specifier) || /noble|sodium/.test(name) ? "only layers may use the platform" : undefined
      case "entry":
        if (file === "src/node.ts" || name === "effect") return undefined
        return "an entry point may use effect"
      default:
        return undefined
    }
  })

/** The command is bundled; everything else must find its packages where the package says they are. */
const declared: Rule = (all) => {
  const dependencies = {
    ...PACKAGE.dependencies,
    ...PACKAGE.peerDependencies,
    ...PACKAGE.optionalDependencies
  }
  return eachImport(all, (file, { specifier }) => {
    if (specifier.startsWith(".") || isNode(specifier) || folderOf(file) === "cli") return undefined
    return packageOf(specifier) in dependencies ? undefined : "it is no dependency of the package"
  })
}

/** What `start` reaches: for each source, the way to it. */
const reach = (all: ReadonlyArray<Source>, start: string, typesToo: boolean): Map<string, string> => {
  const byName = new Map(all.map((source) => [source.file, source]))
  const ways = new Map([[start, start]])
  for (const [file, way] of ways) {
    for (const { target, typeOnly } of byName.get(file)?.imports ?? []) {
      if (target === undefined || ways.has(target) || (typeOnly && !typesToo)) continue
      ways.set(target, `${way} > ${target}`)
    }
  }
  return ways
}

const portable: Rule = (all) => {
  const ways = reach(all, "src/index.ts", false)
  return all.flatMap(({ file, imports }) =>
    imports
      .filter(({ specifier, typeOnly }) => ways.has(file) && !typeOnly && isNode(specifier))
      .map(({ specifier }) => `${ways.get(file)} imports ${specifier}`)
  )
}

const alive: Rule = (all) => {
  const reached = new Set(entryPoints.flatMap((start) => [...reach(all, start, true).keys()]))
  return all.filter(({ file }) => !reached.has(file)).map(({ file }) => `no entry point reaches ${file}`)
}

const acyclic: Rule = (all) => {
  const byName = new Map(all.map((source) => [source.file, source]))
  const done = new Set<string>()
  const found: Array<string> = []
  const walk = (file: string, way: ReadonlyArray<string>): void => {
    if (way.includes(file)) found.push([...way.slice(way.indexOf(file)), file].join(" > "))
    if (way.includes(file) || done.has(file)) return
    for (const { target } of byName.get(file)?.imports ?? []) {
      if (target !== undefined) walk(target, [...way, file])
    }
    done.add(file)
  }
  for (const { file } of all) walk(file, [])
  return found
}

const baseName = (file: string): string => path.basename(file, ".ts")

const SAYS_NOTHING = /^(utils?|types?|common|helpers?|misc|shared|lib|core)$/i

const names: Rule = (all) =>
  all
    .filter(({ file }) => SAYS_NOTHING.test(baseName(file)))
    .map(({ file }) => `${file}: a name that says nothing`)

const MAX_FILE = 500
const MEDIAN_FILE = 120
const MAX_FUNCTION = 70

const fileSizes: Rule = (all) =>
  all.filter(({ lines }) => lines > MAX_FILE).map(({ file, lines }) => `${file} has ${lines} lines`)

const medianFile: Rule = (all) => {
  const sorted = all.map(({ lines }) => lines).sort((a, b) => a - b)
  const median = sorted[Math.floor(sorted.length / 2)] ?? 0
  return median > MEDIAN_FILE ? [`the median file has ${median} lines`] : []
}

const functionSizes: Rule = (all) =>
  all.flatMap(({ file, functions }) =>
    functions
      .filter(({ lines }) => lines > MAX_FUNCTION)
      .map(({ line, lines }) => `${file}:${line}: a function of ${lines} lines`)
  )

/** Time and chance come from a service, so that a seed replays a run. */
const NOT_REPLAYABLE =
  /^(Date\.now|new Date\(\)|Date|Math\.random|performance\.now|process\.hrtime|crypto\.(getRandomValues|randomUUID)|set(Timeout|Interval|Immediate)|queueMicrotask)$/

const replayable: Rule = (all) =>
  all
    .filter(({ file }) => ["domain", "services"].includes(folderOf(file)))
    .flatMap(({ file, globals }) =>
      globals
        .filter(({ name }) => NOT_REPLAYABLE.test(name))
        .map(({ line, name }) => `${file}:${line}: ${name}`)
    )

const source = (file: string, parts: Partial<Source> = {}): Source => ({
  file,
  lines: 10,
  imports: [],
  exports: [],
  functions: [],
  globals: [],
  ...parts
})

const importing = (file: string, ...specifiers: ReadonlyArray<string | Partial<Import>>): Source =>
  source(file, {
    imports: specifiers.map((one) => {
      const given: Partial<Import> = typeof one === "string" ? { specifier: one } : one
      const { names = ["*"], specifier = "./x.js", typeOnly = false } = given
      const named = path.posix.join(path.posix.dirname(file), specifier).replace(/\.js$/, ".ts")
      const target = "target" in given || !specifier.startsWith(".") ? given.target : named
      return { specifier, target, typeOnly, names }
    })
  })

/** Each rule, sources that break it, and in how many ways. */
const rules: ReadonlyArray<
  readonly [about: string, rule: Rule, broken: ReadonlyArray<Source>, ways: number]
> = [
  [
    "domain imports domain; services import domain; layers import both; nobody imports the command",
    direction,
    [
      importing("src/domain/A.ts", "../services/B.js", { specifier: "../layers/C.js", typeOnly: true }),
      importing("src/services/B.ts", "../layers/C.js", "../cli/main.js", "../index.js"),
      importing("src/services/feed/b.ts", "../../compat/D.js"),
      importing("src/layers/C.ts", "../compat/D.js"),
      importing("src/compat/D.ts", "../domain/A.js"),
      importing("src/index.ts", "./cli/main.js"),
      importing("src/domain/E.ts", { specifier: "./gone.js", target: undefined })
    ],
    10
  ],
  [
    "domain uses no runtime and no package but effect; services none but effect and @effect/platform",
    packages,
    [
      importing("src/domain/A.ts", { specifier: "effect", names: ["Either", "Effect"] }),
      importing("src/domain/B.ts", { specifier: "effect", names: ["*"] }),
      importing("src/domain/C.ts", "effect/Effect", "node:fs", "@noble/hashes/blake2.js", "@effect/platform"),
      importing("src/services/D.ts", "node:path", "sodium-native", "@effect/platform-node"),
      importing("src/index.ts", "node:fs", "@noble/ed25519"),
      importing("src/compat/E.ts", "node:events", "node:stream", "node:fs", "sodium-native")
    ],
    13
  ],
  [
    "what is imported is a dependency of the package",
    declared,
    [importing("src/layers/A.ts", "esbuild", "@effect/cli")],
    2
  ],
  [
    "nothing that src/index.ts reaches is Node's",
    portable,
    [
      importing("src/index.ts", "./layers/A.js", { specifier: "./layers/T.js", typeOnly: true }),
      importing("src/layers/A.ts", "./B.js"),
      importing("src/layers/B.ts", "node:fs", "path"),
      importing("src/layers/T.ts", "node:os")
    ],
    2
  ],
  [
    "every file is reached from an entry point",
    alive,
    [
      importing("src/index.ts", "./domain/A.js"),
      source("src/domain/A.ts"),
      importing("src/domain/B.ts", "./A.js")
    ],
    1
  ],
  [
    "no cycles, of types neither",
    acyclic,
    [
      importing("src/domain/A.ts", "./B.js"),
      importing("src/domain/B.ts", { specifier: "./C.js", typeOnly: true }),
      importing("src/domain/C.ts", "./A.js"),
      importing("src/domain/D.ts", "./D.js")
    ],
    2
  ],
  [
    "a file's name says what is in it",
    names,
    ["utils", "Types", "common", "helpers", "util"].map((name) => source(`src/domain/${name}.ts`)),
    5
  ],
  [`a file has at most ${MAX_FILE} lines`, fileSizes, [source("src/domain/A.ts", { lines: 501 })], 1],
  [
    `half of the files have at most ${MEDIAN_FILE} lines`,
    medianFile,
    [10, 121, 130].map((lines) => source("src/domain/A.ts", { lines })),
    1
  ],
  [
    `a function has at most ${MAX_FUNCTION} lines`,
    functionSizes,
    [source("src/domain/A.ts", { functions: [{ line: 3, lines: 71 }] })],
    1
  ],
  [
    "domain and services take time and chance from a service",
    replayable,
    ["Date.now", "new Date()", "Math.random", "setTimeout", "setImmediate"].map((name) =>
      source("src/services/feed/a.ts", { globals: [{ line: 1, name }] })
    ),
    5
  ]
]

describe("tidy", () => {
  it("there are sources, and entry points among them", () => {
    expect(sources.length).toBeGreaterThan(30)
    for (const entry of entryPoints) expect(sources.map(({ file }) => file)).toContain(entry)
    expect(entryPoints).toEqual(expect.arrayContaining(["src/index.ts", "src/node.ts"]))
  })

  for (const [about, rule, broken, ways] of rules) {
    it(about, () => {
      expect(rule(broken)).toHaveLength(ways)
      expect(rule(sources)).toEqual([])
    })
  }
})

it.scoped("what the parser says of a source", () =>
  Effect.gen(function* () {
    const directory = fs.realpathSync(yield* temporaryDirectory)
    fs.mkdirSync(path.join(directory, "src"))
    fs.writeFileSync(path.join(directory, "tsconfig.json"), '{ "include": ["src"] }')
    fs.writeFileSync(path.join(directory, "src/B.ts"), "export const b = 1\n")
    fs.writeFileSync(
      path.join(directory, "src/A.ts"),
      [
        'import type { T } from "./B.js"',
        'import d, { type U, v as w } from "effect"',
        'import * as fs from "node:fs"',
        'import "./gone.js"',
        'export * from "./B.js"',
        'export type { X } from "x"',
        "export const later = async (): Promise<unknown> => {",
        '  const lazy = await import("lazy")',
        "  return lazy",
        "}",
        'export type I = import("typed").I',
        "export class K {",
        "  get now() { return Date.now() + Math.random() }",
        "  m(): void {",
        "    globalThis.setTimeout(() => globalThis.crypto.randomUUID(), 1)",
        "    setTimeout(later, 1)",
        "    void new Date()",
        "    void new Date(5)",
        "  }",
        "}",
        ""
      ].join("\n")
    )
    const a = readSources(directory, "src").find(({ file }) => file === "src/A.ts")!
    expect(a.lines).toBe(20)
    expect(a.imports).toEqual([
      { specifier: "./B.js", target: "src/B.ts", typeOnly: true, names: ["T"] },
      { specifier: "effect", target: undefined, typeOnly: false, names: ["default", "U", "v"] },
      { specifier: "node:fs", target: undefined, typeOnly: false, names: ["*"] },
      { specifier: "./gone.js", target: undefined, typeOnly: false, names: [] },
      { specifier: "./B.js", target: "src/B.ts", typeOnly: false, names: ["*"] },
      { specifier: "x", target: undefined, typeOnly: true, names: ["*"] },
      { specifier: "lazy", target: undefined, typeOnly: false, names: ["*"] },
      { specifier: "typed", target: undefined, typeOnly: true, names: ["*"] }
    ])
    expect(a.exports).toEqual(["later", "I", "K"])
    expect(a.functions).toEqual([
      { line: 7, lines: 4 },
      { line: 13, lines: 1 },
      { line: 14, lines: 6 },
      { line: 15, lines: 1 }
    ])
    const used = a.globals.map(({ line, name }) => `${line} ${name}`)
    for (const name of [
      "13 Date.now",
      "13 Math.random",
      "15 crypto.randomUUID",
      "15 globalThis.setTimeout",
      "16 setTimeout",
      "17 new Date()",
      "18 new Date(...)"
    ]) {
      expect(used).toContain(name)
    }
  })
)
