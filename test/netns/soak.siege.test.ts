import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { Program } from '../../scripts/siege/program.ts'
import { builtProgram } from '../../scripts/siege/root.ts'
import { judgeSoak } from '../../scripts/siege/soak/report.ts'
import type { SoakRecord } from '../../scripts/siege/soak/soak.ts'
import { canRun } from '../requirements.ts'

const able = canRun({ programs: ['ip', 'ss', 'iptables', 'ipset', 'kamailio', 'cc', 'taskset'] })

describe.runIf(able)('a soak', () => {
  it('goes from attack to attack, and tells what the guard held and that nobody honest was blocked', {
    timeout: 300_000,
  }, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'ringfence-soak-'))
    const args = [builtProgram('soak/main.js'), '--soak', '100s', '--share', '0.1', '--out', folder]
    const program = new Program(process.execPath, args, { cwd: folder })
    const code = await program.ended
    const record = JSON.parse(readFileSync(join(folder, 'soak.json'), 'utf8')) as SoakRecord
    const { rounds, held, honestBans } = record
    rmSync(folder, { recursive: true, force: true })

    expect(rounds.length).toBeGreaterThanOrEqual(2)
    expect(held).toHaveLength(rounds.length)
    expect(honestBans).toEqual([])
    expect(held.every(({ memory, files, processes }) => memory > 1e6 && files > 20 && processes > 2)).toBe(
      true,
    )
    for (const { kinds } of rounds) expect(kinds.customer?.registrations).toBeGreaterThan(50)
    // In a hundred seconds the sensor's tables fill for the first time, which is told as growth and is no pass.
    const failures = judgeSoak(record)
    expect(failures.filter((failure) => !/^memory grew|too few to tell/.test(failure))).toEqual([])
    expect(code).toBe(failures.length === 0 ? 0 : 1)
    for (const failure of failures) expect(program.output).toContain(`NOT PASSED: ${failure}`)
    expect(readdirSync('/run/netns').filter((name) => name.includes(`-${program.pid}-`))).toEqual([])
  })
})
