/** The README's samples can be pasted: each is a module that compiles by itself. */
import { Effect } from "effect"
import { expect, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"

const root = path.resolve(import.meta.dirname, "../..")
const samples = [...fs.readFileSync(path.join(root, "README.md"), "utf8").matchAll(/```ts\n(.*?)```/gs)].map(
  ([, code]) => code!
)

/** In the package, so that its packages are found. */
const directory = Effect.acquireRelease(
  Effect.sync(() => {
    fs.mkdirSync(path.join(root, ".build"), { recursive: true })
    return fs.mkdtempSync(path.join(root, ".build", "readme-"))
  }),
  (name) => Effect.sync(() => fs.rmSync(name, { recursive: true }))
)

const compile = (name: string): string => {
  const compiler = path.join(root, "node_modules/typescript/bin/tsc")
  try {
    return execFileSync(process.execPath, [compiler, "-p", name], { encoding: "utf8" })
  } catch (error) {
    return (error as { readonly stdout: string }).stdout
  }
}

it.scoped("compile", () =>
  Effect.gen(function* () {
    const name = yield* directory
    expect(samples.length).toBeGreaterThanOrEqual(4)
    for (const [i, code] of samples.entries()) {
      expect(code).not.toContain("yield *")
      fs.writeFileSync(path.join(name, `sample${i}.ts`), code)
    }
    fs.writeFileSync(
      path.join(name, "tsconfig.json"),
      JSON.stringify({
        extends: "../../tsconfig.json",
        compilerOptions: { noUnusedLocals: false },
        include: ["*.ts"]
      })
    )
    expect(compile(name)).toBe("")
  })
)
