import { z } from 'zod'
import type { Prefix } from '../../registrar/net/address.ts'
import { CPS_PROFILES, type CpsProfile } from './gateways.ts'
import {
  absolutePath,
  duration,
  endpoint,
  flag,
  interfaceName,
  oneOf,
  port,
  prefix,
  text,
  wholeNumber,
  wholeNumberOr,
} from './leaves.ts'

const HOUR = 3_600
const DAY = 24 * HOUR
/** ipset holds timeouts up to 2,147,483 seconds. */
const LONGEST_BLOCK = 24 * DAY

const shapes = new WeakMap<z.ZodType, Readonly<Record<string, z.ZodType>>>()

/** A mapping whose keys are all known. One without content (everything under it commented out) is an empty one. */
function section<S extends Record<string, z.ZodType>>(shape: S) {
  const schema = z.preprocess((value) => value ?? {}, z.strictObject(shape))
  shapes.set(schema, shape)
  return schema
}

const items = new WeakMap<z.ZodType, z.ZodType>()

function listOf<T extends z.ZodType>(item: T) {
  const schema = z.preprocess((value) => value ?? [], z.array(item))
  items.set(schema, item)
  return schema
}

/** A list that must hold something. */
function someOf<T extends z.ZodType>(item: T, expected: string) {
  const schema = z.unknown().transform((value, ctx): unknown => {
    if (Array.isArray(value) && value.length > 0) return value
    ctx.addIssue({ code: 'custom', message: expected, params: { expected, why: null, secret: false } })
    return z.NEVER
  })
  return schema.pipe(z.array(item))
}

