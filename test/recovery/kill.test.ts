/** A real writer process, killed again and again: nothing acknowledged is lost, no length is ever signed twice. */
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { build } from "esbuild"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { createInterface } from "node:readline"
import { Feed } from "../../src/index.js"
import { layer } from "../../src/node.js"
import { temporaryDirectory } from "../temporaryDirectory.js"
import { type Image, signaturesIn } from "./images.js"
import { emptyImage } from "./recording.js"

const KILLS = 25

/** Bundles the writer beside the sources, so that the packages it leaves out are found. */
const bundleWriter = (directory: string) =>
  Effect.promise(async () => {
    const outfile = path.join(directory, "writer.mjs")
    await build({
      entryPoints: [new URL("./writer.ts", import.meta.url).pathname],
      outfile,
      bundle: true,
      platform: "node",
      format: "esm",
      external: ["sodium-native", "fd-lock", "fs-native-extensions"]
    })
    fs.symlinkSync(path.resolve("node_modules"), path.join(directory, "node_modules"))
    return outfile
  })

/** Runs the writer until it has acknowledged `count` times, kills it, and gives the highest length it acknowledged. */
const writeAndKill = (script: string, directory: string, count: number) =>
  Effect.promise(async () => {
    const child = spawn(process.execPath, [script, directory], { stdio: ["ignore", "pipe", "inherit"] })
    const exited = new Promise<NodeJS.Signals | null>((resolve) =>
      child.once("exit", (_, signal) => resolve(signal))
    )
    let lines = 0
    let acknowledged = 0
    for await (const line of createInterface(child.stdout)) {
      acknowledged = Math.max(acknowledged, Number(line))
      if (++lines === count) child.kill("SIGKILL")
    }
    expect(await exited).toBe("SIGKILL")
    return acknowledged
  })

const signaturesOf = (directory: string) => {
  const signatures = new Uint8Array(fs.readFileSync(path.join(directory, "signatures")))
  const image: Image = { ...emptyImage, signatures }
  return signaturesIn(image)
}

it.scoped(`a writer killed ${KILLS} times`, () =>
  Effect.gen(function* () {
    const directory = yield* temporaryDirectory
    const script = yield* bundleWriter(directory)
    const files = path.join(directory, "feed")
    const known = new Map<number, string>()
    for (let kill = 0; kill < KILLS; kill++) {
      const acknowledged = yield* writeAndKill(script, files, 1 + ((kill * 37) % 200))
      yield* Effect.gen(function* () {
        const feed = yield* Feed.open()
        expect(feed.length).toBeGreaterThanOrEqual(acknowledged)
        expect(yield* feed.audit()).toEqual({ valid: feed.length, invalid: 0 })
        yield* feed.verify(feed.length - 1, (yield* feed.signature()).signature)
      }).pipe(Effect.scoped, Effect.provide(layer({ directory: files })))
      for (const [length, signature] of signaturesOf(files)) {
        expect(known.get(length) ?? signature).toBe(signature)
        known.set(length, signature)
      }
    }
    expect(known.size).toBeGreaterThan(KILLS)
  })
)
