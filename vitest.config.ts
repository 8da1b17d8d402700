import { defineConfig } from 'vitest/config'

// Three projects: `fast` needs neither root nor network; `kernel` makes its own network namespaces and
// needs root and Debian's SIP programs; `browser` drives Debian's Chromium.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'fast',
          sequence: { groupOrder: 0 },
          include: ['test/**/*.test.ts'],
          exclude: ['test/netns/**', 'test/browser/**', 'test/interop/**'],
          testTimeout: 20_000,
        },
      },
      {
        test: {
          name: 'kernel',
          sequence: { groupOrder: 1 },
          include: ['test/netns/**/*.test.ts', 'test/interop/**/*.test.ts'],
          testTimeout: 90_000,
          hookTimeout: 90_000,
          // Most of them wait for programs, each in namespaces of its own: four at a time keep two cores busy.
          maxWorkers: 4,
        },
      },
      {
        test: {
          name: 'browser',
          sequence: { groupOrder: 2 },
          include: ['test/browser/**/*.test.ts'],
          testTimeout: 90_000,
          hookTimeout: 90_000,
          fileParallelism: false,
        },
      },
    ],
  },
})
