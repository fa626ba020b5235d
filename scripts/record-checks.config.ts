import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

/** The conformance kit over every connector, each as its own tests start its service, and nothing else. */
export default defineConfig({
  test: {
    root: fileURLToPath(new URL('..', import.meta.url)),
    include: ['packages/connectors/src/*/*.test.ts'],
    testNamePattern: /conformance kit|every connector must/,
    setupFiles: [fileURLToPath(new URL('record-checks.ts', import.meta.url))],
    pool: 'forks',
    maxWorkers: 1,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
})
