import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { Program } from '../../scripts/siege/program.ts'
import { builtProgram } from '../../scripts/siege/root.ts'
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
    const { rounds, held, honestBans } = JSON.parse(
      readFileSync(join(folder, 'soak.json'), 'utf8'),
    ) as SoakRecord
    rmSync(folder, { recursive: true, force: true })

    expect(rounds.length).toBeGreaterThanOrEqual(2)
    expect(held).toHaveLength(rounds.length)
    expect(honestBans).toEqual([])
    expect(held.every(({ memory, files, processes }) => memory > 1e6 && files > 20 && processes > 2)).toBe(
      true,
    )
    for (const { kinds } of rounds) expect(kinds.customer?.registrations).toBeGreaterThan(50)
    // A hundred seconds may be too few rounds to tell of leaks, which is said and is no pass.
    const says = program.output.trim().split('\n')
    expect(says.some((line) => line.startsWith('passed') || line.includes('too few to tell'))).toBe(true)
    expect(code).toBe(says.some((line) => line.startsWith('passed')) ? 0 : 1)
    expect(readdirSync('/run/netns').filter((name) => name.includes(`-${program.pid}-`))).toEqual([])
  })
})
