import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { startDuckDb } from '../packages/server/src/lake/duckdb-process.ts'

/** Seconds that some work takes. */
export async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await work()
  return (performance.now() - start) / 1000
}

/** What the machine can do at best: a statement of DuckDB's own, started like a run's, without its start. */
export async function secondsOfStatement(
  sql: string,
  folders: { readonly read: readonly string[]; readonly write: readonly string[] },
  memoryLimitMb = 512,
): Promise<number> {
  const duckDb = await startDuckDb({ ...folders, memoryLimitMb, threads: 2, signal: new AbortController().signal })
  try {
    return await secondsOf(() => duckDb.run(sql))
  } finally {
    await duckDb.close()
  }
}

/** Runs a program to its end; a failing one is an error with what it said. */
export async function runProgram(program: string, args: readonly string[], input = ''): Promise<string> {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] })
  let [output, errors] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text))
  child.stdin.end(input)
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) throw new Error(`${program} ended with ${code}: ${errors || output}`)
  return output
}
