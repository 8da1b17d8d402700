import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Config } from '../../../agent/config/config.ts'
import { readConfig } from '../../../agent/config/read-config.ts'
import { CandidateConfiguration, type CandidateOptions } from '../../../agent/control/candidate.ts'

const NOW = 1_800_000_000_000
const OLD = 'protect: { interfaces: [eth0] } # as it was\n'
const NEW = 'protect: { interfaces: [eth0, eth1] }\n'

let folder: string
let file: string

beforeEach(() => {
  vi.useFakeTimers({ now: NOW })
  folder = mkdtempSync(join(tmpdir(), 'ringfence-candidate-'))
  file = join(folder, 'ringfence.yaml')
  writeFileSync(file, OLD)
  chmodSync(file, 0o640)
})
afterEach(() => {
  vi.useRealTimers()
  rmSync(folder, { recursive: true, force: true })
})

function configOf(text: string): Config {
  const reading = readConfig(text, { file: 'test' })
  if (reading.kind === 'refused') throw new Error(reading.problems[0]?.message)
  return reading.config
}

/** A daemon with its configuration in memory, and what was said to it. */
function daemon(changes: Partial<CandidateOptions> = {}) {
  let config = configOf(OLD)
  const log: string[] = []
  const say = (_fields: unknown, sentence: string) => log.push(sentence)
  const candidate = new CandidateConfiguration({
    clock: Date.now,
    log: { info: say, warn: say },
    configFile: file,
    config: () => config,
    reconfigure: (next) => {
      config = next
    },
    refusals: () => [],
    settled: async () => {},
    failure: () => null,
    onChange: () => {},
    ...changes,
  })
  return { candidate, log, interfaces: () => config.protect.interfaces.join(' ') }
}

const order = (text = NEW) => ({ text, file: '/root/new.yaml', by: 'alice@cli' })
const trial = (text = NEW) => ({ ...order(text), confirmWithin: 60 })
const files = () =>
  Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), 'utf8')]))

describe('without a trial', () => {
  it('is in force and in the file, with the owner, mode and old text kept', async () => {
    const { candidate, interfaces } = daemon()
    expect(await candidate.apply(order())).toEqual({
      state: 'kept',
      trial: null,
      file,
      previous: `${file}.previous`,
      warnings: [],
      notice: null,
    })
    expect(interfaces()).toBe('eth0 eth1')
    expect(files()).toEqual({ 'ringfence.yaml': NEW, 'ringfence.yaml.previous': OLD })
    expect([file, `${file}.previous`].map((path) => statSync(path).mode & 0o777)).toEqual([0o640, 0o640])
  })

  it('is taken with the warnings of what the host lacks', async () => {
    const { candidate } = daemon({
      warnings: ({ protect }) => [`there is no interface ${protect.interfaces[1]}`],
    })
    expect((await candidate.apply(order())).warnings).toContain('there is no interface eth1')
  })

  it('writes what a link leads to, and leaves the link', async () => {
    mkdirSync(join(folder, 'real'))
    const real = join(folder, 'real', 'ringfence.yaml')
    writeFileSync(real, OLD)
    rmSync(file)
    symlinkSync(real, file)
    const { candidate } = daemon()
    expect((await candidate.apply(order())).previous).toBe(`${real}.previous`)
    expect([readFileSync(real, 'utf8'), statSync(file).isFile()]).toEqual([NEW, true])
  })

  it('that cannot be written is taken back', async () => {
    rmSync(folder, { recursive: true })
    const { candidate, interfaces } = daemon()
    await expect(candidate.apply(order())).rejects.toMatchObject({
      code: 'unavailable',
      message: `/root/new.yaml cannot be written to ${file} (ENOENT); it is taken back.`,
    })
    expect(interfaces()).toBe('eth0')
  })
})

