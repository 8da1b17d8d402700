import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { setTimeout as pause } from 'node:timers/promises'
import { execa } from 'execa'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { FrameDirection } from '../../agent/capture/filter.ts'
import type { CaptureEngine, CaptureState, KernelStatistics } from '../../agent/capture/live.ts'
import { LiveCapture } from '../../agent/capture/live.ts'
import { decodeFrame } from '../../agent/decode/decode-frame.ts'
import { IpFragments } from '../../agent/decode/ip-fragments.ts'
import { pcapFile } from '../captures.ts'
import type { Compiled } from '../compiled.ts'
import { compileProject } from '../compiled.ts'
import * as p from '../packets.ts'

const isRoot = process.getuid?.() === 0
const require = createRequire(import.meta.url)
const ENGINES: readonly CaptureEngine[] = ['pcap', 'cap', 'tcpdump']

const far = `rf-cf-${process.pid}`
const near = `rf-cn-${process.pid}`
const inNear = ['ip', 'netns', 'exec', near]
const PORTS = { udpPorts: [5060], tcpPorts: [5060] }

let compiled: Compiled
let folder: string

if (!isRoot) console.warn('SKIPPED: capturing needs root')
test.runIf(!isRoot && process.env.RINGFENCE_REQUIRE_ALL === '1')('live capture can be tested', () => {
  expect.fail('capturing needs root, and nothing may be skipped')
})

async function ip(...args: string[]): Promise<void> {
  await execa('ip', args, { timeout: 10_000, env: { LC_ALL: 'C' } })
}

async function plug(): Promise<void> {
  await ip('-n', far, 'link', 'add', 'v0', 'type', 'veth', 'peer', 'name', 'v1', 'netns', near)
  await ip('-n', far, 'addr', 'add', '10.9.0.1/24', 'dev', 'v0')
  await ip('-n', near, 'addr', 'add', '10.9.0.2/24', 'dev', 'v1')
  await ip('-n', far, 'link', 'set', 'v0', 'up')
  await ip('-n', near, 'link', 'set', 'v1', 'up')
}

async function until(condition: () => boolean, what: () => string, within = 10_000): Promise<void> {
  const deadline = performance.now() + within
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`in vain: ${what()}`)
    await pause(10)
  }
}

let files = 0

/** Puts frames on the wire as they are. */
async function send(namespace: string, device: string, frames: readonly Buffer[]): Promise<void> {
  const file = `${folder}/send-${files++}.pcap`
  writeFileSync(file, pcapFile(frames.map((bytes) => ({ bytes }))))
  await execa('ip', ['netns', 'exec', namespace, 'tcpreplay', '-q', '-p', '500', '-i', device, file], {
    timeout: 10_000,
  })
}

/** A capture together with what it saw. */
function watch(engine: CaptureEngine | 'auto', device = 'v1', frames: FrameDirection = 'all') {
  const fragments = new IpFragments()
  const seen: string[] = []
  const cameIn: string[] = []
  const wentOut: string[] = []
  const arrivals: number[] = []
  const times: number[] = []
  const states: CaptureState[] = []
  const statistics: (KernelStatistics | null)[] = []
  const capture = new LiveCapture({
    interface: device,
    frames,
    ports: PORTS,
    engine,
    launcher: inNear,
    childScript: compiled.path('agent/capture/capture-child.ts'),
    onFrame: (frame) => {
      const packet = decodeFrame(frame, fragments)
      if (packet.kind !== 'udp' && packet.kind !== 'tcp') return
      const text = packet.payload.toString('latin1', 0, 24)
      if (frame.cameIn) {
        cameIn.push(text)
        return
      }
      if (frame.wentOut) {
        wentOut.push(text)
        return
      }
      seen.push(text)
      arrivals.push(Date.now())
      times.push(packet.time)
    },
    onState: (state) => states.push(state),
    onStatistics: (counts) => statistics.push(counts),
  })
  const running = () =>
    until(
      () => capture.state.state === 'running',
      () => `running, but ${JSON.stringify(states)}`,
    )
  const saw = (...texts: string[]) =>
    until(
      () => texts.every((text) => seen.includes(text)),
      () => `to see ${texts.join()}, but saw ${seen.join()}; ${JSON.stringify(states)}`,
    )
  return { capture, seen, cameIn, wentOut, arrivals, times, states, statistics, running, saw }
}

