/**
 * The attacker, in a process of its own: plays a scenario on as many connections as it says, each again whenever it is ended, until it is
 * killed. `{ name, port, key, discoveryKeys, author, blocks }` comes as its argument; it tells how many connections it made.
 */
import net from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import { Reader, feed, handshake } from "./bytes.mjs"
import { scenarios } from "./scenarios.mjs"

const victim = JSON.parse(process.argv[2])
victim.discoveryKeys = victim.discoveryKeys.map((key) => Buffer.from(key, "hex"))
const scenario = scenarios.find(({ name }) => name === victim.name)

let made = 0
setInterval(() => process.send({ made }), 100)
process.on("disconnect", () => process.exit(0))

/** A connection with the victim. */
class Peer {
  victim = victim
  isOver = false
  /** Frames heard, by their types. */
  heard = Array.from({ length: 16 }, () => 0)
  /** Requests of the victim's that were not looked at. */
  requests = []
  #reader = new Reader()
  /** Those that wait for something to happen. */
  #waiting = []
  #isFull = false

  constructor(socket) {
    this.socket = socket
    socket.setNoDelay(true)
    socket.on("error", () => this.#over())
    socket.on("close", () => this.#over())
    socket.on("end", () => this.#over())
    socket.on("drain", () => {
      this.#isFull = false
      this.#wake()
    })
    socket.on("data", (chunk) => {
      for (const { first, type } of this.#reader.read(chunk)) {
        this.heard[type]++
        if (type === 5) this.wants = Math.max(this.wants ?? 0, first)
        if (type === 7) this.requests.push(first)
      }
      this.#wake()
    })
  }

  #wake() {
    for (const go of this.#waiting.splice(0)) go()
  }

  #over() {
    this.isOver = true
    this.#wake()
  }

  /** Ends when it is written, or never will be. */
  async write(bytes) {
    if (this.isOver || this.socket.write(bytes)) return
    this.#isFull = true
    await this.until(() => !this.#isFull)
  }

  /** Ends when `isSo`, or all is over. */
  async until(isSo) {
    while (!this.isOver && !isSo()) await new Promise((resolve) => this.#waiting.push(resolve))
  }

  sleep(milliseconds) {
    return sleep(milliseconds)
  }
}

const once = () =>
  new Promise((resolve) => {
    const socket = net.connect(victim.port, "127.0.0.1")
    made++
    socket.once("error", () => resolve())
    socket.once("connect", async () => {
      const peer = new Peer(socket)
      await peer.write(feed({ discoveryKey: victim.discoveryKeys[0] }))
      await peer.write(handshake({ extensions: ["x"] }))
      await scenario.attack(peer)
      socket.destroy()
      resolve()
    })
  })

const forever = async () => {
  while (true) await once()
}

for (let i = 0; i < (scenario.connections ?? 1); i++) void forever()
