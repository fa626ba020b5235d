import { execFileSync } from 'node:child_process'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'

const DIST = join(import.meta.dirname, 'dist')
/** Of compressed script and style, for any page that somebody opens first. */
const FIRST_LOAD_BYTES_MAX = 300_000

interface Chunk {
  readonly file: string
  readonly isEntry?: boolean
  readonly isDynamicEntry?: boolean
  readonly imports?: readonly string[]
  readonly css?: readonly string[]
}

let manifest: Readonly<Record<string, Chunk>>

beforeAll(() => {
  execFileSync(process.execPath, ['--no-warnings', join(import.meta.dirname, 'build.ts')], { stdio: 'pipe' })
  manifest = JSON.parse(readFileSync(join(DIST, '.vite/manifest.json'), 'utf8')) as typeof manifest
}, 120_000)

test('a second build does nothing, because nothing is newer than the pages', () => {
  const before = statSync(join(DIST, 'index.html')).mtimeMs
  const said = execFileSync(process.execPath, ['--no-warnings', join(import.meta.dirname, 'build.ts')], {
    encoding: 'utf8',
  })
  expect(said).toBe('')
  expect(statSync(join(DIST, 'index.html')).mtimeMs).toBe(before)
})

test('every page comes in less than its budget, whichever is opened first', () => {
  const entry = Object.keys(manifest).filter((name) => manifest[name]?.isEntry === true)
  const texts = Object.keys(manifest).filter((name) => /messages\/\w+\/index\.ts$/.test(name))
  const pages = Object.keys(manifest).filter((name) => /pages\/.+\.tsx$/.test(name) && manifest[name]?.isDynamicEntry)
  expect(entry).toHaveLength(1)
  expect(texts).toHaveLength(2)
  expect(pages.length).toBeGreaterThan(1)
  for (const page of pages)
    for (const text of texts) {
      const files = filesOf([...entry, text, page])
      const bytes = [...files].reduce((sum, file) => sum + statSync(join(DIST, `${file}.br`)).size, 0)
      expect.soft(bytes, `${page} with ${text}`).toBeLessThan(FIRST_LOAD_BYTES_MAX)
    }
})

test('the document holds no script and no style of its own, so that the policy can forbid both', () => {
  const html = readFileSync(join(DIST, 'index.html'), 'utf8')
  expect(html).toMatch(/<script type="module"[^>]* src="\/assets\//)
  expect(html).not.toMatch(/<script(?![^>]* src=)|<style|\sstyle=|\son\w+=/)
})

function filesOf(names: readonly string[]): ReadonlySet<string> {
  const files = new Set<string>()
  const seen = new Set<string>()
  const queue = [...names]
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    const chunk = manifest[name]
    if (chunk === undefined || seen.has(name)) continue
    seen.add(name)
    files.add(chunk.file)
    for (const style of chunk.css ?? []) files.add(style)
    queue.push(...(chunk.imports ?? []))
  }
  return files
}
