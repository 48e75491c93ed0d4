/** Copies of a feed that another process writes as fast as it can: nothing that was acknowledged before is missing, and the real peer opens them. */
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { Feed } from "../../src/index.js"
import { StorageFile, layer } from "../../src/node.js"
import { bundled } from "../bundled.js"
import { openPeer, peers } from "../interop/peer.js"
import { temporaryDirectory } from "../temporaryDirectory.js"

const COPIES = 12

/** The writer, until the scope closes: how long a log it has acknowledged, and a wait until that is longer. */
const startWriter = (script: string, directory: string, acknowledgments: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      // Into a file: a pipe that nobody reads while this process copies would be full.
      const output = fs.openSync(acknowledgments, "a")
      const child = spawn(process.execPath, [script, directory], { stdio: ["ignore", output, "inherit"] })
      fs.closeSync(output)
      const acknowledged = () => {
        const lines = fs.readFileSync(acknowledgments, "utf8").split("\n").slice(0, -1)
        return lines.reduce((most, line) => Math.max(most, Number(line)), 0)
      }
      const reached = (length: number) =>
        Effect.async<void>((resume) => {
          const look = () => {
            if (acknowledged() < length) return
            watcher.close()
            resume(Effect.void)
          }
          const watcher = fs.watch(acknowledgments, look)
          look()
        })
      const exited = new Promise((resolve) => child.once("exit", resolve))
      return { child, exited, reached, acknowledged }
    }),
    ({ child, exited }) =>
      Effect.promise(() => {
        child.kill("SIGKILL")
        return exited
      })
  )

/** One copy, of a log of its own: a writer this fast would be ahead of a copy for ever. */
const copyOnce = (script: string, directory: string, round: number) =>
  Effect.gen(function* () {
    const files = path.join(directory, `feed-${round}`)
    const copy = path.join(directory, `copy-${round}`)
    const writer = yield* startWriter(script, files, path.join(directory, `acknowledged-${round}`))
    yield* writer.reached(1 + ((round * 377) % 2000))
    const before = writer.acknowledged()
    const report = yield* Feed.backup({ to: yield* StorageFile.make({ directory: copy }) }).pipe(
      Effect.provide(layer({ directory: files }))
    )
    expect(report.length).toBeGreaterThanOrEqual(before)
    expect(report).toMatchObject({ blocks: report.length, damaged: 0, cleared: 0 })
    // It has gone on meanwhile.
    yield* writer.reached(report.length + 1)
    expect(writer.child.exitCode).toBe(null)
    const [, hypercore] = peers[round % 2]!
    const peer = yield* openPeer(hypercore, copy)
    expect([peer.feed.length, peer.feed.writable]).toEqual([report.length, false])
    expect(yield* peer.verifyLast).toBe(true)
    expect(yield* peer.audit).toEqual({ valid: report.length, invalid: 0 })
    yield* peer.close
  }).pipe(Effect.scoped)

it.scoped(`${COPIES} copies while another process appends`, () =>
  Effect.gen(function* () {
    const directory = yield* temporaryDirectory
    const script = yield* Effect.promise(() => bundled("test/recovery/writer.ts", directory))
    for (let round = 0; round < COPIES; round++) {
      yield* copyOnce(script, directory, round)
    }
  })
)
