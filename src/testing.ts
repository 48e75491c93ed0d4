/**
 * effect-hypercore/testing: machines and nets that fail by a seed, what must hold of feeds on them, and arbitraries to draw histories from, so
 * that a program that uses feeds can be tested as this package is. docs/testing.md shows how.
 */
export * as NetworkMemory from "./layers/NetworkMemory.js"
export * as StorageFaulty from "./layers/StorageFaulty.js"
export * as Arbitraries from "./testing/Arbitraries.js"
export * as History from "./testing/History.js"
export * as Invariants from "./testing/Invariants.js"
export { InvariantBroken, KnownLog, signaturesIn } from "./testing/KnownLog.js"
