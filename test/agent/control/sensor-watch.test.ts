import { expect, it } from 'vitest'
import { SensorWatch } from '../../../agent/control/sensor-watch.ts'

type Summary = Parameters<SensorWatch['summarised']>[0]

const RUNNING = { name: 'eth0', engine: 'pcap', state: 'running', detail: '' } as const
const WAITING = { ...RUNNING, state: 'waiting', detail: 'no such interface' } as const
const NOT_READ = { datagrams: 1, segments: 2, gaps: 3, connections: 4, transactions: 5 }
const CHECKED = { state: 'seen', online: 4, silent: 1, unasked: 0 } as const
const QUIET = { state: 'quiet', group: 74, since: 0, detail: '' } as const

function stage() {
  const said: string[] = []
  const say = (level: string) => (sentence: string) => said.push(`${level}: ${sentence}`)
  const log = { info: say('info'), warn: say('warn'), error: say('error') }
  const deaf: string[] = []
  const watch = new SensorWatch({
    onDeaf: () => deaf.push('deaf'),
    log: log as unknown as ConstructorParameters<typeof SensorWatch>[0]['log'],
  })
  const summarise = (parts: Partial<Summary> = {}) =>
    watch.summarised({
      frames: 10,
      framesLost: 0,
      malformed: 1,
      notRead: NOT_READ,
      sourcesTracked: 5,
      bindings: 2,
      onlineCheck: CHECKED,
      logs: [],
      captures: [RUNNING],
      sampling: QUIET,
      lowerBounds: false,
      ...parts,
    })
  return { watch, said, summarise, deaf }
}

it('adds up what was seen, and takes the rest as it is told last', () => {
  const { watch, summarise, said } = stage()
  expect(watch.view).toMatchObject({ state: 'starting', detail: 'the sensor is starting' })
  summarise()
  summarise({ framesLost: 7, sourcesTracked: 6 })
  expect(watch.view).toEqual({
    state: 'running',
    engine: 'pcap',
    framesSeen: 20,
    framesLost: 7,
    sampling: QUIET,
    lowerBounds: false,
    malformed: 2,
    notRead: NOT_READ,
    sourcesTracked: 6,
    learntBindings: 2,
    onlineCheck: CHECKED,
    logs: [],
    detail: '',
  })
  expect(said).toEqual([])
})

it('an interface that is not there for a while is a fault, said once, and once when it is over', () => {
  const { watch, summarise, said } = stage()
  const states = Array.from({ length: 5 }, () => {
    summarise({ captures: [RUNNING, { ...WAITING, name: 'eth1' }] })
    return watch.view.state
  })
  expect(states).toEqual(['starting', 'starting', 'starting', 'failed', 'failed'])
  summarise()
  expect(watch.view).toMatchObject({ state: 'running', detail: '' })
  expect(said).toEqual([
    'error: the sensor does not see everything: eth1: no such interface',
    'info: the sensor sees everything again',
  ])
})

it('a capture that failed is a fault at once, and so is a process that ended', () => {
  const { watch, summarise, said } = stage()
  summarise({ captures: [{ ...WAITING, state: 'failed' }] })
  expect(watch.view.state).toBe('failed')
  watch.changed('starting', 'the sensor is starting')
  expect(watch.view.state).toBe('starting')
  watch.changed('failed', 'the sensor ended')
  expect(watch.view).toMatchObject({ state: 'failed', detail: 'the sensor ended' })
  expect(said.at(-1)).toBe('error: the sensor ended')
})

it('says when requests are read from the kernel’s log, when no more, and why it cannot', () => {
  const { summarise, said } = stage()
  summarise()
  summarise({ sampling: { ...QUIET, state: 'loud' } })
  summarise({ sampling: { ...QUIET, state: 'loud', detail: 'refused' } })
  summarise()
  expect(said).toEqual([
    "info: so much arrives that requests are read from the kernel's log (NFLOG group 74)",
    "warn: the kernel's log of requests cannot be read: refused",
    'info: every request is captured again',
  ])
})

it('says once that a log of the softswitch is followed, or why it is not', () => {
  const { summarise, said } = stage()
  const log = {
    log: 'asterisk',
    path: '/L',
    state: 'failed',
    reason: 'no such file',
    linesRead: 0,
    linesUnderstood: 0,
    linesLetGo: 0,
    linesDoubtful: 0,
    eventsUsed: 0,
  } as const
  summarise({ logs: [log] })
  summarise({ logs: [log] })
  summarise({ logs: [{ ...log, state: 'following', reason: '' }] })
  expect(said).toEqual([
    'warn: the log of asterisk (/L) is not followed: no such file',
    'info: the log of asterisk (/L) is followed',
  ])
})

it('an interface that went down and came back is said, once each, however short that was', () => {
  const { summarise, said } = stage()
  const after = (count: number, parts = {}) => ({
    captures: [{ ...RUNNING, interruptions: { count, detail: 'eth0 is down' }, ...parts }],
  })
  summarise(after(0))
  summarise(after(1, { state: 'waiting', detail: 'eth0 is down' }))
  summarise(after(1, { state: 'waiting', detail: 'eth0 is down' }))
  summarise(after(1))
  summarise(after(1))
  const [down, up] = [
    'warn: nothing is captured on eth0 for the moment: eth0 is down',
    'info: eth0 is captured on again',
  ]
  expect(said).toEqual([down, up])
  // Within one second.
  summarise(after(2))
  expect(said).toEqual([down, up, down, up])
  // A sensor that was started again counts anew.
  summarise(after(0))
  expect(said).toHaveLength(4)
})

it('captures that show nothing while the rules count packets are a fault, and begin anew once', () => {
  const { watch, said, summarise, deaf } = stage()
  const second = (frames: number, packets: number) => {
    watch.arrived(packets)
    summarise({ frames })
  }
  // Nobody sends anything, and what is counted late was seen before.
  second(10, 10)
  watch.arrived(500)
  for (let i = 0; i < 100; i++) second(0, 0)
  expect(watch.view.state).toBe('running')
  second(10, 10)
  for (let i = 0; i < 20; i++) second(0, 3)
  expect(watch.view).toMatchObject({
    state: 'failed',
    detail: 'the rules count packets to SIP ports, and the captures have shown none of them for 20 s',
  })
  expect(deaf).toEqual(['deaf'])
  watch.changed('starting', 'the sensor is starting')
  second(0, 3)
  expect(watch.view.state).toBe('running')
  // One that never showed anything is no better after another start.
  for (let i = 0; i < 20; i++) second(0, 3)
  expect(watch.view.state).toBe('failed')
  expect(deaf).toEqual(['deaf'])
  second(1, 3)
  expect(watch.view.state).toBe('running')
  expect(said.filter((line) => line.startsWith('error'))).toHaveLength(2)
})
