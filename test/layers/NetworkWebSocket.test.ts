import { Effect } from "effect"
import { WebSocket } from "ws"
import * as NetworkWebSocket from "../../src/layers/NetworkWebSocket.js"
import * as NetworkWebSocketNode from "../../src/layers/NetworkWebSocketNode.js"
import { connectionSuite, MIB, throughBoth } from "../suites/connection.js"

const HOST = "127.0.0.1"

/** The platform's own where there is one (Node 22), and `ws`, which has the same face. */
const constructors = { ws: WebSocket, ...("WebSocket" in globalThis ? { global: undefined } : {}) }

for (const [name, constructor] of Object.entries(constructors)) {
  connectionSuite(`NetworkWebSocket, ${name}`, {
    connected: Effect.suspend(() =>
      throughBoth(NetworkWebSocket.make({ WebSocket: constructor }), NetworkWebSocketNode.make(), HOST)
    ),
    halfCloses: false,
    buffers: [16 * MIB, Infinity]
  })
}
