/**
 * Preloaded (`node --require`) into each test file of hypercore 7, which is a copy in a directory of its own:
 *
 *     what it tests, `../`        is the module that PEER_SUITE_SUBJECT names
 *     the packages that it needs  are those that it would find where it was copied from
 *
 * Here the real package finds newer packages than it was tested with, and two of them would fail its own tests: `put(index, null, proof)`
 * needs codecs 2.0, and encryption a function that only sodium-native 2 has, beside sodium-javascript.
 */
const Module = require("node:module")
const path = require("node:path")

const { PEER_SUITE_SUBJECT, PEER_SUITE_TESTS } = process.env
const peer = require.resolve("hypercore-7")
const ofPeer = Module.createRequire(path.join(path.dirname(peer), "test", "any.js"))
const resolve = Module._resolveFilename

Module._resolveFilename = function (request, parent, ...rest) {
  const from = parent?.filename ?? ""
  if (from.startsWith(PEER_SUITE_TESTS + path.sep)) {
    if (!request.startsWith(".")) return ofPeer.resolve(request)
    const named = path.resolve(path.dirname(from), request)
    if (named === path.dirname(PEER_SUITE_TESTS)) return PEER_SUITE_SUBJECT
  }
  return from === peer && request === "codecs"
    ? require.resolve("codecs-2")
    : resolve.call(this, request, parent, ...rest)
}

const ofProtocol = Module.createRequire(ofPeer.resolve("hypercore-protocol"))
const ofSodium = Module.createRequire(ofProtocol.resolve("sodium-universal"))
ofProtocol("sodium-universal").crypto_stream_xor_instance ??=
  ofSodium("sodium-javascript").crypto_stream_xor_instance
