/**
 * A scenario is run on the façade and on the peer, 7.7.1, and writes down what a caller can see (events, callbacks, their order, messages
 * and codes of errors, properties); both must have written the same.
 */
import type { Readable } from "node:stream"
import { describe, expect, it } from "vitest"
import type { HypercoreOptions } from "../../src/compat/options.js"
import { crypto } from "../reference/peer.js"
import { type AnyFeed, ours, ram, real7 } from "./peers.js"

export type Log = (...what: ReadonlyArray<unknown>) => void
export type Make = typeof ours
export type Scenario = (make: Make, log: Log) => Promise<void>

const SEED = Buffer.alloc(32, 7)

/** The same key pair for both. */
const pair = crypto.keyPair(SEED)
export const key = Buffer.from(pair.publicKey)
export const secretKey = Buffer.from(pair.secretKey)

/** What can be compared: Buffers as text, errors by message and code. */
export const plain = (value: unknown): unknown => {
  if (value instanceof Error) {
    const { code, errno, message } = value as Error & { code?: string; errno?: number }
    return { message, code, errno }
  }
  if (Buffer.isBuffer(value)) return `buffer ${value.toString("hex")}`
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(
      Object.entries(value)
        .filter(([, one]) => one !== undefined)
        .map(([name, one]) => [name, plain(one)])
    )
  }
  return value
}

export const author = (make: Make, options: HypercoreOptions = {}): AnyFeed =>
  make(ram, key, { secretKey, valueEncoding: "utf-8", ...options })

/** A callback that writes down what it is called with. */
export const told =
  (log: Log, name: string) =>
  (...values: ReadonlyArray<unknown>): void =>
    log(name, ...values)

/**
 * The callback's arguments, as a promise that never fails. Nothing, null and undefined are the same success; `rootHashes` of the peer calls
 * back with a list of its own besides.
 */
export const outcome = (
  run: (callback: (...values: Array<unknown>) => void) => void
): Promise<ReadonlyArray<unknown>> =>
  new Promise((resolve) =>
    run((error, ...values) => {
      while (values.length > 0 && (values.at(-1) === undefined || values.at(-1) === null)) values.pop()
      resolve([error ?? null, ...values])
    })
  )

export const collect = (stream: Readable): Promise<ReadonlyArray<unknown>> =>
  new Promise((resolve) => {
    const values: Array<unknown> = []
    stream.on("data", (value) => values.push(value))
    stream.on("end", () => resolve([...values, "end"]))
    stream.on("error", (error) => resolve([...values, error]))
  })

/** A storage whose files stay. */
export const keeping = () => {
  const files = new Map<string, unknown>()
  return (name: string): unknown => {
    if (!files.has(name)) files.set(name, ram())
    return files.get(name)
  }
}

const run = async (scenario: Scenario, make: Make): Promise<ReadonlyArray<unknown>> => {
  const lines: Array<unknown> = []
  await scenario(make, (...what) => void lines.push(plain(what)))
  return lines
}

/** Each scenario is a test. */
export const compare = (about: string, scenarios: Record<string, Scenario>): void => {
  describe(about, () => {
    for (const [name, scenario] of Object.entries(scenarios)) {
      it(name, async () => {
        const expected = await run(scenario, real7)
        expect(expected.length).toBeGreaterThan(0)
        expect(await run(scenario, ours)).toEqual(expected)
      })
    }
  })
}
