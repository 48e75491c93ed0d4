/** The command from outside: real processes on real files. */
import { Effect } from "effect"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import manifest from "../../package.json" with { type: "json" }
import { Feed, MAX_BLOCK_SIZE, ValueEncoding, toHex } from "../../src/index.js"
import { layer } from "../../src/node.js"
import {
  type Ended,
  beginOnTerminal,
  bundle,
  ended,
  expectFailure,
  expectSuccess,
  start
} from "./commandProcess.js"

let directory: string
let command: string

beforeAll(async () => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "effect-hypercore-cli-"))
  command = await bundle(directory)
})
afterAll(() => fs.rmSync(directory, { recursive: true, force: true }))

const inDirectory = (name: string): string => path.join(directory, name)

const run = (args: ReadonlyArray<string>, input: string | Uint8Array = ""): Promise<Ended> => {
  const child = start(command, args, directory)
  // It may end without having read all.
  child.stdin!.on("error", () => {})
  child.stdin!.end(input)
  return ended(child)
}

const write = (name: string, content: string | Uint8Array): string => {
  fs.writeFileSync(inDirectory(name), content)
  return name
}

const flipBit = (name: string, offset: number): void => {
  const bytes = fs.readFileSync(inDirectory(name))
  bytes[offset]! ^= 1
  fs.writeFileSync(inDirectory(name), bytes)
}

/** A feed of these blocks, made in this process: it takes a tenth of the time. */
const feedOf = (name: string, blocks: ReadonlyArray<string>): Promise<string> =>
  Feed.open({ encoding: ValueEncoding.utf8 }).pipe(
    Effect.flatMap((feed) => feed.appendBatch(blocks)),
    Effect.scoped,
    Effect.provide(layer({ directory: inDirectory(name) })),
    Effect.as(name),
    Effect.runPromise
  )

interface Info {
  readonly key: string
  readonly length: number
  readonly byteLength: number
  readonly held: number
  readonly whole: boolean
  readonly writable: boolean
  readonly secretKey: string
  readonly signature: { readonly state: string; readonly index?: number }
}

const infoOf = async (name: string): Promise<Info> => {
  const result = await run(["info", "--json", name])
  expectSuccess(result)
  return JSON.parse(result.stdout.toString()) as Info
}

const textOf = async (args: ReadonlyArray<string>): Promise<string> => {
  const result = await run(args)
  expectSuccess(result)
  return result.stdout.toString()
}

describe("create", () => {
  it("makes a feed and prints its keys", async () => {
    const text = await textOf(["create", "created"])
    const { key, length, writable, signature } = await infoOf("created")
    expect(text).toMatch(/^key {12}[0-9a-f]{64}\ndiscovery key {2}[0-9a-f]{64}\n$/)
    expect(text).toContain(key)
    expect([length, writable, signature]).toEqual([0, true, { state: "none" }])
    expectFailure(await run(["create", "created"]), 1, `created: a feed is stored here already: ${key}`)
  })

  it("makes a copy to be filled, whose secret key is elsewhere", async () => {
    await feedOf("original", [])
    const { key } = await infoOf("original")
    await textOf(["create", "copy", "--key", key])
    expect(await infoOf("copy")).toMatchObject({ key, writable: false })
    expectFailure(
      await run(["append", "copy"], "x"),
      1,
      "copy: the secret key is not stored here; give it with --secret-key-file"
    )
    await textOf(["append", "copy", "--secret-key-file", "original/secret_key", write("one.txt", "1")])
    expect(await infoOf("copy")).toMatchObject({ key, length: 1, writable: false })
    const secret = fs.readFileSync(inDirectory("original/secret_key"))
    await textOf(["create", "back", "--secret-key-file", write("secret.hex", `${toHex(secret)}\n`)])
    expect(await infoOf("back")).toMatchObject({ key, writable: true })
    secret[0]! ^= 1
    expectFailure(
      await run(["create", "bad", "--secret-key-file", write("secret.bad", secret)]),
      1,
      "secret.bad: is not a secret key: its two halves do not belong together"
    )
  })
})

