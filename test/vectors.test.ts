/** Every file that the real peer wrote, from the same keys and the same operations, byte for byte. */
import { expect, it } from "@effect/vitest"
import { Effect, Exit, Layer, Scope } from "effect"
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"
import { Crypto, Feed, StorageMemory, type Storage, fromHex } from "../src/index.js"
import { CryptoNode, layer } from "../src/node.js"
import * as Sleep from "../src/domain/Sleep.js"
import { temporaryDirectory } from "./temporaryDirectory.js"
import { type DownloadVector, type Scenario, type Vector, expandBatches } from "./vectors/dsl.mjs"
import { scenarios } from "./vectors/scenarios.mjs"

const vectorOf = (name: string): Vector =>
  JSON.parse(fs.readFileSync(new URL(`./vectors/${name}.json`, import.meta.url), "utf8")) as Vector

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex")

const keyPairOf = (scenario: Scenario) =>
  Effect.flatMap(Crypto, (crypto) => crypto.keyPair(fromHex(scenario.seed))).pipe(
    Effect.provide(CryptoNode.layer)
  )

const stateOf = (feed: Feed.Feed) =>
  Effect.map(feed.downloaded(), (have) => ({
    length: feed.length,
    byteLength: feed.byteLength,
    have
  }))

/** The author's feed that a reader downloads from, and a feed's own life through reopenings. */
const replay = (scenario: Scenario, files: Layer.Layer<Crypto | Storage>) =>
  Effect.gen(function* () {
    const keys = yield* keyPairOf(scenario)
    const isReader = scenario.kind === "reader"
    const options: Feed.OpenOptions = isReader
      ? { key: keys.publicKey, sparse: true }
      : { ...keys, key: keys.publicKey, storeSecretKey: scenario.storeSecretKey ?? true }
    const services = yield* Layer.build(files)
    const openRecorded = Effect.gen(function* () {
      const scope = yield* Scope.make()
      const feed = yield* Scope.extend(Effect.provide(Feed.open(options), services), scope)
      return { feed, close: Scope.close(scope, Exit.void) }
    })
    const source = yield* Effect.provide(Feed.open(keys), [StorageMemory.layer, CryptoNode.layer])
    let opened = yield* openRecorded
    const written: Array<Uint8Array> = []
    const downloads: Array<DownloadVector> = []
    for (const operation of scenario.operations) {
      const { feed } = opened
      switch (operation.op) {
        case "append":
        case "source-append":
          for (const batch of expandBatches(operation)) {
            yield* (isReader ? source : feed).appendBatch(batch)
            written.push(...batch)
          }
          break
        case "clear":
          yield* feed.clear(operation.start, operation.end)
          break
        case "reopen":
          yield* opened.close
          opened = yield* openRecorded
          break
        case "download":
        case "download-hash":
          for (const index of operation.indices) {
            const hash = operation.op === "download-hash"
            const digest = yield* feed.digest(index)
            const proof = yield* source.proof(index, { digest, hash })
            yield* feed.put({ index, proof, block: hash ? undefined : yield* source.get(index) })
            downloads.push({
              index,
              ...(hash ? { hash: true as const } : {}),
              digest,
              nodes: proof.nodes.map((node) => node.index),
              signed: proof.signature !== undefined,
              length: feed.length
            })
          }
      }
    }
    const state = yield* stateOf(opened.feed)
    const held = yield* Effect.forEach(written, (_, index) => opened.feed.has(index))
    yield* opened.close
    opened = yield* openRecorded
    const reopened = yield* stateOf(opened.feed)
    yield* opened.close
    return { state, reopened, downloads, written, held }
  })

/** The file with the bytes of blocks that are not held zeroed: the peer leaves them, we free them. */
const heldOnly = (data: Uint8Array, blocks: ReadonlyArray<Uint8Array>, held: ReadonlyArray<boolean>) => {
  const copy = data.slice()
  let offset = 0
  blocks.forEach((block, i) => {
    if (!held[i]) copy.fill(0, offset, offset + block.length)
    offset += block.length
  })
  return copy
}

it.each(scenarios.map((scenario) => [scenario.name, scenario] as const))("%s", (name, scenario) =>
  Effect.runPromise(
    Effect.scoped(
      Effect.gen(function* () {
        const vector = vectorOf(name)
        const directory = yield* temporaryDirectory
        if (scenario.bitfieldPageSize !== undefined) {
          const header = Sleep.header("bitfield", scenario.bitfieldPageSize)
          fs.writeFileSync(path.join(directory, "bitfield"), header)
        }
        const result = yield* replay(scenario, layer({ directory }))
        expect(result.state).toEqual(vector.state)
        expect(result.reopened).toEqual(vector.reopened)
        if (scenario.kind === "reader") expect(result.downloads).toEqual(vector.downloads ?? [])
        for (const file of Sleep.FILES) {
          const expected = vector.files[file]
          const location = path.join(directory, file)
          const stored = fs.existsSync(location) ? new Uint8Array(fs.readFileSync(location)) : undefined
          if (expected === null || stored === undefined) {
            expect([file, stored?.length ?? null]).toEqual([file, expected?.size ?? null])
            continue
          }
          if (expected.base64 !== undefined && expected.heldSha256 === undefined) {
            expect([file, Buffer.from(stored).toString("base64")]).toEqual([file, expected.base64])
          }
          if (expected.nonZero !== undefined) {
            const bytes = new Uint8Array(expected.size)
            for (const [offset, hex] of expected.nonZero) bytes.set(fromHex(hex)!, offset)
            expect([file, Buffer.from(stored).toString("hex")]).toEqual([
              file,
              Buffer.from(bytes).toString("hex")
            ])
          }
          const content =
            expected.heldSha256 === undefined ? stored : heldOnly(stored, result.written, result.held)
          expect([file, stored.length, sha256(content)]).toEqual([
            file,
            expected.size,
            expected.heldSha256 ?? expected.sha256
          ])
        }
        // Whatever its history, files that are sound are left as they are.
        const repaired = yield* Feed.repair({ key: (yield* keyPairOf(scenario)).publicKey }).pipe(
          Effect.provide(layer({ directory }))
        )
        expect(repaired).toMatchObject({ changed: false, blocks: { kept: result.state.have } })
      })
    )
  )
)
