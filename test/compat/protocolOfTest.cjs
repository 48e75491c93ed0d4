/**
 * Preloaded (`node -r`) into the test file of `hypercore-protocol`: what it tests, `./`, is then the module that OURS names. Without OURS
 * it is the real package, whose encryption needs a function that its `sodium-universal` does not find here (see test/reference/peerWire).
 */
const Module = require("node:module")
const { OURS } = process.env
const resolve = Module._resolveFilename

Module._resolveFilename = function (request, parent, ...rest) {
  const isTested = request === "./" && parent?.filename.endsWith("hypercore-protocol/test.js")
  return isTested && OURS !== undefined ? OURS : resolve.call(this, request, parent, ...rest)
}

if (OURS === undefined) {
  const ofProtocol = Module.createRequire(require.resolve("hypercore-protocol"))
  const sodium = ofProtocol("sodium-universal")
  const inJavaScript = Module.createRequire(ofProtocol.resolve("sodium-universal"))("sodium-javascript")
  sodium.crypto_stream_xor_instance ??= inJavaScript.crypto_stream_xor_instance
}
