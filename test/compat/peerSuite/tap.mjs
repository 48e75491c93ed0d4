// What a test file said (TAP, as tape 4 writes it), and what of it another run of the same file does not say.

// Tests that do something else each time: only whether any of their assertions passed can be compared.
const VARYING = new Set(["chaos monkey randomized"])

/** Every assertion of `text`, in order: `{ test, name, ok }`. What the tests print themselves is passed over. */
export const parse = (text) => {
  const assertions = []
  let test = ""
  for (const line of text.split("\n")) {
    const comment = /^# (.*)$/.exec(line)
    const assertion = /^(not )?ok \d+(?: (.*))?$/.exec(line)
    if (comment !== null) test = comment[1]
    else if (assertion !== null) {
      assertions.push({ test, name: assertion[2] ?? "", ok: assertion[1] === undefined })
    }
  }
  return assertions
}

export const counts = (assertions) => {
  const ok = assertions.filter((one) => one.ok).length
  return { ok, notOk: assertions.length - ok }
}

/** The name that both runs give it: one takes longer than the other. */
const nameOf = ({ test, name }) => (VARYING.has(test) ? "any" : name.replaceAll(/\d+ms\b/g, "some ms"))

/** Passes and failures of each assertion name of each test, in order. */
const tally = (assertions) => {
  const byName = new Map()
  for (const one of assertions) {
    const name = nameOf(one)
    const key = JSON.stringify([one.test, name])
    const seen = byName.get(key) ?? { test: one.test, name, ok: 0, notOk: 0 }
    seen[one.ok ? "ok" : "notOk"]++
    byName.set(key, seen)
  }
  return byName
}

/**
 * What `real` passes and `ours` does not, and what `ours` fails beyond that: `{ test, name, missing, failed }`, with how often
 * each assertion of that name did not pass, and how often it failed without having failed in `real`.
 */
export const losses = (real, ours) => {
  const told = tally(real)
  const lost = []
  const heard = tally(ours)
  for (const [key, { test, name }] of new Map([...told, ...heard])) {
    const expected = told.get(key) ?? { ok: 0, notOk: 0 }
    const actual = heard.get(key) ?? { ok: 0, notOk: 0 }
    const passes = VARYING.has(test) ? Math.min(expected.ok, 1) : expected.ok
    const missing = Math.max(0, passes - actual.ok)
    const failed = Math.max(0, actual.notOk - expected.notOk)
    if (missing > 0 || failed > 0) lost.push({ test, name, missing, failed })
  }
  return lost
}
