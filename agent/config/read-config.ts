import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs'
import { type Document, LineCounter, parseDocument, visit } from 'yaml'
import type { z } from 'zod'
import { hashPassword } from '../../registrar/digest.ts'
import { checkLogs, type FaultOf, whyUnreadable } from './check-logs.ts'
import { checkTogether } from './check-together.ts'
import type { Config, RateLimit } from './config.ts'
import { gatewayOf } from './gateways.ts'
import { at, positionOfKey, positionOfValue } from './locate.ts'
import { type ConfigProblem, type ConfigReading, ConfigRefused } from './problem.ts'
import { CONFIG_SCHEMA } from './schema.ts'
import { sayIssue, sayKey, sayYamlFault } from './sentences.ts'

/** Ten thousand accounts with their hashes fit; what is larger is not a configuration. */
const LARGEST_FILE = 8 * 1024 * 1024
/** An alias of an alias of an alias grows without bound; nobody's configuration needs more than a few. */
const MOST_ALIASES = 100
const MOST_PROBLEMS = 50
const MOST_YAML_FAULTS = 5
/** A bracket or quote that is missing in one line is found missing in each line behind it, in the same words. */
const STUMBLES: ReadonlySet<string> = new Set(['BAD_INDENT', 'MISSING_CHAR', 'RESOURCE_EXHAUSTION'])

/** Reads the file, or throws a `ConfigRefused` whose message names every problem. */
export function loadConfig(path: string): Config {
  const reading = readConfigFile(path)
  if (reading.kind === 'refused') throw new ConfigRefused(reading.problems)
  return reading.config
}

/** What holds where no file says otherwise, for looking at captures: no interface is touched. */
export function defaultConfig(): Config {
  const reading = readConfig('protect: { interfaces: [eth0] }', { file: 'defaults' })
  if (reading.kind === 'refused') throw new ConfigRefused(reading.problems)
  return reading.config
}

/** Reads the configuration of a file; one that cannot be read is a problem like any other. */
export function readConfigFile(path: string): ConfigReading<Config> {
  const refused = (message: string): ConfigReading<Config> => ({
    kind: 'refused',
    problems: [{ file: path, position: null, key: '', message }],
  })
  let text: string
  let descriptor: number | undefined
  try {
    // A named pipe must not hold the daemon's start.
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    const facts = fstatSync(descriptor)
    if (facts.isDirectory()) return refused('is a directory; expected a YAML file')
    if (!facts.isFile()) return refused('is not a regular file; expected a YAML file')
    if (facts.size > LARGEST_FILE)
      return refused(`is larger than ${LARGEST_FILE} bytes; expected a YAML file`)
    text = new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(descriptor))
  } catch (error) {
    return refused(sayReadFault(error))
  } finally {
    if (descriptor !== undefined) closeSync(descriptor)
  }
  return readConfig(text, { file: path, faultOf: whyUnreadable })
}

/**
 * Reads a configuration from its YAML text. All problems at once, in the order of the file. With `faultOf` the files that
 * it names are looked at too.
 */
export function readConfig(
  text: string,
  { file, faultOf = () => null }: { readonly file: string; readonly faultOf?: FaultOf },
): ConfigReading<Config> {
  const lines = new LineCounter()
  const { document, faults } = readYaml(text, lines)
  const problemAt = (offset: number, message: string): ConfigProblem => ({
    file,
    position: at(lines, offset),
    key: '',
    message,
  })
  if (faults.length > 0) {
    return refuse(faults.map(({ offset, message }) => problemAt(offset, message)))
  }

  let plain: unknown
  try {
    plain = document.toJS({ maxAliasCount: MOST_ALIASES })
  } catch {
    return refuse([problemAt(0, `aliases refer to aliases too often; at most ${MOST_ALIASES} are followed`)])
  }

  const parsed = CONFIG_SCHEMA.safeParse(plain)
  if (!parsed.success) {
    // An account with a misspelt `password` has none; saying both would be saying it twice.
    const misspelt = new Set(
      parsed.error.issues.filter(({ code }) => code === 'unrecognized_keys').map(({ path }) => sayKey(path)),
    )
    const issues = parsed.error.issues.filter(
      ({ code, path }) => code !== 'custom' || !misspelt.has(sayKey(path)),
    )
    return refuse(issues.flatMap(problemsOf))
  }
  const config = finish(parsed.data)
  const { problems, warnings } = checkTogether(config)
  const place = ({ path, message }: { path: readonly PropertyKey[]; message: string }): ConfigProblem => ({
    file,
    position: positionOfValue(document, lines, path),
    key: sayKey(path),
    message,
  })
  if (problems.length > 0) return refuse(problems.map(place))
  return { kind: 'ok', config, warnings: [...warnings, ...checkLogs(config, faultOf)].map(place) }

  function problemsOf(issue: z.core.$ZodIssue): ConfigProblem[] {
    const key = sayKey(issue.path)
    if (issue.code !== 'unrecognized_keys') {
      const value = valueAt(plain, issue.path)
      const message = sayIssue(issue, value)
      return [{ file, position: positionOfValue(document, lines, issue.path), key, message }]
    }
    return issue.keys.map((name) => ({
      file,
      position: positionOfKey(document, lines, issue.path, name),
      key,
      message: sayIssue({ ...issue, keys: [name] }, undefined),
    }))
  }
}