describe("a directory with somebody else's files", () => {
  it("is left as it is", async () => {
    const names = ["key", "secret_key", "tree", "signatures", "bitfield", "data"]
    for (const [i, name] of names.entries()) {
      const dir = `strange-${i}`
      fs.mkdirSync(inDirectory(dir))
      write(`${dir}/${name}`, "a text of twenty-six bytes")
      expectFailure(await run(["create", dir]), 1, new RegExp(`^hypercore: ${dir}: corrupt feed: ${name}: `))
      expectFailure(await run(["append", "--create", dir], "x"), 1, new RegExp(` ${name}: `))
      expect(fs.readdirSync(inDirectory(dir))).toEqual([name])
      expect(fs.readFileSync(inDirectory(`${dir}/${name}`), "utf8")).toBe("a text of twenty-six bytes")
    }
  })

  it("also when it could be a feed's key", async () => {
    fs.mkdirSync(inDirectory("lone"))
    write("lone/key", "k".repeat(32))
    const refusal = "lone: the secret key is not stored here; give it with --secret-key-file"
    expectFailure(await run(["append", "lone"], "x"), 1, refusal)
    expectFailure(await run(["append", "--create", "lone"], "x"), 1, refusal)
    expectFailure(await run(["create", "lone"]), 1, /a feed is stored here already: 6b6b/)
    expect(fs.readdirSync(inDirectory("lone"))).toEqual(["key"])
  })
})

describe("append", () => {
  it("makes each file one block, also an empty one", async () => {
    const bytes = Buffer.from([0, 10, 255, 10])
    const args = ["append", "--create", "files", write("bytes", bytes), write("empty", ""), "-"]
    const result = await run(args, "from standard input\n")
    expectSuccess(result)
    expect(result.stdout.toString()).toMatch(
      /^appended {2}3 blocks, 24 bytes\nlength {4}3 blocks\nkey {7}[0-9a-f]{64}\n$/
    )
    const [first, second, third] = await Promise.all(["0", "1", "2"].map((i) => run(["get", "files", i])))
    expect(first!.stdout).toEqual(bytes)
    expect(second!.stdout.length).toBe(0)
    expect(third!.stdout.toString()).toBe("from standard input\n")
  })

  it("makes 100,000 lines as many blocks", async () => {
    const lines = Array.from({ length: 100_000 }, (_, i) => `line ${i}${i % 7 === 0 ? "\r" : ""}`)
    await feedOf("lines", [])
    const result = await run(["append", "lines", "--lines"], lines.join("\n"))
    expectSuccess(result)
    expect(result.stdout.toString()).toContain("100,000 blocks")
    expect(await textOf(["cat", "lines", "--lines"])).toBe(`${lines.join("\n")}\n`)
    expect(await textOf(["cat", "lines", "--lines", "--start", "99998"])).toBe("line 99998\nline 99999\n")
    expect(await textOf(["cat", "lines", "--start=8", "--end=10"])).toBe("line 8line 9")
    expect(await infoOf("lines")).toMatchObject({
      length: 100_000,
      whole: true,
      signature: { state: "valid", index: 99_999 }
    })
  })

  it("cuts each file into blocks of one size, durably", async () => {
    const bytes = Buffer.alloc(300_001, "0123456789")
    write("cut", bytes)
    await textOf(["append", "--create", "cuts", "--durable", "--block-size", "64k", "cut", "cut"])
    expect(await infoOf("cuts")).toMatchObject({ length: 10, byteLength: 600_002 })
    const sizes = await Promise.all(["0", "4", "5"].map((i) => run(["get", "cuts", i])))
    expect(sizes.map(({ stdout }) => stdout.length)).toEqual([65_536, 300_001 - 4 * 65_536, 65_536])
    expect((await run(["cat", "cuts"])).stdout).toEqual(Buffer.concat([bytes, bytes]))
  })

  it("reads a named pipe", async () => {
    execFileSync("mkfifo", [inDirectory("pipe")])
    const appending = run(["append", "--create", "piped", "--lines", "pipe"])
    await fs.promises.writeFile(inDirectory("pipe"), "a\nb\n")
    expectSuccess(await appending)
    expect(await textOf(["cat", "piped", "--lines"])).toBe("a\nb\n")
  })

  it("appends nothing when one of the files cannot become a block", async () => {
    await feedOf("unchanged", ["a"])
    fs.writeFileSync(inDirectory("large"), "")
    fs.truncateSync(inDirectory("large"), MAX_BLOCK_SIZE + 1)
    const append = ["append", "unchanged", write("small", "b")]
    expectFailure(await run([...append, "large"]), 1, /large: has more than 8384512 bytes.*--block-size 1m/)
    expectFailure(await run([...append, "no such"]), 1, "no such: no such file")
    expectFailure(await run([...append, "."]), 1, ".: is a directory")
    expectFailure(await run([...append, "-", "-"]), 2, "standard input (-) can be given only once")
    expect((await infoOf("unchanged")).length).toBe(1)
  })

  it("refuses what is too large in a stream, and tells what was appended before", async () => {
    await feedOf("streamed", ["a"])
    const large = Buffer.alloc(MAX_BLOCK_SIZE + 1, "x")
    expectFailure(
      await run(["append", "streamed"], large),
      1,
      /^hypercore: standard input: has more than 8384512/
    )
    write("short", "b\n")
    write("long", Buffer.concat([Buffer.from("c\n"), large]))
    expectFailure(
      await run(["append", "streamed", "--lines", "short", "long"]),
      1,
      /long: line 2 has more than 8384512 bytes.*\((1 block|2 blocks) before it (is|are) appended\)/
    )
  })

  it("holds to the end what was appended before Ctrl-C", async () => {
    await feedOf("interrupted", [])
    const child = start(command, ["append", "interrupted", "--block-size", "4k"], directory)
    const result = ended(child)
    child.stdin!.on("error", () => {})
    // More than the command and the pipe can hold: once all is taken, some of it is appended.
    const chunk = Buffer.alloc(1024 * 1024, "x")
    for (let i = 0; i < 32; i++) {
      await new Promise((resolve) => child.stdin!.write(chunk, resolve))
    }
    child.kill("SIGINT")
    const { code, stderr, stdout } = await result
    expect([code, stdout.length]).toEqual([130, 0])
    const { length, whole } = await infoOf("interrupted")
    const count = length.toLocaleString("en-US")
    expect(stderr).toBe(`hypercore: interrupted: ${count} blocks are appended\n`)
    expect(length).toBeGreaterThan(1000)
    expect(whole).toBe(true)
    expect(await textOf(["verify", "interrupted"])).toMatch(/^ok, /)
    expect(await textOf(["audit", "interrupted"])).toMatch(/invalid {5}0 blocks/)
  })
})

