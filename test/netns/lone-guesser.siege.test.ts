import { afterAll, describe, expect, it } from 'vitest'
import type { DecisionView } from '../../dashboard/api/decisions.ts'
import { castOf, OFFICE, OFFICE_GUESSER_PORTS } from '../../scripts/siege/cast.ts'
import { Guard } from '../../scripts/siege/guard.ts'
import { Guessers, Phones } from '../../scripts/siege/players.ts'
import { until } from '../../scripts/siege/program.ts'
import { startSoftswitch } from '../../scripts/siege/softswitch.ts'
import { SERVER, SiegeStage } from '../../scripts/siege/stage.ts'
import { canRun } from '../requirements.ts'

const able = canRun({ programs: ['ip', 'ss', 'iptables', 'ipset', 'kamailio'] })
const SERVICE = { server: SERVER, port: 5_060, seed: 7, longest: 180 }
const BOTS = Array.from({ length: 12 }, (_, i) => `10.50.230.${10 + i}`)

describe.runIf(able)('a guesser who owns one good account, with a new port for each try', () => {
  const stage = new SiegeStage()
  afterAll(() => stage.remove())

  it('is suspended but for his registered port, and many sources on one account are told', async () => {
    await stage.build()
    await startSoftswitch(stage, 'unique')
    const guard = new Guard(stage)
    await guard.start()
    // Forty others: by them it is learnt that each address gets nonces of its own.
    const cast = castOf({ customers: 40, ordinary: 0, newcomers: 0, office: 1 }, [0, 0])
    const groups = cast.groups.map((group) => ({ ...group, every: [2, 3], within: [0, 1] }) as const)
    const phones = new Phones(stage, { ...SERVICE, reuseNonce: 0.5, groups })
    await until(() => phones.registered().office === 1, { within: 20_000, what: 'the good account' })
    const areUnique = async () => (await guard.status()).nonces.some(({ state }) => state === 'unique')
    await until(areUnique, { within: 60_000, what: 'nonces that are known to be unique', every: 500 })

    phones.attackBegins()
    const guesser = new Guessers(stage, 'phones', {
      ...SERVICE,
      sources: [{ address: OFFICE, ports: OFFICE_GUESSER_PORTS }],
      users: [3_100, 3_190],
      every: 0.3,
      hopAfter: 1,
    })
    let measures: readonly DecisionView[] = []
    const isSuspended = async () => {
      measures = await guard.blocked()
      return measures.some(({ target }) => target === OFFICE)
    }
    await until(isSuspended, { within: 30_000, what: 'the suspension of what is not registered', every: 200 })
    expect(measures.find(({ target }) => target === OFFICE)).toMatchObject({
      kind: 'suspend',
      scope: 'register',
      by: 'retry-limit',
      grade: 'path',
    })
    // A while longer: what he sends from other ports dies in the kernel, and his phone is served.
    const bots = new Guessers(stage, 'phones', {
      ...SERVICE,
      sources: BOTS.map((address) => ({ address, ports: [5_060, 5_060] as const })),
      users: [3_500, 3_500],
      every: 2,
      hopAfter: 100,
    })
    const namesOf = async (address: string) => {
      const story = await guard.explain(address).catch(() => null)
      return story?.verdicts.map(({ name, action }) => `${name} ${action}`) ?? []
    }
    const isTold = async () => {
      const names = await Promise.all(BOTS.map(namesOf))
      return names.flat().includes('account-guessed alert')
    }
    await until(isTold, { within: 30_000, what: 'the alert', every: 1_000 })
    const { refused, tries } = await guesser.finish()
    await bots.finish()
    phones.attackEnds()
    const { phones: records, attack } = await phones.finish()

    // Twenty tries, and what was on its way while the verdict came.
    expect(refused).toBeLessThan(30)
    expect(tries).toBeGreaterThan(refused)
    const during = records.flatMap(({ registrations }) =>
      registrations.filter(({ begun, ended }) => begun >= attack.begun! && ended !== null),
    )
    expect(during.length).toBeGreaterThan(2)
    expect(during.filter(({ outcome }) => outcome !== 'registered')).toEqual([])
    expect(await namesOf(OFFICE)).toContain('retry-limit suspend')
    expect((await guard.blocked()).filter(({ kind }) => kind === 'block')).toEqual([])
  }, 180_000)
})
