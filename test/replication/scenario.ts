/** What may happen in a net of peers: drawn by fast-check, so that what fails is made small, and is replayed by seed and path. */
import { FastCheck as fc } from "effect"
import type { NetworkMemory } from "../../src/index.js"
import type * as StorageFaulty from "../../src/layers/StorageFaulty.js"

export type Wait = {
  /** A block, a length, or a byte offset. */
  readonly start: number
  readonly timeout?: number | undefined
  readonly interruptAfter?: number | undefined
} & (
  | { readonly _tag: "Get" | "Update" | "Seek" }
  | { readonly _tag: "Download"; readonly count: number; readonly linear: boolean }
)

export type Action =
  | { readonly _tag: "Append"; readonly count: number }
  | { readonly _tag: "Clear"; readonly host: number; readonly start: number; readonly count: number }
  /** A connection of the host's breaks, or loses its other end without a word. */
  | { readonly _tag: "Cut" | "Vanish"; readonly host: number }
  | { readonly _tag: "CutAll" | "Heal" }
  | { readonly _tag: "Partition"; readonly mask: number }
  | {
      readonly _tag: "Crash"
      readonly host: number
      readonly down: number
      readonly silent: boolean
      /** What ends, where hosts are machines that can fail. */
      readonly kind: StorageFaulty.CrashKind
    }
  | { readonly _tag: "Wait"; readonly host: number; readonly wait: Wait }

export interface MachineOptions {
  readonly sectorSize: number
  readonly garbage: number
  /** The longest that an operation takes, in milliseconds. */
  readonly slowest: number
}

export interface Scenario {
  readonly seed: number
  readonly yielding: number
  /** The first is the author. */
  readonly peers: ReadonlyArray<{ readonly sparse: boolean; readonly onFeed: boolean }>
  /** Whom each peer dials. */
  readonly dials: ReadonlyArray<ReadonlyArray<number>>
  readonly net: Omit<NetworkMemory.SimulationOptions, "seed">
  /** What the hosts' disks are like; absent: they never fail. */
  readonly machines: MachineOptions | undefined
  readonly steps: ReadonlyArray<{ readonly after: number; readonly action: Action }>
}

const record = fc.record

const ending = {
  timeout: fc.option(fc.integer({ min: 0, max: 20_000 }), { nil: undefined }),
  interruptAfter: fc.option(fc.integer({ min: 0, max: 10_000 }), { nil: undefined, freq: 3 })
}

const wait: fc.Arbitrary<Wait> = fc.oneof(
  record({ _tag: fc.constant("Get" as const), start: fc.nat(150), ...ending }),
  record({ _tag: fc.constant("Update" as const), start: fc.nat(150), ...ending }),
  record({ _tag: fc.constant("Seek" as const), start: fc.nat(20_000), ...ending }),
  record({
    _tag: fc.constant("Download" as const),
    start: fc.nat(150),
    count: fc.integer({ min: 1, max: 60 }),
    linear: fc.boolean(),
    interruptAfter: ending.interruptAfter
  })
)

const host = fc.nat(19)

const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 6,
    arbitrary: record({ _tag: fc.constant("Append" as const), count: fc.integer({ min: 1, max: 40 }) })
  },
  { weight: 5, arbitrary: record({ _tag: fc.constant("Wait" as const), host, wait }) },
  {
    weight: 1,
    arbitrary: record({
      _tag: fc.constant("Clear" as const),
      host,
      start: fc.nat(150),
      count: fc.integer({ min: 1, max: 30 })
    })
  },
  { weight: 2, arbitrary: record({ _tag: fc.constantFrom("Cut" as const, "Vanish" as const), host }) },
  { weight: 2, arbitrary: record({ _tag: fc.constantFrom("CutAll" as const, "Heal" as const) }) },
  { weight: 1, arbitrary: record({ _tag: fc.constant("Partition" as const), mask: fc.nat(2 ** 20 - 1) }) },
  {
    weight: 2,
    arbitrary: record({
      _tag: fc.constant("Crash" as const),
      host,
      down: fc.integer({ min: 0, max: 20_000 }),
      silent: fc.boolean(),
      kind: fc.constantFrom("process" as const, "power" as const)
    })
  }
)

const net = record({
  latency: fc.oneof(fc.constant(0), fc.nat(150), fc.constant({ min: 1, max: 200 })),
  bandwidth: fc.option(fc.integer({ min: 50_000, max: 10_000_000 }), { nil: undefined }),
  splitting: fc.option(record({ min: fc.constant(1), max: fc.integer({ min: 1, max: 100_000 }) }), {
    nil: undefined
  }),
  bufferSize: fc.integer({ min: 1000, max: 1024 * 1024 }),
  cuts: fc.option(
    record({
      meanBytes: fc.integer({ min: 100_000, max: 2_000_000 }),
      silent: fc.constantFrom(0, 0.3)
    }),
    { nil: undefined, freq: 3 }
  ),
  adversary: fc.option(record({ meanBytes: fc.integer({ min: 2000, max: 500_000 }) }), {
    nil: undefined,
    freq: 2
  })
})

const machines: fc.Arbitrary<MachineOptions | undefined> = fc.option(
  record({
    sectorSize: fc.constantFrom(512, 4096),
    garbage: fc.constantFrom(0, 0.3),
    slowest: fc.constantFrom(0, 20, 200)
  }),
  { nil: undefined, freq: 2 }
)

/** A tree, by whom each joins; a ring; or the tree with more connections, some of them twice, once from each side. */
const dialsOf = (count: number): fc.Arbitrary<Scenario["dials"]> => {
  const numbers = fc.array(fc.nat(1_000_000), { minLength: count, maxLength: count })
  const tree = numbers.map((drawn) => drawn.map((n, i) => (i === 0 ? [] : [n % i])))
  const ring = fc.constant(Array.from({ length: count }, (_, i) => [(i + 1) % count]))
  const graph = fc.tuple(tree, numbers).map(([parents, drawn]) =>
    parents.map((own, i) => {
      const other = drawn[i]! % count
      return other === i || own.includes(other) ? own : [...own, other]
    })
  )
  return fc.oneof(tree, ring, graph)
}

const peer = record({
  sparse: fc.nat(2).map((n) => n === 2),
  onFeed: fc.boolean()
})

export const scenario: fc.Arbitrary<Scenario> = fc
  .array(peer, { minLength: 2, maxLength: 20 })
  .chain((peers) =>
    record({
      seed: fc.nat(2 ** 32 - 1),
      yielding: fc.constantFrom(0, 0, 0.02),
      peers: fc.constant(peers),
      dials: dialsOf(peers.length),
      net,
      machines,
      steps: fc.array(record({ after: fc.nat(4000), action }), { maxLength: 25, size: "max" })
    })
  )
