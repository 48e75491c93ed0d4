/** A program of the tests as one file of JavaScript, for a process of its own. */
import { build } from "esbuild"
import * as fs from "node:fs"
import * as path from "node:path"

/**
 * Bundles a TypeScript file, named from the root of the repository, in which it is called, into `directory`, where the packages that it leaves
 * out are found; answers the file.
 */
export const bundled = async (source: string, directory: string): Promise<string> => {
  const outfile = path.join(directory, `${path.basename(source, ".ts")}.mjs`)
  await build({
    entryPoints: [source],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    external: ["sodium-native", "fd-lock", "fs-native-extensions"],
    // CommonJS packages ask for Node's by `require`.
    banner: { js: 'import { createRequire as r } from "node:module"; const require = r(import.meta.url)' }
  })
  fs.symlinkSync(path.resolve("node_modules"), path.join(directory, "node_modules"))
  return outfile
}
