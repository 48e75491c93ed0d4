import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // One process for all files: to load the modules anew for each took a minute and a half. No file changes what others see.
    isolate: false,
    reporters: ["default", "./test/CountReporter.ts"]
  }
})
