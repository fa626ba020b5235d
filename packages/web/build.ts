/** `npm start` runs this first: it builds the pages when they are older than what they are made from. */
import { globSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliCompressSync, constants } from 'node:zlib'
import { build } from 'vite'

const HERE = import.meta.dirname
const STAMP = join(HERE, 'dist', '.built')
/** Besides the sources: the contract is built in, and so are the versions of all packages. */
const MADE_FROM = [
  'src/**/*',
  'public/*',
  'index.html',
  'vite.config.ts',
  'package.json',
  '../contract/src/**/*.ts',
  '../../package-lock.json',
]

const newest = Math.max(
  ...MADE_FROM.flatMap((pattern) => globSync(pattern, { cwd: HERE })).map((path) => statSync(join(HERE, path)).mtimeMs),
)
const built = statSync(STAMP, { throwIfNoEntry: false })?.mtimeMs ?? 0
if (newest > built || process.argv.includes('--force')) {
  process.stderr.write('Building the pages, which takes some seconds\n')
  rmSync(STAMP, { force: true })
  // Whoever builds, as a test does, may be in another mode; React would come with all that helps its developers.
  process.env['NODE_ENV'] = 'production'
  await build({ configFile: join(HERE, 'vite.config.ts'), logLevel: 'warn' })
  for (const file of globSync('**/*.{js,css,svg}', { cwd: join(HERE, 'dist') })) compress(join(HERE, 'dist', file))
  writeFileSync(STAMP, '')
}

/** Once here, so that the server compresses nothing while somebody waits. */
function compress(file: string): void {
  const params = { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY }
  writeFileSync(`${file}.br`, brotliCompressSync(readFileSync(file), { params }))
}
