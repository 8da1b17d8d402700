import { existsSync, readdirSync } from 'node:fs'
import { afterAll, describe, expect, it } from 'vitest'
import { Calls } from '../../scripts/siege/calls.ts'
import { compileFlood, floodResult, PACKET_KINDS, startFlood } from '../../scripts/siege/flood.ts'
import { HashlimitRecipe } from '../../scripts/siege/guards/hashlimit.ts'
import { PIKE, Pike } from '../../scripts/siege/guards/pike.ts'
import { until } from '../../scripts/siege/program.ts'
import { arrivedAt, startSoftswitch } from '../../scripts/siege/softswitch.ts'
import { SiegeStage } from '../../scripts/siege/stage.ts'
import { canRun } from '../requirements.ts'

const able = canRun({ programs: ['ip', 'ss', 'iptables', 'kamailio', 'sipp', 'cc', 'taskset'] })
/** A small one: what it shows does not need more. */
const FLOOD = {
  sources: { kind: 'pool', amount: 1 },
  ports: 'own',
  perSecond: 200,
  seconds: 2,
  seed: 1,
} as const

describe.runIf(able)('the stage of a siege', () => {
  const stage = new SiegeStage()
  afterAll(() => stage.remove())

  it('has calls that come to their end, guards that stop one source, every kind of packet, and leaves nothing', async () => {
    await stage.build()
    const [softswitch, flood] = await Promise.all([
      startSoftswitch(stage, 'unique', PIKE),
      compileFlood(stage.path('flood')),
    ])
    const pike = new Pike(stage.softswitchLog)
    const recipe = new HashlimitRecipe(stage)
    const calls = new Calls(stage)
    await calls.start()

    const before = arrivedAt(softswitch).read
    const kinds = { ...FLOOD, sources: { kind: 'pool', amount: 400 }, packets: PACKET_KINDS } as const
    const { sent } = await floodResult(startFlood(stage, flood, kinds))
    // Of the nine frames of a round two are one packet.
    const wanted = before + Math.floor((sent * 8) / 9) - 1
    await until(() => arrivedAt(softswitch).read >= wanted, { within: 5_000, what: 'all of the packets' })
    expect(await pike.banned()).toEqual([])

    await floodResult(startFlood(stage, flood, { ...FLOOD, seed: 2 }))
    await until(async () => (await pike.banned()).length === 1, { within: 5_000, what: "pike's ban" })

    await recipe.start()
    expect(await recipe.dropsByRule()).toEqual({ REGISTER: 0, SIP: 0 })
    const passed = await floodResult(startFlood(stage, flood, { ...FLOOD, seed: 3 }))
    const { REGISTER: dropped } = await recipe.dropsByRule()
    // Ten at once and five a second are accepted.
    expect(passed.sent - dropped!).toBeLessThan(10 + 5 * 4)

    const { PBXs, trunk } = await calls.finish()
    expect(PBXs.begun).toBeGreaterThan(4)
    expect(trunk.begun).toBeGreaterThan(0)
    expect([PBXs.broken, trunk.broken]).toEqual([0, 0])

    const names = (['switch', 'router', 'phones', 'attackers'] as const).map((host) => stage.name(host))
    const pids = await stage.pids()
    expect(pids.length).toBeGreaterThan(0)
    await stage.remove()
    expect(readdirSync('/run/netns').filter((name) => names.includes(name))).toEqual([])
    expect(existsSync(stage.folder)).toBe(false)
    expect(pids.filter((pid) => existsSync(`/proc/${pid}`))).toEqual([])
  })
})
