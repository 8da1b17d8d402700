import { readFileSync, writeFileSync } from 'node:fs'
import type { Program } from './program.ts'
import { until } from './program.ts'
import { SERVER, type SiegeStage } from './stage.ts'

/** How a softswitch makes its nonces: `shared` is Kamailio's default, all sources get the same within a second. */
export type Nonces = 'shared' | 'unique'

/**
 * Debian's Kamailio as the softswitch: user N has the password `pwN`, bindings in memory, and 1 ms of look-up for each
 * REGISTER in four workers, so that it does some 4,000 a second as one does that asks a database.
 */
export async function startSoftswitch(stage: SiegeStage, nonces: Nonces): Promise<Program> {
  const file = stage.path('kamailio.cfg')
  writeFileSync(
    file,
    `#!KAMAILIO
debug=-1
log_stderror=yes
children=4
tcp_children=2
auto_aliases=no
listen=udp:${SERVER}:5060
listen=tcp:${SERVER}:5060
loadmodule "pv.so"
loadmodule "sl.so"
loadmodule "tm.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
loadmodule "cfgutils.so"
${nonces === 'shared' ? '' : 'modparam("auth", "nonce_count", 1)'}
modparam("auth", "qop", "auth")
modparam("registrar", "max_contacts", 5)
request_route {
  if (!is_method("REGISTER")) { sl_send_reply("200", "OK"); exit; }
  usleep("1000");
  $var(password) = "pw" + $aU;
  if (!pv_auth_check("$td", "$var(password)", "0", "0")) { auth_challenge("$td", "1"); exit; }
  save("location");
  exit;
}
`,
  )
  const files = ['-P', stage.path('kamailio.pid'), '-Y', stage.folder, '-w', stage.folder]
  const kamailio = stage.start('switch', 'kamailio', ['-f', file, '-DD', '-E', '-m', '256', ...files])
  await until(async () => (await listening(stage)) || !kamailio.isRunning, {
    within: 15_000,
    what: 'the softswitch',
  })
  if (!kamailio.isRunning) throw new Error(`kamailio ended:\n${kamailio.errors.slice(-2_000)}`)
  return kamailio
}

async function listening(stage: SiegeStage): Promise<boolean> {
  return (await stage.run('switch', 'ss', ['-Hlun', 'sport', '=', ':5060'])).includes(':5060')
}

/** Datagrams for the softswitch since it began: those that it read, and those for which its socket had no room. */
export interface Arrived {
  readonly read: number
  readonly refused: number
}

/**
 * By the counters of UDP of the softswitch's own namespace, in which nobody else has a UDP socket that is written to:
 * they cost nothing and need no rule.
 */
export function arrivedAt(softswitch: Program): Arrived {
  const lines = readFileSync(`/proc/${softswitch.pid}/net/snmp`, 'latin1').split('\n')
  const [names, values] = lines.filter((line) => line.startsWith('Udp:')).map((line) => line.split(' '))
  const of = (name: string) => Number(values![names!.indexOf(name)])
  return { read: of('InDatagrams'), refused: of('RcvbufErrors') }
}