const past = (what: string): string => `three: ${what} is past the end of the feed, which has 3 blocks`

describe("reading", () => {
  it("prints what a feed is", async () => {
    await feedOf("described", ["hello", "world"])
    const rows = (await textOf(["info", "described"])).split("\n").map((row) => row.split(/ {2,}/))
    expect(rows.slice(2)).toEqual([
      ["length", "2 blocks"],
      ["bytes", "10"],
      ["stored", "2 of 2 blocks (whole)"],
      ["writable", "yes, the secret key is stored"],
      ["last signature", "valid, for block 1"],
      ["crypto", expect.stringMatching(/sodium-native|noble/)],
      [""]
    ])
    expect(await textOf(["verify", "described"])).toBe("ok, 2 blocks, signed by the feed's key\n")
    expect(await textOf(["audit", "described"])).toBe(
      "valid       2 blocks\ninvalid     0 blocks\nnot stored  0 blocks\n"
    )
  })

  it("ends quietly when nobody reads on", async () => {
    await feedOf("streamed-out", [])
    await run(["append", "streamed-out", "--block-size", "64k"], Buffer.alloc(8 * 1024 * 1024, "x"))
    const child = start(command, ["cat", "streamed-out"], directory)
    child.stdin!.end()
    const closed = new Promise((resolve) => child.on("close", resolve))
    let stderr = ""
    child.stderr!.on("data", (text: Buffer) => (stderr += text.toString()))
    child.stdout!.once("data", () => child.stdout!.destroy())
    expect(await closed).toBe(0)
    expect(stderr).toBe("")
  })

  it.runIf(process.platform === "linux")("leaves the standard input alone that others share", async () => {
    await feedOf("with-others", [])
    await run(["append", "with-others", "--block-size", "64k"], Buffer.alloc(8 * 1024 * 1024, "x"))
    const child = start(command, ["cat", "with-others"], directory)
    // It has begun to write, and cannot end before somebody reads the rest.
    await new Promise((resolve) => child.stdout!.once("readable", resolve))
    const input = fs.readFileSync(`/proc/${child.pid}/fdinfo/0`, "utf8")
    const flags = Number.parseInt(/^flags:\s*(\d+)$/m.exec(input)![1]!, 8)
    const over = ended(child)
    child.stdout!.resume()
    expectSuccess(await over)
    expect(flags & fs.constants.O_NONBLOCK).toBe(0)
  })

  it("refuses what is not there", async () => {
    await feedOf("three", ["a", "b", "c"])
    expectFailure(await run(["get", "three", "3"]), 1, past("block 3"))
    expectFailure(await run(["cat", "three", "--end", "4"]), 1, past("--end 4"))
    expectFailure(await run(["cat", "three", "--start", "4"]), 1, past("--start 4"))
    expectFailure(await run(["cat", "three", "--start=2", "--end=1"]), 2, "--start 2 is after --end 1")
    expect(await textOf(["cat", "three", "--start", "3"])).toBe("")
  })

  it("tells the directory in which there is no feed", async () => {
    const calls = [
      ["get", "none", "0"],
      ...["cat", "info", "verify", "audit", "append"].map((it) => [it, "none"])
    ]
    for (const result of await Promise.all(calls.map((args) => run(args)))) {
      expectFailure(result, 1, /^hypercore: none: no feed is stored here; make one with 'hypercore create'/)
    }
    expect(fs.existsSync(inDirectory("none"))).toBe(false)
    write("file", "")
    expectFailure(await run(["info", "file"]), 1, "file: is not a directory")
  })

  it("reads while another process writes, which a second writer may not", async () => {
    await feedOf("busy", ["a"])
    await Effect.runPromise(
      Effect.gen(function* () {
        yield* Feed.open()
        yield* Effect.promise(async () => {
          expect((await infoOf("busy")).length).toBe(1)
          expect(await textOf(["cat", "busy"])).toBe("a")
          expect(await textOf(["audit", "--read-only", "busy"])).toMatch(/^valid {7}1 block\n/)
          const refusal = "busy: another process is writing to this feed"
          expectFailure(await run(["append", "busy"], "x"), 1, refusal)
          expectFailure(await run(["audit", "busy"]), 1, `${refusal}; --read-only audits it all the same`)
        })
      }).pipe(Effect.scoped, Effect.provide(layer({ directory: inDirectory("busy") })))
    )
  })
})

