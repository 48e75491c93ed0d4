// Runs an example as a user of the package would: against the built package, by its name.
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
