/**
 * One feed, whose writer is killed again and again while a reader in another process replicates it over TCP. When a process is killed is
 * drawn from a seed: so long after its start, after so many acknowledgements, or after so many blocks that the reader got.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import type { Random } from "../../src/domain/Random.js"
import { Child } from "./Child.js"
import { type Counts, harm } from "./Counts.js"
import type { PartyName } from "./Party.js"
import { Signatures } from "./Signatures.js"

/** Milliseconds that a writer takes to open; the kills within it are drawn from the last one's. */
let lastOpening = 300

export interface Killing {
  /** The bundle of `process.ts`. */
  readonly script: string
  readonly party: PartyName
  readonly random: Random
  readonly counts: Counts
  /** Told what went wrong. */
  readonly report: (what: string) => void
}

export class KilledFeed {
  readonly #signatures = new Signatures()
  readonly #acknowledgedFile: string
  /** Lines of that file: all, and how many of them some writer has looked for already. */
  readonly #acknowledged: Array<string> = []
  #checked = 0
  #writer: Child | undefined
  #reader: Child | undefined
  #key: string | undefined
  /** The length that the reader has said it knows. */
  #readerLength = 0
  #harmBefore

  constructor(
    readonly killing: Killing,
    readonly directory: string
  ) {
    fs.mkdirSync(directory, { recursive: true })
    this.#acknowledgedFile = path.join(directory, "acknowledged")
    this.#harmBefore = harm(killing.counts)
    killing.counts.feeds++
  }

  get isHarmed(): boolean {
    return harm(this.killing.counts) > this.#harmBefore
  }

  /** Starts the writer, and kills it at some moment; now and then the reader too, before it or after. */
  async round(name: string): Promise<void> {
    const { counts, random } = this.killing
    const writer = this.#startWriter(name)
    const isAtMoment = await this.#moment(writer)
    if (!isAtMoment) this.#blame(writer, `round ${name}`)
    const first = random.below(6)
    if (first === 0) await this.#killReader()
    await writer.kill()
    counts.kills++
    if (writer.last.has("checked")) this.#count(writer)
    else counts.killsWhileOpening++
    if (first === 1) await this.#killReader()
    this.#compareSignatures()
  }

  /** Without a kill: the writer opens, what was acknowledged is there, and the reader gets all that is left. */
  async end(): Promise<void> {
    const writer = this.#startWriter("last")
    const isOpen = await writer.until(() => writer.last.has("port") || writer.last.has("failed"))
    this.#count(writer)
    const length = Number(writer.last.get("opened")?.[0])
    const reader = this.#reader
    if (!isOpen || writer.last.has("failed")) this.#blame(writer, "the last opening")
    else if (reader !== undefined) {
      const hasAll = await reader.until(() => this.#hasAll(reader, length))
      if (!hasAll) this.#blame(reader, `the reader's last ${length} blocks`)
    }
    await writer.kill()
    await this.#killReader(false)
    this.#compareSignatures()
    this.killing.counts.signatures += this.#signatures.size
  }

  #hasAll(reader: Child, length: number): boolean {
    const [held, known] = reader.last.get("held") ?? ["0", "0"]
    return length === 0 || (Number(held) >= length && Number(known) >= length)
  }

  #startWriter(round: string): Child {
    const { party, script } = this.killing
    const unchecked = round === "last" ? this.#acknowledged : this.#acknowledged.slice(this.#checked)
    fs.writeFileSync(this.#acknowledgedFile, unchecked.join(""))
    const count = this.#acknowledged.length
    const started = performance.now()
    const args = ["write", party, path.join(this.directory, "writer"), this.#acknowledgedFile, round]
    const writer = new Child(script, args, ([kind, first, second]) => {
      if (kind === "opened") {
        lastOpening = performance.now() - started
        this.#key = second
        this.killing.counts.announcedLost += Math.max(0, this.#readerLength - Number(first))
      } else if (kind === "ack") {
        this.killing.counts.acknowledged++
        this.#acknowledged.push(`${first} ${second}\n`)
      } else if (kind === "checked") this.#checked = count
      else if (kind === "port") this.#follow(first!)
    })
    this.#writer = writer
    return writer
  }

  #follow(port: string): void {
    if (this.#reader === undefined || this.#reader.isGone) {
      const { party, script } = this.killing
      const args = ["read", party, path.join(this.directory, "reader"), this.#key!]
      this.#reader = new Child(script, args, ([kind, held, length]) => {
        if (kind === "held") this.#readerLength = Math.max(this.#readerLength, Number(length))
        if (kind === "held" && held !== undefined) this.#writer?.nudge()
      })
    }
    this.#reader.tell(port)
  }

  /** Waits for the moment to kill; `false` when it does not come. */
  async #moment(writer: Child): Promise<boolean> {
    const { random } = this.killing
    const kind = random.below(8)
    const [count, delay] = [1 + random.below(200), random.below(8)]
    if (kind === 0) {
      await later(random.next() * 1.3 * lastOpening)
      return true
    }
    const { counts } = this.killing
    const before = { acknowledged: counts.acknowledged, readerLength: this.#readerLength }
    const isSo =
      kind < 5
        ? () => counts.acknowledged >= before.acknowledged + count
        : () => this.#readerLength >= before.readerLength + count
    const came = await writer.until(() => isSo() || writer.last.has("failed"))
    if (came) await later(delay)
    return came && !writer.last.has("failed")
  }

  #blame(child: Child, when: string): void {
    const { counts, report } = this.killing
    const why = child.last.get("failed")?.join(" ")
    const what =
      why === undefined && !child.isGone ? "stuck" : child.last.has("opened") ? "failed" : "unopenable"
    counts[what]++
    report(`${what}: ${when}: ${why ?? "nothing came"}`)
  }

  #count(writer: Child): void {
    const [lost = "0", unreadable = "0"] = writer.last.get("checked") ?? []
    const { counts, report } = this.killing
    counts.lost += Number(lost)
    counts.unreadable += Number(unreadable)
    if (Number(lost) > 0 || Number(unreadable) > 0) report(`${lost} lost, ${unreadable} unreadable`)
  }

  async #killReader(isCounted = true): Promise<void> {
    const reader = this.#reader
    if (reader === undefined) return
    await reader.kill()
    if (isCounted) this.killing.counts.readerKills++
    if (reader.last.has("failed")) this.#blame(reader, "a reader")
    this.#reader = undefined
  }

  #compareSignatures(): void {
    const before = this.#signatures.forked.size
    this.#signatures.collect(path.join(this.directory, "writer"))
    // While it lives it may be in the midst of writing.
    if (this.#reader === undefined) this.#signatures.collect(path.join(this.directory, "reader"))
    const found = this.#signatures.forked.size - before
    this.killing.counts.forks += found
    if (found > 0) this.killing.report(`${found} lengths signed twice`)
  }
}

const later = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => void setTimeout(resolve, milliseconds))
