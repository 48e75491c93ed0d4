/** Ends a run with one plain line that can be counted. */
import type { Reporter } from "vitest/reporters"

export default class CountReporter implements Reporter {
  onTestRunEnd: NonNullable<Reporter["onTestRunEnd"]> = (modules) => {
    let passed = 0
    let failed = 0
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        if (test.result().state === "passed") passed++
        if (test.result().state === "failed") failed++
      }
      if (!module.ok() && module.errors().length > 0) failed++
    }
    process.stdout.write(`\n${passed} passed, ${failed} failed\n`)
  }
}
