// Runs test/campaign, which is TypeScript, with the arguments given.
import { build } from "esbuild"
import { spawnSync } from "node:child_process"

await build({
  entryPoints: ["test/campaign/main.ts"],
  outfile: ".build/campaign.mjs",
  bundle: true,
  platform: "node",
  format: "esm",
  packages: "external",
  logLevel: "warning"
})
process.exitCode =
  spawnSync(process.execPath, [".build/campaign.mjs", ...process.argv.slice(2)], { stdio: "inherit" })
    .status ?? 1
