import { afterEach, describe, expect, it } from 'vitest'
import type { DecisionView } from '../../dashboard/api/decisions.ts'
import type { StatusSnapshot } from '../../dashboard/api/status.ts'
import { castOf, OFFICE, OFFICE_GUESSER_PORTS } from '../../scripts/siege/cast.ts'
import { Guard } from '../../scripts/siege/guard.ts'
import { isHonest } from '../../scripts/siege/honest.ts'
import { Guessers, Phones } from '../../scripts/siege/players.ts'
import { until } from '../../scripts/siege/program.ts'
import { type Nonces, startSoftswitch } from '../../scripts/siege/softswitch.ts'
import { SERVER, SiegeStage } from '../../scripts/siege/stage.ts'
import { canRun } from '../requirements.ts'

const able = canRun({ programs: ['ip', 'ss', 'iptables', 'ipset', 'kamailio'] })
const SERVICE = { server: SERVER, port: 5_060, seed: 7, longest: 140 }
const OFFICE_PHONES = 200
const GUESSING_FOR = 20_000
/** At other addresses: by their nonces alone it is known whether they are shared. */
const CUSTOMERS = 24

// The longer one, with other customers beside it: npm run siege -- --attack office-guesser
describe.runIf(able).each<Nonces>(['shared', 'unique'])(
  'an office of 200 phones and a guesser behind one address, nonces %s',
  (nonces) => {
    let stage = new SiegeStage()
    afterEach(() => stage.remove())

    it.each([
      { hopAfter: 30, stays: true },
      { hopAfter: 1, stays: false },
    ])(
      'stops the guesser who has a new port after $hopAfter tries, and none of the phones notices',
      async ({ hopAfter, stays }) => {
        stage = new SiegeStage()
        await stage.build()
        await startSoftswitch(stage, nonces)
        const guard = new Guard(stage)
        await guard.start()
        const cast = castOf(
          { customers: CUSTOMERS, ordinary: 0, newcomers: 0, office: OFFICE_PHONES },
          [0, 0],
        )
        const groups = cast.groups.map((group) => ({ ...group, every: [4, 8], within: [0, 8] }) as const)
        const phones = new Phones(stage, { ...SERVICE, reuseNonce: 0.5, groups })
        const all = () => phones.registered().office === OFFICE_PHONES
        await until(all, { within: 60_000, what: 'the office registered' })

        const areLearnt = async () => {
          const status = await guard.command<StatusSnapshot>('status')
          return status.nonces.some(({ state }) => state === nonces)
        }
        await until(areLearnt, { within: 60_000, what: `nonces known to be ${nonces}`, every: 500 })

        phones.attackBegins()
        // Three accounts of the office itself: their owners, at the same address, must not pay for it.
        const guessers = new Guessers(stage, 'phones', {
          ...SERVICE,
          // Four at once, or the two seconds that he waits for an answer would slow him as much as the guard does.
          sources: [0, 1, 2, 3].slice(0, stays ? 1 : 4).map((i) => ({
            address: OFFICE,
            ports: [
              OFFICE_GUESSER_PORTS[0] + i * 2_000,
              OFFICE_GUESSER_PORTS[0] + i * 2_000 + 1_999,
            ] as const,
          })),
          users: [3_000, 3_002],
          every: stays ? 0.1 : 0.04,
          hopAfter,
        })
        const decisions = new Map<number, DecisionView>()
        const look = async () => {
          for (const decision of await guard.blocked()) decisions.set(decision.id, decision)
          return decisions.size >= 2
        }
        if (stays) await until(look, { within: 20_000, what: 'two measures against the guesser', every: 200 })
        // Unhindered he makes 100 tries a second.
        else await new Promise((resolve) => setTimeout(resolve, GUESSING_FOR))
        const { refused, tries } = await guessers.finish()
        await look()
        // What phones said last must be answered too.
        await until(async () => (await stage.run('switch', 'ss', ['-Hlunm'])).includes('skmem:(r0,'), {
          within: 5_000,
          what: 'a softswitch that has read everything',
        })
        phones.attackEnds()
        const { phones: records, attack } = await phones.finish()

        const during = records.flatMap(({ registrations }) =>
          registrations.filter(({ begun, ended }) => begun >= attack.begun! && ended !== null),
        )
        expect(during.length).toBeGreaterThan(OFFICE_PHONES / 10)
        expect(
          during.filter(({ outcome, begun, ended }) => outcome !== 'registered' || ended! - begun > 4_000),
        ).toEqual([])
        const measures = [...decisions.values()]
        // Over nonces of his own all ports that are not registered go together; over shared ones they have a small bucket.
        const ofAll = measures.filter(({ target }) => target === OFFICE)
        expect(ofAll.map(({ kind, scope }) => `${kind} ${scope}`)).toEqual(
          nonces === 'unique' && !stays ? ['suspend register'] : [],
        )
        const ofPorts = measures.filter(({ target }) => target !== OFFICE)
        expect(ofPorts.filter(({ target }) => isHonest(target, cast))).toEqual([])
        expect(ofPorts.every(({ target }) => target.startsWith(`${OFFICE}:4`))).toBe(true)
        expect(tries).toBeGreaterThan(refused)
        expect(refused).toBeLessThan(stays ? 60 : 500)
      },
    )
  },
)
