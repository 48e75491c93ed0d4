import { defineConfig } from "vitest/config"

/** These leave a process as they found it, and share one: to load the modules anew for each of their files took a minute. */
const SHARED = ["domain", "services", "compat", "layers"].map((name) => `test/${name}/**/*.test.ts`)

export default defineConfig({
  test: {
    testTimeout: 120_000,
    hookTimeout: 120_000,
    reporters: ["default", "./test/CountReporter.ts"],
    projects: [
      { extends: true, test: { name: "shared", include: SHARED, isolate: false } },
      { extends: true, test: { name: "apart", include: ["test/**/*.test.ts"], exclude: SHARED } }
    ]
  }
})