interface YamlFault {
  readonly offset: number
  readonly message: string
}

function readYaml(text: string, lines: LineCounter): { document: Document; faults: YamlFault[] } {
  let document: Document
  try {
    document = parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: 'error' })
  } catch {
    // The parser recurses: some thousand nested brackets end its stack.
    return {
      document: parseDocument(''),
      faults: [{ offset: 0, message: sayYamlFault('RESOURCE_EXHAUSTION', '') }],
    }
  }
  const seen = [...document.errors, ...document.warnings]
  const tooDeep = seen.filter(({ code }) => code === 'RESOURCE_EXHAUSTION')
  // One slip makes a parser stumble again and again: what follows the first few says nothing new.
  const stumbled = new Set<string>()
  const news = (tooDeep.length > 0 ? tooDeep : seen).filter(({ code }) => {
    const isKnown = stumbled.has(code)
    if (STUMBLES.has(code)) stumbled.add(code)
    return !isKnown
  })
  const faults = news.slice(0, MOST_YAML_FAULTS).map((fault) => ({
    offset: fault.pos[0],
    message: sayYamlFault(fault.code, text.slice(fault.pos[0], fault.pos[0] + 80)),
  }))
  if (faults.length === 0) {
    visit(document, {
      Alias: (_, alias) => {
        if (alias.resolve(document)) return
        faults.push({ offset: alias.range?.[0] ?? 0, message: sayYamlFault('UNKNOWN_ALIAS', '') })
      },
    })
  }
  return { document, faults }
}

function refuse(problems: readonly ConfigProblem[]): ConfigReading<Config> {
  const sorted = [...problems].sort(
    (a, b) =>
      (a.position?.line ?? 0) - (b.position?.line ?? 0) ||
      (a.position?.column ?? 0) - (b.position?.column ?? 0),
  )
  return { kind: 'refused', problems: sorted.slice(0, MOST_PROBLEMS) }
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let current = value
  for (const part of path) {
    if (typeof current !== 'object' || current === null || !Object.hasOwn(current, part)) return undefined
    current = (current as Record<PropertyKey, unknown>)[part]
  }
  return current
}

/** Brings every rate to a second, and hashes the passwords, so that the plain ones end here. */
function finish(read: z.output<typeof CONFIG_SCHEMA>): Config {
  const { accounts, realm } = read.registrar
  const { limits } = read
  return {
    ...read,
    limits: {
      ...limits,
      follow: { total: limits.total.perSecond === 'auto', strict: limits.strict.total.perSecond === 'auto' },
      total: beginning(limits.total, BEGINNING.total),
      strict: {
        ...limits.strict,
        port: aSecond(limits.strict.port),
        total: beginning(limits.strict.total, BEGINNING.strict),
      },
      answered: aSecond(limits.answered),
      ignoring: aSecond(limits.ignoring),
    },
    gateways: read.gateways.map(gatewayOf),
    registrar: {
      ...read.registrar,
      accounts: accounts.map(({ user, password, ha1 }) => ({
        user,
        ha1: ha1
          ? {
              ...(ha1.md5 === undefined ? {} : { md5: ha1.md5.toLowerCase() }),
              ...(ha1.sha256 === undefined ? {} : { sha256: ha1.sha256.toLowerCase() }),
            }
          : hashPassword({ user, realm, password: password ?? '' }),
      })),
    },
  }
}

/** What a limit that follows the capacity begins at, and holds while nobody knows the capacity. */
const BEGINNING = { total: 2_000, strict: 1_500 } as const

function beginning(
  { perSecond, burst }: { perSecond: 'auto' | number; burst: number },
  unlessGiven: number,
): RateLimit {
  return { perSecond: perSecond === 'auto' ? unlessGiven : perSecond, burst }
}

function aSecond({ perMinute, burst }: { perMinute: number; burst: number }): RateLimit {
  return { perSecond: perMinute / 60, burst }
}

function sayReadFault(error: unknown): string {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ENOENT':
      return 'no such file; make one with `ringfence config init --interfaces eth0 --out FILE`'
    case 'EACCES':
    case 'EPERM':
      return 'may not be read by this user; try again as root'
    case 'ENOTDIR':
      return 'a part of its path is not a directory'
    case 'ERR_ENCODING_INVALID_ENCODED_DATA':
      return 'is not UTF-8 text; expected a YAML file'
    default:
      return `cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`
  }
}
