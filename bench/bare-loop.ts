import { Agent, request } from 'undici'
import { startDuckDb } from '../packages/server/src/lake/duckdb-process.ts'
import { secondsOf } from './limits.ts'

const ROWS_PER_BATCH = 1000
const IN_FLIGHT = 8

/**
 * The least that must be done to post a table: bodies of a thousand rows made in SQL, eight requests at once, answers parsed.
 * No ledger, no journal, no signature, no outbox. Gives the seconds it takes.
 */
export async function bareLoop(table: string, url: string, folder: string): Promise<number> {
  const duckDb = await startDuckDb({
    read: [],
    write: [folder],
    memoryLimitMb: 512,
    threads: 2,
    signal: new AbortController().signal,
  })
  const agent = new Agent({ connections: IN_FLIGHT, pipelining: 1 })
  try {
    return await secondsOf(async () => {
      const inFlight = new Set<Promise<void>>()
      let texts: string[] = []
      const post = async (body: string): Promise<void> => {
        const answer = await request(url, { method: 'POST', body, dispatcher: agent })
        const { answers } = (await answer.body.json()) as { answers: { key: string; status: string }[] }
        if (answers.some(({ status }) => status !== 'accepted')) throw new Error('A row was not accepted')
      }
      const send = async (): Promise<void> => {
        const body = `{"changes":[${texts.join(',')}]}`
        texts = []
        const task: Promise<void> = post(body).finally(() => inFlight.delete(task))
        inFlight.add(task)
        if (inFlight.size >= IN_FLIGHT) await Promise.race(inFlight)
      }
      const sql = `SELECT '{"change":"added","key":"' || id || '","fields":' || to_json(t)::VARCHAR || '}' FROM read_parquet('${table}') AS t`
      for await (const chunk of duckDb.stream(sql)) {
        for (const text of chunk.columns[0] ?? []) {
          texts.push(String(text))
          if (texts.length === ROWS_PER_BATCH) await send()
        }
      }
      if (texts.length > 0) await send()
      await Promise.all(inFlight)
    })
  } finally {
    await agent.close()
    await duckDb.close()
  }
}
