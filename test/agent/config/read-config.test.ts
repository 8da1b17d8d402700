import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Config } from '../../../agent/config/config.ts'
import { showProblem } from '../../../agent/config/problem.ts'
import { defaultConfig, loadConfig, readConfig, readConfigFile } from '../../../agent/config/read-config.ts'
import { renderConfigTemplate } from '../../../agent/config/template.ts'
import { hashPassword } from '../../../registrar/digest.ts'

const ETH0 = 'protect: { interfaces: [eth0] }\n'

/** What is said of a text, line by line. */
function said(text: string): readonly string[] {
  const reading = readConfig(text, { file: 'F' })
  return (reading.kind === 'ok' ? reading.warnings : reading.problems).map(showProblem)
}

function accepted(text: string): Config {
  const reading = readConfig(text, { file: 'F' })
  if (reading.kind === 'refused') throw new Error(reading.problems.map(showProblem).join('\n'))
  return reading.config
}

const DEFAULTS: Config = {
  mode: 'enforce',
  protect: {
    interfaces: ['eth0'],
    addresses: 'local',
    ports: { udp: [5060], tcp: [5060] },
    responses: 'asked',
  },
  limits: {
    capacity: 'auto',
    follow: { total: false, strict: false },
    register: { perSecond: 5, burst: 10 },
    prefix: { perSecond: 100, burst: 200 },
    total: { perSecond: 2_000, burst: 4_000 },
    strict: {
      when: 'auto',
      port: { perSecond: 0.1, burst: 6 },
      source: { perSecond: 5, burst: 10 },
      prefix: { perSecond: 100, burst: 200 },
      total: { perSecond: 1_500, burst: 1_500 },
    },
    proven: { perSecond: 10, burst: 50 },
    answered: { perSecond: 0.2, burst: 6 },
    returning: { perSecond: 5, burst: 20 },
    ignoring: { perSecond: 0.1, burst: 2 },
    sip: {
      perSecond: 20,
      burst: 50,
      prefix: { perSecond: 200, burst: 400 },
      total: { perSecond: 1_000, burst: 2_000 },
      enforce: false,
    },
    ceiling: { perSecond: 2_000, burst: 4_000 },
    rest: { perSecond: 1_000, burst: 2_000 },
    connections: { perSecond: 5, burst: 20, prefix: { perSecond: 50, burst: 100 }, most: 'auto' },
  },
  gateways: [],
  kernel: { elements: 'auto', buckets: 'auto', seen: 'auto' },
  policy: {
    registerRetry: 6,
    registerSuspend: true,
    registerSuspendTime: 180,
    attack: { registerRetry: 3, registerSuspendTime: 900 },
    flood: { registers: 100, within: 10, for: 600 },
    block: { failures: 20, within: 600, for: 3600 },
    slowGuessing: { failures: 60, within: 86_400, for: 14_400 },
    scan: { accounts: 10, within: 600, for: 600 },
    malformed: { registers: 10, within: 60, for: 600 },
    accountGuessed: { sources: 10, within: 86_400 },
  },
  allow: [],
  sensor: { engine: 'auto', nflog: 'auto' },
  evidence: { asterisk: null, freeswitch: null, vos3000: null },
  history: { days: 7 },
  dashboard: {
    enabled: true,
    listen: { host: '127.0.0.1' as Config['dashboard']['listen']['host'], port: 8560 },
    passwordFile: '/etc/ringfence/dashboard.password',
  },
  registrar: {
    enabled: false,
    realm: 'ringfence',
    listen: [{ host: '0.0.0.0' as Config['dashboard']['listen']['host'], port: 5060 }],
    minExpires: 60,
    maxExpires: 3600,
    maxBindings: 10,
    registerReplace: true,
    accounts: [],
  },
  control: { socket: '/run/ringfence/control.sock', group: 'ringfence' },
  data: '/var/lib/ringfence',
}

