import { expect, it } from 'vitest'
import type { SensorSummary } from '../../agent/sensor/messages.ts'
import { watchedSecond } from '../../agent/weather-second.ts'

const ASKED = { since: 4, lastAt: 5, phones: 7, addresses: [] }
const SUMMARY = {
  time: 5,
  seconds: 1,
  registers: 100,
  challenges: 40,
  successes: 38,
  failures: 2,
  unknownRegisters: 10,
  unseenRegisters: 0,
  sourcesTracked: 7,
  sourcesLetGo: 3,
  lowerBounds: false,
  silence: { answeredAt: 3, asked: ASKED },
  sight: [{ state: 'sighted' }, { state: 'blind' }],
  answers: { answered: 70, silent: 1, latencyP50: 2, latencyP99: 9 },
  captures: [{ name: 'eth0', engine: 'pcap', state: 'running', detail: '' }],
} as unknown as SensorSummary

it.each<{ name: string; summary: Partial<SensorSummary>; tells: object }>([
  {
    name: 'all that was seen',
    summary: {},
    tells: {
      registers: 100,
      sightedRegisters: 100,
      answered: 80,
      sources: 10,
      whole: true,
      lowerBounds: false,
      silence: { answeredAt: 3, asked: ASKED },
    },
  },
  {
    name: 'no port that answers were seen of',
    summary: { sight: [{ state: 'quiet' }] } as never,
    tells: { silence: { answeredAt: 3, asked: null } },
  },
  {
    name: 'answers that leave by another way, so that a silence before was none',
    summary: { sight: [{ state: 'half-sighted' }] } as never,
    tells: { silence: { answeredAt: 5, asked: null } },
  },
  {
    name: 'a port whose answers leave another way',
    summary: { unseenRegisters: 60 },
    tells: { registers: 100, sightedRegisters: 40 },
  },
  {
    name: 'a sample of a flood, which stands for many more',
    summary: { unknownRegisters: 80_000, lowerBounds: true },
    tells: { registers: 80_000, unknownRegisters: 80_000, sightedRegisters: 80_000, lowerBounds: true },
  },
  {
    name: 'an interface that is down',
    summary: { captures: [{ name: 'eth0', engine: '', state: 'waiting', detail: 'it is down' }] },
    tells: { whole: false },
  },
  {
    name: 'nobody who was due an answer',
    summary: { answers: { answered: 0, silent: 0, latencyP50: null, latencyP99: null } },
    tells: { known: null },
  },
  {
    name: 'answers that never came',
    summary: { answers: { answered: 0, silent: 4, latencyP50: null, latencyP99: null } },
    tells: { known: { answered: 0, silent: 4 } },
  },
])('a summary tells of $name', ({ summary, tells }) => {
  expect(watchedSecond({ ...SUMMARY, ...summary })).toMatchObject(tells)
})
