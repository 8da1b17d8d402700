import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import type { DesiredState } from '../../rules/desired-state.ts'
import { CHAINS, defineSets } from '../../rules/names.ts'
import { type NextLimits, type RenderedChains, renderChains } from '../../rules/render-chains.ts'
import { DEFAULTS, desired, gateway, limit, limits, prefix, sizes, traffic } from './desired.ts'

/*
 * The whole text of the chains is in rendered/*.txt, to be read as it would be loaded. Who changes the rules looks at each
 * line that changed there: RINGFENCE_UPDATE_RENDERED=1 npx vitest run --project fast test/rules/render-chains.test.ts
 */

const FOLDER = fileURLToPath(new URL('rendered/', import.meta.url))
const UPDATES = process.env.RINGFENCE_UPDATE_RENDERED === '1'
if (UPDATES && (process.env.CI !== undefined || process.env.RINGFENCE_REQUIRE_ALL === '1')) {
  throw new Error('expected texts are renewed by hand: a run that judges them must not write them')
}

const FAMILIES = [4, 6] as const

const HOST = desired({
  gateways: [
    gateway('acme', ['203.0.113.64/26', '2001:db8:9::/48'], limit(5, 10)),
    gateway('bolt', ['203.0.113.96/32', '198.51.100.0/24'], limit(80, 160)),
  ],
})
const host = (parts: Partial<DesiredState>) => ({ ...HOST, ...parts })

const ROUTED = desired({
  traffic: traffic({
    interfaces: ['eth0', 'wan+'],
    destinations: [prefix('192.0.2.0/24'), prefix('2001:db8:1::/48')],
    udpPorts: [...Array.from({ length: 17 }, (_, i) => 5076 - i), 5060],
    tcpPorts: [5061, 5060],
  }),
})

describe.each(FAMILIES)('chains as text, IPv%d', (family) => {
  test.each<[string, string, DesiredState]>([
    ['host', 'a host with two gateways', HOST],
    ['routed', 'a routed gateway before many ports, on two interfaces', ROUTED],
  ])('%s: %s', (name, title, state) => {
    compare(`${name}.${family}`, `${title}, IPv${family}`, showChains(renderChains(state, family)))
  })

  // Only the chains that differ from those of the host; the others are the same, line for line.
  test.each<[string, string, DesiredState, NextLimits?]>([
    ['no-gateways', 'no gateways', host({ gateways: [] })],
    [
      'sip-enforced',
      'limits.sip enforced',
      host({ limits: limits({ sip: { ...DEFAULTS.limits.sip, enforced: true } }) }),
    ],
    ['responses-any', 'responses of everybody', host({ traffic: traffic({ responses: 'any' }) })],
    [
      'connections-uncounted',
      'connections that stand are not counted',
      host({ limits: limits({ connections: { ...DEFAULTS.limits.connections, most: null } }) }),
    ],
    [
      'logged',
      "what passes, and a sample of what arrives, goes to the kernel's log",
      host({ traffic: traffic({ logGroup: 5060 }) }),
    ],
    ['no-tcp', 'no TCP ports', host({ traffic: traffic({ tcpPorts: [] }) })],
    [
      'slow',
      'limits by the minute, whose buckets take long to fill again',
      host({ limits: limits({ answered: limit(0.1, 20), ignoring: limit(0.5, 60) }) }),
    ],
    ['next-same', 'the same limits follow', HOST, HOST],
    [
      'next-limits',
      'other limits follow',
      HOST,
      host({
        limits: limits({
          proven: limit(20, 50),
          unknown: { ...DEFAULTS.limits.unknown, source: limit(4, 8) },
          strict: { ...DEFAULTS.limits.strict, port: limit(12 / 60, 6) },
          rest: limit(500, 500),
          connections: { ...DEFAULTS.limits.connections, source: limit(2, 9) },
        }),
        gateways: [gateway('acme', ['203.0.113.64/26'], limit(20, 40))],
      }),
    ],
  ])('%s: %s', (name, title, state, next) => {
    const usual = renderChains(HOST, family)
    const differing = [...renderChains(state, family, next)].filter(
      ([chain, rules]) => rules.join('\n') !== usual.get(chain)!.join('\n'),
    )
    compare(`${name}.${family}`, `${title}, IPv${family}: what differs from the host`, showChains(differing))
  })

  test('other sizes are other tables everywhere, and shadows of all of them', () => {
    const larger = host({ sizes: sizes({ buckets: 131_072 }) })
    const now = [...renderChains(HOST, family).values()].flat()
    const then = [...renderChains(larger, family).values()].flat()
    expect(then).toEqual(
      now.map((rule) =>
        rule
          .replaceAll(/-65536 --hashlimit-htable-size 16384/g, '-131072 --hashlimit-htable-size 32768')
          .replaceAll('--hashlimit-htable-max 65536', '--hashlimit-htable-max 131072')
          // As many packets are looked at for the list as cannot fill its table.
          .replaceAll('--hashlimit-upto 582/sec', '--hashlimit-upto 1165/sec')
          .replaceAll('--hashlimit-burst 582', '--hashlimit-burst 1165')
          .replaceAll('-582sec-582', '-1165sec-1165'),
      ),
    )
    const sized = (rule: string) => rule.includes('--hashlimit-htable-max 131072')
    const between = [...renderChains(HOST, family, larger).values()].flat()
    // The short way of the proven is away meanwhile: what it took would be missing in the table that follows.
    const longWay = now.filter((rule) => !rule.includes('rf-named'))
    const shadowed = longWay.filter((rule) => rule.includes('htable-max'))
    expect(between.filter(sized)).toHaveLength(shadowed.length)
    expect(between.filter((rule) => !sized(rule))).toEqual(longWay)
    expect(now.length - longWay.length).toBe(1)
  })
})

