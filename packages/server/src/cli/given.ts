/** Reads what is given by options: `name=value` pairs, files, JSON. Each refusal names the option. */
import { readFile } from 'node:fs/promises'
import { Problem } from '../domain/problem.ts'
import { unreadable } from './client.ts'
import type { Options } from './command.ts'
import type { Terminal } from './terminal.ts'

export function text(options: Options, name: string): string | undefined {
  const value = options[name]
  return typeof value === 'string' ? value : undefined
}

export function texts(options: Options, name: string): readonly string[] {
  const value = options[name]
  return Array.isArray(value) ? (value as readonly string[]) : typeof value === 'string' ? [value] : []
}

export function isOn(options: Options, name: string): boolean {
  return options[name] === true
}

/** For options that may be repeated. */
export function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value]
}

export function pairs(given: readonly string[], option: string): readonly (readonly [string, string])[] {
  return given.map((pair) => {
    const at = pair.indexOf('=')
    if (at > 0) return [pair.slice(0, at), pair.slice(at + 1)]
    throw wrong(option, `"${pair}" is not name=value`, `Write it as ${option} name=value`)
  })
}

export function wholeNumber(given: string | undefined, option: string): number | undefined {
  if (given === undefined) return undefined
  if (/^\d{1,12}$/.test(given)) return Number(given)
  throw wrong(option, `"${given}" is not a whole number`, `Write it as ${option} 100`)
}

/** JSON from a file, or from stdin where the file is called `-`. */
export async function readJsonFile(path: string, option: string, terminal: Terminal): Promise<unknown> {
  const content =
    path === '-' ? await terminal.readStdin() : await readFile(path, 'utf8').catch(unreadable(option, path))
  try {
    return JSON.parse(content) as unknown
  } catch (error) {
    const place = /position (\d+)/.exec(error instanceof Error ? error.message : '')?.[1]
    const at = place === undefined ? '' : ` at line ${content.slice(0, Number(place)).split('\n').length}`
    throw wrong(option, `${path === '-' ? 'What came on stdin' : path} is not JSON${at}`, 'Correct it, and try again')
  }
}

export function wrong(path: string, message: string, cure: string): Problem {
  return new Problem('invalid', message, { path, cure })
}
