// Prints `N passed, N failed, N skipped` from vitest's JSON report. Exit code 1: there is no report, or it holds a
// failure, or no test ran.
import { readFileSync } from 'node:fs'

const counts = { passed: 0, failed: 0, skipped: 0 }
try {
  const report = JSON.parse(readFileSync(process.argv[2], 'utf8'))
  counts.passed = report.numPassedTests
  counts.failed = report.numFailedTests
  counts.skipped = report.numPendingTests + report.numTodoTests
  // A file that could not be loaded has failed, although none of its tests is counted anywhere.
  counts.failed += report.testResults.filter(
    (file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
  ).length
} catch {
  console.log('The tests did not run: there is no report of them.')
}
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`)
process.exitCode = counts.failed > 0 || counts.passed === 0 ? 1 : 0
