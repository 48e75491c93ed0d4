/**
 * `npm run kills -- [--kills 300] [--peer ours|hypercore-7|both] [--seed N]`: a writer killed that many times with SIGKILL, under load, while
 * a reader in another process replicates; ours, and real hypercore 7 beside it. Prints what came of both; fails when ours was harmed.
 */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { parseArgs } from "node:util"
import { type Counts, harm, noCounts } from "./Counts.js"
import { kill } from "./kill.js"
import { PARTIES, type PartyName } from "./Party.js"

const { values } = parseArgs({
  options: {
    kills: { type: "string", default: "300" },
    peer: { type: "string", default: "both" },
    seed: { type: "string", default: String(Math.floor(Math.random() * 2 ** 32)) }
  }
})

const killParty = async (party: PartyName): Promise<Counts> => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "effect-hypercore-kills-"))
  const counts = await kill({
    party,
    kills: Number(values.kills),
    seed: Number(values.seed),
    directory,
    report: (what) => console.log(`${party}: ${what}`)
  })
  if (harm(counts) === 0) fs.rmSync(directory, { recursive: true })
  else console.log(`${party}: the harmed feeds are kept in ${directory}`)
  return counts
}

console.log(`seed ${values.seed}`)
const results = new Map<PartyName, Counts>()
for (const party of PARTIES) {
  if (values.peer === "both" || values.peer === party) results.set(party, await killParty(party))
}
console.log(["".padEnd(20), ...[...results.keys()].map((party) => party.padStart(12))].join(""))
for (const name of Object.keys(noCounts()) as Array<keyof Counts>) {
  const row = [...results.values()].map((counts) => String(counts[name]).padStart(12))
  console.log([name.padEnd(20), ...row].join(""))
}
const ours = results.get("ours")
if (results.size === 0 || (ours !== undefined && harm(ours) > 0)) process.exitCode = 1
