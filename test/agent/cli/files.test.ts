import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ReplayRequest } from '../../../agent/cli/deps.ts'
import { defaultConfig, readConfigFile } from '../../../agent/config/read-config.ts'
import { newPlace, type Place, run } from './command-line.ts'

let place: Place

beforeEach(() => {
  place = newPlace()
})

afterEach(() => place.remove())

describe('config check', () => {
  const problem = (file: string) =>
    `${file}:3:3: policy: unknown key \`registerRetries\`; did you mean \`registerRetry\`?\n`
  const broken = 'protect: { interfaces: [eth0] }\npolicy:\n  registerRetries: 3\n'

  test('names every problem on standard error and is 1', async () => {
    writeFileSync(place.configFile, broken)
    expect(await run(place, ['config', 'check'])).toEqual({
      code: 1,
      out: '',
      err: `${problem(place.configFile)}ringfence: 1 problem; the daemon does not start with this file\n`,
    })
  })

  test.each([
    { words: (file: string) => ['config', 'check', file] },
    { words: (file: string) => ['config', 'check', '--config', file] },
  ])('takes the file that is named ($words)', async ({ words }) => {
    const file = join(place.folder, 'other.yaml')
    writeFileSync(file, broken)
    expect((await run(place, words(file))).err).toContain(problem(file))
  })

  test('says what is fine, and what deserves a look', async () => {
    writeFileSync(
      place.configFile,
      "protect: { interfaces: [eth0] }\ndashboard: { listen: '0.0.0.0:8560' }\n",
    )
    const message =
      'the dashboard can be reached from other hosts, in clear: use an SSH tunnel or a reverse proxy with TLS instead'
    expect(await run(place, ['config', 'check'])).toEqual({
      code: 0,
      out: `warning: ${place.configFile}:2:22: dashboard.listen: ${message}\n${place.configFile} is fine\n`,
      err: '',
    })
    const { out } = await run(place, ['config', 'check', '--json'])
    expect(JSON.parse(out)).toEqual({
      file: place.configFile,
      ok: true,
      problems: [],
      warnings: [
        { file: place.configFile, position: { line: 2, column: 22 }, key: 'dashboard.listen', message },
      ],
    })
  })

  test('as JSON a refusal is one object', async () => {
    const ran = await run(place, ['config', 'check', '/nonexistent.yaml', '--json'])
    expect({ ...ran, out: JSON.parse(ran.out) }).toEqual({
      code: 1,
      err: '',
      out: {
        file: '/nonexistent.yaml',
        ok: false,
        problems: [
          {
            file: '/nonexistent.yaml',
            position: null,
            key: '',
            message: 'no such file; make one with `ringfence config init --interfaces eth0 --out FILE`',
          },
        ],
        warnings: [],
      },
    })
  })
})

describe('config init', () => {
  const init = [
    'config',
    'init',
    '--interfaces',
    'eth0,bond1.7',
    '--udp-ports',
    '5060,5080',
    '--tcp-ports',
    '',
  ]

  test('writes a file that the reader takes, and never writes over one', async () => {
    const file = join(place.folder, 'etc', 'ringfence.yaml')
    expect(await run(place, [...init, '--out', file])).toEqual({
      code: 0,
      out: `${file} is written; check changes with \`ringfence config check\`\n`,
      err: '',
    })
    expect(statSync(file).mode & 0o007).toBe(0)
    const reading = readConfigFile(file)
    expect(reading).toMatchObject({
      kind: 'ok',
      config: { protect: { interfaces: ['eth0', 'bond1.7'], ports: { udp: [5060, 5080], tcp: [] } } },
    })
    writeFileSync(file, '# mine\n')
    expect(await run(place, [...init, '--out', file])).toEqual({
      code: 1,
      out: '',
      err: `ringfence: ${file} is there already; it was left as it is\n`,
    })
    expect(readFileSync(file, 'utf8')).toBe('# mine\n')
  })

  test('without --out it writes to standard output', async () => {
    const { code, out } = await run(place, init)
    expect(code).toBe(0)
    expect(out).toContain('  interfaces: [eth0, bond1.7]\n')
  })

  test.each([
    { args: [], err: /^error: required option '--interfaces <names>' not specified\n$/ },
    {
      args: ['--interfaces', 'lo'],
      err: /^ringfence: protect\.interfaces\[0\]: found "lo" \(the loopback interface is never filtered\)/,
    },
    { args: ['--interfaces', 'eth0]\nmode: observe'], err: /^ringfence: protect\.interfaces\[0\]: found/ },
    { args: ['--interfaces', ''], err: /^ringfence: protect\.interfaces/ },
    {
      args: ['--interfaces', 'eth0', '--udp-ports', '5060;1'],
      err: /^ringfence: --udp-ports "5060;1" is no list of ports; write it like 5060,5061\n$/,
    },
    {
      args: ['--interfaces', 'eth0', '--udp-ports', '', '--tcp-ports', ''],
      err: /^ringfence: protect\.ports: no port is protected/,
    },
  ])('$args is wrong usage', async ({ args, err }) => {
    const file = join(place.folder, 'new.yaml')
    const ran = await run(place, ['config', 'init', ...args, '--out', file])
    expect(ran).toEqual({ code: 2, out: '', err: expect.stringMatching(err) })
  })
})

