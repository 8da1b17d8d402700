import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { describe, expect, it } from 'vitest'
import { Program, until } from '../../scripts/siege/program.ts'
import { PROGRAM } from '../../scripts/siege/root.ts'
import { canRun } from '../requirements.ts'

const able = canRun({ programs: ['ip', 'ss', 'iptables', 'ipset', 'kamailio', 'cc', 'taskset'] })

/** A port of this host's loopback that nothing else of these tests opens. */
const PORT = 18_570 + (process.pid % 400)
const URL = `http://127.0.0.1:${PORT}/`

function begin(): Program {
  const args = [PROGRAM, 'demo', '--quick', '--no-wait', '--port', String(PORT)]
  return new Program(process.execPath, args, { cwd: tmpdir() })
}

/** The program that the command runs, whose number is in the names of all that it makes. */
function childOf({ pid }: Program): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim().split(' ')[0])
}

function leftBy(pid: number): readonly string[] {
  return [
    ...readdirSync('/run/netns').filter((name) => name.includes(`-${pid}-`)),
    ...readdirSync(tmpdir()).filter((name) => name.startsWith(`ringfence-siege-${pid}-`)),
  ]
}

describe.runIf(able)('ringfence demo', () => {
  it('tells of a flood without and with Ringfence, with its dashboard open, and leaves nothing', {
    timeout: 240_000,
  }, async () => {
    const program = begin()
    await until(() => program.output.includes('Its dashboard') || !program.isRunning, {
      within: 120_000,
      what: 'the dashboard',
    })
    const pid = childOf(program)
    expect(leftBy(pid)).toHaveLength(5)
    const page = await fetch(URL)
    expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8'])
    // Nobody is in without the password that the terminal shows.
    expect((await fetch(`${URL}api/v1/status`)).status).toBe(401)

    expect([await program.ended, program.errors]).toEqual([0, ''])
    const share = (act: string) => {
      const row = program.output.split('\n').find((line) => line.startsWith(`  ${act}  `))
      return Number(/([\d.]+) % of/.exec(row ?? '')?.[1])
    }
    expect([share('peace'), share('peace, guarded')]).toEqual([100, 100])
    expect(share('without Ringfence')).toBeLessThan(90)
    expect(share('with Ringfence')).toBeGreaterThan(99)
    const blocked = program.output.slice(program.output.indexOf('$ ringfence blocked'))
    expect(blocked).toMatch(/^ +10\.60\.0\.10\S* +suspend /m)
    expect(leftBy(pid)).toEqual([])
    await expect(fetch(URL)).rejects.toThrow()
  })

  it('is gone after Ctrl-C', async () => {
    const program = begin()
    await until(() => program.output.includes('nobody guards') || !program.isRunning, {
      within: 60_000,
      what: 'the flood',
    })
    const pid = childOf(program)
    expect(leftBy(pid)).toHaveLength(5)
    await program.end('SIGINT')
    expect(await program.ended).toBe(1)
    expect(leftBy(pid)).toEqual([])
    expect(existsSync(`/proc/${pid}`)).toBe(false)
  })
})
