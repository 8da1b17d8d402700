import { defineConfig } from 'vitest/config'
import { LongestFirst } from './test/longest-first.ts'

// Four projects: `fast` needs neither root nor network; `kernel` makes its own network namespaces and needs root and
// Debian's SIP programs; `browser` drives Debian's Chromium; `siege` is of the kernel too, and takes minutes.
const SIEGES = 'test/netns/**/*.siege.test.ts'

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          name: 'fast',
          sequence: { groupOrder: 0 },
          include: ['test/**/*.test.ts'],
          exclude: ['test/netns/**', 'test/browser/**', 'test/interop/**'],
          testTimeout: 20_000,
          // vitest's own default leaves one core of two idle.
          maxWorkers: 2,
        },
      },
      {
        test: {
          name: 'kernel',
          sequence: { groupOrder: 1 },
          include: ['test/netns/**/*.test.ts', 'test/interop/**/*.test.ts'],
          exclude: [SIEGES],
          testTimeout: 90_000,
          hookTimeout: 90_000,
          // Most of them wait for programs, each in namespaces of its own: five at a time keep two cores busy.
          maxWorkers: 5,
          // Tests of one file that run beside each other: no more, since each starts programs of its own.
          maxConcurrency: 2,
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
      {
        test: {
          name: 'siege',
          sequence: { groupOrder: 3 },
          include: [SIEGES],
          testTimeout: 90_000,
          hookTimeout: 90_000,
          maxWorkers: 3,
        },
      },
    ],
  },
})
