/**
 * `npm run faults -- [--every 1] [--role author|reader]`: each system call on a feed's files made to fail once, with each error, for each
 * durability; or every nth of them, or those of one role. Prints how many, and what was wrong.
 */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { parseArgs } from "node:util"
import { bundleScript, DURABILITIES, ERRORS, ROLES, run, whyNoStrace } from "./inject.js"

const { values } = parseArgs({
  options: { every: { type: "string", default: "1" }, role: { type: "string" } }
})
const roles = ROLES.filter((role) => values.role === undefined || role === values.role)

const why = whyNoStrace()
if (why !== undefined) {
  console.log(why)
  process.exit(1)
}
const directory = fs.mkdtempSync(path.join(os.tmpdir(), "effect-hypercore-faults-"))
const script = await bundleScript(directory)
const totals = new Map<string, { injected: number; told: number; problems: number }>()
for (const [durability, role] of DURABILITIES.flatMap((one) => roles.map((other) => [one, other] as const))) {
  const { calls } = await run(script, directory, durability, role)
  for (const [call, count] of calls) {
    const total = totals.get(call) ?? { injected: 0, told: 0, problems: 0 }
    totals.set(call, total)
    for (let when = 1; when <= count; when += Number(values.every)) {
      for (const error of ERRORS) {
        const { failures, isInjected, problems } = await run(script, directory, durability, role, {
          call,
          error,
          when
        })
        if (isInjected) total.injected++
        if (failures > 0) total.told++
        total.problems += problems.length
        for (const problem of problems)
          console.log(`${role} ${durability} ${call} ${when} ${error}: ${problem}`)
      }
    }
  }
}
fs.rmSync(directory, { recursive: true })
console.log("call".padEnd(14), "failed".padStart(8), "told".padStart(8), "problems".padStart(10))
for (const [call, { injected, problems, told }] of totals) {
  console.log(
    call.padEnd(14),
    String(injected).padStart(8),
    String(told).padStart(8),
    String(problems).padStart(10)
  )
}
if ([...totals.values()].some(({ problems }) => problems > 0)) process.exitCode = 1
