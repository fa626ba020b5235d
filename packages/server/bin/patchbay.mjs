#!/usr/bin/env node
// Starts the command line. Plain JavaScript, because an older Node has to understand it: the program itself is TypeScript,
// which Node runs as it is from version 24 on. Where the machine's Node is older, the one from the npm package `node` takes over.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
// oxlint-disable-next-line no-restricted-imports -- only for the cache: nothing is loaded by it
import * as modules from 'node:module'
import { fileURLToPath } from 'node:url'

const NODE_MIN = 24

if (Number(process.versions.node.split('.')[0]) >= NODE_MIN) {
  // Compiled once and kept beside the program, where only its owner can write: a command starts in half the time.
  modules.enableCompileCache(fileURLToPath(new URL('../.compile-cache', import.meta.url)))
  await import('../src/cli/patchbay.ts')
} else startWith(packagedNode())

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
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: 'inherit' })
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
