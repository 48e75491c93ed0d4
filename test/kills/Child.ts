/** A process of `process.ts`, seen from outside: the lines that it says, waits for them, and its death. */
import { type ChildProcess, spawn } from "node:child_process"
import { createInterface } from "node:readline"

/** No process is silent for this long, in milliseconds, while it does what is waited for: a silence that is so long is a finding. */
const DEADLINE = 30_000

export class Child {
  readonly #process: ChildProcess
  readonly #gone: Promise<void>
  readonly #waiting = new Set<() => void>()
  /** The last line of each kind, without its first word. */
  readonly last = new Map<string, ReadonlyArray<string>>()
  isGone = false

  constructor(script: string, args: ReadonlyArray<string>, onLine: (fields: ReadonlyArray<string>) => void) {
    const child = spawn(process.execPath, [script, ...args], { stdio: ["pipe", "pipe", "inherit"] })
    this.#process = child
    child.stdin.on("error", () => {}) // it was killed while it was told something
    createInterface(child.stdout).on("line", (line) => {
      const [kind, ...fields] = line.split(" ") as [string, ...Array<string>]
      this.last.set(kind, fields)
      onLine([kind, ...fields])
      this.#look()
    })
    this.#gone = new Promise((resolve) =>
      child.once("close", () => {
        this.isGone = true
        resolve()
        this.#look()
      })
    )
  }

  tell(line: string): void {
    this.#process.stdin!.write(`${line}\n`)
  }

  /** Looks again though nothing was said here, because another process did. */
  nudge(): void {
    this.#look()
  }

  #look(): void {
    for (const look of this.#waiting) look()
  }

  /** Waits until it is so, which only lines change: `true`; or until the process is gone or has said nothing for long: `false`. */
  until(isSo: () => boolean): Promise<boolean> {
    return new Promise((resolve) => {
      const end = (answer: boolean): void => {
        clearTimeout(timer)
        this.#waiting.delete(look)
        resolve(answer)
      }
      const timer = setTimeout(() => end(false), DEADLINE)
      const look = (): void => {
        if (isSo()) end(true)
        else if (this.isGone) end(false)
        else timer.refresh()
      }
      this.#waiting.add(look)
      look()
    })
  }

  /** Ends once it is dead and all that it said was heard. */
  kill(): Promise<void> {
    this.#process.kill("SIGKILL")
    return this.#gone
  }
}
