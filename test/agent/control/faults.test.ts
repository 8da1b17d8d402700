import { expect, it } from 'vitest'
import { listFaults, type PartsHealth } from '../../../agent/control/faults.ts'
import { noticeOf } from '../../../agent/control/notice.ts'
import type { RulesStatus } from '../../../rules/status.ts'

const NOW = 1_800_000_000_000
const APPLIED: RulesStatus = {
  state: 'applied',
  backend: 'iptables-nft',
  lastAppliedAt: NOW,
  pendingChanges: 0,
  lastError: null,
  full: [],
  repairs: { count: 0, lastAt: null, last: null, contestedUntil: null },
}
const FAILURE = { at: NOW, message: 'It was refused.', line: '-A X', attempts: 2, nextAttemptAt: NOW + 500 }
const WELL: PartsHealth = {
  now: NOW,
  rules: APPLIED,
  notInPath: null,
  sensor: { state: 'running', detail: '' },
  registrar: { state: 'off', detail: '' },
  journalFailures: 0,
  refusedFull: 0,
  verdicts: 9,
}

it.each<{ what: string; parts: Partial<PartsHealth>; faults: string[] }>([
  { what: 'nothing', parts: {}, faults: [] },
  {
    what: 'rules that are refused',
    parts: { rules: { ...APPLIED, state: 'failing', lastError: FAILURE } },
    faults: ['Rules cannot be applied: It was refused. (line: -A X).'],
  },
  {
    what: 'another program',
    parts: {
      rules: {
        ...APPLIED,
        state: 'contested',
        repairs: { count: 6, lastAt: NOW, last: 'IPv4: the jump was gone', contestedUntil: NOW + 59_001 },
      },
    },
    faults: [
      'Another program keeps changing the rules (IPv4: the jump was gone): the next repair is tried in 60 s, and `ringfence on` repairs at once. Find it, or have it leave the table raw alone.',
    ],
  },
  {
    what: 'full tables',
    parts: { rules: { ...APPLIED, full: ['The set rf-pvn4 is full', 'So is another one.'] } },
    faults: ['The set rf-pvn4 is full.', 'So is another one.'],
  },
  {
    what: 'packets that go around',
    parts: { notInPath: 'Not in the path: look.' },
    faults: ['Not in the path: look.'],
  },
  {
    what: 'a softswitch that is dead, before all else',
    parts: { outage: 'It answers nobody.', notInPath: 'Not in the path: look.' },
    faults: ['It answers nobody.', 'Not in the path: look.'],
  },
  {
    what: 'everything else',
    parts: {
      sensor: { state: 'failed', detail: 'eth0: it is down' },
      registrar: { state: 'failed', detail: 'it ended' },
      journalFailures: 2,
      refusedFull: 3,
    },
    faults: [
      'Sensor: eth0: it is down.',
      'Registrar: it ended.',
      'The journal could not take 2 changes: look at the disk.',
      '3 verdicts found no place among the blocks and suspensions of verdicts (9 stand now): raise kernel.elements.',
    ],
  },
])('a fault: $what', ({ parts, faults }) => {
  expect(listFaults({ ...WELL, ...parts }).map(({ sentence }) => sentence)).toEqual(faults)
})

it('a set that is full keeps its key while it counts', () => {
  const keyOf = (sentence: string) => listFaults({ ...WELL, rules: { ...APPLIED, full: [sentence] } })[0]?.key
  expect(keyOf('The set rf-pvn4 is full (8 of 8): x.')).toBe(keyOf('The set rf-pvn4 is full (8 of 9): x.'))
  expect(keyOf('The set rf-pvn4 is full (8 of 8): x.')).not.toBe(
    keyOf('The set rf-pvn6 is full (8 of 8): x.'),
  )
})

it.each<{ mode?: 'enforce' | 'observe'; isOff?: true; rules?: Partial<RulesStatus>; notice: RegExp | null }>([
  { notice: null },
  { rules: { state: 'pending' }, notice: null },
  { mode: 'observe', notice: /^noted; nothing is dropped while the configuration says mode: observe$/ },
  {
    isOff: true,
    notice: /^noted; nothing is dropped while the rules are off: `ringfence on` puts them back$/,
  },
  { rules: { state: 'off' }, notice: /^noted; nothing is dropped yet/ },
  { rules: { state: 'contested' }, notice: /^noted; another program keeps changing our rules/ },
  {
    rules: { state: 'failing', lastError: FAILURE },
    notice:
      /^noted; the kernel does not take the rules at the moment, and it is tried again: It was refused\. \(line: -A X\)$/,
  },
])('an order in $mode $isOff $rules', ({ mode = 'enforce', isOff = false, rules = {}, notice }) => {
  const said = noticeOf({ mode, isOff, rules: { ...APPLIED, ...rules } })
  if (notice === null) expect(said).toBeNull()
  else expect(said).toMatch(notice)
})
