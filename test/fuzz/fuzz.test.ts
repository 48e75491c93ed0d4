/** A bounded part of `npm run fuzz`: everything that reads what a stranger gives ends in a value or in a typed error, with bounded effort. */
import { describe, it } from "@effect/vitest"
import { callers } from "./callers.js"
import { decoders } from "./decoders.js"
import { feeds } from "./feeds.js"
import { fuzz } from "./Target.js"

describe("whatever is given", () => {
  for (const one of [...decoders, ...feeds, ...callers]) it(one.name, () => fuzz(one))
})
