import { describe, expect, it } from 'vitest'
import {
  NO_PATH_EVIDENCE,
  type PathEvidence,
  type PathSighting,
  sayNotInPath,
  weighPath,
} from '../../../agent/control/in-path.ts'

const T = 1_800_000_000_000
const registers = (second: number, count: number): PathSighting => ({
  kind: 'registers',
  from: T + second * 1_000,
  to: T + (second + 1) * 1_000,
  count,
})
const judged = (second: number, packets: number): PathSighting => ({
  kind: 'judged',
  at: T + second * 1_000,
  packets,
})
/** Every second `each` REGISTERs, and a look at the counters. */
const seconds = (from: number, to: number, each: number, packets: (second: number) => number) =>
  Array.from({ length: to - from }, (_, i) => [
    registers(from + i, each),
    judged(from + i + 1, packets(from + i)),
  ]).flat()

function weigh(sightings: readonly PathSighting[], evidence: PathEvidence = NO_PATH_EVIDENCE): PathEvidence {
  return sightings.reduce(weighPath, evidence)
}

describe('packets go around the rules', () => {
  it.each<{ what: string; sightings: PathSighting[]; around: number | null }>([
    {
      what: '4 a second for 5 s and nothing judged: around',
      sightings: [judged(0, 7), ...seconds(0, 5, 4, () => 7)],
      around: T,
    },
    {
      what: '4 a second for 4 s: too short',
      sightings: [judged(0, 7), ...seconds(0, 4, 4, () => 7)],
      around: null,
    },
    {
      what: '3 a second for 6 s: too few',
      sightings: [judged(0, 7), ...seconds(0, 6, 3, () => 7)],
      around: null,
    },
    {
      what: 'a hundred within a second, then silence: the sensor may only have been late',
      sightings: [judged(0, 7), registers(0, 100), ...seconds(1, 20, 0, () => 7)],
      around: null,
    },
    {
      what: 'every packet judged',
      sightings: [judged(0, 7), ...seconds(0, 30, 4, (second) => 7 + second)],
      around: null,
    },
    {
      what: 'one packet judged in the middle',
      sightings: [judged(0, 7), ...seconds(0, 30, 2, (second) => (second < 8 ? 7 : 8))].filter(
        (_, i) => i < 34,
      ),
      around: null,
    },
    {
      what: 'told of after the look that saw them judged',
      sightings: [judged(0, 7), judged(1.5, 40), registers(0.6, 33), ...seconds(2, 9, 0, () => 40)],
      around: null,
    },
    {
      what: 'no look at the counters yet',
      sightings: Array.from({ length: 20 }, (_, i) => registers(i, 10)),
      around: null,
    },
    {
      what: 'counters that began anew are no silence',
      sightings: [
        judged(0, 900),
        ...seconds(0, 4, 10, () => 900),
        judged(5, 3),
        ...seconds(5, 9, 10, () => 3),
      ],
      around: null,
    },
    {
      what: 'no rules while they came',
      sightings: [
        judged(0, 7),
        ...seconds(0, 4, 10, () => 7),
        { kind: 'no-rules' },
        ...seconds(4, 8, 10, () => 7),
      ],
      around: null,
    },
  ])('$what', ({ sightings, around }) => {
    expect(weigh(sightings).aroundSince).toBe(around)
  })

  it('until something is judged again', () => {
    const lost = weigh([judged(0, 7), ...seconds(0, 60, 10, () => 7)])
    expect(lost).toMatchObject({ aroundSince: T, registers: 600 })
    expect(weigh([registers(60, 0), judged(61, 7)], lost).aroundSince).toBe(T)
    expect(weigh([judged(62, 8)], lost)).toEqual({ ...NO_PATH_EVIDENCE, judged: 8, judgedAt: T + 62_000 })
    expect(weigh([{ kind: 'no-rules' }], lost)).toEqual(NO_PATH_EVIDENCE)
  })
})

it('says where to look', () => {
  const lost = weigh([judged(0, 7), ...seconds(0, 200, 10, () => 7)])
  expect(sayNotInPath(lost, { interfaces: ['eth0', 'br0'], addresses: 'local' })).toBe(
    'Not in the path: 2,000 REGISTERs to addresses of this host were seen on eth0, br0 and no rule judged one packet. Look for a bridge without net.bridge.bridge-nf-call-iptables=1 (and br_netfilter loaded), a softswitch in another network namespace (a container), an XDP program before netfilter, or a wrong protect.interfaces or protect.addresses.',
  )
  expect(sayNotInPath(NO_PATH_EVIDENCE, { interfaces: ['eth0'], addresses: 'local' })).toBeNull()
})
