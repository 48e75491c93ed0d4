import type { Scenario } from "./dsl.mjs"

export declare const scenarios: ReadonlyArray<Scenario>
