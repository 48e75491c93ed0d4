/**
 * Workloads that copy a whole feed from one directory to another: within a process, and over TCP between two. A contender's
 * part is
 *
 *   replicate(feed, to)        // feed: an open one; copies it to a new feed in directory `to`; ends when all is held
 *   serve(feed)                // listens on 127.0.0.1; gives { port, key } with the key in hexadecimal
 *   clone(to, key, port, length)
 *
 * What is timed begins with an open source and ends with every block verified and stored.
 */
import { spawn } from "node:child_process"
import { rmSync } from "node:fs"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"

const expect = (condition, message) => {
  if (!condition) throw new Error(message)
}

/** Runs `copy(to)` into one new directory after another, first to warm up, until the time is up; each copy is looked at afterwards. */
const repeated = async ({ open, dir, size }, feed, copy) => {
  const { length } = feed
  const bytes = feed.byteLength
  const pass = async (name) => {
    const to = join(dir, "..", `${process.pid}-${name}`)
    const start = performance.now()
    await copy(to)
    const seconds = (performance.now() - start) / 1000
    const copied = await open(to)
    expect(copied.length === length, `copied ${copied.length} of ${length} blocks`)
    let seen = 0
    let at = 0
    const wanted = [0, length >> 1, length - 1]
    await copied.getEach(
      () => wanted[at++] ?? -1,
      (block) => (seen += block.length)
    )
    expect(seen === (3 * bytes) / length, "a copied block has another size")
    await copied.close()
    rmSync(to, { recursive: true, force: true })
    return seconds
  }
  for (let warm = 0, i = 0; i === 0 || warm < size.replicaWarmup; i++) warm += await pass(`warm-up-${i}`)
  const total = { ops: 0, bytes: 0, seconds: 0 }
  for (let i = 0; i === 0 || total.seconds < size.seconds; i++) {
    total.seconds += await pass(`copy-${i}`)
    total.ops += length
    total.bytes += bytes
  }
  return total
}

export const inProcess = async (context) => {
  const feed = await context.open(context.dir)
  const result = await repeated(context, feed, (to) => context.contender.replicate(feed, to))
  await feed.close()
  return result
}

const WORKER = fileURLToPath(new URL("worker.mjs", import.meta.url))

/** A process that serves the feed in `dir`, and what it says of it. */
const startServer = async (name, dir) => {
  const child = spawn(process.execPath, [WORKER, "--contender", name, "--serve", "--dir", dir], {
    stdio: ["ignore", "pipe", "inherit"]
  })
  for await (const line of createInterface({ input: child.stdout })) {
    const said = JSON.parse(line)
    expect(said.error === undefined, said.error)
    return { child, ...said }
  }
  throw new Error("the serving process ended")
}

export const overTcp = async (context) => {
  const { child, key, port, length, byteLength } = await startServer(context.name, context.dir)
  try {
    return await repeated(context, { length, byteLength }, (to) =>
      context.contender.clone(to, key, port, length)
    )
  } finally {
    child.kill("SIGKILL")
  }
}

/** The serving process's work: never ends. */
export const serveFor = async (contender, dir, print) => {
  const feed = await contender.open(dir)
  const { key, port } = await contender.serve(feed)
  print({ key, port, length: feed.length, byteLength: feed.byteLength })
  process.once("SIGTERM", () => process.exit())
  await new Promise(() => {})
}