describe('what is accepted', () => {
  test('the defaults', () => {
    expect(readConfig(ETH0, { file: 'F' })).toEqual({ kind: 'ok', config: DEFAULTS, warnings: [] })
    expect(defaultConfig().policy).toEqual(DEFAULTS.policy)
  })

  test('limits that follow the capacity begin at their defaults', () => {
    const text = `${ETH0}limits: { capacity: 800, total: { perSecond: auto }, strict: { total: { perSecond: auto, burst: 700 } } }\n`
    const reading = readConfig(text, { file: 'F' })
    if (reading.kind === 'refused') throw new Error(JSON.stringify(reading.problems))
    const { capacity, follow, total, strict } = reading.config.limits
    expect({ capacity, follow, total, strict: strict.total }).toEqual({
      capacity: 800,
      follow: { total: true, strict: true },
      total: { perSecond: 2_000, burst: 4_000 },
      strict: { perSecond: 1_500, burst: 700 },
    })
  })

  test('the file that an installation starts with holds every default', () => {
    const text = renderConfigTemplate({ interfaces: ['eth0'], udpPorts: [5060], tcpPorts: [5060] })
    expect(readConfig(text, { file: 'F' })).toEqual({ kind: 'ok', config: DEFAULTS, warnings: [] })
    for (const name of [
      'SS_ENDPOINTREGISTERRETRY',
      'SS_ENDPOINTREGISTERSUSPEND',
      'SS_ENDPOINTREGISTERSUSPENDTIME',
      'SS_ENDPOINT_REGISTER_REPLACE',
      'SERVER_REGISTRAR_MAX_BINDINGS',
      'CPS limit of a mapping gateway',
    ]) {
      expect(text).toMatch(new RegExp(`# VOS3000: ${name}$`, 'm'))
    }
  })

  test.each([
    { interfaces: ['eth0', 'bond0.100', 'br-lan'], udpPorts: [5060, 5080, 5160], tcpPorts: [] },
    { interfaces: ['1', 'null', 'True', '0x1f'], udpPorts: [], tcpPorts: [5061] },
  ])('a file for $interfaces is read as it was meant', (facts) => {
    expect(accepted(renderConfigTemplate(facts)).protect).toEqual({
      interfaces: facts.interfaces,
      addresses: 'local',
      ports: { udp: facts.udpPorts, tcp: facts.tcpPorts },
      responses: 'asked',
    })
  })

  test.each([
    { text: `${ETH0}policy:\nallow:\nregistrar:\n  accounts:\n`, differs: {} },
    { text: `{"protect":{"interfaces":["eth0"]}}`, differs: {} },
    { text: `\ufeff${ETH0}`.replaceAll('\n', '\r\n'), differs: {} },
    {
      text: `${ETH0}allow: [198.51.100.9/24, '2001:DB8::1/32', '::ffff:192.0.2.7']\n`,
      differs: { allow: ['198.51.100.0/24', '2001:db8::/32', '192.0.2.7/32'] },
    },
    {
      text: `protect: { interfaces: &up [eth0], addresses: [192.0.2.10, '2001:db8:1::/64'] }\n`,
      differs: {
        protect: { ...DEFAULTS.protect, addresses: ['192.0.2.10/32', '2001:db8:1::/64'] },
      },
    },
    {
      text: `${ETH0}dashboard: { listen: '[::1]:80' }\n`,
      differs: { dashboard: { ...DEFAULTS.dashboard, listen: { host: '::1', port: 80 } } },
    },
    {
      text: `${ETH0}limits: { strict: { when: never, port: { perMinute: 90 } }, connections: { most: none } }\n`,
      differs: {
        limits: {
          ...DEFAULTS.limits,
          strict: { ...DEFAULTS.limits.strict, when: 'never', port: { perSecond: 1.5, burst: 6 } },
          connections: { ...DEFAULTS.limits.connections, most: 'none' },
        },
      },
    },
    {
      text: `${ETH0}gateways:
  - { name: single, prefixes: [192.0.2.1], profile: single-phone }
  - { name: office-1, prefixes: [192.0.2.16/28, '2001:db8::/48'], profile: small-office, burst: 25 }
  - { name: center, prefixes: [192.0.2.2], profile: call-center }
  - { name: whole, prefixes: [192.0.2.3], profile: wholesale }
  - { name: resells, prefixes: [192.0.2.4], profile: reseller }
  - { name: own-number, prefixes: [192.0.2.5], cps: 33, burst: 100 }
`,
      differs: {
        gateways: [
          { name: 'single', prefixes: ['192.0.2.1/32'], cps: { perSecond: 5, burst: 10 } },
          {
            name: 'office-1',
            prefixes: ['192.0.2.16/28', '2001:db8::/48'],
            cps: { perSecond: 20, burst: 25 },
          },
          { name: 'center', prefixes: ['192.0.2.2/32'], cps: { perSecond: 80, burst: 160 } },
          { name: 'whole', prefixes: ['192.0.2.3/32'], cps: { perSecond: 150, burst: 300 } },
          { name: 'resells', prefixes: ['192.0.2.4/32'], cps: { perSecond: 50, burst: 100 } },
          { name: 'own-number', prefixes: ['192.0.2.5/32'], cps: { perSecond: 33, burst: 100 } },
        ],
      },
    },
    {
      text: `${ETH0}policy: { registerSuspendTime: 90, flood: { within: 1m30s, for: 7d } }\n`,
      differs: {
        policy: {
          ...DEFAULTS.policy,
          registerSuspendTime: 90,
          flood: { registers: 100, within: 90, for: 604_800 },
        },
      },
    },
    {
      text: `${ETH0}policy: { registerSuspendTime: &t 2m, block: { within: *t } }\n`,
      differs: {
        policy: {
          ...DEFAULTS.policy,
          registerSuspendTime: 120,
          block: { ...DEFAULTS.policy.block, within: 120 },
        },
      },
    },
  ])('$text', ({ text, differs }) => {
    expect(accepted(text)).toEqual({ ...DEFAULTS, ...differs })
  })

  test('passwords become hashes with the realm of the file', () => {
    const md5 = 'ABCDEF0123456789abcdef0123456789'
    const text = `${ETH0}registrar:
  realm: sip.example.org
  accounts:
    - { user: '1001', password: 'correct horse' }
    - { user: '1002', ha1: { md5: '${md5}' } }
`
    expect(accepted(text).registrar.accounts).toEqual([
      {
        user: '1001',
        ha1: hashPassword({ user: '1001', realm: 'sip.example.org', password: 'correct horse' }),
      },
      { user: '1002', ha1: { md5: md5.toLowerCase() } },
    ])
  })
})