function isAlive(pid: number): boolean {
  try {
    // A process whose end nobody has asked for yet stays as a zombie.
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))
  } catch {
    return false
  }
}

const hello = (text: string, port = 5060) => p.udp({ sourcePort: 4000, destinationPort: port }, text)
const plain = (text: string) => p.ethernet(p.ipv4({}, hello(text)))

describe.skipIf(!isRoot)('live capture', () => {
  beforeAll(async () => {
    compiled = await compileProject()
    folder = mkdtempSync(`${tmpdir()}/rf-capture-`)
  })

  afterAll(() => {
    compiled.remove()
    rmSync(folder, { recursive: true, force: true })
  })

  beforeEach(async () => {
    await ip('netns', 'add', far)
    await ip('netns', 'add', near)
    for (const namespace of [far, near]) {
      // The kernel's own neighbour discovery would be in the counters.
      await execa('ip', ['netns', 'exec', namespace, 'sysctl', '-qw', 'net.ipv6.conf.default.disable_ipv6=1'])
    }
    await plug()
  })

  let watched: ReturnType<typeof watch>
  afterEach(async () => {
    await watched?.capture.stop()
    await ip('netns', 'delete', far)
    await ip('netns', 'delete', near)
  })

  /** Sends it again and again, since packets during a restart of the capture are lost. */
  function sendAndSee(text: string): boolean {
    void send(far, 'v0', [plain(text)]).catch(() => {})
    return watched.seen.includes(text)
  }

  test.each(ENGINES)('by %s no answer is believed that comes from outside', async (engine) => {
    watched = watch(engine, 'v1', 'outside-in')
    watched.capture.start()
    await watched.running()
    const answer = (to: number, text: string) =>
      p.udp({ sourcePort: 5060, destinationPort: to }, `SIP/2.0 401 ${text}`)
    // The first block of the buffer is libpcap's own, so something is sent until something is seen.
    await until(
      () => sendAndSee('REGISTER sip:a'),
      () => 'a request',
    )
    // Forged with the softswitch's address, to a phone that uses the SIP port as well, and to one that does not.
    await send(far, 'v0', [
      p.ethernet(p.ipv4({}, answer(5060, 'forged'))),
      p.ethernet(p.ipv4({}, answer(4000, 'forged'))),
      p.ethernet(p.vlan(9, p.ipv4({}, answer(5060, 'forged')))),
      p.ethernet(p.ipv6({}, answer(5060, 'forged'))),
      plain('REGISTER sip:b'),
    ])
    await send(near, 'v1', [
      p.ethernet(p.ipv4({}, answer(5060, 'true'))),
      p.ethernet(p.ipv4({}, answer(4000, 'true'))),
      p.ethernet(p.ipv6({}, answer(4000, 'true'))),
      p.ethernet(p.ipv4({}, answer(4000, 'last'))),
    ])
    await watched.saw('REGISTER sip:b', 'SIP/2.0 401 last')
    expect(watched.seen.filter((text) => text.startsWith('SIP/'))).toEqual([
      'SIP/2.0 401 true',
      'SIP/2.0 401 true',
      'SIP/2.0 401 true',
      'SIP/2.0 401 last',
    ])
  })

  test('answers that come in are shown apart, whoever they claim to be from', async () => {
    watched = watch('pcap', 'v1', 'outside-in')
    watched.capture.start()
    await watched.running()
    expect(watched.capture.showsIncomingAnswers).toBe(true)
    const answer = p.udp({ sourcePort: 5060, destinationPort: 5060 }, 'SIP/2.0 200 from a phone')
    // The first block of a capture of what comes in is libpcap's own, and nothing can be sent ahead.
    await until(
      () => {
        void send(far, 'v0', [p.ethernet(p.ipv4({}, answer)), p.ethernet(p.vlan(9, p.ipv4({}, answer)))])
        return watched.cameIn.length >= 2
      },
      () => `answers, but saw ${watched.seen.join()}`,
    )
    expect(new Set(watched.cameIn)).toEqual(new Set(['SIP/2.0 200 from a phone']))
    expect(watched.seen).toEqual([])
  })

  test('what goes out in fragments is shown apart, and the same from outside is not', async () => {
    watched = watch('pcap', 'v1', 'outside-in')
    watched.capture.start()
    await watched.running()
    const ports = { sourcePort: 5060, destinationPort: 5070 }
    const long = (text: string) => {
      const datagram = p.udp(ports, `${text} ${'x'.repeat(2000)}`)
      return p.fragments(datagram, { family: 4, size: 1480 }).map((layer) => p.ethernet(layer))
    }
    const longRequest = p
      .fragments(p.udp({ destinationPort: 5060 }, `REGISTER sip:long ${'x'.repeat(2000)}`), {
        family: 4,
        size: 1480,
        identification: 2,
      })
      .map((layer) => p.ethernet(layer))
    await until(
      () => {
        void send(near, 'v1', long('SIP/2.0 200 true'))
        return watched.wentOut.length >= 2
      },
      () => `what went out, but saw ${watched.seen.join()}`,
    )
    await send(far, 'v0', [...long('SIP/2.0 200 forged'), ...longRequest])
    await watched.saw('REGISTER sip:long xxxxxx')
    expect(new Set(watched.wentOut)).toEqual(new Set(['SIP/2.0 200 true xxxxxxx']))
    expect(new Set(watched.seen)).toEqual(new Set(['REGISTER sip:long xxxxxx']))
  })

  test('from the moment when it says that it runs, not a frame is missing', async () => {
    watched = watch('pcap', 'v1', 'outside-in')
    watched.capture.start()
    await watched.running()
    await send(far, 'v0', [plain('REGISTER sip:first')])
    await send(near, 'v1', [p.ethernet(p.ipv4({}, p.udp({ sourcePort: 5060 }, 'SIP/2.0 401 first')))])
    await watched.saw('REGISTER sip:first', 'SIP/2.0 401 first')
    // Nor is its own frame, with which it found out, among them.
    expect(watched.seen).toEqual(['REGISTER sip:first', 'SIP/2.0 401 first'])
  })

  test('the native engines are there', () => {
    expect(() => require('pcap')).not.toThrow()
    expect(() => require('cap')).not.toThrow()
  })

  describe.each(ENGINES)('by %s', (engine) => {
    beforeEach(async () => {
      watched = watch(engine)
      watched.capture.start()
      await watched.running()
    })

    test('sees all that belongs to the ports, in both directions, and nothing else', async () => {
      const long = p.udp({}, `long ${'x'.repeat(3000)}`)
      const others = [
        p.ethernet(p.ipv4({}, hello('no: udp', 53))),
        p.ethernet(p.ipv6({}, hello('no: udp6', 53))),
        p.ethernet(p.vlan(9, p.ipv4({}, hello('no: vlan', 53)))),
        p.ethernet(p.ipv4({}, p.tcp({ destinationPort: 80 }, 'no: tcp'))),
      ]
      await send(far, 'v0', [
        ...others,
        plain('udp4'),
        p.ethernet(p.ipv6({}, hello('udp6'))),
        p.ethernet(p.ipv4({}, p.tcp({}, 'tcp4'))),
        p.ethernet(p.ipv6({}, p.tcp({}, 'tcp6'))),
        p.ethernet(p.vlan(9, p.ipv4({}, hello('vlan4')))),
        p.ethernet(p.vlan(9, p.ipv6({}, p.tcp({}, 'vlan6')))),
        p.ethernet(p.vlan(7, p.vlan(9, p.ipv4({}, hello('qinq'))), 0x88a8)),
        p.ethernet(p.vlan(7, p.vlan(9, p.ipv4({}, hello('qinq of old'))))),
        ...p.fragments(long, { family: 4, size: 1400 }).map((layer) => p.ethernet(layer)),
        ...p.fragments(long, { family: 6, size: 1400 }).map((layer) => p.ethernet(p.vlan(9, layer))),
        p.ethernet(p.ipv6({}, p.extension(60, hello('options')))),
      ])
      const answer = p.udp({ sourcePort: 5060, destinationPort: 4000 }, 'answer')
      await send(near, 'v1', [...others, p.ethernet(p.ipv4({}, answer)), plain('the end')])
      await watched.saw('the end')
      const long24 = `long ${'x'.repeat(19)}`
      const expected = [
        'udp4',
        'udp6',
        'tcp4',
        'tcp6',
        'vlan4',
        'vlan6',
        'qinq',
        'qinq of old',
        long24,
        long24,
        'options',
      ]
      expect(watched.seen).toEqual([...expected, 'answer', 'the end'])
    })

    test('sees a packet soon, with the time at which it came', async () => {
      // The packets say when they were sent, so that starting the sender does not count.
      const script = `const s = require('dgram').createSocket('udp4'); let n = 0
        const t = setInterval(() => { s.send('at ' + Date.now(), 5060, '10.9.0.2', () => n === 20 && s.close())
          if (++n === 20) clearInterval(t) }, 30)`
      const { seen, arrivals, times } = watched
      await execa('ip', ['netns', 'exec', far, process.execPath, '-e', script], { timeout: 10_000 })
      await until(
        () => seen.length >= 20,
        () => `20 packets, but ${seen.length}`,
      )
      const sent = seen.map((text) => Number(text.slice(3)))
      const delays = sent.map((time, i) => arrivals[i]! - time)
      const errors = sent.map((time, i) => Math.abs(times[i]! - time))
      // A busy machine may be late once or twice; an engine that waits for its block to fill is late always.
      const eighteenth = (values: number[]) => values.toSorted((a, b) => a - b)[17]
      expect(eighteenth(delays)).toBeLessThan(100)
      expect(eighteenth(errors)).toBeLessThan(100)
    })

    test('goes on after the interface was down, for a moment or longer', async () => {
      await send(far, 'v0', [plain('before')])
      await watched.saw('before')
      for (const [round, downFor] of [
        ['moment', 0],
        ['longer', 700],
      ] as const) {
        await ip('-n', near, 'link', 'set', 'v1', 'down')
        await pause(downFor)
        await ip('-n', near, 'link', 'set', 'v1', 'up')
        await until(
          () => sendAndSee(`after ${round}`),
          () => `a packet after ${round}, but ${JSON.stringify(watched.states)}`,
        )
      }
    })

    test('waits for an interface that went away, and goes on when it is back', async () => {
      await ip('-n', far, 'link', 'delete', 'v0')
      await until(
        () => watched.capture.state.state === 'waiting',
        () => `waiting, but ${JSON.stringify(watched.states)}`,
      )
      await plug()
      await watched.running()
      await send(far, 'v0', [plain('again')])
      await watched.saw('again')
    })

    test('counts what the kernel saw, or says that it cannot', async () => {
      const { statistics } = watched
      await send(far, 'v0', [plain('1'), plain('2'), plain('3')])
      await watched.saw('3')
      if (engine === 'cap') {
        expect(statistics).toEqual([null])
        return
      }
      await until(
        () => statistics.at(-1)?.received === 3,
        () => `3 received, but ${JSON.stringify(statistics)}`,
      )
      expect(statistics.at(-1)).toEqual({ received: 3, dropped: 0 })
    })

    test('is started again when it dies, and its counters go on', async () => {
      await send(far, 'v0', [plain('before')])
      await watched.saw('before')
      const pid = watched.capture.pid!
      process.kill(pid, 'SIGKILL')
      await until(
        () =>
          watched.capture.pid !== undefined &&
          watched.capture.pid !== pid &&
          watched.capture.state.state === 'running',
        () => `another process, but ${JSON.stringify(watched.states)}`,
      )
      await send(far, 'v0', [plain('after')])
      await watched.saw('after')
    })

    test('stop ends the process', async () => {
      const pid = watched.capture.pid!
      expect(isAlive(pid)).toBe(true)
      await watched.capture.stop()
      expect(isAlive(pid)).toBe(false)
      expect(watched.capture.pid).toBeUndefined()
    })

    test('ends when whoever started it is killed', async () => {
      const options = { interface: 'v1', ports: PORTS, engine, launcher: inNear }
      const script = `import { LiveCapture } from ${JSON.stringify(compiled.path('agent/capture/live.ts'))}
        const capture = new LiveCapture({ ...${JSON.stringify(options)}, onFrame: () => {},
          onState: ({ state }) => { if (state === 'running') console.log(capture.pid) } })
        capture.start()`
      const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const pid = Number(await firstLine(parent))
      expect(isAlive(pid)).toBe(true)
      parent.kill('SIGKILL')
      await until(
        () => !isAlive(pid),
        () => `the end of ${pid}`,
      )
    })
  })

  test('auto takes the best engine', async () => {
    watched = watch('auto')
    watched.capture.start()
    await watched.running()
    expect(watched.states.at(-1)).toEqual({ state: 'running', engine: 'pcap' })
  })

  test('auto takes the next one where the best cannot be loaded', async () => {
    // Where no node_modules lie above it.
    const alone = `${folder}/capture-child.js`
    for (const name of [
      'capture-child',
      'came-in',
      'capture-report',
      'nflog-device',
      'priming',
      'priming-frame',
    ]) {
      await execa('cp', [compiled.path(`agent/capture/${name}.ts`), `${folder}/${name}.js`])
    }
    writeFileSync(`${folder}/package.json`, '{"type":"module"}')
    const states: CaptureState[] = []
    const capture = new LiveCapture({
      interface: 'v1',
      ports: PORTS,
      engine: 'auto',
      launcher: inNear,
      childScript: alone,
      onFrame: () => {},
      onState: (state) => states.push(state),
    })
    capture.start()
    await until(
      () => capture.state.state === 'running',
      () => `running, but ${JSON.stringify(states)}`,
    )
    await capture.stop()
    expect(states.at(-1)).toEqual({ state: 'running', engine: 'tcpdump' })
  })

  test('an interface that is not there is waited for, and named', async () => {
    for (const engine of ENGINES) {
      watched = watch(engine, 'nowhere0')
      watched.capture.start()
      await until(
        () => watched.capture.state.state === 'waiting' && watched.states.length > 0,
        () => JSON.stringify(watched.states),
      )
      expect(JSON.stringify(watched.capture.state)).toMatch(/nowhere0/)
      await watched.capture.stop()
    }
  })

  test('a link that knows no tags is captured without them', async () => {
    for (const engine of ENGINES) {
      await ip('-n', near, 'tuntap', 'add', 'dev', 't0', 'mode', 'tun')
      await ip('-n', near, 'addr', 'add', '10.8.0.1/24', 'dev', 't0')
      await ip('-n', near, 'link', 'set', 't0', 'up')
      watched = watch(engine, 't0')
      watched.capture.start()
      await watched.running()
      await watched.capture.stop()
      await ip('-n', near, 'link', 'delete', 't0')
    }
  })
})

async function firstLine(child: ChildProcess): Promise<string> {
  for await (const chunk of child.stdout!) return String(chunk).trim()
  throw new Error('the process said nothing')
}