describe('on trial', () => {
  it('is in force in memory alone, and kept when confirmed', async () => {
    const { candidate, interfaces, log } = daemon()
    expect(await candidate.apply(trial())).toMatchObject({
      state: 'trial',
      previous: null,
      trial: { file: '/root/new.yaml', by: 'alice@cli', until: NOW + 60_000, secondsLeft: 60 },
    })
    expect([interfaces(), files()]).toEqual(['eth0 eth1', { 'ringfence.yaml': OLD }])
    vi.advanceTimersByTime(59_000)
    expect(candidate.view(Date.now())?.secondsLeft).toBe(1)
    expect(await candidate.confirm('bob@cli')).toMatchObject({ state: 'kept', previous: `${file}.previous` })
    await vi.advanceTimersByTimeAsync(60_000)
    expect([interfaces(), files()]).toEqual([
      'eth0 eth1',
      { 'ringfence.yaml': NEW, 'ringfence.yaml.previous': OLD },
    ])
    expect(candidate.view(Date.now())).toBeNull()
    expect(log).toEqual(['a configuration is on trial', 'the configuration on trial is confirmed'])
  })

  it('is taken back when nobody confirms it', async () => {
    const { candidate, interfaces, log } = daemon()
    await candidate.apply(trial())
    await vi.advanceTimersByTimeAsync(60_000)
    expect([interfaces(), files(), candidate.view(Date.now())]).toEqual([
      'eth0',
      { 'ringfence.yaml': OLD },
      null,
    ])
    expect(log.at(-1)).toBe('nobody confirmed the configuration on trial in time: it is taken back')
    await expect(candidate.confirm('bob@cli')).rejects.toMatchObject({ code: 'not-found' })
  })

  it('is taken back before its time', async () => {
    const { candidate, interfaces } = daemon()
    await candidate.apply(trial())
    expect(await candidate.revert('bob@cli')).toEqual({ reverted: '/root/new.yaml' })
    expect([interfaces(), files(), candidate.view(NOW)]).toEqual(['eth0', { 'ringfence.yaml': OLD }, null])
    await expect(candidate.revert('bob@cli')).rejects.toMatchObject({ code: 'not-found' })
  })

  it('is taken back when the daemon stops', async () => {
    const { candidate, interfaces } = daemon()
    await candidate.apply(trial())
    await candidate.close()
    expect([interfaces(), files()]).toEqual(['eth0', { 'ringfence.yaml': OLD }])
  })

  it('lets no other in', async () => {
    const { candidate } = daemon()
    expect(candidate.refusal()).toBeNull()
    await candidate.apply(trial())
    const sentence =
      'The configuration /root/new.yaml of alice@cli is on trial for another 1m: first `ringfence confirm` or `ringfence revert` it.'
    expect(candidate.refusal()).toBe(sentence)
    await expect(candidate.apply(order())).rejects.toMatchObject({ code: 'conflict', message: sentence })
  })

  it('stays on trial where the file cannot be written', async () => {
    const { candidate, interfaces } = daemon()
    await candidate.apply(trial())
    rmSync(folder, { recursive: true })
    await expect(candidate.confirm('bob@cli')).rejects.toMatchObject({
      code: 'unavailable',
      message: `/root/new.yaml cannot be written to ${file} (ENOENT); it stays on trial.`,
    })
    expect([interfaces(), candidate.view(NOW)?.secondsLeft]).toEqual(['eth0 eth1', 60])
  })

  it('is taken back at once where the kernel refuses it', async () => {
    let failure: string | null = null
    const { candidate, interfaces } = daemon({
      settled: async () => {
        failure = 'iptables-restore refused a line.'
      },
      failure: () => failure,
    })
    await expect(candidate.apply(trial())).rejects.toMatchObject({
      code: 'unavailable',
      message: '/root/new.yaml was taken back: iptables-restore refused a line.',
    })
    expect([interfaces(), candidate.view(NOW)]).toEqual(['eth0', null])
  })

  it('begins where the kernel was broken before', async () => {
    const { candidate } = daemon({ failure: () => 'iptables is not installed.' })
    expect((await candidate.apply(trial())).state).toBe('trial')
  })

  it('ends in time where the kernel takes longer than the trial lasts', async () => {
    let release = () => {}
    const waits = new Promise<void>((resolve) => {
      release = resolve
    })
    const { candidate, interfaces } = daemon({ settled: () => waits })
    const applied = candidate.apply(trial())
    const refused = expect(applied).rejects.toMatchObject({ code: 'unavailable' })
    expect(candidate.refusal()).toMatch(/at this moment/)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(interfaces()).toBe('eth0')
    release()
    await refused
    expect(candidate.refusal()).toBeNull()
  })
})

describe('changes nothing', () => {
  it.each([
    {
      what: 'a misspelt key',
      text: 'protect: { interfaces: [eth0] }\nlimit: {}\n',
      code: 'bad-config',
      says: /^\/root\/new\.yaml:2:1: .*limit/,
    },
    { what: 'what is no YAML', text: 'protect: [', code: 'bad-config', says: /^\/root\/new\.yaml:1/ },
    {
      what: 'another mode, page, socket and folder',
      text: `mode: observe\n${NEW}dashboard: { listen: '127.0.0.1:9000' }\ncontrol: { socket: /run/x }\ndata: /srv\n`,
      code: 'conflict',
      says: /^\/root\/new\.yaml changes mode, dashboard\.listen, control\.socket, data, which the daemon reads at its start alone: write it into .*ringfence\.yaml and restart the daemon, or leave them as before\.$/,
    },
  ])('$what', async ({ text, code, says }) => {
    const { candidate, interfaces } = daemon()
    for (const wanted of [order(text), trial(text)]) {
      await expect(candidate.apply(wanted)).rejects.toMatchObject({
        code,
        message: expect.stringMatching(says),
      })
    }
    expect([interfaces(), files(), candidate.view(NOW)]).toEqual(['eth0', { 'ringfence.yaml': OLD }, null])
  })

  it('what the kernel must not be given', async () => {
    const { candidate, interfaces } = daemon({ refusals: () => ['lo cannot be protected.', 'And more.'] })
    await expect(candidate.apply(order())).rejects.toMatchObject({
      code: 'bad-config',
      message: 'lo cannot be protected.\nAnd more.',
    })
    expect(interfaces()).toBe('eth0')
  })

  it('the configuration file itself on trial: a crash would leave it', async () => {
    const { candidate } = daemon()
    await expect(candidate.apply({ ...trial(), file })).rejects.toMatchObject({ code: 'conflict' })
    expect((await candidate.apply({ ...order(), file })).state).toBe('kept')
    expect(existsSync(`${file}.previous`)).toBe(true)
  })
})
