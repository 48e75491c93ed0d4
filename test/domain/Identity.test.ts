/** Whose feed this is: every case of what is asked for against what is stored. */
import { describe, expect, it } from "@effect/vitest"
import { Either } from "effect"
import { CorruptStorage, OpenRefused } from "../../src/domain/Errors.js"
import * as Identity from "../../src/domain/Identity.js"

const none = new Uint8Array(0)
const key = new Uint8Array(32).fill(1)
const otherKey = new Uint8Array(32).fill(2)
const secret = new Uint8Array([...new Uint8Array(32).fill(9), ...key])
const otherSecret = new Uint8Array([...new Uint8Array(32).fill(8), ...otherKey])

/** No byte of it is like its neighbour. */
const mixedKey = Uint8Array.from({ length: 32 }, (_, i) => 7 * i + 3)
const mixedSecret = new Uint8Array([...new Uint8Array(32).fill(7), ...mixedKey])

const named = new Map<Uint8Array | undefined, string>([
  [undefined, "-"],
  [none, "-"],
  [key, "A"],
  [otherKey, "B"],
  [secret, "a"],
  [otherSecret, "b"],
  [mixedKey, "C"],
  [mixedSecret, "c"]
])
const nameOf = (bytes: Uint8Array | undefined) => named.get(bytes) ?? `${bytes!.length} bytes`

/** The array above with these bytes, whichever array they came in. */
const known = (bytes: Uint8Array | undefined) =>
  [...named.keys()].find(
    (one) => bytes !== undefined && one !== undefined && Buffer.compare(one, bytes) === 0
  )

interface Row {
  /** Asked for. */
  readonly key?: Uint8Array
  readonly secretKey?: Uint8Array
  readonly createIfMissing?: false
  readonly openExisting?: false
  readonly overwrite?: true
  readonly storeSecretKey?: false
  readonly static?: true
  /** Stored. */
  readonly stored?: readonly [key: Uint8Array, secretKey: Uint8Array]
  readonly entries?: true
  readonly data?: true
  /** `action key secret-key`, or what is refused. */
  readonly answer: string
}

const decide = (row: Row): string => {
  const decision = Identity.decide(
    {
      key: row.key,
      secretKey: row.secretKey,
      createIfMissing: row.createIfMissing ?? true,
      openExisting: row.openExisting ?? true,
      overwrite: row.overwrite ?? false,
      storeSecretKey: row.storeSecretKey ?? true,
      static: row.static ?? false
    },
    {
      key: row.stored?.[0] ?? none,
      secretKey: row.stored?.[1] ?? none,
      entries: row.entries ?? false,
      data: row.data ?? false
    }
  )
  return Either.match(decision, {
    onLeft: (error) => (error instanceof OpenRefused ? `refused: ${error.reason}` : `corrupt: ${error.file}`),
    onRight: (identity) => {
      return `${identity.action} ${nameOf(known(identity.key))} ${nameOf(known(identity.secretKey))}`
    }
  })
}

const table = (rows: ReadonlyArray<Row>): void => {
  const cases = rows.map((row) => {
    const asked = `asked ${nameOf(row.key)} ${nameOf(row.secretKey)}`
    const flags = `${row.createIfMissing === false ? ", no creation" : ""}${row.openExisting === false ? ", no opening" : ""}${row.overwrite ? ", overwrite" : ""}${row.storeSecretKey === false ? ", not stored" : ""}`
    const stored = `stored ${row.stored === undefined ? "- -" : row.stored.map(nameOf).join(" ")}`
    return [
      `${asked}${flags}; ${stored}${row.entries ? " and entries" : ""}${row.data ? " and data" : ""}: ${row.answer}`,
      row
    ] as const
  })
  it.each(cases)("%s", (_, row) => expect(decide(row)).toBe(row.answer))
}

describe("nothing is stored", () => {
  table([
    { answer: "create - -" },
    { key, answer: "create A -" },
    { secretKey: secret, answer: "create A a" },
    { key, secretKey: secret, answer: "create A a" },
    { createIfMissing: false, answer: "refused: missing" },
    { key, createIfMissing: false, answer: "refused: missing" },
    { key, secretKey: secret, createIfMissing: false, answer: "refused: missing" }
  ])
})

