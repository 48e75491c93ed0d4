/** The documents' samples can be pasted: each is a module that compiles by itself. */
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { makeDirectory, root, samples } from "./samples.js"

const directory = Effect.acquireRelease(Effect.sync(makeDirectory), (name) =>
  Effect.sync(() => fs.rmSync(name, { recursive: true }))
)

const compile = (name: string): string => {
  const compiler = path.join(root, "node_modules/typescript/bin/tsc")
  try {
    return execFileSync(process.execPath, [compiler, "-p", name], { encoding: "utf8" })
  } catch (error) {
    return (error as { readonly stdout: string }).stdout
  }
}

/** Without types, CommonJS is only parsed; test/compat/samples.test.ts runs it. */
const extensionOf = { ts: "ts", cts: "cts", js: "cjs" }

it.scoped("compile", () =>
  Effect.gen(function* () {
    const name = yield* directory
    for (const document of ["README.md", "docs/migration.md"]) {
      expect(samples.filter((sample) => sample.name.startsWith(document)).length).toBeGreaterThanOrEqual(4)
    }
    for (const { code, language, name: of } of samples) {
      expect(code).not.toContain("yield *")
      fs.writeFileSync(path.join(name, `${of.replace(/\W/g, "_")}.${extensionOf[language]}`), code)
    }
    fs.writeFileSync(
      path.join(name, "tsconfig.json"),
      JSON.stringify({
        extends: "../../tsconfig.json",
        compilerOptions: { noUnusedLocals: false, allowJs: true },
        include: ["*"]
      })
    )
    expect(compile(name)).toBe("")
  })
)
