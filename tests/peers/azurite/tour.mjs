// Azurite in memory on a free port of loopback, and our own tests as its clients: the conformance suite, and the tests of
// the object_store crate over our adapters. Their output is the tour's.

import { spawn } from 'node:child_process'
import { createServer } from 'node:net'
import { createRequire } from 'node:module'
import path from 'node:path'

const PATIENCE = 60_000

/** A port that is free now. */
function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', reject)
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address()
      probe.close(() => resolve(port))
    })
  })
}

/** Starts the emulator, and waits until it listens. */
async function start(port) {
  const main = createRequire(import.meta.url).resolve('azurite/dist/src/blob/main.js')
  const options = ['--blobHost', '127.0.0.1', '--blobPort', String(port), '--inMemoryPersistence']
  // It would tell its makers that it runs.
  const quiet = ['--disableTelemetry', '--silent']
  const server = spawn(process.execPath, [main, ...options, ...quiet], { stdio: ['ignore', 'pipe', 'inherit'] })
  process.once('exit', () => server.kill())
  await new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error('Azurite does not listen')), PATIENCE)
    server.once('exit', (code) => reject(new Error(`Azurite ended with status ${code}`)))
    server.stdout.on('data', (chunk) => {
      if (!String(chunk).includes('successfully listens')) return
      clearTimeout(late)
      resolve()
    })
  })
  return server
}

/** Runs a program of tests in the workspace; its status. */
function cargo(args, url) {
  const env = { ...process.env, LONGSHORE_AZURITE_URL: url }
  // They describe the package that started us, and some build scripts would run again because of them.
  const root = path.dirname(env.CARGO_MANIFEST_DIR ?? path.resolve('xtask'))
  for (const name of Object.keys(env)) {
    if (name.startsWith('CARGO_PKG_') || name.startsWith('CARGO_MANIFEST_')) delete env[name]
  }
  const tests = spawn(env.CARGO ?? 'cargo', ['test', '--quiet', ...args], { cwd: root, env, stdio: ['ignore', 'pipe', 'inherit'] })
  tests.stdout.pipe(process.stdout, { end: false })
  return new Promise((resolve) => tests.once('exit', (code) => resolve(code ?? 1)))
}

const port = await freePort()
const url = `http://127.0.0.1:${port}`
const server = await start(port)
const wanted = process.argv.slice(2)
const suite = ['-p', 'longshore-tests', '--test', 'conformance', '--', '--format', 'pretty']
const upstream = ['-p', 'longshore-object-store', '--all-features', '--test', 'upstream', '--', '--format', 'pretty', '--include-ignored']
// One part of a name, which both programs understand.
const name = wanted[0] ?? 'azurite'
let status = 0
for (const args of [suite, upstream]) {
  status = Math.max(status, await cargo([...args, name], url))
}
server.removeAllListeners('exit')
process.exit(status)