describe("a feed is stored", () => {
  const readerOnly = [key, none] as const
  const owned = [key, secret] as const
  table([
    { stored: readerOnly, answer: "open A -" },
    { stored: readerOnly, createIfMissing: false, answer: "open A -" },
    { stored: readerOnly, key, answer: "open A -" },
    { stored: readerOnly, secretKey: secret, answer: "open A a" },
    { stored: readerOnly, key, secretKey: secret, answer: "open A a" },
    { stored: readerOnly, key: otherKey, answer: "refused: other-key" },
    { stored: readerOnly, secretKey: otherSecret, answer: "refused: other-key" },
    { stored: owned, answer: "open A a" },
    { stored: owned, key, answer: "open A a" },
    { stored: owned, secretKey: secret, answer: "open A a" },
    { stored: owned, key: otherKey, answer: "refused: other-key" },
    { stored: owned, secretKey: otherSecret, answer: "refused: other-key" },
    { stored: owned, entries: true, answer: "open A a" }
  ])
})

describe("a feed is to be made, not opened", () => {
  const openExisting = false
  table([
    { openExisting, answer: "create - -" },
    { openExisting, key, answer: "create A -" },
    { openExisting, createIfMissing: false, answer: "refused: missing" },
    { openExisting, stored: [key, none], answer: "refused: exists" },
    { openExisting, stored: [key, none], key, answer: "refused: exists" },
    { openExisting, stored: [key, secret], key: otherKey, answer: "refused: exists" },
    { openExisting, stored: [key, secret], entries: true, answer: "refused: exists" },
    { openExisting, stored: [none, none], entries: true, answer: "refused: exists" },
    { openExisting, stored: [none, none], entries: true, key, answer: "refused: exists" },
    { openExisting, stored: [none, secret], entries: true, answer: "refused: exists" },
    // A creation that was cut off is finished.
    { openExisting, stored: [none, secret], answer: "open A a" },
    { openExisting, stored: [key.subarray(0, 16), secret], answer: "open A a" },
    { openExisting, stored: [key.subarray(0, 16), none], key, answer: "create A -" },
    { openExisting, stored: [key.subarray(0, 16), none], answer: "corrupt: key" }
  ])
})

describe("what is stored is damaged", () => {
  table([
    // A creation that was cut off leaves the secret key first.
    { stored: [none, secret], answer: "open A a" },
    { stored: [none, secret], key, answer: "open A a" },
    { stored: [none, secret], key: otherKey, answer: "refused: other-key" },
    { stored: [none, none], entries: true, answer: "corrupt: key" },
    { stored: [none, none], entries: true, key, answer: "open A -" },
    { stored: [none, none], entries: true, secretKey: secret, answer: "open A a" },
    { stored: [none, none], entries: true, key, createIfMissing: false, answer: "open A -" },
    { stored: [key, otherSecret], answer: "corrupt: secret_key" },
    { stored: [key, otherSecret], key, answer: "corrupt: secret_key" },
    // A creation that was cut off in the middle of the key.
    { stored: [mixedKey.subarray(0, 31), mixedSecret], answer: "open C c" },
    { stored: [mixedKey.subarray(0, 1), mixedSecret], entries: true, answer: "open C c" },
    { stored: [mixedKey.subarray(0, 7), none], key: mixedKey, answer: "create C -" },
    { stored: [mixedKey.subarray(0, 7), none], key: mixedKey, entries: true, answer: "open C -" },
    { stored: [mixedKey.subarray(0, 7), none], secretKey: mixedSecret, answer: "create C c" },
    { stored: [none, mixedSecret.subarray(0, 63)], secretKey: mixedSecret, answer: "create C c" },
    { stored: [mixedKey, mixedSecret.subarray(0, 63)], secretKey: mixedSecret, answer: "open C c" }
  ])
})

describe("what is stored may be a stranger's", () => {
  const text = new TextEncoder().encode("a text of twenty-six bytes")
  const others = [text, mixedKey.subarray(1, 8), key.subarray(1), new Uint8Array(33), new Uint8Array(1)]
  for (const stranger of others) {
    table([
      { stored: [stranger, none], answer: "corrupt: key" },
      { stored: [stranger, none], createIfMissing: false, answer: "corrupt: key" },
      { stored: [stranger, none], key: mixedKey, answer: "corrupt: key" },
      { stored: [stranger, none], key: mixedKey, entries: true, answer: "corrupt: key" },
      { stored: [stranger, mixedSecret], answer: "corrupt: key" },
      { stored: [none, stranger], answer: "corrupt: secret_key" },
      { stored: [none, stranger], key: mixedKey, answer: "corrupt: secret_key" },
      { stored: [none, stranger], secretKey: mixedSecret, answer: "corrupt: secret_key" },
      { stored: [mixedKey, stranger], answer: "corrupt: secret_key" }
    ])
  }
  table([
    { stored: [none, new Uint8Array(65)], answer: "corrupt: secret_key" },
    // Whose it is cannot be told.
    { stored: [none, secret.subarray(0, 32)], answer: "corrupt: secret_key" },
    { data: true, answer: "corrupt: data" },
    { data: true, key, answer: "corrupt: data" },
    { data: true, createIfMissing: false, answer: "refused: missing" },
    { data: true, entries: true, key, answer: "open A -" },
    { stored: [none, secret], data: true, answer: "open A a" },
    { stored: [key, none], data: true, answer: "open A -" }
  ])
})