describe('all texts', () => {
  const all = (state: DesiredState = HOST, next?: NextLimits) =>
    FAMILIES.flatMap((family) => [...renderChains(state, family, next).values()].flat())
  const states: readonly [string, readonly string[]][] = [
    ['host', all()],
    ['routed', all(ROUTED)],
    ['responses of everybody', all(host({ traffic: traffic({ responses: 'any' }) }))],
    ['next', all(HOST, host({ limits: limits({ proven: limit(3, 3) }) }))],
  ]

  test.each(states)(
    '%s: nothing is ever accepted, and nothing but SIP ports of UDP and TCP is matched',
    (_name, rules) => {
      expect(rules.filter((rule) => / -j (?!RETURN$|DROP$|SET |RINGFENCE)/.test(rule))).toEqual([])
      const entrances = rules.filter(
        (rule) => rule.startsWith('-A RINGFENCE ') && !rule.endsWith(' -j RETURN'),
      )
      const isNarrow =
        /^-A RINGFENCE (?:-i \S+ -p (?:udp|tcp) -m multiport --dports [\d,]+ |-p udp -m multiport --sports [\d,]+ -m set --match-set rf-dst[46] src -m rpfilter )/
      expect(entrances.filter((rule) => !isNarrow.test(rule))).toEqual([])
      expect(entrances.length).toBeGreaterThan(3)
    },
  )

  test.each(states)('%s: a rule names the sets of its family, which all exist', (_name, rules) => {
    const known = new Set(defineSets(DEFAULTS.sizes).map(({ name }) => name))
    const named = rules.flatMap((rule) =>
      [...rule.matchAll(/--(?:match|add)-set (\S+)/g)].map(([, set]) => set!),
    )
    expect(named.filter((set) => !known.has(set))).toEqual([])
  })

  test.each(states)(
    '%s: a table has the same parameters wherever it is named, and a name that fits',
    (_name, rules) => {
      const parameters = new Map<string, Set<string>>()
      for (const rule of rules) {
        const [, match, table] = /(-m hashlimit .*--hashlimit-name (\S+).*?)(?: -[jg] .*)?$/.exec(rule) ?? []
        if (table === undefined) continue
        // Over or under it is asked by the rule; the table is the same.
        const asked = match!.replace(/--hashlimit-(?:above|upto)/, '')
        parameters.set(table, (parameters.get(table) ?? new Set()).add(asked))
      }
      expect([...parameters.values()].filter(({ size }) => size > 1)).toEqual([])
      // The kernel has room for 255 characters; a file in /proc is named like it.
      expect([...parameters.keys()].filter((name) => name.length > 60 || !/^[\w-]+$/.test(name))).toEqual([])
    },
  )

  test.each([
    ['eth0', true],
    ['l+', false],
    ['lo+', false],
    ['lo0+', true],
    ['lan+', true],
  ])(
    'the short way of the proven stands before what is asked of lo, where %s cannot mean that: %s',
    (name, has) => {
      for (const family of FAMILIES) {
        const state = host({ traffic: traffic({ interfaces: [name] }) })
        const rules = renderChains(state, family).get('RINGFENCE')!
        expect(rules.findIndex((rule) => rule.includes('rf-named'))).toBe(has ? 0 : -1)
        expect(rules.indexOf('-A RINGFENCE -i lo -j RETURN')).toBe(has ? 1 : 0)
      }
    },
  )

  test('every chain is there, also one without rules', () => {
    for (const family of FAMILIES) {
      const chains = renderChains(host({ gateways: [] }), family)
      expect([...chains.keys()].sort()).toEqual([...CHAINS].sort())
      expect(chains.get('RINGFENCE-CPS')).toEqual([])
    }
  })

  test.each([
    [limit(5, 10), '--hashlimit-above 5/sec --hashlimit-burst 10', 'rf-src4-5sec-10-65536', 90_000],
    [limit(0.5, 60), '--hashlimit-above 30/min --hashlimit-burst 60', 'rf-src4-30min-60-65536', 120_000],
    [limit(0.1, 20), '--hashlimit-above 6/min --hashlimit-burst 20', 'rf-src4-6min-20-65536', 200_000],
    [
      limit(1_000_000, 1_000_000),
      '--hashlimit-above 1000000/sec',
      'rf-src4-1000000sec-1000000-65536',
      90_000,
    ],
  ])(
    'a limit of %o has a table of its own, whose entries stay until their bucket is full again',
    (source, match, table, expire) => {
      const unknown = { ...DEFAULTS.limits.unknown, source }
      const rules = renderChains(desired({ limits: limits({ unknown }) }), 4).get('RINGFENCE-UNKNOWN')!
      const rule = rules.find((text) => text.includes('rf-src4'))!
      expect(rule).toContain(match)
      expect(rule).toContain(` --hashlimit-name ${table} `)
      expect(rule).toContain(` --hashlimit-htable-expire ${expire} `)
    },
  )
})

/** Compares with the expected text, which a person has read. */
function compare(name: string, title: string, text: string): void {
  const file = `${FOLDER}${name}.txt`
  const whole = `# ${title}\n\n${text}`
  if (UPDATES) {
    mkdirSync(FOLDER, { recursive: true })
    writeFileSync(file, whole)
  }
  expect(whole).toBe(readFileSync(file, 'utf8'))
}

/** Chain by chain, as iptables-restore reads it. */
function showChains(chains: RenderedChains | Iterable<readonly [string, readonly string[]]>): string {
  return [...chains].map(([name, rules]) => `${[`:${name}`, ...rules].join('\n')}\n`).join('\n')
}
