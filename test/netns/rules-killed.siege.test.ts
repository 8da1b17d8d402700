import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'vite'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { RulesEngine } from '../../rules/engine.ts'
import { IptablesKernel } from '../../rules/iptables-kernel.ts'
import { WRITTEN_SETS } from '../../rules/names.ts'
import {
  block,
  denied,
  desired,
  gateway,
  limit,
  limits,
  prefix,
  proven,
  returning,
  sizes,
  traffic,
} from '../rules/desired.ts'
import { isEmptyPlan, planChanges } from '../rules/whole-plan.ts'
import { eventually, Running } from '../stage/running.ts'
import { Namespace } from './namespace.ts'

const BACKENDS = ['iptables-nft', 'iptables-legacy'] as const
const KILLS = 12
/** Chosen once, so that a run that fails can be had again. */
const SEED = 20_260_101

const until = Date.now() + 3_600_000
const many = (amount: number, first: number) =>
  Array.from({ length: amount }, (_, i) => block(`${first}.${i >> 16}.${(i >> 8) & 255}.${i & 255}`))
const base = desired({
  allow: [prefix('198.51.100.0/24')],
  gateways: [gateway('carrier', ['203.0.113.0/24'])],
  blocks: [denied('192.0.2.1'), block('192.0.2.2', 'register', until), block('2001:db8::/64')],
  members: [[proven('192.0.2.3', 5060, until)], [returning('192.0.2.4', 30, until)]],
})
/** Small changes, lists that are replaced in bulk, other sizes, other limits, other traffic. */
const states = [
  base,
  desired({ ...base, blocks: [...base.blocks, ...many(21_000, 10)] }),
  desired({ ...base, blocks: [...base.blocks, ...many(21_000, 11)], strictUntil: until }),
  desired({ ...base, sizes: sizes({ elements: 40_000, buckets: 20_000 }) }),
  desired({ ...base, limits: limits({ proven: limit(3, 7) }) }),
  desired({
    ...base,
    traffic: traffic({ destinations: [prefix('192.0.2.128/25')], udpPorts: [5060, 5062] }),
    blocks: many(2_000, 12),
  }),
]

/** Numbers from 0 to 1 that look random and are the same each time. */
function* random(seed: number): Generator<number> {
  for (let state = seed; ; ) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff
    yield state / 0x7fff_ffff
  }
}

describe.each(BACKENDS)('killed at any moment, by %s', (iptables) => {
  let folder: string
  let namespace: Namespace
  const ip6tables = iptables.replace('iptables', 'ip6tables')

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'ringfence-killed-'))
    writeFileSync(join(folder, 'states.json'), JSON.stringify(states))
    await build({
      configFile: false,
      logLevel: 'error',
      ssr: { noExternal: true },
      build: {
        ssr: fileURLToPath(new URL('rules-killed.ts', import.meta.url)),
        outDir: folder,
        emptyOutDir: false,
        target: 'node20',
        rolldownOptions: { output: { format: 'es', entryFileNames: 'killed.mjs' } },
      },
    })
    namespace = await new Namespace('killed').create()
    await namespace.run('ipset', 'create', 'f2b-sshd', 'hash:ip')
    await namespace.run('ipset', 'add', 'f2b-sshd', '203.0.113.5')
    for (const program of [iptables, ip6tables]) {
      const raw =
        '*raw\n:DOCKER - [0:0]\n-A PREROUTING -i eth7 -j DOCKER\n-A OUTPUT -o eth7 -j DOCKER\n-A DOCKER -p tcp -j DROP\nCOMMIT\n'
      await namespace.feed(raw, `${program}-restore`, '--noflush')
    }
    await namespace.run(
      iptables,
      '-t',
      'raw',
      '-A',
      'DOCKER',
      '-m',
      'set',
      '--match-set',
      'f2b-sshd',
      'src',
      '-j',
      'DROP',
    )
  })
  afterAll(async () => {
    await namespace.remove()
    rmSync(folder, { recursive: true, force: true })
  })

  /** What is not ours, as the kernel prints it. */
  async function foreign(): Promise<string> {
    const texts = [await namespace.run('ipset', 'save')]
    for (const program of [iptables, ip6tables])
      texts.push(await namespace.run(`${program}-save`, '-t', 'raw'))
    return texts
      .join('\n')
      .replaceAll(/^#.*$|\[\d+:\d+\]/gm, '')
      .split('\n')
      .filter((line) => !/RINGFENCE|^(?:create|add) rf-/.test(line))
      .join('\n')
  }

  test('the desired state is there when the next one starts, nothing is left over, and what is not ours is untouched', async () => {
    const before = await foreign()
    const moments = random(SEED)
    const reached = new Set<string>()
    for (let kill = 0; kill < KILLS; kill++) {
      const child = new Running(
        process.execPath,
        [join(folder, 'killed.mjs'), namespace.name, iptables, join(folder, 'states.json')],
        { cwd: folder },
      )
      await child.says(/begun/)
      const after = 20 + moments.next().value! * 3_000
      await new Promise((resolve) => setTimeout(resolve, after))
      expect(child.isRunning, child.output).toBe(true)
      await child.end('SIGKILL')
      for (const [line] of child.output.matchAll(/^state \d$/gm)) reached.add(line)
      const state = states[kill % states.length]!
      const kernel = new IptablesKernel({ iptables, netns: namespace.name })
      const engine = new RulesEngine({ kernel, clock: Date.now })
      try {
        engine.setDesired(state)
        await engine.settled()
        expect(engine.status(), `kill ${kill}`).toMatchObject({ state: 'applied', lastError: null })
        // A program of the one that was killed may still have been at work beside the next one.
        await eventually(
          async () => {
            await engine.check()
            await engine.settled()
            const observed = await kernel.observe({ elements: WRITTEN_SETS })
            return isEmptyPlan(planChanges(state, observed, Date.now()))
          },
          15_000,
          `the state after kill ${kill}, ${Math.round(after)} ms after the start`,
        )
        expect(await foreign()).toBe(before)
      } finally {
        await engine.close()
      }
    }
    // The moments were not all before anything was done.
    expect(reached.size).toBeGreaterThan(1)
  }, 240_000)
})
