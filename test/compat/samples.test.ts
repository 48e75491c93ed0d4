/** The documents' samples that say what they print do print it. They are run as modules of the sources. */
import * as fs from "node:fs"
import * as path from "node:path"
import { format } from "node:util"
import { afterEach, beforeEach, expect, it, vi } from "vitest"
import { makeDirectory, root, type Sample, samples } from "../types/samples.js"

const sources: Record<string, string> = {
  "effect-hypercore": "src/index.ts",
  "effect-hypercore/node": "src/node.ts",
  "effect-hypercore/compat": "src/compat/index.ts",
  "effect-hypercore/testing": "src/testing.ts"
}

/** With the packages' sources in the place of the package, and `require` as an import of what that gives. */
const toModule = ({ code }: Sample): string =>
  code
    .replace(/(?:const|import) (\w+) = require\(("[^"]+")\)/g, "import $1 from $2")
    .replace(
      /from "(effect-hypercore[^"]*)"/g,
      (_, name: string) => `from ${JSON.stringify(path.join(root, sources[name]!))}`
    )

let directory = ""
let before = ""

beforeEach(() => {
  directory = makeDirectory()
  before = process.cwd()
  // Where the samples' directories are made.
  process.chdir(directory)
})

afterEach(() => {
  vi.restoreAllMocks()
  process.chdir(before)
  fs.rmSync(directory, { recursive: true, force: true })
})

const printing = samples.filter(({ prints }) => prints.length > 0)

it("there are some", () => {
  expect(printing.length).toBeGreaterThanOrEqual(6)
})

it.each(printing.map((sample) => [sample.name, sample] as const))("%s", async (_, sample) => {
  const file = path.join(directory, "sample.ts")
  fs.writeFileSync(file, toModule(sample))
  const lines: Array<string> = []
  const all = new Promise((resolve) => {
    vi.spyOn(console, "log").mockImplementation((...values) => {
      if (lines.push(format(...(values as [unknown]))) === sample.prints.length) resolve(undefined)
    })
  })
  await import(file)
  await all
  expect(lines).toEqual(sample.prints)
})
