/** Preloaded (`node -r`) into a package's own test file: `hypercore`, whoever asks for it, is then the module that HYPERCORE names. */
const Module = require("node:module")
const resolve = Module._resolveFilename

Module._resolveFilename = function (request, ...rest) {
  return request === "hypercore" ? process.env.HYPERCORE : resolve.call(this, request, ...rest)
}
