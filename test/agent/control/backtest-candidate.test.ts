import { describe, expect, it } from 'vitest'
import type { BacktestTask } from '../../../agent/backtest/backtest.ts'
import type { FromBacktest } from '../../../agent/backtest/backtest-child.ts'
import type { Config } from '../../../agent/config/config.ts'
import { readConfig } from '../../../agent/config/read-config.ts'
import { Backtests } from '../../../agent/control/backtest-candidate.ts'
import type { ComparisonView } from '../../../dashboard/api/comparison.ts'
import { parsePrefix } from '../../../registrar/net/address.ts'

const NOW = Date.UTC(2026, 0, 2, 3)
const ETH0 = 'protect: { interfaces: [eth0] }\n'

function config(text: string): Config {
  const reading = readConfig(text, { file: 'F' })
  if (reading.kind === 'refused') throw new Error('the configuration of the test is refused')
  return reading.config
}

function stage(
  options: { present?: string; trouble?: string | null; lost?: number; answer?: Promise<FromBacktest> } = {},
) {
  const { present = ETH0, trouble = null, lost = 0 } = options
  const tasks: BacktestTask[] = []
  const view = { same: 3 } as ComparisonView
  const backtests = new Backtests({
    clock: () => NOW,
    config: () => config(present),
    log: { info: () => {}, warn: () => {} },
    decisions: {
      allowedPrefixes: (configured: readonly string[]) => [...configured, parsePrefix('192.0.2.7')!],
    } as never,
    history: {
      trouble: () => trouble,
      lost: () => lost,
      backtest: (task) => {
        tasks.push(task)
        return options.answer ?? Promise.resolve({ type: 'judged', view })
      },
    },
  })
  const run = (text: string) => backtests.run({ candidate: { text, file: 'new.yaml' }, seconds: 3_600 })
  return { tasks, run, view }
}

describe('a backtest that is asked for', () => {
  it('judges with what both configurations say of verdicts, and the operator’s allowlist', async () => {
    const { tasks, run, view } = stage()
    const next = `${ETH0}policy: { registerRetry: 3 }\nallow: [198.51.100.0/24]\nlimits: { register: { perSecond: 9 } }\n`
    expect(await run(next)).toBe(view)
    expect(tasks[0]).toMatchObject({
      from: NOW - 3_600_000,
      to: NOW,
      before: { name: 'the present policy', policy: { registerRetry: 6 }, allow: ['192.0.2.7/32'] },
      after: {
        name: 'new.yaml',
        policy: { registerRetry: 3 },
        allow: ['198.51.100.0/24', '192.0.2.7/32'],
        registrarPorts: [],
      },
    })
    const notes = tasks[0]!.notes.join('\n')
    expect(notes).toContain('limits differ too, and are not judged here')
    expect(notes).toContain('under attack the daemon tightens')
  })

  it('takes no password to the process that judges', async () => {
    const { tasks, run } = stage()
    await run(
      `${ETH0}registrar: { enabled: true, accounts: [{ user: '1001', password: 'correct horse' }] }\n`,
    )
    expect(JSON.stringify(tasks)).not.toMatch(/correct horse|ha1|md5/)
    expect(tasks[0]).toMatchObject({ after: { registrarPorts: [5060] } })
    expect(tasks[0]?.notes).toContain('what the registrar judges itself is not tried here')
  })

  it('says what is missing in the record', async () => {
    const { tasks, run } = stage({ trouble: 'the disk is full', lost: 12 })
    await run(ETH0)
    expect(tasks[0]?.notes).toEqual([
      'at present traffic is not recorded: the disk is full',
      '12 rows could not be written since the daemon began',
    ])
  })

  it('refuses a bad configuration, and where nothing is recorded', async () => {
    await expect(stage().run('protect: 7\n')).rejects.toMatchObject({ code: 'bad-config' })
    const { run } = stage({ present: `${ETH0}history: { days: 0 }\n` })
    await expect(run(ETH0)).rejects.toMatchObject({ code: 'unavailable' })
  })

  it('is one at a time, and the next may come when it failed', async () => {
    let fail: (answer: FromBacktest) => void = () => {}
    const { run } = stage({ answer: new Promise((resolve) => (fail = resolve)) })
    const first = run(ETH0)
    await expect(run(ETH0)).rejects.toMatchObject({ code: 'conflict' })
    fail({ type: 'failed', message: 'it ended' })
    await expect(first).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('it ended'),
    })
    await expect(run(ETH0)).rejects.toMatchObject({ code: 'unavailable' })
  })
})
