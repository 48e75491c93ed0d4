import { Effect } from "effect"
import * as NetworkWebSocketNode from "../../src/layers/NetworkWebSocketNode.js"
import { connectionSuite, MIB, through } from "../suites/connection.js"
import { networkSuite } from "../suites/network.js"

const HOST = "127.0.0.1"

connectionSuite("NetworkWebSocketNode", {
  connected: Effect.suspend(() => through(NetworkWebSocketNode.make(), HOST)),
  halfCloses: false,
  buffers: [16 * MIB, 16 * MIB]
})

networkSuite("NetworkWebSocketNode", Effect.sync(NetworkWebSocketNode.make), HOST)
