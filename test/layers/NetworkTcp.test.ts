import { Effect } from "effect"
import * as NetworkTcp from "../../src/layers/NetworkTcp.js"
import { connectionSuite, MIB, through } from "../suites/connection.js"
import { networkSuite } from "../suites/network.js"

const HOST = "127.0.0.1"

connectionSuite("NetworkTcp", {
  connected: Effect.suspend(() => through(NetworkTcp.make(), HOST)),
  halfCloses: true,
  buffers: [16 * MIB, 16 * MIB]
})

networkSuite("NetworkTcp", Effect.sync(NetworkTcp.make), HOST)
