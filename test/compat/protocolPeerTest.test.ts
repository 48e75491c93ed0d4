/** The test file of `hypercore-protocol`, unchanged, on the real package and on ours. */
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import { temporaryDirectory } from "../temporaryDirectory.js"
import { assertions, bundle, run } from "./ownTests.js"

const runOn = (ours: string | undefined) =>
  run("hypercore-protocol/test.js", "protocolOfTest.cjs", ours === undefined ? {} : { OURS: ours })

/** It asserts once for each chunk, and we join what they send one by one. */
const EACH_CHUNK = "stream is encrypted"

it.scoped("passes with ours as it does with the real package", () =>
  Effect.gen(function* () {
    const outfile = yield* bundle("protocol", fs.realpathSync(yield* temporaryDirectory))
    const [real, ours] = yield* Effect.all([runOn(undefined), runOn(outfile)], { concurrency: 2 })
    expect(real).toMatchObject({ code: 0, stderr: "" })
    expect(ours).toMatchObject({ code: 0, stderr: "" })
    const expected = assertions(real)
    const actual = assertions(ours)
    expect(expected.get("send messages")).toHaveLength(10)
    for (const tests of [expected, actual]) {
      expect([...tests.values()].flat().filter((line) => line.startsWith("not"))).toEqual([])
      tests.set(EACH_CHUNK, [...new Set(tests.get(EACH_CHUNK))])
    }
    expect(Object.fromEntries(actual)).toEqual(Object.fromEntries(expected))
  })
)
