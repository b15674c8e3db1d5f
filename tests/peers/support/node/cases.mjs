// Named cases of a tour, run one after the other and reported as `cargo xtask test` reads it.
//
//     import { run, server, skip } from '../support/node/cases.mjs'
//     import assert from 'node:assert/strict'
//
//     await run({
//       async 'bucket::is made and listed'() { ... },
//     })
//
// The name of a case in the report is `PEER::NAME`. A case passes when it returns, fails when it throws, and is
// skipped when it calls `skip`. Arguments of the tour are parts of names: a case runs if its name contains one.

class Skip extends Error {}

/** Ends the case as skipped. A reason that starts with `unsupported` says that the peer lacks what the case shows. */
export function skip(reason) {
  throw new Skip(reason)
}

/** What the server announced under `name` (`supabase`, ...), usually an address. */
export function server(name, otherwise) {
  const value = process.env[`LONGSHORE_DEV_${name.toUpperCase().replaceAll('-', '_')}`] ?? otherwise
  if (value === undefined) throw new Error(`the server announced no \`${name}\``)
  return value
}

/** Runs the cases and ends the process: 0 if none failed. */
export async function run(cases) {
  const peer = process.env.LONGSHORE_PEER ?? 'peer'
  const wanted = process.argv.slice(2)
  const all = Object.entries(cases).map(([name, body]) => [`${peer}::${name}`, body])
  const chosen = all.filter(([name]) => wanted.length === 0 || wanted.some((part) => name.includes(part)))
  console.log(`\nrunning ${chosen.length} test${chosen.length === 1 ? '' : 's'}`)
  const start = performance.now()
  const counts = { ok: 0, FAILED: 0, ignored: 0 }
  for (const [name, body] of chosen) {
    const { end, reason, told } = await one(body)
    counts[end] += 1
    console.log(`test ${name} ... ${end}${reason ? `, ${reason}` : ''}`)
    for (const line of told.split('\n').filter(Boolean)) console.log(`    ${line}`)
  }
  const seconds = ((performance.now() - start) / 1000).toFixed(2)
  const verdict = counts.FAILED ? 'FAILED' : 'ok'
  console.log(
    `\ntest result: ${verdict}. ${counts.ok} passed; ${counts.FAILED} failed; ${counts.ignored} ignored; ` +
      `0 measured; 0 filtered out; finished in ${seconds}s\n`,
  )
  // Idle connections of a client must not keep the process.
  process.exit(counts.FAILED ? 1 : 0)
}

async function one(body) {
  try {
    await body()
    return { end: 'ok', told: '' }
  } catch (error) {
    if (error instanceof Skip) return { end: 'ignored', reason: error.message.replace(/\s+/g, ' '), told: '' }
    return { end: 'FAILED', told: error?.stack ?? String(error) }
  }
}
