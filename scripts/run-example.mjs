// Runs a program in TypeScript, from the root of the repository: an example, which imports the built package by its name as a user would, or
// one of the tests' own.
import { build } from "esbuild"
import { execFileSync } from "node:child_process"
import { basename } from "node:path"

const [example, ...args] = process.argv.slice(2)
const outfile = `.build/${basename(example, ".ts")}.mjs`
await build({
  entryPoints: [example],
  outfile,
  bundle: true,
  platform: "node",
  format: "esm",
  packages: "external",
  logLevel: "warning"
})
try {
  execFileSync(process.execPath, [outfile, ...args], { stdio: "inherit" })
} catch (error) {
  process.exitCode = error.status ?? 1
}
