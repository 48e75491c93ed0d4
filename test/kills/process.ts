/**
 * A process to be killed. What it did it says on standard output at once, a line each; `field field ...`:
 *
 *     write <party> <directory> <acknowledged> <round>   read <party> <directory> <key>
 *       opened <length> <key>                              opened <length>
 *       checked <lost> <unreadable>                        held <downloaded> <length>    whenever there is more
 *       port <number>                                      ended <how>                   a connection
 *       ack <index> <name>     a block is stored
 *
 * The writer first looks for what was acknowledged before, by the file `acknowledged` (lines `<index> <name>`), then appends until it
 * dies, one block or a batch at a time, eight at once; in the round `last` it appends nothing. The reader obeys lines of standard input, each
 * a port to replicate with. `failed <why>` is the last line of one that could not go on.
 */
import * as fs from "node:fs"
import { createInterface } from "node:readline"
import { blockNamed } from "./blocks.js"
import { partyOf, type PartyLog, type PartyName } from "./Party.js"

const WRITERS = 8

/** To a pipe, so it has been written when this returns. */
const say = (...fields: ReadonlyArray<string | number>): void => {
  process.stdout.write(`${fields.join(" ")}\n`)
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")

/** How many of the acknowledged blocks are lost (past the end, or other bytes), and how many cannot be read. */
const check = async (log: PartyLog, file: string): Promise<void> => {
  let lost = 0
  let unreadable = 0
  for (const line of fs.readFileSync(file, "utf8").split("\n").filter(Boolean)) {
    const [index, name] = line.split(" ") as [string, string]
    if (Number(index) >= log.length()) {
      lost++
      continue
    }
    try {
      const block = await log.get(Number(index))
      if (Buffer.compare(block, blockNamed(name)) !== 0) lost++
    } catch {
      unreadable++
    }
  }
  say("checked", lost, unreadable)
}

const appendForever = async (log: PartyLog, round: string, fiber: number): Promise<never> => {
  for (let count = 0; ;) {
    const names = Array.from({ length: count % 3 === 0 ? 2 : 1 }, () => `${round}.${fiber}.${count++}`)
    const start = await log.append(names.map(blockNamed))
    for (const [i, name] of names.entries()) say("ack", start + i, name)
  }
}

const write = async (log: PartyLog, acknowledged: string, round: string): Promise<void> => {
  say("opened", log.length(), hex(log.key))
  await check(log, acknowledged)
  say("port", await log.listen())
  if (round === "last") return
  await Promise.all(Array.from({ length: WRITERS }, (_, fiber) => appendForever(log, round, fiber)))
}

const read = async (log: PartyLog): Promise<void> => {
  say("opened", log.length())
  let isTold = true
  const tell = (): void => {
    isTold = true
    say("held", log.downloaded(), log.length())
  }
  // Once for all that came in a turn of the event loop.
  log.onProgress(() => {
    if (isTold) setImmediate(tell)
    isTold = false
  })
  for await (const port of createInterface(process.stdin)) {
    void log.follow(Number(port)).then((how) => say("ended", JSON.stringify(how ?? "")))
  }
}

const [verb, party, directory, ...rest] = process.argv.slice(2) as [string, PartyName, string, string, string]
const open = await partyOf(party)
try {
  if (verb === "write") await write(await open(directory, undefined), rest[0], rest[1])
  else await read(await open(directory, Buffer.from(rest[0], "hex")))
} catch (error) {
  say("failed", JSON.stringify(String(error)))
}
