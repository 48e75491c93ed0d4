// Builds the package into dist/: the library module by module, the command as one bundle (a third of its start-up time).
import { build } from "esbuild"
import { execFileSync } from "node:child_process"
import { chmodSync, existsSync, rmSync } from "node:fs"

rmSync("dist", { recursive: true, force: true })
execFileSync(process.execPath, ["node_modules/typescript/bin/tsc", "-p", "tsconfig.build.json"], {
  stdio: "inherit"
})

if (existsSync("src/cli/main.ts")) {
  await build({
    entryPoints: ["src/cli/main.ts"],
    outfile: "dist/hypercore.js",
    bundle: true,
    platform: "node",
    target: "node20",
    format: "esm",
    // Native packages stay outside, and WebAssembly, which few need; CommonJS parts of the bundle need a `require`.
    external: ["sodium-native", "libsodium-sumo", "fd-lock", "fs-native-extensions"],
    banner: {
      js: [
        "#!/usr/bin/env node",
        'import { createRequire as __createRequire } from "node:module";',
        "const require = __createRequire(import.meta.url);"
      ].join("\n")
    },
    legalComments: "none",
    logLevel: "warning"
  })
  chmodSync("dist/hypercore.js", 0o755)
}