const DURATION = 'for example 10s, 5m or 1h30m'
const PREFIX = 'expected an address or prefix, for example 192.0.2.7, 198.51.100.0/24 or 2001:db8::/48'
const NAME = 'expected the name of a network interface (at most 15 of A-Z a-z 0-9 . _ -), for example eth0'
const INTERFACES = 'expected a list of the network interfaces that SIP arrives on, for example [eth0]'
const ENDPOINT = "expected an address and a port in quotes, for example '127.0.0.1:8560' or '[::1]:8560'"
const TOP =
  'expected a mapping with the keys mode, protect, limits, gateways, kernel, policy, allow, sensor, evidence, history, dashboard, registrar, control and data'

describe('what is refused, with the whole message', () => {
  test.each([
    // The file as a whole.
    { text: '', says: [`F:1:1: protect.interfaces: missing; ${INTERFACES}`] },
    { text: '# nothing but a comment\n', says: [`F:1:1: protect.interfaces: missing; ${INTERFACES}`] },
    { text: '- a\n- b\n', says: [`F:1:1: found a list; ${TOP}`] },
    { text: 'root:x:0:0:secret', says: [`F:1:1: found other text, not shown here; ${TOP}`] },
    // YAML.
    {
      text: `${ETH0}mode: a\nmode: b\n`,
      says: ['F:3:1: the key `mode` stands twice in one mapping; remove one of the two'],
    },
    {
      text: `${ETH0}hunter2: a\nhunter2: b\n`,
      says: ['F:3:1: this key stands twice in one mapping; remove one of the two'],
    },
    {
      text: 'protect:\n\tinterfaces: [eth0]\n',
      says: ['F:2:1: a tab stands where YAML allows only spaces; indent with spaces'],
    },
    {
      text: 'protect:\n  interfaces: [eth0\nmode: observe\n',
      says: ['F:3:1: the indentation does not fit the lines above, or a bracket is not closed'],
    },
    {
      // One bracket that is not closed is told once, however many lines it spoils.
      text: 'protect:\n  interfaces: [eth0\nmode: observe\npolicy: { registerRetry: 3\ndata: /x\n',
      says: ['F:3:1: the indentation does not fit the lines above, or a bracket is not closed'],
    },
    {
      text: `${ETH0}mode: 'enforce\n`,
      says: [
        "F:3:1: a closing quote, a bracket, a comma, or the space after a ':' or '#' is missing at or before this place",
      ],
    },
    {
      text: `${ETH0}---\nmode: observe\n`,
      says: ["F:2:1: a second YAML document starts here; remove the line '---'"],
    },
    {
      text: 'mode: enforce protect: x\n',
      says: ["F:1:7: two keys stand on one line; start a new line, or put a text that holds ': ' in quotes"],
    },
    {
      text: `${ETH0}data: *hunter2\n`,
      says: ["F:2:7: '*' refers to an anchor that does not exist; put a text that starts with '*' in quotes"],
    },
    {
      text: `${ETH0}data: !hunter2 /x\n`,
      says: [
        "F:2:7: '!' starts a YAML tag that is not known here; put a text that starts with '!' in quotes",
      ],
    },
    {
      text: `${ETH0}data: "\\q"\n`,
      says: [
        "F:2:8: an unknown escape after '\\' in double quotes; use single quotes for a text with backslashes",
      ],
    },
    // Keys.
    {
      text: `${ETH0}policy:\n  registerRetries: 3\n`,
      says: ['F:3:3: policy: unknown key `registerRetries`; did you mean `registerRetry`?'],
    },
    {
      text: 'protect:\n  interfaces: [eth0]\n  prots: {}\n',
      says: ['F:3:3: protect: unknown key `prots`; did you mean `ports`?'],
    },
    { text: `${ETH0}Mode: observe\n`, says: ['F:2:1: unknown key `Mode`; did you mean `mode`?'] },
    {
      text: `${ETH0}registerRetry: 3\n`,
      says: ['F:2:1: unknown key `registerRetry` here; it belongs under `policy`'],
    },
    {
      text: `${ETH0}policy:\n  allow: []\n`,
      says: ['F:3:3: policy: unknown key `allow` here; it belongs at the top, without indentation'],
    },
    {
      text: `${ETH0}sensor: { driver: x }\n`,
      says: ['F:2:11: sensor: unknown key `driver`; expected one of engine or nflog'],
    },
    {
      text: `${ETH0}"__proto__": { mode: observe }\n`,
      says: [
        'F:2:1: unknown key `__proto__`; expected one of mode, protect, limits, gateways, kernel, policy, allow, sensor, evidence, history, dashboard, registrar, control or data',
      ],
    },
    {
      text: `${ETH0}"a\\e[31m": 1\n`,
      says: [
        'F:2:1: unknown key `a\\u001b[31m`; expected one of mode, protect, limits, gateways, kernel, policy, allow, sensor, evidence, history, dashboard, registrar, control or data',
      ],
    },
    // Values.
    { text: `${ETH0}mode: monitor\n`, says: ['F:2:7: mode: found "monitor"; expected enforce or observe'] },
    { text: `${ETH0}mode:\n`, says: ['F:2:1: mode: found nothing; expected enforce or observe'] },
    {
      text: 'protect: { interfaces: eth0 }\n',
      says: [`F:1:24: protect.interfaces: found "eth0"; ${INTERFACES}`],
    },
    {
      text: 'protect: { interfaces: [] }\n',
      says: [`F:1:24: protect.interfaces: found an empty list; ${INTERFACES}`],
    },
    { text: 'protect:\n  interfaces:\n', says: [`F:2:3: protect.interfaces: found nothing; ${INTERFACES}`] },
    {
      text: 'protect:\n  interfaces:\n    - lo\n    - eth0; reboot\n    - sixteen-letters0\n    - eth+\n    - 7\n',
      says: [
        `F:3:7: protect.interfaces[0]: found "lo" (the loopback interface is never filtered); ${NAME}`,
        `F:4:7: protect.interfaces[1]: found "eth0; reboot"; ${NAME}`,
        `F:5:7: protect.interfaces[2]: found "sixteen-letters0"; ${NAME}`,
        `F:6:7: protect.interfaces[3]: found "eth+"; ${NAME}`,
        `F:7:7: protect.interfaces[4]: found 7; ${NAME}`,
      ],
    },
    {
      text: 'protect: { interfaces: [eth0, eth0], ports: { udp: [5060, 5060], tcp: [] } }\n',
      says: [
        'F:1:31: protect.interfaces[1]: this interface is already on the list',
        'F:1:59: protect.ports.udp[1]: this port is already on the list',
      ],
    },
    {
      text: 'protect:\n  interfaces: [eth0]\n  ports: { udp: [], tcp: [] }\n',
      says: ['F:3:3: protect.ports: no port is protected; expected at least one, for example udp: [5060]'],
    },
    {
      text: 'protect:\n  interfaces: [eth0]\n  ports: { udp: [0, "5060"], tcp: 5060 }\n',
      says: [
        'F:3:18: protect.ports.udp[0]: found 0; expected a port number from 1 to 65535, for example 5060',
        'F:3:21: protect.ports.udp[1]: found "5060"; expected a port number from 1 to 65535, for example 5060',
        'F:3:35: protect.ports.tcp: found 5060; expected a list, for example [a, b]',
      ],
    },
    {
      text: 'protect: { interfaces: [eth0], addresses: here }\n',
      says: [
        'F:1:43: protect.addresses: found "here"; expected local, or a list of the addresses and prefixes behind this gateway, for example [192.0.2.0/24]',
      ],
    },
    {
      text: 'protect: { interfaces: [eth0], addresses: [192.0.2.0/33] }\n',
      says: [`F:1:44: protect.addresses[0]: found "192.0.2.0/33"; ${PREFIX}`],
    },
    {
      text: `${ETH0}limits: { register: { perSecond: 0 }, sip: { burst: 1.5 } }\n`,
      says: [
        'F:2:34: limits.register.perSecond: found 0; expected a whole number from 1 to 10000',
        'F:2:53: limits.sip.burst: found 1.5; expected a whole number from 1 to 10000',
      ],
    },
    {
      text: `${ETH0}limits: 5\n`,
      says: [
        'F:2:9: limits: found 5; expected a mapping with the keys capacity, register, prefix, total, strict, proven, answered, returning, ignoring, sip, ceiling, rest and connections',
      ],
    },
    {
      text: `${ETH0}limits: { total: { perSecond: 1000001 }, strict: { when: on, port: { perSecond: 1 } } }\n`,
      says: [
        'F:2:31: limits.total.perSecond: found 1000001; expected auto or a whole number from 1 to 1000000',
        'F:2:58: limits.strict.when: found "on"; expected auto, always or never',
        'F:2:70: limits.strict.port: unknown key `perSecond`; expected one of perMinute or burst',
      ],
    },
    {
      text: `${ETH0}limits: { perMinute: 6, connections: { most: 0 } }\n`,
      says: [
        'F:2:11: limits: unknown key `perMinute`; expected one of capacity, register, prefix, total, strict, proven, answered, returning, ignoring, sip, ceiling, rest or connections',
        'F:2:46: limits.connections.most: found 0; expected auto, none or a whole number from 1 to 100000',
      ],
    },
    {
      text: `${ETH0}kernel: { elements: 10, buckets: none, seen: 1.5 }\nprotect2: 1\n`,
      says: [
        'F:2:21: kernel.elements: found 10; expected auto or a whole number from 1000 to 4000000',
        'F:2:34: kernel.buckets: found "none"; expected auto or a whole number from 1000 to 1048576',
        'F:2:46: kernel.seen: found 1.5; expected auto or a whole number from 1000 to 10000000',
        'F:3:1: unknown key `protect2`; did you mean `protect`?',
      ],
    },
    {
      text: `protect: { interfaces: [eth0], responses: none }\n`,
      says: ['F:1:43: protect.responses: found "none"; expected asked or any'],
    },
    {
      text: `${ETH0}gateways:
  - { name: Carrier, prefixes: [], cps: 5 }
  - { name: a, prefixes: [0.0.0.0/0], cps: 5, profile: reseller }
  - { name: b, prefixes: [192.0.2.1], burst: 3 }
  - { name: c, prefixes: [192.0.2.2], profile: huge, cps: 0 }
`,
      says: [
        'F:3:13: gateways[0].name: found "Carrier"; expected a name of 1 to 20 lower case letters, digits and dashes, for example carrier-1',
        'F:3:32: gateways[0].prefixes: found an empty list; expected a list of the addresses and prefixes of the gateway, for example [198.51.100.0/28]',
        'F:4:27: gateways[1].prefixes[0]: found "0.0.0.0/0" (a /0 holds the whole internet); expected an address or prefix, for example 192.0.2.7, 198.51.100.0/24 or 2001:db8::/48',
        'F:5:5: gateways[2]: found a mapping (it has neither); expected a gateway with either profile: small-office (or another one) or cps: 20',
        'F:6:48: gateways[3].profile: found "huge"; expected single-phone, small-office, call-center, wholesale or reseller',
        'F:6:59: gateways[3].cps: found 0; expected a whole number from 1 to 100000',
      ],
    },
    {
      text: `${ETH0}gateways: [{ name: a, prefixes: [192.0.2.1], cps: 5, profile: reseller }]\n`,
      says: [
        'F:2:12: gateways[0]: found a mapping (it has both); expected a gateway with either profile: small-office (or another one) or cps: 20',
      ],
    },
    {
      text: `${ETH0}gateways:
  - { name: a, prefixes: [192.0.2.0/28, 192.0.2.0/28], cps: 5 }
  - { name: b, prefixes: [192.0.2.1/28, 192.0.2.1], cps: 5 }
  - { name: a, prefixes: [192.0.2.2], cps: 5 }
`,
      says: [
        'F:3:41: gateways[0].prefixes[1]: 192.0.2.0/28 is already on the list; whose calls would it count?',
        'F:4:27: gateways[1].prefixes[0]: 192.0.2.0/28 is also a prefix of the gateway a; whose calls would it count?',
        'F:5:13: gateways[2].name: the gateway a is already on the list',
      ],
    },
    {
      text: `${ETH0}policy:\n  registerSuspend: yes\n  registerSuspendTime: 3 minutes\n  flood:\n    within: 2h\n    for: 0\n`,
      says: [
        'F:3:20: policy.registerSuspend: found "yes" (YAML 1.2 reads that as text); expected true or false',
        `F:4:24: policy.registerSuspendTime: found "3 minutes"; expected a duration from 1s to 24d, ${DURATION}`,
        `F:6:13: policy.flood.within: found "2h"; expected a duration from 1s to 1h, ${DURATION}`,
        `F:7:10: policy.flood.for: found 0; expected a duration from 1s to 24d, ${DURATION}`,
      ],
    },
    {
      text: `${ETH0}allow:\n  - 0.0.0.0/0\n  - 010.1.1.1\n  - 1.1\n  - fe80::1%eth0\n`,
      says: [
        `F:3:5: allow[0]: found "0.0.0.0/0" (a /0 holds the whole internet); ${PREFIX}`,
        `F:4:5: allow[1]: found "010.1.1.1"; ${PREFIX}`,
        `F:5:5: allow[2]: found 1.1; ${PREFIX}`,
        `F:6:5: allow[3]: found "fe80::1%eth0"; ${PREFIX}`,
      ],
    },
    {
      text: `${ETH0}dashboard: { listen: '::1:8560', passwordFile: secret }\n`,
      says: [
        `F:2:22: dashboard.listen: found "::1:8560" (an IPv6 address needs brackets around it and a port behind them); ${ENDPOINT}`,
        'F:2:48: dashboard.passwordFile: found "secret"; expected an absolute path, for example /var/lib/ringfence',
      ],
    },
    ...[
      '8560',
      'localhost:8560',
      '127.0.0.1',
      '127.0.0.1:0',
      '127.0.0.1:65536',
      '[127.0.0.1]:80',
      '[::1]',
      ':80',
    ].map((listen) => ({
      text: `${ETH0}dashboard: { listen: '${listen}' }\n`,
      says: [`F:2:22: dashboard.listen: found "${listen}"; ${ENDPOINT}`],
    })),
    {
      text: `${ETH0}control: { socket: /${'x'.repeat(107)}, group: 'a b' }\n`,
      says: [
        `F:2:20: control.socket: found "/${'x'.repeat(56)}..." (it is longer than 107 bytes); expected an absolute path, for example /var/lib/ringfence`,
        'F:2:137: control.group: found "a b"; expected the name of a group, for example ringfence',
      ],
    },
    {
      text: `${ETH0}registrar:\n  enabled: true\n  listen: ['0.0.0.0:8560']\n  minExpires: 2h\n  accounts:\n    - { user: 'a', password: x }\n    - { user: 'a', password: y }\n`,
      says: [
        'F:4:12: registrar.listen[0]: the dashboard listens on 127.0.0.1:8560 too; expected another port',
        'F:5:15: registrar.minExpires: is longer than registrar.maxExpires (3600s); expected it to be shorter or equal',
        'F:8:15: registrar.accounts[1].user: the account "a" is already on the list',
      ],
    },
  ])('$text', ({ text, says }) => {
    expect(readConfig(text, { file: 'F' }).kind).toBe('refused')
    expect(said(text)).toEqual(says)
  })

  const USER =
    "expected the user part of the account in quotes, without ':' '@' or spaces, for example '1001'"
  const PASSWORD =
    "expected the password in quotes, 1 to 128 characters, for example password: 'correct horse'"
  const ACCOUNT = "expected an account with either password: '…' or ha1: { md5: '…', sha256: '…' }"
  const TEXT = '(without quotes YAML does not read it as text)'
  test.each([
    {
      account: '{ user: 1001, password: ok }',
      says: [`F:4:15: registrar.accounts[0].user: found 1001 ${TEXT}; ${USER}`],
    },
    {
      account: "{ user: 'a@b', password: hunter2 }",
      says: [`F:4:15: registrar.accounts[0].user: found "a@b"; ${USER}`],
    },
    {
      account: '{ user: a, password: 4711 }',
      says: [`F:4:28: registrar.accounts[0].password: found a number, not shown here ${TEXT}; ${PASSWORD}`],
    },
    {
      account: '{ user: a, password: "hunter2\\n" }',
      says: [`F:4:28: registrar.accounts[0].password: found other text, not shown here; ${PASSWORD}`],
    },
    {
      account: '{ user: a, password: [hunter2] }',
      says: [`F:4:28: registrar.accounts[0].password: found a list; ${PASSWORD}`],
    },
    {
      account: '{ user: a, passwrd: hunter2 }',
      says: ['F:4:18: registrar.accounts[0]: unknown key `passwrd`; did you mean `password`?'],
    },
    {
      account: '{ user: a, hunter2 }',
      says: [
        'F:4:18: registrar.accounts[0]: unknown key, not shown here; expected one of user, password or ha1',
      ],
    },
    {
      account: 'hunter2',
      says: [
        'F:4:7: registrar.accounts[0]: found other text, not shown here; expected a mapping with the keys user, password and ha1',
      ],
    },
    {
      account: '{ user: a }',
      says: [`F:4:7: registrar.accounts[0]: found a mapping (it has neither); ${ACCOUNT}`],
    },
    {
      account: '{ user: a, password: hunter2, ha1: { md5: 00000000000000000000000000000000 } }',
      says: [
        `F:4:49: registrar.accounts[0].ha1.md5: found a number, not shown here ${TEXT}; expected the MD5 of user:realm:password as 32 hex digits in quotes`,
      ],
    },
    {
      account: "{ user: a, password: hunter2, ha1: { sha256: 'hunter2' } }",
      says: [
        'F:4:52: registrar.accounts[0].ha1.sha256: found other text, not shown here; expected the SHA-256 of user:realm:password as 64 hex digits in quotes',
      ],
    },
    {
      account: `{ user: a, password: hunter2, ha1: { md5: '${'a'.repeat(32)}' } }`,
      says: [`F:4:7: registrar.accounts[0]: found a mapping (it has both); ${ACCOUNT}`],
    },
    {
      account: '{ user: a, ha1: {} }',
      says: [`F:4:7: registrar.accounts[0]: found a mapping (its ha1 holds no hash); ${ACCOUNT}`],
    },
  ])('an account: $account', ({ account, says }) => {
    const text = `${ETH0}registrar:\n  accounts:\n    - ${account}\n`
    expect(said(text)).toEqual(says)
    expect(said(text).join()).not.toMatch(/hunter2|4711/)
  })

  test('an alias bomb, an endless nesting and hundreds of problems', () => {
    let bomb = 'a: &a [x,x,x,x,x,x,x,x,x]\n'
    for (const [i, name] of [...'bcdefghi'].entries()) {
      bomb += `${name}: &${name} [${Array(9).fill(`*${'abcdefgh'[i]}`).join(',')}]\n`
    }
    expect(said(bomb)).toEqual(['F:1:1: aliases refer to aliases too often; at most 100 are followed'])
    expect(said('['.repeat(5_000))).toEqual([
      expect.stringMatching(/^F:1:\d+: mappings or lists are nested too deeply here$/),
    ])
    expect(said(`${ETH0}allow: [${Array(500).fill('x').join(',')}]`)).toHaveLength(50)
  })
})