/** The user part of an account: what RFC 3261 lets stand unescaped in a URI, without what digest or a shell trips over. */
export const ACCOUNT_USER = /^[A-Za-z0-9._~!*+#-]{1,64}$/

const PASSWORD = text({
  expected: "the password in quotes, 1 to 128 characters, for example password: 'correct horse'",
  pattern: /^[^\x00-\x1f\x7f]{1,128}$/,
  secret: true,
})

function hexDigest(digits: number, name: string) {
  return text({
    expected: `${name} of user:realm:password as ${digits} hex digits in quotes`,
    pattern: new RegExp(`^[0-9a-fA-F]{${digits}}$`),
    secret: true,
  })
}

const ACCOUNT_SHAPE = {
  user: text({
    expected: "the user part of the account in quotes, without ':' '@' or spaces, for example '1001'",
    pattern: ACCOUNT_USER,
  }),
  password: PASSWORD.optional(),
  ha1: section({
    md5: hexDigest(32, 'the MD5').optional(),
    sha256: hexDigest(64, 'the SHA-256').optional(),
  }).optional(),
}

const ACCOUNT = section(ACCOUNT_SHAPE).superRefine(({ password, ha1 }, ctx) => {
  const expected = "an account with either password: '…' or ha1: { md5: '…', sha256: '…' }"
  const refuse = (why: string) =>
    ctx.addIssue({ code: 'custom', message: expected, params: { expected, why, secret: true } })
  if (password === undefined && ha1 === undefined) refuse('it has neither')
  else if (password !== undefined && ha1 !== undefined) refuse('it has both')
  else if (ha1 && ha1.md5 === undefined && ha1.sha256 === undefined) refuse('its ha1 holds no hash')
})
shapes.set(ACCOUNT, ACCOUNT_SHAPE)

/** The kernel's hashlimit counts up to so many a second and at once. */
const FASTEST = 1_000_000

/** Two keys of a section: packets a second, and how many at once. Of one source by default. */
function rate(perSecond: number, burst: number, { most = 10_000 }: { readonly most?: number } = {}) {
  return {
    perSecond: wholeNumber({ from: 1, to: most }).default(perSecond),
    burst: wholeNumber({ from: 1, to: most }).default(burst),
  }
}

/** A log that may be read; nothing where none is. */
function logFile() {
  return absolutePath()
    .nullish()
    .transform((path) => path ?? null)
}

/** The same of everybody together; `auto`: what is left of the capacity. */
function rateOrAuto(perSecond: number, burst: number) {
  return {
    perSecond: wholeNumberOr(['auto'], { from: 1, to: FASTEST }).default(perSecond),
    burst: wholeNumber({ from: 1, to: FASTEST }).default(burst),
  }
}

/** The same for a limit so low that it is written a minute. */
function slowRate(perMinute: number, burst: number) {
  return {
    perMinute: wholeNumber({ from: 1, to: 60_000 }).default(perMinute),
    burst: wholeNumber({ from: 1, to: 10_000 }).default(burst),
  }
}

const PROFILES = Object.keys(CPS_PROFILES) as CpsProfile[]

const GATEWAY_SHAPE = {
  name: text({
    expected: 'a name of 1 to 20 lower case letters, digits and dashes, for example carrier-1',
    pattern: /^[a-z0-9-]{1,20}$/,
  }),
  prefixes: someOf(
    prefix(),
    'a list of the addresses and prefixes of the gateway, for example [198.51.100.0/28]',
  ),
  profile: oneOf(...PROFILES).optional(),
  cps: wholeNumber({ from: 1, to: 100_000 }).optional(),
  burst: wholeNumber({ from: 1, to: FASTEST }).optional(),
}

const GATEWAY = section(GATEWAY_SHAPE).superRefine(({ profile, cps }, ctx) => {
  if ((profile === undefined) !== (cps === undefined)) return
  const expected = 'a gateway with either profile: small-office (or another one) or cps: 20'
  const why = cps === undefined ? 'it has neither' : 'it has both'
  ctx.addIssue({ code: 'custom', message: expected, params: { expected, why, secret: false } })
})
shapes.set(GATEWAY, GATEWAY_SHAPE)

const protectedAddresses: z.ZodType<'local' | Prefix[], unknown> = z.unknown().transform((value, ctx) => {
  if (value === 'local') return value
  const expected =
    'local, or a list of the addresses and prefixes behind this gateway, for example [192.0.2.0/24]'
  if (Array.isArray(value) && value.length > 0) {
    const read = z.array(prefix()).safeParse(value)
    if (read.success) return read.data
    for (const issue of read.error.issues) ctx.addIssue({ ...issue } as Parameters<typeof ctx.addIssue>[0])
    return z.NEVER
  }
  ctx.addIssue({ code: 'custom', message: expected, params: { expected, why: null, secret: false } })
  return z.NEVER
})

export const CONFIG_SCHEMA = section({
  mode: oneOf('enforce', 'observe').default('enforce'),
  protect: section({
    interfaces: someOf(
      interfaceName(),
      'a list of the network interfaces that SIP arrives on, for example [eth0]',
    ),
    addresses: protectedAddresses.default('local'),
    ports: section({
      udp: listOf(port()).default([5060]),
      tcp: listOf(port()).default([5060]),
    }),
    responses: oneOf('asked', 'any').default('asked'),
  }),
  limits: section({
    capacity: wholeNumberOr(['auto'], { from: 1, to: FASTEST }).default('auto'),
    register: section(rate(5, 10)),
    prefix: section(rate(100, 200, { most: FASTEST })),
    total: section(rateOrAuto(2_000, 4_000)),
    strict: section({
      when: oneOf('auto', 'always', 'never').default('auto'),
      port: section(slowRate(6, 6)),
      source: section(rate(5, 10)),
      prefix: section(rate(100, 200, { most: FASTEST })),
      total: section(rateOrAuto(1_500, 1_500)),
    }),
    proven: section(rate(10, 50)),
    answered: section(slowRate(12, 6)),
    returning: section(rate(5, 20)),
    ignoring: section(slowRate(6, 2)),
    sip: section({
      ...rate(20, 50),
      prefix: section(rate(200, 400, { most: FASTEST })),
      total: section(rate(1_000, 2_000, { most: FASTEST })),
      enforce: flag().default(false),
    }),
    ceiling: section(rate(2_000, 4_000, { most: FASTEST })),
    rest: section(rate(1_000, 2_000, { most: FASTEST })),
    connections: section({
      ...rate(5, 20),
      prefix: section(rate(50, 100, { most: FASTEST })),
      most: wholeNumberOr(['auto', 'none'], { from: 1, to: 100_000 }).default('auto'),
    }),
  }),
  gateways: listOf(GATEWAY),
  kernel: section({
    elements: wholeNumberOr(['auto'], { from: 1_000, to: 4_000_000 }).default('auto'),
    buckets: wholeNumberOr(['auto'], { from: 1_000, to: 1_048_576 }).default('auto'),
    seen: wholeNumberOr(['auto'], { from: 1_000, to: 10_000_000 }).default('auto'),
  }),
  policy: section({
    registerRetry: wholeNumber({ from: 1, to: 1_000 }).default(6),
    registerSuspend: flag().default(true),
    registerSuspendTime: duration({ from: 1, to: LONGEST_BLOCK }).default(180),
    attack: section({
      registerRetry: wholeNumber({ from: 1, to: 1_000 }).default(3),
      registerSuspendTime: duration({ from: 1, to: LONGEST_BLOCK }).default(900),
    }),
    flood: section({
      registers: wholeNumber({ from: 2, to: 1_000_000 }).default(100),
      within: duration({ from: 1, to: HOUR }).default(10),
      for: duration({ from: 1, to: LONGEST_BLOCK }).default(600),
    }),
    block: section({
      failures: wholeNumber({ from: 2, to: 1_000_000 }).default(20),
      within: duration({ from: 1, to: DAY }).default(600),
      for: duration({ from: 1, to: LONGEST_BLOCK }).default(HOUR),
    }),
    slowGuessing: section({
      failures: wholeNumber({ from: 6, to: 1_000_000 }).default(60),
      within: duration({ from: HOUR, to: 7 * DAY }).default(DAY),
      for: duration({ from: 1, to: LONGEST_BLOCK }).default(4 * HOUR),
    }),
    scan: section({
      accounts: wholeNumber({ from: 4, to: 60 }).default(10),
      within: duration({ from: 1, to: DAY }).default(600),
      for: duration({ from: 1, to: LONGEST_BLOCK }).default(600),
    }),
    malformed: section({
      registers: wholeNumber({ from: 2, to: 1_000_000 }).default(10),
      within: duration({ from: 1, to: DAY }).default(60),
      for: duration({ from: 1, to: LONGEST_BLOCK }).default(600),
    }),
    accountGuessed: section({
      sources: wholeNumber({ from: 2, to: 60 }).default(10),
      within: duration({ from: HOUR, to: 7 * DAY }).default(DAY),
    }),
  }),
  allow: listOf(prefix()),
  sensor: section({
    engine: oneOf('auto', 'pcap', 'cap', 'tcpdump').default('auto'),
    nflog: wholeNumberOr(['auto', 'off'], { from: 1, to: 65_535 }).default('auto'),
  }),
  evidence: section({
    asterisk: logFile(),
    freeswitch: logFile(),
    vos3000: logFile(),
  }),
  history: section({ days: wholeNumber({ from: 0, to: 90 }).default(7) }),
  dashboard: section({
    enabled: flag().default(true),
    listen: endpoint().prefault('127.0.0.1:8560'),
    passwordFile: absolutePath().default('/etc/ringfence/dashboard.password'),
  }),
  registrar: section({
    enabled: flag().default(false),
    realm: text({
      expected: 'text of 1 to 64 letters, digits, dots, dashes and spaces, for example sip.example.org',
      pattern: /^[A-Za-z0-9._@ -]{1,64}$/,
    }).default('ringfence'),
    listen: someOf(endpoint(), "a list of addresses with ports, for example ['0.0.0.0:5060']").prefault([
      '0.0.0.0:5060',
    ]),
    minExpires: duration({ from: 1, to: DAY }).default(60),
    maxExpires: duration({ from: 1, to: 7 * DAY }).default(HOUR),
    maxBindings: wholeNumber({ from: 1, to: 100 }).default(10),
    registerReplace: flag().default(true),
    accounts: listOf(ACCOUNT),
  }),
  control: section({
    // A Unix socket's path has 108 bytes in Linux, a closing NUL included.
    socket: absolutePath({ maxBytes: 107 }).default('/run/ringfence/control.sock'),
    group: text({
      expected: 'the name of a group, for example ringfence',
      pattern: /^[a-z_][a-z0-9_-]{0,30}$/,
    }).default('ringfence'),
  }),
  data: absolutePath().default('/var/lib/ringfence'),
})

/** The keys that may stand in the mapping at `path`; undefined where there is no such mapping. */
export function keysAt(path: readonly PropertyKey[]): readonly string[] | undefined {
  let schema: z.ZodType = CONFIG_SCHEMA
  for (const part of path) {
    const next = typeof part === 'number' ? items.get(schema) : shapes.get(schema)?.[String(part)]
    if (!next) return undefined
    schema = next instanceof z.ZodOptional ? (next.unwrap() as z.ZodType) : next
  }
  const shape = shapes.get(schema)
  return shape && Object.keys(shape)
}

/** The mappings that know this key, as paths like `policy.flood`; the file itself is the empty path. */
export function homesOf(key: string): readonly string[] {
  const homes: string[] = []
  const visit = (schema: z.ZodType, path: string) => {
    const shape = shapes.get(schema)
    if (!shape) return
    if (Object.hasOwn(shape, key)) homes.push(path)
    for (const [name, child] of Object.entries(shape)) visit(child, path === '' ? name : `${path}.${name}`)
  }
  visit(CONFIG_SCHEMA, '')
  return homes
}
