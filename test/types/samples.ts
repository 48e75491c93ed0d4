/** The samples of the documents: code between fences. */
import * as fs from "node:fs"
import * as path from "node:path"

export const root = path.resolve(import.meta.dirname, "../..")

export interface Sample {
  /** `README.md 1`, `docs/migration.md 3`. */
  readonly name: string
  /** What is written behind its fence: `ts`, `cts` (TypeScript that requires), `js` (CommonJS). */
  readonly language: "ts" | "cts" | "js"
  readonly code: string
  /** What it logs, as its comments say: `// prints: ...`. */
  readonly prints: ReadonlyArray<string>
}

const documents = ["README.md", ...fs.readdirSync(path.join(root, "docs")).map((name) => `docs/${name}`)]

export const samples: ReadonlyArray<Sample> = documents.flatMap((document) =>
  [...fs.readFileSync(path.join(root, document), "utf8").matchAll(/```(ts|cts|js)\n(.*?)```/gs)].map(
    ([, language, code], i) => ({
      name: `${document} ${i + 1}`,
      language: language as Sample["language"],
      code: code!,
      prints: [...code!.matchAll(/\/\/ prints: (.*)$/gm)].map(([, line]) => line!)
    })
  )
)

/** In the package, so that its packages are found. */
export const makeDirectory = (): string => {
  fs.mkdirSync(path.join(root, ".build"), { recursive: true })
  return fs.mkdtempSync(path.join(root, ".build", "samples-"))
}