describe("overwriting does not look at what is stored", () => {
  table([
    { overwrite: true, answer: "overwrite - -" },
    { overwrite: true, stored: [key, secret], answer: "overwrite - -" },
    { overwrite: true, stored: [key, secret], key: otherKey, answer: "overwrite B -" },
    { overwrite: true, stored: [key, otherSecret], secretKey: secret, answer: "overwrite A a" },
    { overwrite: true, stored: [key.subarray(1), none], entries: true, answer: "overwrite - -" },
    { overwrite: true, createIfMissing: false, key, answer: "overwrite A -" },
    { stored: [key, none], overwrite: true, openExisting: false, key, answer: "overwrite A -" }
  ])
})

describe("a secret key that is not to be stored is not generated: it would be lost", () => {
  const storeSecretKey = false
  table([
    { storeSecretKey, answer: "refused: lost-key" },
    { storeSecretKey, overwrite: true, answer: "refused: lost-key" },
    { storeSecretKey, overwrite: true, stored: [key, secret], answer: "refused: lost-key" },
    { storeSecretKey, createIfMissing: false, answer: "refused: missing" },
    { storeSecretKey, key, answer: "create A -" },
    { storeSecretKey, secretKey: secret, answer: "create A a" },
    { storeSecretKey, stored: [key, none], answer: "open A -" },
    { storeSecretKey, stored: [key, secret], answer: "open A a" }
  ])
})

describe("a static feed has no key pair, where one would be made", () => {
  const asStatic = { static: true } as const
  table([
    { ...asStatic, answer: "create - -" },
    { ...asStatic, storeSecretKey: false, answer: "create - -" },
    { ...asStatic, overwrite: true, stored: [key, secret], answer: "overwrite - -" },
    { ...asStatic, createIfMissing: false, answer: "refused: missing" },
    { ...asStatic, key, answer: "create A -" },
    { ...asStatic, secretKey: secret, answer: "create A a" },
    { ...asStatic, stored: [key, none], answer: "open A -" },
    { ...asStatic, stored: [key, secret], answer: "open A a" },
    { ...asStatic, entries: true, answer: "corrupt: key" },
    { ...asStatic, entries: true, key, answer: "open A -" }
  ])
})

describe("keys that are none", () => {
  const short = key.subarray(1)
  const long = new Uint8Array(33)
  for (const overwrite of [undefined, true] as const) {
    const over = overwrite === undefined ? {} : { overwrite }
    table([
      { ...over, key: short, answer: "refused: bad-key" },
      { ...over, key: long, answer: "refused: bad-key" },
      { ...over, key: none, answer: "refused: bad-key" },
      { ...over, secretKey: key, answer: "refused: bad-key" },
      { ...over, secretKey: none, answer: "refused: bad-key" },
      { ...over, key, secretKey: secret.subarray(1), answer: "refused: bad-key" },
      { ...over, key: otherKey, secretKey: secret, answer: "refused: wrong-secret-key" },
      {
        ...over,
        key: otherKey,
        secretKey: secret,
        stored: [key, secret],
        answer: "refused: wrong-secret-key"
      }
    ])
  }
})

it("a refusal says what to do with words", () => {
  const refusal = Identity.decide(
    {
      key: otherKey,
      secretKey: undefined,
      createIfMissing: true,
      openExisting: true,
      overwrite: false,
      storeSecretKey: true,
      static: false
    },
    { key, secretKey: none, entries: false, data: false }
  )
  expect(Either.getOrThrow(Either.flip(refusal)).message).toBe(
    `cannot open feed: another feed is stored here: ${"01".repeat(32)}`
  )
  const corrupt = Identity.decide(
    {
      key: undefined,
      secretKey: undefined,
      createIfMissing: true,
      openExisting: true,
      overwrite: false,
      storeSecretKey: true,
      static: false
    },
    { key: none, secretKey: none, entries: true, data: true }
  )
  expect(Either.getOrThrow(Either.flip(corrupt))).toBeInstanceOf(CorruptStorage)
})
