import { fork } from 'node:child_process'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ComparisonView } from '../../dashboard/api/comparison.ts'
import type { Milliseconds } from '../../registrar/net/time.ts'
import type { BacktestTask } from './backtest.ts'

/** Then it compares what it has, and somewhat later it is ended. */
const JUDGES_FOR: Milliseconds = 40_000
const ENDED_AFTER: Milliseconds = 50_000
const MOST_MEMORY_MB = 1_024

export interface ToBacktest {
  readonly file: string
  readonly task: BacktestTask
  readonly patience: Milliseconds
}

export type FromBacktest =
  | { readonly type: 'judged'; readonly view: ComparisonView }
  | { readonly type: 'failed'; readonly message: string }

/** Judges the record in a process of its own, so that neither its time nor its memory is the daemon's. */
export function backtestInChild(file: string, task: BacktestTask): Promise<FromBacktest> {
  const script = new URL(`./main${extname(import.meta.url)}`, import.meta.url)
  const child = fork(fileURLToPath(script), [], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    execArgv: [`--max-old-space-size=${MOST_MEMORY_MB}`],
  })
  return new Promise((resolve) => {
    const timer = setTimeout(() => child.kill('SIGKILL'), ENDED_AFTER)
    const settle = (answer: FromBacktest) => {
      clearTimeout(timer)
      resolve(answer)
    }
    child.once('message', (message) => settle(message as FromBacktest))
    child.once('error', (error) => settle({ type: 'failed', message: error.message }))
    child.once('exit', (code, signal) =>
      settle({
        type: 'failed',
        message: `the backtest ended before it was done (${signal ?? `exit code ${code}`}); try a shorter time`,
      }),
    )
    child.send({ file, task, patience: JUDGES_FOR } satisfies ToBacktest, () => {})
  })
}
