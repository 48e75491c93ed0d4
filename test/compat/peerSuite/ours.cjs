// Ours as `require` gives it: a module's default export where it is an ECMAScript module.
const loaded = require(process.env.PEER_SUITE_OURS)

module.exports = typeof loaded === "function" ? loaded : loaded.default
