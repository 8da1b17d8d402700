import { expect, it } from 'vitest'
import { ChildPulse, readVitals, type Vitals } from '../../agent/child-pulse.ts'

/** Asks a pulse so often, of a child that looks like this at each asking, and tells what it says but for `well`. */
function judged(pulse: (now: () => Vitals) => ChildPulse, looks: readonly Vitals[]) {
  let at = 0
  const asked = pulse(() => looks[at]!)
  return looks.flatMap((_, i) => {
    at = i
    const says = asked.tick()
    return says.kind === 'well' ? [] : [{ after: i + 1, ...says }]
  })
}

const spoken = (look: () => Vitals) => {
  const pulse = new ChildPulse(look)
  pulse.heard()
  return pulse
}

const after = (seconds: number, of: (second: number) => Vitals) =>
  Array.from({ length: seconds }, (_, i) => of(i + 1))

it('misses a child after three seconds, and finds one stuck that is stopped, asleep for good or busy without end', () => {
  const table: readonly [string, (second: number) => Vitals, number, string][] = [
    ['stopped', () => ({ state: 'T', cpu: 5 }), 10, 'it is stopped'],
    ['asleep', () => ({ state: 'S', cpu: 5 }), 10, 'it sleeps and does not wake'],
    [
      'a loop',
      (second) => ({ state: 'R', cpu: second }),
      13,
      'it had 10 s of processor time and is busy without end',
    ],
  ]
  for (const [name, look, when, why] of table) {
    const said = judged(spoken, after(when, look))
    expect(said[0], name).toMatchObject({ after: 3, kind: 'missed' })
    expect(said.at(-1), name).toEqual({ after: when, kind: 'stuck', silent: when, why })
    expect(said.filter(({ kind }) => kind !== 'silent')).toHaveLength(2)
  }
})

it('never ends a child that only gets no processor, or waits for the disk', () => {
  const starved = after(300, (second) => ({ state: 'R', cpu: second * 0.02 }))
  const swapped = after(300, (second) => ({ state: 'D', cpu: Math.floor(second / 40) / 100 }))
  const slow = after(300, (second) => ({ state: 'S', cpu: Math.floor(second / 4) / 100 }))
  for (const looks of [starved, swapped, slow]) {
    const kinds = judged(spoken, looks).map(({ kind }) => kind)
    expect(new Set(kinds)).toEqual(new Set(['missed', 'silent']))
  }
})

it('gives a child half a minute for its first word', () => {
  const said = judged(
    (look) => new ChildPulse(look),
    after(37, () => ({ state: 'S', cpu: 1 })),
  )
  expect(said[0]).toMatchObject({ after: 30, kind: 'missed' })
  expect(said.at(-1)).toMatchObject({ after: 37, kind: 'stuck' })
})

it('reads how a process does', () => {
  const own = readVitals(process.pid)
  expect(own?.state).toMatch(/^[RS]$/)
  expect(own?.cpu).toBeGreaterThan(0)
  expect(readVitals(2 ** 30)).toBeUndefined()
})
