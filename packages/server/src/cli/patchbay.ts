#!/usr/bin/env node
/** The command line: everything that it can do, and the one place where what went wrong before a command began is told. */
import { CommanderError } from 'commander'
import { tellFailure } from './command.ts'
import { makeProgram } from './program.ts'

const isJson = process.argv.includes('--json')
const note = (text: string): void => void process.stderr.write(`${text}\n`)

try {
  await makeProgram((text) => (isJson ? undefined : note(text.trimEnd()))).parseAsync(process.argv)
} catch (error) {
  const isAsked = error instanceof CommanderError && error.exitCode === 0
  process.exitCode = isAsked ? 0 : tellFailure({ isJson, note }, error)
}
