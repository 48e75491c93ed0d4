/**
 * Makes one system call of `script.ts` on the feed's files fail, by Linux's `strace`, and judges what comes of it: a failure is a typed
 * `StorageError`; the process lives, and goes on as soon as the call succeeds again; all that was acknowledged is there, for it and for who opens the
 * directory later; nothing is signed twice.
 */
import { Effect } from "effect"
import { spawn, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { createInterface } from "node:readline"
import { FILES } from "../../src/domain/Sleep.js"
import { Feed } from "../../src/index.js"
import { layer } from "../../src/node.js"
import { bundled } from "../bundled.js"
import { Signatures } from "../kills/Signatures.js"
import { blockOf } from "./blocks.js"

export const DURABILITIES = ["process", "power"] as const
export const ROLES = ["author", "reader"] as const
export const ERRORS = ["EIO", "ENOSPC"] as const

/** A call that is made to fail: the `when`th of its kind. */
export interface Injection {
  readonly call: string
  readonly error: (typeof ERRORS)[number]
  readonly when: number
}

/** No run takes a tenth of this, in milliseconds: one that does hangs. */
const DEADLINE = 30_000

/** Whether processes can be traced here; if not, why. */
export const whyNoStrace = (): string | undefined => {
  const tried = spawnSync("strace", ["-o", "/dev/null", "true"], { encoding: "utf8" })
  if (tried.error !== undefined) return "strace is not installed (Debian: apt-get install strace)"
  return tried.status === 0 ? undefined : `strace does not work here: ${tried.stderr.trim()}`
}

/** The program that is traced, in `directory`. */
export const bundleScript = (directory: string): Promise<string> =>
  bundled("test/systemCalls/script.ts", directory)

export interface Run {
  /** Calls on the feed's files, by name. */
  readonly calls: ReadonlyMap<string, number>
  /** Whether the call that was to fail was made. */
  readonly isInjected: boolean
  /** Steps that failed with a `StorageError`. */
  readonly failures: number
  /** What should not have been. */
  readonly problems: ReadonlyArray<string>
}

/** What is known while the script runs. */
interface Story {
  readonly acknowledged: Map<number, string>
  readonly cleared: Set<number>
  readonly signatures: Signatures
  readonly problems: Array<string>
  failures: number
  step: string
  hasEnded: boolean
}

/**
 * After a `close` that strace swallowed the lock is held until the process ends, which no real close leaves; and `fd-lock` does not tell why
 * it has no lock.
 */
const isArtefact = (injection: Injection | undefined, detail: string): boolean =>
  ["close", "flock"].includes(injection?.call ?? "") && detail.includes("in use by another writer")

const REASON = { EIO: "(io)", ENOSPC: "(full)" }

const hear = (story: Story, line: string, injection: Injection | undefined): void => {
  const [mark, word, ...fields] = line.split(" ")
  if (mark !== "|") {
    // A finalizer has nobody else to tell.
    if (line.includes("level=WARN") && line.includes("cannot close")) story.failures++
    return
  }
  const text = fields.join(" ")
  if (word === "step") story.step = text
  else if (word === "ack") story.acknowledged.set(Number(fields[0]), fields[1]!)
  else if (word === "cleared") story.cleared.add(Number(fields[0]))
  else if (word === "end") story.hasEnded = true
  else if (word === "defect") story.problems.push(`${story.step}: a defect: ${text}`)
  else if (word === "failed") {
    story.failures++
    const isTyped = fields[0] === "StorageError"
    if (isArtefact(injection, text)) return
    if (!isTyped) story.problems.push(`${story.step}: ${text}`)
    else if (injection !== undefined && !text.includes(REASON[injection.error]))
      story.problems.push(`${story.step}: another reason: ${text}`)
    if (/third|before/.test(story.step)) story.problems.push(`${story.step} still fails: ${text}`)
  }
}

/** Runs the script in a directory of its own within `directory`, with a call that fails or none. */
export const run = async (
  script: string,
  directory: string,
  durability: (typeof DURABILITIES)[number],
  role: (typeof ROLES)[number],
  injection?: Injection
): Promise<Run> => {
  const base = fs.mkdtempSync(path.join(directory, "run-"))
  const [feed, trace] = [path.join(base, "feed"), path.join(base, "trace")]
  const story: Story = {
    acknowledged: new Map(),
    cleared: new Set(),
    signatures: new Signatures(),
    problems: [],
    failures: 0,
    step: "",
    hasEnded: false
  }
  const watched = [feed, ...FILES.map((file) => path.join(feed, file))]
  const inject =
    injection === undefined
      ? []
      : ["-e", `inject=${injection.call}:error=${injection.error}:when=${injection.when}`]
  const args = ["-f", "--seccomp-bpf", "-e", "trace=file,desc", "-o", trace, ...inject]
  const command = [...args, ...watched.flatMap((name) => ["-P", name]), process.execPath, script]
  await tell([...command, feed, durability, role], feed, story, injection)
  await Effect.runPromise(checkAfterwards(feed, story))
  const traced = fs.readFileSync(trace, "utf8")
  fs.rmSync(base, { recursive: true })
  return {
    calls: countCalls(traced),
    isInjected: traced.includes("(INJECTED)"),
    failures: story.failures,
    problems: story.problems
  }
}

/** Runs strace; between two steps, when nobody writes, looks at the signatures. */
const tell = (
  command: ReadonlyArray<string>,
  feed: string,
  story: Story,
  injection: Injection | undefined
): Promise<void> =>
  new Promise((resolve) => {
    // One thread for what is done in others: strace counts the calls of each by itself.
    const env = { ...process.env, UV_THREADPOOL_SIZE: "1" }
    const child = spawn("strace", command, { env, detached: true, stdio: ["pipe", "pipe", "pipe"] })
    const timer = setTimeout(() => {
      story.problems.push(`${story.step}: it hangs`)
      process.kill(-child.pid!, "SIGKILL")
    }, DEADLINE)
    let errors = ""
    child.stderr.on("data", (chunk: Buffer) => (errors += chunk.toString()))
    child.stdin.on("error", () => {}) // it has died
    createInterface(child.stdout).on("line", (line) => {
      hear(story, line, injection)
      if (!line.startsWith("| step")) return
      story.signatures.collect(feed)
      child.stdin.write("go\n")
    })
    child.once("close", (code) => {
      clearTimeout(timer)
      if (code !== 0 || errors !== "" || !story.hasEnded)
        story.problems.push(`${story.step}: it ended with ${code}: ${errors}`)
      resolve()
    })
  })

/** Opened by another process, without faults, the feed has all that was acknowledged, and an author's takes more. */
const checkAfterwards = (directory: string, { acknowledged, cleared, problems, signatures }: Story) =>
  Effect.gen(function* () {
    signatures.collect(directory)
    const feed = yield* Feed.open()
    for (const [index, name] of acknowledged) {
      if (cleared.has(index)) continue
      if (index >= feed.length) problems.push(`block ${index} is lost`)
      else if (Buffer.compare(yield* feed.get(index, { wait: false }), blockOf(name)) !== 0)
        problems.push(`block ${index} reads as other bytes`)
    }
    const { invalid } = yield* feed.audit()
    if (invalid > 0) problems.push(`${invalid} blocks do not match the tree`)
    if (feed.writable) yield* feed.append(blockOf("small-last"))
    const { index, signature } = yield* feed.signature()
    yield* feed.verify(index, signature)
    signatures.collect(directory)
    if (signatures.forked.size > 0) problems.push(`${signatures.forked.size} lengths signed twice`)
  }).pipe(
    Effect.scoped,
    Effect.provide(layer({ directory })),
    Effect.catchAllCause((cause) => Effect.sync(() => problems.push(`afterwards: ${cause.toString()}`)))
  )

/** `process-id name(arguments) = result`, and again `<... name resumed>` where others came between. */
const countCalls = (trace: string): Map<string, number> => {
  const counts = new Map<string, number>()
  for (const [, name] of trace.matchAll(/^\d+ +(\w+)\(/gm)) counts.set(name!, (counts.get(name!) ?? 0) + 1)
  return counts
}
