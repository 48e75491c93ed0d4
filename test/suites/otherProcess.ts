/** Another process that holds a feed's files: this library's or the real peer's, bundled from source and run by Node. */
import { Effect, type Scope } from "effect"
import { build } from "esbuild"
import { type ChildProcess, spawn } from "node:child_process"
import * as path from "node:path"

const root = path.resolve(import.meta.dirname, "../..")

export interface OtherProcess {
  /** What it printed first: one line. */
  readonly said: string
  /** Kills it as nothing else does, SIGKILL, and waits until it is gone. */
  readonly kill: Effect.Effect<void>
}

const firstLine = (child: ChildProcess) =>
  Effect.async<string>((resume) => {
    let output = ""
    let errors = ""
    child.stderr!.on("data", (chunk: Buffer) => (errors += chunk.toString()))
    child.stdout!.on("data", (chunk: Buffer) => {
      output += chunk.toString()
      const end = output.indexOf("\n")
      if (end >= 0) resume(Effect.succeed(output.slice(0, end)))
    })
    child.on("exit", (code) => resume(Effect.die(new Error(`the other process ended (${code}): ${errors}`))))
  })

const killed = (child: ChildProcess) =>
  Effect.async<void>((resume) => {
    if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
    child.once("exit", () => resume(Effect.void))
    child.kill("SIGKILL")
  })

/**
 * Runs a module, given as TypeScript whose imports start at the project's root, until it prints a line; then it is left
 * waiting. It dies with the scope.
 */
export const otherProcess = (source: string): Effect.Effect<OtherProcess, never, Scope.Scope> =>
  Effect.gen(function* () {
    const bundled = yield* Effect.promise(() =>
      build({
        stdin: { contents: `${source}\nsetInterval(() => undefined, 1000)`, loader: "ts", resolveDir: root },
        bundle: true,
        platform: "node",
        format: "esm",
        packages: "external",
        write: false,
        logLevel: "silent"
      })
    )
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const args = ["--input-type=module", "-"]
        const started = spawn(process.execPath, args, { cwd: root, stdio: ["pipe", "pipe", "pipe"] })
        started.stdin.end(bundled.outputFiles[0]!.text)
        return started
      }),
      killed
    )
    return { said: yield* firstLine(child), kill: killed(child) }
  })
