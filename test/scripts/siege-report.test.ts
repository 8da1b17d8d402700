import { describe, expect, it } from 'vitest'
import type { PhoneRecord, Registration } from '../../scripts/siege/phones/plan.ts'
import { figuresOf, renderFigures } from '../../scripts/siege/report.ts'
import type { SiegeRecord } from '../../scripts/siege/siege.ts'

const SECOND = 1_000

function phone(kind: PhoneRecord['kind'], ...registrations: Registration[]): PhoneRecord {
  return { kind, user: 1, address: '10.50.0.10', port: 5_060, packetsSent: 0, registrations }
}

const registered = (begun: number, took: number): Registration => ({
  begun,
  ended: begun + took,
  outcome: 'registered',
})
const silent = (begun: number): Registration => ({ begun, ended: begun + 32_000, outcome: 'silence' })
const open = (begun: number): Registration => ({ begun, ended: null, outcome: null })

/** An attack from the 10th to the 60th second, the end at the 66th. */
function record(...phones: PhoneRecord[]): SiegeRecord {
  const moment = (time: number, read: number, busy: number) => ({
    time,
    arrived: { read, refused: read / 2 },
    machine: { busy, all: 2 * busy, own: busy / 2, queueDrops: 0 },
    status: null,
    figures: null,
    drops: null,
  })
  return {
    order: { attack: 'sources', guard: 'none', nonces: 'shared', seconds: 50, share: 1, seed: 1 },
    about: '',
    phones: {
      attack: { begun: 10 * SECOND, ended: 60 * SECOND },
      ended: 66 * SECOND,
      timersLate: 3,
      phones,
    },
    absent: {},
    calls: {
      PBXs: { begun: 10, completed: 10, broken: 0 },
      trunk: { begun: 4, completed: 3, broken: 1 },
    },
    flood: { sent: 4_000_000, seconds: 50, begun: 1_000 },
    guessers: null,
    before: moment(0, 100, 0),
    after: moment(50 * SECOND, 5_100, 500),
    firstDrop: 1_040,
    limitCrossedAfter: 51,
    tables: null,
    honestBans: [],
    bans: 0,
    memory: null,
    explained: [],
  }
}

describe('the figures of a siege', () => {
  it('count what began during the attack: a 200 after 4 s is late, no answer is a failure', () => {
    const { kinds, ...figures } = figuresOf(
      record(
        phone('customer', registered(9_999, 2), registered(10_000, 4_000), registered(20_000, 4_001)),
        phone('customer', silent(15_000), open(59_000), registered(60_000, 5)),
      ),
    )
    expect(kinds).toEqual({
      customer: {
        phones: 2,
        registrations: 4,
        success: 0.25,
        late: 1,
        refused: 0,
        silence: 2,
        p50: 4_000,
        p99: 4_001,
      },
    })
    expect(figures).toMatchObject({
      attackPerSecond: 80_000,
      reachedPerSecond: 150,
      answeredPerSecond: 100,
      machineBusy: 0.5,
      machineOwn: 0.25,
      saturated: false,
      newcomers: { phones: 0, within32: null },
    })
  })

  it('give a newcomer 32 s from its first packet, over all that it tries, if the attack goes on for so long', () => {
    const { newcomers } = figuresOf(
      record(
        phone('newcomer', registered(11_000, 500)),
        phone('newcomer', { begun: 12_000, ended: 13_000, outcome: 'refused' }, registered(30_000, 1_000)),
        phone('newcomer', silent(13_000), registered(60_000, 100)),
        phone('newcomer', registered(40_000, 500)),
        phone('newcomer'),
      ),
    )
    expect(newcomers).toEqual({ phones: 3, within32: 2 / 3, p50: 19_000, p99: 47_100 })
  })

  it('tell the time in user space and in the kernel apart, and capture buffers of the memory', () => {
    const siege = record(phone('customer', registered(10_000, 3)))
    const took = (user: number, system: number) => ({ daemon: { user, system, memory: 1, rings: 0 } })
    const figures = figuresOf({
      ...siege,
      before: { ...siege.before, figures: took(1_000, 500) },
      after: { ...siege.after, figures: took(6_000, 1_500) },
      memory: { kinds: { daemon: 60e6, capture: 30e6 }, rings: 16e6 },
    })
    expect(figures).toMatchObject({ cpu: { daemon: 10 }, cpuInKernel: { daemon: 2 }, rings: 16e6 })
    const text = renderFigures(figures)
    expect(text).toContain('| processor in user space, % of a core | 10.0 (daemon 10.0) |')
    expect(text).toContain('| the same in the kernel | 2.0 (daemon 2.0) |')
    expect(text).toContain('| memory, MB | 90.0 (daemon 60.0, capture 30.0), of it capture buffers 16.0 |')
  })

  it('are a table for people', () => {
    const text = renderFigures(figuresOf(record(phone('customer', registered(10_000, 3)))))
    expect(text).toContain('| customer: registered within 4 s | 100.0 % of 1; p50 3 ms, p99 3 ms;')
    expect(text).toContain('| reached the softswitch | 150/s, of which it read 100/s |')
  })
})
