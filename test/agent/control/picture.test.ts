import { expect, it } from 'vitest'
import { Picture } from '../../../agent/control/picture.ts'
import type { WeatherName } from '../../../agent/decide/weather.ts'
import type { SensorSummary } from '../../../agent/sensor/messages.ts'

const NOW = 1_800_000_000_000
const WELL = {
  mode: 'enforce' as const,
  off: false,
  faults: [],
  weather: { state: 'peace' as WeatherName, why: '' },
  blocks: 0,
  suspensions: 0,
}

function pictureOf({
  registers,
  attack,
  unseen = 0,
}: {
  registers: number
  attack: boolean
  unseen?: number
}): Picture {
  const picture = new Picture()
  const summary: Partial<SensorSummary> = {
    time: NOW,
    seconds: 2,
    registers: registers * 2,
    sipMessages: 0,
    successes: 0,
    failures: 0,
    unseenRegisters: unseen * 2,
  }
  picture.summarised(summary as SensorSummary, 5)
  if (attack) {
    picture.dropped(1_000, NOW - 1_000)
    picture.dropped(4_000, NOW)
  }
  return picture
}

it.each([
  { attack: false, registers: 1, parts: {}, state: 'peace', says: 'Quiet: 1 REGISTER a second, 0 blocked.' },
  {
    attack: true,
    registers: 3_100,
    parts: { blocks: 4, suspensions: 1 },
    state: 'attack',
    says: 'Under attack: 3,100 REGISTERs a second, the kernel drops 3,000 packets a second, 4 blocked, 1 suspended.',
  },
  {
    attack: false,
    registers: 90,
    parts: { weather: { state: 'attack' as const, why: 'Few succeed.' } },
    state: 'attack',
    says: 'Under attack: 90 REGISTERs a second, the kernel drops 0 packets a second, 0 blocked.',
  },
  {
    attack: true,
    registers: 9_000,
    parts: {
      weather: { state: 'recovery' as const, why: '812 known accounts registered within half a minute.' },
    },
    state: 'recovery',
    says: 'Recovering: 812 known accounts registered within half a minute. 9,000 REGISTERs a second, 0 blocked.',
  },
  {
    attack: false,
    registers: 17_316,
    parts: {},
    state: 'attack',
    says: 'Under attack: 17,316 REGISTERs a second, the kernel drops 0 packets a second, 0 blocked.',
  },
  {
    attack: true,
    registers: 7,
    parts: { mode: 'observe', blocks: 2 },
    state: 'observing',
    says: 'Observing only, an attack goes on: 7 REGISTERs a second, 2 blocked if enforced.',
  },
  {
    attack: true,
    registers: 7,
    parts: { faults: ['Registrar: it is gone.', 'Sensor: it is blind.'] },
    state: 'degraded',
    says: 'Not in order: Registrar: it is gone. Sensor: it is blind.',
  },
  {
    attack: true,
    registers: 7,
    parts: { off: true, faults: ['Sensor: it is blind.'] },
    state: 'off',
    says: 'Off: the kernel holds no rules of Ringfence. 7 REGISTERs a second.',
  },
] as const)('says: $says', ({ attack, registers, parts, state, says }) => {
  expect(pictureOf({ registers, attack }).state(NOW, { ...WELL, ...parts })).toEqual({
    state,
    sentence: says,
  })
})

it.each([
  { mode: 'enforce', says: 'the kernel drops 0 packets a second, 0 blocked.', goesOn: 'Under attack: ' },
  { mode: 'observe', says: '0 blocked if enforced.', goesOn: 'Observing only, an attack goes on: ' },
] as const)('says in mode $mode that the attack ended once it pauses', ({ mode, says, goesOn }) => {
  const picture = pictureOf({ registers: 0, attack: true })
  const sentence = (later: number) => picture.state(NOW + later, { ...WELL, mode }).sentence
  // The counters were not read since: who says that it ended?
  expect(sentence(6_000)).toContain(goesOn)
  picture.dropped(4_000, NOW + 2_000)
  expect(sentence(4_999)).toContain(goesOn)
  const ended = mode === 'observe' ? 'Observing only, an attack ended 12 s ago' : 'An attack ended 12 s ago'
  const rates = ['0 REGISTERs a second', says].join(', ')
  expect(sentence(12_400)).toBe(`${ended}: ${rates}`)
  expect(sentence(30_000)).toMatch(/uiet: 0 REGISTERs/)
})

it('calls it an attack until half a minute after the last heavy drops', () => {
  const picture = pictureOf({ registers: 1, attack: true })
  expect([29_999, 30_000].map((later) => picture.underAttack(NOW + later))).toEqual([true, false])
})

it('does not take REGISTERs for unsuccessful whose answers are not seen', () => {
  const picture = pictureOf({ registers: 5_000, unseen: 4_900, attack: false })
  expect(picture.state(NOW, WELL).state).toBe('peace')
})

it('says what the kernel counted where the sensor sees a sample, and keeps it with the rates', () => {
  const picture = new Picture()
  const loud = {
    seconds: 1,
    sipMessages: 0,
    successes: 0,
    failures: 0,
    unseenRegisters: 0,
    lowerBounds: true,
  }
  picture.arrived(10_011.6, NOW)
  picture.summarised({ ...loud, time: NOW + 1_000, registers: 973 } as SensorSummary, 5)
  const said = 'at least 973 REGISTERs of 10,012 packets a second'
  expect(picture.state(NOW, WELL).sentence).toContain(said)
  expect(picture.latest).toMatchObject({ registers: 973, atLeast: true, arrivals: 10_012 })
  // Counters that were not read for some seconds say nothing of now.
  picture.summarised({ ...loud, time: NOW + 9_000, registers: 973 } as SensorSummary, 5)
  expect(picture.latest).not.toHaveProperty('arrivals')
  picture.arrived(40, NOW + 10_000)
  picture.summarised({ ...loud, lowerBounds: false, time: NOW + 10_000, registers: 7 } as SensorSummary, 5)
  expect(picture.latest).not.toHaveProperty('arrivals')
})
