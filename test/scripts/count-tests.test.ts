import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { afterAll, describe, expect, it } from 'vitest'

const folder = mkdtempSync(join(tmpdir(), 'ringfence-count-'))
afterAll(() => rmSync(folder, { recursive: true }))

const file = (status: string, ...tests: string[]) => ({
  status,
  assertionResults: tests.map((one) => ({ status: one })),
})
const counts = { numPassedTests: 0, numFailedTests: 0, numPendingTests: 0, numTodoTests: 0 }

describe('count-tests', () => {
  it.each([
    [
      'all is well',
      {
        ...counts,
        numPassedTests: 3,
        numPendingTests: 1,
        numTodoTests: 1,
        testResults: [file('passed', 'passed')],
      },
      { exitCode: 0, stdout: '3 passed, 0 failed, 2 skipped' },
    ],
    [
      'a test failed',
      { ...counts, numPassedTests: 3, numFailedTests: 1, testResults: [file('failed', 'passed', 'failed')] },
      { exitCode: 1, stdout: '3 passed, 1 failed, 0 skipped' },
    ],
    [
      'a file could not be loaded',
      { ...counts, numPassedTests: 3, testResults: [file('failed'), file('passed', 'passed')] },
      { exitCode: 1, stdout: '3 passed, 1 failed, 0 skipped' },
    ],
    ['nothing ran', { ...counts, testResults: [] }, { exitCode: 1, stdout: '0 passed, 0 failed, 0 skipped' }],
    [
      'there is no report',
      undefined,
      {
        exitCode: 1,
        stdout: 'The tests did not run: there is no report of them.\n0 passed, 0 failed, 0 skipped',
      },
    ],
  ])('%s', async (what, report, expected) => {
    const path = join(folder, `${what}.json`)
    if (report) writeFileSync(path, JSON.stringify(report))
    const { exitCode, stdout } = await execa(process.execPath, ['scripts/count-tests.mjs', path], {
      reject: false,
      timeout: 10_000,
    })
    expect({ exitCode, stdout }).toEqual(expected)
  })
})
