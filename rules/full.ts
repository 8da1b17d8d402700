import type { SetDefinition, SetPurpose } from './names.ts'

/** From here on a set counts as full: what comes next may find no room. */
export const NEARLY = 0.95

const KNOWN_ARE_SERVED = 'proven, returning, gateway and allowed ones are not touched'
const PEERS_ARE_SERVED =
  'those of proven, returning, gateway and allowed ones and of asked peers are not touched'

/** What it means that a set takes nothing new, and which setting to raise. */
const SETS: Readonly<Record<SetPurpose, { readonly means: string; readonly raise?: string }>> = {
  named: { means: 'new blocks of the operator may miss proven ports', raise: 'kernel.elements' },
  allow: { means: 'what is newly allowed is treated as unknown', raise: 'kernel.elements' },
  dst: { means: 'new protected addresses are not protected', raise: 'kernel.elements' },
  deny: { means: 'new blocks of the operator are not made', raise: 'kernel.elements' },
  gw: { means: 'new gateways are treated as unknown', raise: 'kernel.elements' },
  pvn: { means: 'newly proven ports are served as returning or unknown ones', raise: 'kernel.elements' },
  sip: { means: 'new blocks of verdicts are not made', raise: 'kernel.elements' },
  reg: { means: 'new blocks of REGISTERs are not made', raise: 'kernel.elements' },
  susp: { means: 'new suspensions of an address and port are not made', raise: 'kernel.elements' },
  psip: { means: 'suspensions of scope sip hold only the REGISTERs of a port', raise: 'kernel.elements' },
  susa: { means: 'new suspensions of an address are not made', raise: 'kernel.elements' },
  ans: { means: 'who answers a challenge is still served as unknown', raise: 'kernel.elements' },
  ret1: { means: 'newly returning addresses are served as unknown ones', raise: 'kernel.elements' },
  ret2: { means: 'newly returning addresses are served as unknown ones', raise: 'kernel.elements' },
  ret3: { means: 'newly returning addresses are served as unknown ones', raise: 'kernel.elements' },
  ign: {
    means: 'sources that never answer a challenge are served as unknown ones',
    raise: 'kernel.elements',
  },
  strict: { means: 'the strict limits cannot be switched on' },
  log: { means: 'under a flood the sensor cannot read the log of the kernel' },
  wsip: { means: 'a source over limits.sip is listed in the place of another' },
  seen: {
    means: `under attack, first packets of new unknown sources are dropped unnoted, and so are their second ones; ${KNOWN_ARE_SERVED}`,
    raise: 'kernel.seen',
  },
  asked: {
    means: 'a new peer of the softswitch is noted in the place of another, whose responses share limits.rest',
    raise: 'kernel.elements',
  },
}

/** What it means that a table of buckets takes nothing new, by the short name of the table. */
const TABLES: Readonly<Record<string, string>> = {
  src: `REGISTERs of new unknown sources are dropped; ${KNOWN_ARE_SERVED}`,
  site: `REGISTERs of new unknown sources of a new /56 are dropped; ${KNOWN_ARE_SERVED}`,
  pfx: `REGISTERs of new unknown sources of a new prefix are dropped; ${KNOWN_ARE_SERVED}`,
  ssrc: `under attack, REGISTERs of new unknown sources are dropped; ${KNOWN_ARE_SERVED}`,
  ssite: `under attack, REGISTERs of new unknown sources of a new /56 are dropped; ${KNOWN_ARE_SERVED}`,
  spfx: `under attack, REGISTERs of new unknown sources of a new prefix are dropped; ${KNOWN_ARE_SERVED}`,
  port: `under attack, REGISTERs of new unknown ports are dropped; ${KNOWN_ARE_SERVED}`,
  rport:
    'under attack, REGISTERs of new unproven ports of returning addresses are dropped; proven, gateway and allowed ones are not touched',
  sip: `requests of new unknown sources are dropped; ${PEERS_ARE_SERVED}`,
  call: `requests inside calls of new unknown sources are dropped; ${PEERS_ARE_SERVED}`,
  sipp: `requests of new unknown sources of a new prefix are dropped; ${PEERS_ARE_SERVED}`,
  callp: `requests inside calls of new unknown sources of a new prefix are dropped; ${PEERS_ARE_SERVED}`,
  kpa: `keepalives of new unknown sources are dropped; ${KNOWN_ARE_SERVED}`,
  ask: 'responses of new peers are dropped; those of proven, gateway and allowed ones are not touched',
  con: 'new TCP connections of new unknown sources are refused; those of returning, gateway and allowed ones are not touched',
  conp: 'new TCP connections of unknown sources of a new prefix are refused; those of returning, gateway and allowed ones are not touched',
}

/** Sets and tables that take nothing new, each as a sentence. */
export function describeFull(input: {
  readonly definitions: Iterable<SetDefinition>
  /** How many elements the kernel holds, by set. */
  readonly sizes: ReadonlyMap<string, number>
  /** Members of lanes that found no room, by set. */
  readonly leftOut: ReadonlyMap<string, number>
  /** Packets that full tables dropped of late, by table. */
  readonly tables: ReadonlyMap<string, number>
  /** Packets dropped of late because no more may be added in a second, by set: a gate keeps such a set from being full. */
  readonly shut: ReadonlyMap<string, number>
}): readonly string[] {
  const { definitions, sizes, leftOut, tables, shut } = input
  const sentences: string[] = []
  for (const { name, purpose, maxElements } of definitions) {
    const size = sizes.get(name) ?? 0
    const waiting = leftOut.get(name) ?? 0
    const dropped = shut.get(name) ?? 0
    if (size < maxElements * NEARLY && waiting === 0 && dropped === 0) continue
    const { means, raise } = SETS[purpose]
    const advice = raise === undefined ? '' : ` Raise ${raise}.`
    if (dropped > 0) {
      const packets = `${dropped} packets dropped since the last look`
      sentences.push(`More comes than the set ${name} may take in a second (${packets}): ${means}.${advice}`)
      continue
    }
    const without = waiting > 0 ? `, ${waiting} found no room` : ''
    sentences.push(`The set ${name} is full (${size} of ${maxElements}${without}): ${means}.${advice}`)
  }
  for (const [table, packets] of tables) {
    const means = TABLES[shortNameOf(table)] ?? 'what is new to it is dropped'
    sentences.push(
      `The table ${table} is full (${packets} packets dropped since the last look): ${means}. Raise kernel.buckets.`,
    )
  }
  return sentences
}

/** `rf-src4-5sec-10-65536` is the table `src` of IPv4. */
function shortNameOf(table: string): string {
  return /^rf-([a-z]+)[46]-/.exec(table)?.[1] ?? ''
}
