/**
 * Replication over simulated links: which part of a link's bandwidth it reaches. In simulated time, so the figures are the same
 * on every machine and in every run: what it costs to compute counts for nothing. See README.md, "Links".
 *
 *   node bench/link.mjs [--only 64k|512|swarm] [--json]
 */
import { build } from "esbuild"
import { fileURLToPath, pathToFileURL } from "node:url"

const outfile = fileURLToPath(new URL("../.build/link.mjs", import.meta.url))
await build({
  entryPoints: [fileURLToPath(new URL("link/measure.mjs", import.meta.url))],
  outfile,
  bundle: true,
  platform: "node",
  format: "esm",
  packages: "external",
  logLevel: "warning"
})
await import(pathToFileURL(outfile).href)
