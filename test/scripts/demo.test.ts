import { describe, expect, it } from 'vitest'
import { renderActs, servedBetween, shareOf } from '../../scripts/siege/demo/acts.ts'
import { missingSentence } from '../../scripts/siege/demo/requirements.ts'
import type { PhoneRecord, Registration } from '../../scripts/siege/phones/plan.ts'
import { countServed } from '../../scripts/siege/phones/served.ts'

describe('the demo', () => {
  it('says in one sentence what has to be installed', () => {
    expect(missingSentence(() => true)).toBeNull()
    expect(missingSentence((program) => program !== 'kamailio')).toBe(
      'the demo needs kamailio: apt-get install kamailio && systemctl disable --now kamailio (the demo starts its own, in a namespace)',
    )
    expect(missingSentence((program) => program !== 'cc' && program !== 'ipset')).toBe(
      'the demo needs cc, ipset: apt-get install build-essential ipset',
    )
  })

  it('shows its acts as a table', () => {
    const acts = [
      {
        act: 'peace',
        attack: 'none',
        served: { asked: 10, inTime: 10 },
        reachedPerSecond: 46.4,
        dropped: null,
      },
      {
        act: 'flood',
        attack: '9/s',
        served: { asked: 3, inTime: 2 },
        reachedPerSecond: 1_633,
        dropped: 184_074,
      },
    ]
    expect(renderActs(acts).split('\n').slice(2)).toEqual([
      '  peace  none    100 % of 10               46/s                    –',
      '  flood  9/s     66.7 % of 3               1,633/s                 184,074',
    ])
    expect(shareOf(servedBetween({ asked: 5, inTime: 4 }, { asked: 5, inTime: 4 }))).toBe('–')
  })

  it('counts of customers what began over four seconds ago', () => {
    const registered = (begun: number, ended: number): Registration => ({
      begun,
      ended,
      outcome: 'registered',
    })
    const phone = (kind: PhoneRecord['kind'], registrations: readonly Registration[]): PhoneRecord => ({
      kind,
      user: 1,
      address: '10.50.0.10',
      port: 5_060,
      packetsSent: 0,
      registrations,
    })
    const phones = [
      phone('customer', [
        registered(0, 10),
        registered(1_000, 6_000),
        { begun: 2_000, ended: null, outcome: null },
        { begun: 3_000, ended: 3_010, outcome: 'refused', mistyped: true },
        registered(7_000, 7_010),
      ]),
      phone('newcomer', [registered(0, 10)]),
    ]
    expect(countServed(phones, 10_000)).toEqual({ asked: 3, inTime: 1 })
  })
})
