/**
 * A process whose system calls are made to fail: `node script.mjs <directory> <durability> <author|reader>`. It does a fixed list of
 * steps to the feed in the directory, which it writes, or fills with blocks and proofs from an author in memory. A step that fails is tried again, with other blocks, and once more after the feed was closed and opened again.
 *
 * It says lines on standard output, `| <word> ...`: `step <name>`, and then waits for a line on standard input; `ok`; `failed <tag> <detail>`;
 * `defect <detail>`; `ack <index> <block>`; `cleared <index>`; `end`.
 */
import { Cause, Effect, Exit, Layer, Option, Scope } from "effect"
import { createInterface } from "node:readline"
import { Feed, StorageMemory } from "../../src/index.js"
import { CryptoNode, layer } from "../../src/node.js"
import { blockOf } from "./blocks.js"

const [directory, durability, role] = process.argv.slice(2) as [string, Feed.Durability, string]

const lines = createInterface(process.stdin)[Symbol.asyncIterator]()
const say = (...fields: ReadonlyArray<string | number>) => {
  process.stdout.write(`| ${fields.join(" ")}\n`)
}

interface OpenFeed {
  readonly feed: Feed.Feed
  readonly scope: Scope.CloseableScope
}

let open: OpenFeed | undefined

const openFeed = Effect.gen(function* () {
  const scope = yield* Scope.make()
  const options = author === undefined ? { durability } : { durability, key: author.key }
  const opening = Scope.extend(Feed.open(options), scope).pipe(Effect.provide(layer({ directory })))
  const feed = yield* Effect.onError(opening, (cause) => Scope.close(scope, Exit.failCause(cause)))
  open = { feed, scope }
})

const closeFeed = Effect.suspend(() => {
  if (open === undefined) return Effect.void
  const { feed, scope } = open
  open = undefined
  return Effect.ensuring(feed.close, Scope.close(scope, Exit.void))
})

const inMemory = Layer.merge(StorageMemory.layer, CryptoNode.layer)

/** Whose blocks a reader gets: eight, then four more. */
const author =
  role === "reader"
    ? await Effect.runPromise(
        Effect.provide(Scope.extend(Feed.open(), Effect.runSync(Scope.make())), inMemory)
      )
    : undefined

const cleared = new Set<number>()

let names = 0
const append = (...kinds: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const blocks = kinds.map((kind) => `${kind}-${names++}`)
    const start = yield* open!.feed.appendBatch(blocks.map(blockOf))
    for (const [i, name] of blocks.entries()) say("ack", start + i, name)
  })

const clear = (index: () => number) =>
  Effect.gen(function* () {
    // What an attempt that failed has cleared is not known.
    say("cleared", index())
    cleared.add(index())
    yield* open!.feed.clear(index())
  })

/** All that is held; `audit` looks at every byte. */
const readAll = Effect.gen(function* () {
  const { feed } = open!
  for (let index = 0; index < feed.length; index++) {
    if (!cleared.has(index)) yield* feed.get(index, { wait: false })
  }
  yield* feed.proof(feed.length - 1)
  const { invalid } = yield* feed.audit()
  if (invalid > 0) yield* Effect.dieMessage(`${invalid} blocks do not match the tree`)
})

const last = (): number => open!.feed.length - 1

/** The author's blocks, by name. */
const authored: Array<string> = []
const write = (...kinds: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    for (const kind of kinds) authored.push(`${kind}-${names++}`)
    yield* author!.appendBatch(authored.slice(-kinds.length).map(blockOf))
  })

/** Once, however often it is tried. */
const writeMore = Effect.suspend(() =>
  authored.length > 8 ? Effect.void : write("small", "small", "large", "small")
)

/** Blocks [start, end), one by one, the last first. */
const put = (start: number, end: number) =>
  Effect.gen(function* () {
    const { feed } = open!
    for (let index = end - 1; index >= start; index--) {
      const proof = yield* author!.proof(index, { digest: yield* feed.digest(index) })
      yield* feed.put({ index, proof, block: yield* author!.get(index) })
      say("ack", index, authored[index]!)
    }
  })

type Steps = ReadonlyArray<readonly [name: string, step: Effect.Effect<void, object>]>

const writing: Steps = [
  ["open", openFeed],
  ["append", append("small")],
  ["append again", append("small")],
  ["append a batch", append("large", "large", "small")],
  ["append many", append(...Array.from({ length: 10 }, () => "small"))],
  ["read all", readAll],
  ["clear one", clear(() => 2)],
  ["close", closeFeed],
  ["reopen", openFeed],
  ["read all again", readAll],
  ["append after", append("small", "large")],
  ["clear the last", clear(last)],
  ["append at the end", append("small")],
  ["close at the end", closeFeed]
]

const reading: Steps = [
  ["open", openFeed],
  ["put some", put(4, 8)],
  ["put the rest", put(0, 4)],
  ["read all", readAll],
  ["clear one", clear(() => 2)],
  ["close", closeFeed],
  ["reopen", openFeed],
  ["read all again", readAll],
  ["put of a longer log", Effect.zipRight(writeMore, put(8, 12))],
  ["clear the last", clear(last)],
  ["close at the end", closeFeed]
]

/** Tells when it is to begin, and how it went: whether it succeeded. */
const attempt = (name: string, step: Effect.Effect<void, object>): Effect.Effect<boolean> =>
  Effect.gen(function* () {
    say("step", name)
    yield* Effect.promise(() => lines.next())
    const exit = yield* Effect.exit(step)
    if (Exit.isSuccess(exit)) {
      say("ok")
      return true
    }
    const error = Option.getOrUndefined(Cause.failureOption(exit.cause))
    const detail = Cause.pretty(exit.cause).replaceAll("\n", " ")
    const tag = error !== undefined && "_tag" in error ? String(error._tag) : undefined
    if (tag === undefined || Option.isSome(Cause.dieOption(exit.cause))) say("defect", detail)
    else say("failed", tag, detail)
    return false
  })

const program = Effect.gen(function* () {
  if (author !== undefined) {
    yield* write("small", "large", "small", "small", "large", "small", "small", "small")
  }
  for (const [name, step] of author === undefined ? writing : reading) {
    if ((yield* attempt(name, step)) || (yield* attempt(`${name}, second`, step))) continue
    yield* attempt(`close before ${name}`, closeFeed)
    if (!(yield* attempt(`reopen before ${name}`, openFeed))) break
    yield* attempt(`${name}, third`, step)
  }
  say("end")
})

await Effect.runPromise(program)
process.exit(0)
