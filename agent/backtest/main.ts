import { constants, setPriority } from 'node:os'
import { openHistoryToRead } from '../journal/open-history.ts'
import { backtest } from './backtest.ts'
import type { FromBacktest, ToBacktest } from './backtest-child.ts'

/** The backtest's process: judges the record once, says what came of it, and ends. */
process.once('message', ({ file, task, patience }: ToBacktest) => {
  const answer = (message: FromBacktest) => process.send?.(message, undefined, {}, () => process.exit(0))
  const end = performance.now() + patience
  try {
    // Protection comes first, and looks into the past wait.
    setPriority(constants.priority.PRIORITY_BELOW_NORMAL)
  } catch {
    // It runs as it is, then.
  }
  try {
    const history = openHistoryToRead(file)
    const view = backtest(history, task, { isOver: () => performance.now() > end })
    history.close()
    answer({ type: 'judged', view })
  } catch (error) {
    answer({ type: 'failed', message: error instanceof Error ? error.message : String(error) })
  }
})
process.on('disconnect', () => process.exit(0))