test.each([
  {
    text: `${ETH0}registrar: { enabled: true }\n`,
    says: [
      'F:2:23: registrar.enabled: the registrar has no account in this file; unless some were added with `ringfence account add`, it refuses everybody',
    ],
  },
  {
    text: `protect: { interfaces: [eth0], ports: { udp: [5060], tcp: [] } }\nregistrar: { enabled: true, accounts: [{ user: a, password: x }] }\n`,
    says: [
      'F:2:1: registrar.listen[0]: port 5060 is not in both lists of protect.ports: nothing guards the registrar there',
    ],
  },
  {
    text: `${ETH0}allow: [10.0.0.0/7]\n`,
    says: ['F:2:9: allow[0]: 10.0.0.0/7 lets a large part of the internet past every limit'],
  },
  {
    text: `${ETH0}allow: [198.51.100.0/24]
gateways:
  - { name: a, prefixes: [198.51.100.7], cps: 5 }
  - { name: b, prefixes: [198.51.96.0/20, 192.0.2.1], cps: 5 }
`,
    says: [
      'F:4:27: gateways[0].prefixes[0]: 198.51.100.0/24 is on the allowlist, which comes first: its calls are not counted for the gateway a',
      'F:5:27: gateways[1].prefixes[0]: 198.51.100.0/24 is on the allowlist, which comes first: its calls are not counted for the gateway b',
    ],
  },
  {
    text: `${ETH0}limits: { register: { perSecond: 200 }, strict: { total: { perSecond: 50 } } }\n`,
    says: [
      'F:2:1: limits.prefix.perSecond: is lower than limits.register: one flooding source takes what many others were to share',
      'F:2:71: limits.strict.total.perSecond: is lower than limits.strict.prefix: one flooding source takes what many others were to share',
    ],
  },
  {
    text: `${ETH0}limits: { sip: { enforce: true } }\n`,
    says: [
      'F:2:27: limits.sip.enforce: the SIP limit is enforced from the start: trunks that never register can be cut',
    ],
  },
  {
    text: `${ETH0}policy: { flood: { registers: 5 } }\n`,
    says: [
      'F:2:31: policy.flood.registers: blocks sources that send less than one REGISTER a second: offices behind one address do that in peace',
    ],
  },
])('a warning: $text', ({ text, says }) => {
  expect(readConfig(text, { file: 'F' }).kind).toBe('ok')
  expect(said(text)).toEqual(says)
})

