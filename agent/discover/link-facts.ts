import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import type { LinkFacts } from './interfaces.ts'

/** The texts that the facts are read from. */
export interface LinkTexts {
  /** `ip -j -d link show` */
  readonly links: string
  /** `ip -j addr show` */
  readonly addresses: string
  /** `ip -j -4 route show default` and `ip -j -6 route show default` */
  readonly routes: readonly string[]
  /** `/proc/net/pppoe`; empty where the kernel has none. */
  readonly pppoe: string
}

/** The facts of all interfaces of this network namespace. Fails when `ip` (iproute2) is not there. */
export async function readLinkFacts(): Promise<readonly LinkFacts[]> {
  const [links, addresses, routes4, routes6, pppoe] = await Promise.all([
    ip(['-d', 'link', 'show']),
    ip(['addr', 'show']),
    ip(['-4', 'route', 'show', 'default']),
    // A kernel without IPv6 answers with an error: then there is no such route.
    ip(['-6', 'route', 'show', 'default']).catch(() => ''),
    readFile('/proc/net/pppoe', 'utf8').catch(() => ''),
  ])
  return parseLinkFacts({ links, addresses, routes: [routes4, routes6], pppoe })
}

/** Reads what `ip -j` and the kernel print; entries that make no sense are left out. */
export function parseLinkFacts(texts: LinkTexts): readonly LinkFacts[] {
  const defaultDevices = new Set(texts.routes.flatMap((text) => objectsOf(text).flatMap(devicesOfRoute)))
  const pppoeDevices = new Set(
    texts.pppoe
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/).at(-1) ?? ''),
  )
  const addressesOf = new Map<string, readonly string[]>()
  for (const entry of objectsOf(texts.addresses)) {
    addressesOf.set(textOf(entry.ifname) ?? '', listOf(entry.addr_info).flatMap(reachableAddress))
  }
  const facts: LinkFacts[] = []
  for (const entry of objectsOf(texts.links)) {
    const name = textOf(entry.ifname)
    if (name === null) continue
    const info = isObject(entry.linkinfo) ? entry.linkinfo : {}
    const flags = listOf(entry.flags)
    facts.push({
      name,
      linkType: textOf(entry.link_type) ?? 'unknown',
      kind: textOf(info.info_kind),
      master: textOf(entry.master),
      memberKind: textOf(info.info_slave_kind),
      link: textOf(entry.link),
      isUp: flags.includes('UP'),
      hasCarrier: !flags.includes('NO-CARRIER') && entry.operstate !== 'LOWERLAYERDOWN',
      addresses: addressesOf.get(name) ?? [],
      isDefaultRoute: defaultDevices.has(name),
      carriesPppoe: pppoeDevices.has(name),
    })
  }
  return facts
}

async function ip(args: readonly string[]): Promise<string> {
  const { stdout } = await runFile('ip', ['-j', ...args], {
    timeout: 10_000,
    maxBuffer: MOST_BYTES,
    env: { ...process.env, LC_ALL: 'C' },
  })
  return stdout
}

/** Not by execa: the sensor's start would wait for that to be loaded. */
const runFile = promisify(execFile)
/** Some hundred bytes for each of many thousand interfaces. */
const MOST_BYTES = 64 * 1024 * 1024

type JsonObject = Readonly<Record<string, unknown>>

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

/** `ip -j` prints nothing at all, or an array with empty objects, where there is nothing to say. */
function objectsOf(text: string): readonly JsonObject[] {
  return text.trim() === '' ? [] : listOf(JSON.parse(text)).filter(isObject)
}

function devicesOfRoute(route: JsonObject): readonly string[] {
  const hops = listOf(route.nexthops).filter(isObject)
  return [route, ...hops].flatMap((hop) => textOf(hop.dev) ?? [])
}

function reachableAddress(value: unknown): readonly string[] {
  if (!isObject(value) || value.scope !== 'global') return []
  const address = textOf(value.local)
  return address === null ? [] : [`${address}/${String(value.prefixlen)}`]
}
