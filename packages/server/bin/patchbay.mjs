#!/usr/bin/env node
// Starts the command line. Plain JavaScript, because an older Node has to understand it: the program itself is TypeScript,
// which Node runs as it is from version 24 on. Where the machine's Node is older, the one from the npm package `node` takes over.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const NODE_MIN = 24
const program = new URL('../src/cli/patchbay.ts', import.meta.url)

if (Number(process.versions.node.split('.')[0]) >= NODE_MIN) await import('../src/cli/patchbay.ts')
else startWith(packagedNode())

function packagedNode() {
  try {
    const path = fileURLToPath(new URL('bin/node', import.meta.resolve('node/package.json')))
    if (existsSync(path)) return path
  } catch {
    // Not installed: said below.
  }
  process.stderr.write(
    `Patchbay needs Node.js ${NODE_MIN} or newer, and this is ${process.versions.node}.\n` +
      'Install a newer one, or run "npm ci" in the folder of Patchbay, which brings one along.\n',
  )
  process.exit(1)
}

function startWith(node) {
  const child = spawn(node, [fileURLToPath(program), ...process.argv.slice(2)], { stdio: 'inherit' })
  // ^C reaches the child by itself; this process only waits for what the child makes of it.
  process.on('SIGINT', () => undefined)
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.on('error', (error) => {
    process.stderr.write(`${node} cannot be started: ${error.message}\n`)
    process.exitCode = 1
  })
  child.on('exit', (code, signal) => {
    if (signal === null) process.exitCode = code ?? 1
    else {
      process.removeAllListeners(signal)
      process.kill(process.pid, signal)
    }
  })
}
