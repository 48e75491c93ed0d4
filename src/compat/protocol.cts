// What `require` is given: the function itself, and its types for who resolves them as CommonJS.
import compat = require("./protocol.js")
export = compat