describe('replay', () => {
  function watched(exitCode: number) {
    const requests: Omit<ReplayRequest, 'write' | 'writeError'>[] = []
    const replayCaptures = async ({ write, writeError, ...request }: ReplayRequest) => {
      requests.push(request)
      write('a block\u001b[31m')
      writeError('b.pcap: cut short')
      return { exitCode }
    }
    return { requests, replayCaptures }
  }

  test.each([
    { args: [], ports: [5060], json: false },
    { args: ['--ports', '5070,5080'], ports: [5070, 5080], json: false },
    { args: ['--ports', 'any', '--json'], ports: 'any', json: true },
  ])('$args', async ({ args, ports, json }) => {
    const { requests, replayCaptures } = watched(0)
    const ran = await run(place, ['replay', 'a.pcap', 'b.pcap', ...args], { replayCaptures })
    expect(ran).toEqual({ code: 0, out: 'a block\\u001b[31m\n', err: 'ringfence: b.pcap: cut short\n' })
    expect(requests).toEqual([{ files: ['a.pcap', 'b.pcap'], ports, json, config: defaultConfig() }])
  })

  test('takes thresholds and ports from the file that is named, and passes the exit code on', async () => {
    writeFileSync(
      place.configFile,
      'protect: { interfaces: [eth0], ports: { udp: [5070], tcp: [5060] } }\npolicy: { flood: { registers: 7 } }\n',
    )
    const { requests, replayCaptures } = watched(1)
    const ran = await run(place, ['replay', 'a.pcap', '--config', place.configFile], { replayCaptures })
    expect(ran.code).toBe(1)
    expect(requests).toMatchObject([{ ports: [5070, 5060], config: { policy: { flood: { registers: 7 } } } }])
  })

  test.each([
    { args: ['replay'], code: 2, err: "error: missing required argument 'file'\n" },
    {
      args: ['replay', 'a.pcap', '--ports', 'sip'],
      code: 2,
      err: 'ringfence: --ports "sip" is no list of ports; write it like 5060,5061\n',
    },
    {
      args: ['replay', 'a.pcap', '--config', '/nonexistent.yaml'],
      code: 1,
      err: 'ringfence: /nonexistent.yaml: no such file; make one with `ringfence config init --interfaces eth0 --out FILE`\n',
    },
  ])('$args is $code', async ({ args, code, err }) => {
    expect(await run(place, args)).toEqual({ code, out: '', err })
  })
})

describe('run', () => {
  test.each([
    { args: ['run'], file: () => place.configFile, code: 0 },
    { args: ['run', '--config', './mine.yaml'], file: () => './mine.yaml', code: 1 },
    { args: ['--config', './mine.yaml', 'run'], file: () => './mine.yaml', code: 0 },
  ])('$args ends with $code, as the daemon does', async ({ args, file, code }) => {
    const files: string[] = []
    const runDaemon = async ({ configFile }: { configFile: string }) => {
      files.push(configFile)
      return code
    }
    expect(await run(place, args, { runDaemon })).toEqual({ code, out: '', err: '' })
    expect(files).toEqual([file()])
  })
})
