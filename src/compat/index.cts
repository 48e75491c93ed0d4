// What `require` is given: the function itself, and its types for who resolves them as CommonJS.
import compat = require("./index.js")
import type { Hypercore as Feed } from "./Hypercore.js" with { "resolution-mode": "import" }

const hypercore: typeof compat = compat
// oxlint-disable-next-line typescript/no-namespace -- the only way to give a function's types with it
namespace hypercore {
  export type Hypercore<T = Buffer> = Feed<T>
}
export = hypercore
