import { defineConfig } from 'vitest/config'

/** `*.integration.test.ts` need a database or the network; everything in e2e/ does. */
const INTEGRATION = ['**/*.integration.test.ts', 'e2e/**/*.test.ts']
const NEVER = ['**/node_modules/**', '**/dist/**']

export default defineConfig({
  test: {
    // Real servers and the data engine run beside the tests: more workers than this only take memory from them.
    maxWorkers: 2,
    maxConcurrency: 2,
    pool: 'forks',
    globals: false,
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['**/*.test.ts'],
          exclude: [...INTEGRATION, ...NEVER],
          testTimeout: 30_000,
          hookTimeout: 30_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'integration',
          include: INTEGRATION,
          exclude: NEVER,
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
})
