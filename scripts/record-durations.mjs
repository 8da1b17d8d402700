// Writes from vitest's JSON report how long each test file took that takes ten seconds or more, for the order in which
// the files are run (test/longest-first.ts): node scripts/record-durations.mjs REPORT.json
import { readFileSync, writeFileSync } from 'node:fs'
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const WORTH_A_LINE = 10

const root = fileURLToPath(new URL('..', import.meta.url))
const report = JSON.parse(readFileSync(process.argv[2], 'utf8'))
const seconds = report.testResults
  .map(({ name, startTime, endTime }) => [relative(root, name), Math.round((endTime - startTime) / 1_000)])
  .filter(([, took]) => took >= WORTH_A_LINE)
  .sort(([, one], [, other]) => other - one)
const file = new URL('../test/durations.json', import.meta.url)
writeFileSync(file, `${JSON.stringify(Object.fromEntries(seconds), null, 2)}\n`)