describe("damage", () => {
  it("finds a changed block", async () => {
    await feedOf("changed", ["aa", "bb", "cc"])
    flipBit("changed/data", 2)
    const report = await run(["audit", "changed", "--read-only"])
    expectFailure(report, 1, "changed: 1 block is damaged")
    expect(report.stdout.toString()).toMatch(/^valid {7}2 blocks\ninvalid {5}1 block\n/)
    expect((await infoOf("changed")).held).toBe(3)
    expectFailure(
      await run(["audit", "changed"]),
      1,
      "changed: 1 block is damaged and now marked as not stored"
    )
    expect(await infoOf("changed")).toMatchObject({ held: 2, whole: false, length: 3 })
    expectFailure(await run(["get", "changed", "1"]), 1, "changed: block 1 is not stored")
    const cat = await run(["cat", "changed"])
    expectFailure(cat, 1, "changed: block 1 is not stored")
    expect(cat.stdout.toString()).toBe("aa")
    expect(await textOf(["cat", "changed", "--start", "2"])).toBe("cc")
  })

  it("finds blocks whose bytes are gone", async () => {
    await feedOf("gone", ["aa", "bb", "cc"])
    fs.truncateSync(inDirectory("gone/data"), 3)
    const report = await run(["audit", "gone", "--read-only"])
    expectFailure(report, 1, "gone: 2 blocks are damaged")
    expect(report.stdout.toString()).toBe("valid       1 block\ninvalid     2 blocks\nnot stored  0 blocks\n")
    expectFailure(await run(["audit", "gone"]), 1, "gone: 2 blocks are damaged and now marked as not stored")
    expect(await textOf(["audit", "gone"])).toBe(
      "valid       1 block\ninvalid     0 blocks\nnot stored  2 blocks\n"
    )
  })

  it("finds a changed signature", async () => {
    await feedOf("forged", ["a", "b"])
    await run(["append", "forged"], "c")
    flipBit("forged/signatures", 32 + 2 * 64 + 5)
    const damaged = /^hypercore: forged: damaged: no signature for length 3 .* up to length 2\n$/
    for (const args of [["verify"], ["cat"], ["audit", "--read-only"]]) {
      expectFailure(await run([...args, "forged"]), 1, damaged)
    }
    expect((await infoOf("forged")).signature).toEqual({ state: "invalid", index: 2 })
    expectFailure(await run(["append", "forged"], "d"), 1, /^hypercore: forged: corrupt feed: signatures: /)
  })

  it("finds a lost key in the secret key; without both it has to be given", async () => {
    await feedOf("keyless", ["a", "b"])
    const { key } = await infoOf("keyless")
    fs.rmSync(inDirectory("keyless/key"))
    expect(await infoOf("keyless")).toMatchObject({ key, length: 2, writable: true })
    expectFailure(await run(["create", "keyless"]), 1, `keyless: a feed is stored here already: ${key}`)
    expect(await textOf(["cat", "keyless"])).toBe("ab")
    fs.rmSync(inDirectory("keyless/secret_key"))
    const lost =
      "keyless: corrupt feed: key: it is missing, though other files of a feed are there; give the key to open them"
    const calls = [["info"], ["cat"], ["verify"], ["audit"], ["get", "1"]]
    const at = ([name, ...rest]: ReadonlyArray<string>, ...options: ReadonlyArray<string>) =>
      run([name!, ...options, "keyless", ...rest])
    for (const call of calls) expectFailure(await at(call), 1, lost)
    const noSecret = "keyless: the secret key is not stored here; give it with --secret-key-file"
    expectFailure(await run(["append", "keyless"], "x"), 1, noSecret)
    for (const call of calls.filter(([name]) => name !== "audit")) {
      expectSuccess(await at(call, "--key", key))
    }
    for (const options of [[], ["--key", key]]) {
      expectFailure(await at(["create"], ...options), 1, "keyless: files of a feed are stored here already")
    }
    expect(fs.existsSync(inDirectory("keyless/key"))).toBe(false)
    expectSuccess(await at(["audit"], "--key", key))
    expect(await infoOf("keyless")).toMatchObject({ key, length: 2, writable: false, secretKey: "none" })
    const other = "0".repeat(64)
    expectFailure(await at(["info"], "--key", other), 1, /another feed is stored here: /)
  })

  it("tells that the stored secret key is damaged", async () => {
    await feedOf("locked-out", ["a"])
    flipBit("locked-out/secret_key", 3)
    expect(await infoOf("locked-out")).toMatchObject({ length: 1, writable: false, secretKey: "damaged" })
    expect(await textOf(["info", "locked-out"])).toMatch(/^writable +no, the stored secret key is damaged$/m)
    fs.truncateSync(inDirectory("locked-out/secret_key"), 20)
    expect(await infoOf("locked-out")).toMatchObject({ writable: false, secretKey: "damaged" })
  })

  it("finds a file that is none of a feed's", async () => {
    await feedOf("mixed", ["a"])
    flipBit("mixed/tree", 0)
    const refusal =
      "mixed: corrupt feed: tree: its header is not that of such a file; if it is something else's, choose another directory"
    for (const args of [["verify"], ["info"], ["audit"]]) {
      expectFailure(await run([...args, "mixed"]), 1, refusal)
    }
  })
})