describe('a file', () => {
  let folder: string
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'ringfence-config-'))
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  test.each([
    {
      name: 'missing',
      make: () => {},
      says: 'no such file; make one with `ringfence config init --interfaces eth0 --out FILE`',
    },
    { name: 'folder', make: (file: string) => mkdirSync(file), says: 'is a directory; expected a YAML file' },
    {
      name: 'pipe',
      make: (file: string) => execFileSync('mkfifo', [file]),
      says: 'is not a regular file; expected a YAML file',
    },
    {
      name: 'latin1',
      make: (file: string) => writeFileSync(file, Buffer.from('# B\u00fcro\n', 'latin1')),
      says: 'is not UTF-8 text; expected a YAML file',
    },
    {
      name: 'large',
      make: (file: string) => writeFileSync(file, Buffer.alloc(8 * 1024 * 1024 + 1, '#')),
      says: 'is larger than 8388608 bytes; expected a YAML file',
    },
  ])('that is $name', ({ name, make, says }) => {
    const file = join(folder, name)
    make(file)
    const problems = [{ file, position: null, key: '', message: says }]
    expect(readConfigFile(file)).toEqual({ kind: 'refused', problems })
    expect(() => loadConfig(file)).toThrow(`${file}: ${says}`)
  })

  test('that this user may not read', () => {
    const file = join(folder, 'private')
    writeFileSync(file, ETH0)
    chmodSync(file, 0)
    // Root reads everything; as nobody the same file is refused.
    const root = process.getuid?.() === 0
    chmodSync(folder, 0o755)
    if (root) process.seteuid?.(65_534)
    try {
      expect(readConfigFile(file)).toEqual({
        kind: 'refused',
        problems: [
          { file, position: null, key: '', message: 'may not be read by this user; try again as root' },
        ],
      })
    } finally {
      if (root) process.seteuid?.(0)
    }
  })

  test('names logs: one that cannot be read is a warning', () => {
    const log = join(folder, 'security')
    writeFileSync(log, '')
    const file = join(folder, 'logs.yaml')
    writeFileSync(
      file,
      `${ETH0}evidence:\n  asterisk: ${log}\n  freeswitch: ${folder}\n  vos3000: /nonexistent/mbx.log\n`,
    )
    const reading = readConfigFile(file)
    if (reading.kind === 'refused') throw new Error('it was refused')
    expect(reading.config.evidence).toEqual({
      asterisk: log,
      freeswitch: folder,
      vos3000: '/nonexistent/mbx.log',
    })
    expect(reading.warnings.map(showProblem)).toEqual([
      `${file}:4:15: evidence.freeswitch: ${folder} is not a regular file; nothing is learnt from it until then`,
      `${file}:5:12: evidence.vos3000: /nonexistent/mbx.log is not there yet; nothing is learnt from it until then`,
    ])
    expect(said(`${ETH0}evidence: { asterisk: security }\n`)).toEqual([
      'F:2:23: evidence.asterisk: found "security"; expected an absolute path, for example /var/lib/ringfence',
    ])
  })

  test('that is fine is loaded', () => {
    const file = join(folder, 'fine.yaml')
    writeFileSync(file, ETH0)
    expect(loadConfig(file)).toEqual(DEFAULTS)
  })
})

test('whatever the text, it is read or refused with a place, in one printable line each', () => {
  const line = fc.constantFrom(
    ...[
      'protect:',
      '  interfaces: [eth0]',
      'mode: &a observe',
      'allow: [*a, ',
      '- x',
      '? y',
      '|',
      '\t',
      '"',
      '{',
      ']',
      '%Y 1',
      '---',
    ],
  )
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: 'binary' }),
        fc.array(line).map((lines) => lines.join('\n')),
      ),
      (text) => {
        for (const said of readProblems(text)) expect(said).toMatch(/^F:\d+:\d+: [^\x00-\x1f\x7f-\x9f]+$/)
      },
    ),
    { numRuns: 500 },
  )
})

function readProblems(text: string): readonly string[] {
  const reading = readConfig(text, { file: 'F' })
  return reading.kind === 'ok' ? [] : reading.problems.map(showProblem)
}