const onTerminal = async (args: string) => {
  const { code, stdout } = await beginOnTerminal(`${process.execPath} ${command} ${args}`, directory).ended
  return { code, text: stdout.toString() }
}

describe("the command line", () => {
  it("tells its version and explains itself", async () => {
    expect(await textOf(["--version"])).toBe(`${manifest.version}\n`)
    const help = await textOf(["--help"])
    expect(await textOf([])).toBe(help)
    const names = [
      "create",
      "append",
      "get",
      "cat",
      "info",
      "verify",
      "audit",
      "repair",
      "serve",
      "clone",
      "tail"
    ]
    const pages = await Promise.all(names.map((name) => textOf([name, "--help"])))
    for (const [i, name] of names.entries()) {
      expect(help).toMatch(new RegExp(`^  ${name} (<key> )?<dir>`, "m"))
      expect(pages[i]).toMatch(new RegExp(`^Usage: hypercore ${name} .*<dir>`))
    }
    for (const line of [help, ...pages].join("\n").split("\n")) expect(line.length).toBeLessThanOrEqual(80)
    // oxlint-disable-next-line no-control-regex
    expect(help).not.toMatch(/\u001b/)
  })

  it("offers in shells only what it takes", async () => {
    for (const shell of ["bash", "fish", "zsh"]) {
      const script = await textOf(["--completions", shell])
      expect(script).toContain("read-only")
      expect(script).not.toMatch(/wizard/i)
      expect(script).not.toMatch(/\bsh\b(?!\.)/)
      for (const choice of script.match(/[({](?:\w+[', ]+)*bash[^)}]*/g) ?? []) {
        expect(choice.match(/\w+/g)).toEqual(["bash", "fish", "zsh"])
      }
    }
    expect(await textOf(["--completions=zsh"])).toMatch(/\(bash fish zsh\)/)
  })

  it("completes in shells", async () => {
    const script = await textOf(["--completions", "bash"])
    execFileSync("bash", ["-n"], { input: script })
    expect(script).toContain("--block-size")
  })

  it("refuses wrong calls in one line", async () => {
    const calls: ReadonlyArray<readonly [ReadonlyArray<string>, string]> = [
      [
        ["nope"],
        "unknown command 'nope'; the commands are create, append, get, cat, info, verify, audit, repair, backup, restore, serve, clone, tail"
      ],
      [["get", "d"], "Missing argument <index>"],
      [["get", "d", "-1"], "'-1' is not a block index: blocks are counted from 0"],
      [["get", "d", "1.5"], "'1.5' is not a block index: blocks are counted from 0"],
      [["cat", "d", "--start", "x"], "--start: 'x' is not a block index: blocks are counted from 0"],
      [["cat", "d", "e"], "Received unknown argument: 'e'"],
      [["append", "d", "--nope"], "unknown option '--nope' (a file of that name is './--nope')"],
      [["append", "d", "--lines", "--block-size", "1k"], "--lines and --block-size exclude each other"],
      [
        ["append", "d", "--block-size", "8m"],
        "--block-size: a block has at most 8384512 bytes (just under 8m)"
      ],
      [["create", "d", "--key", "xyz"], "--key: 'xyz' is not hexadecimal"],
      [["create", "d", "--key", "abc"], "--key: a key has 64 hexadecimal digits, not 3"],
      [
        ["serve", "d", "--max-connections", "0"],
        "--max-connections: '0' is not a number of connections, such as 256"
      ],
      [["--completions", "ksh"], "--completions: give one of bash, fish, zsh"]
    ]
    const results = await Promise.all(calls.map(([args]) => run(args)))
    for (const [i, result] of results.entries()) expectFailure(result, 2, calls[i]![1])
    expect(fs.existsSync(inDirectory("d"))).toBe(false)
  })

  it("takes a directory named 1 or no for a directory", async () => {
    await feedOf("1", ["a"])
    await feedOf("no", ["b"])
    expect(await textOf(["cat", "--lines", "1"])).toBe("a\n")
    expect(await textOf(["cat", "--lines", "no"])).toBe("b\n")
  })

  it.skipIf(!fs.existsSync("/usr/bin/script"))("shows progress on a terminal only", async () => {
    write("shown", Buffer.alloc(1_000_000))
    const append = "append --create shown-feed --block-size 64k shown"
    const shown = await onTerminal(append)
    expect(shown.code).toBe(0)
    expect(shown.text).toMatch(/100% {2}976.6 KiB of 976.6 KiB, [\d.]+ [KM]iB\/s/)
    const hidden = await onTerminal(`${append} --no-progress`)
    expect(hidden.text).toMatch(/^appended {2}16 blocks, 1,000,000 bytes\r\n/)
    expect((await onTerminal("audit shown-feed")).text).toMatch(/32 of 32 blocks/)
  })
})
