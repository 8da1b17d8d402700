import { readFileSync, writeFileSync } from 'node:fs'
import type { Program } from './program.ts'
import { until } from './program.ts'
import { SERVER, type SiegeStage } from './stage.ts'

/** How a softswitch makes its nonces: `shared` is Kamailio's default, all sources get the same within a second. */
export type Nonces = 'shared' | 'unique'

/** What a guard needs in the softswitch's own configuration, in Kamailio's language. */
export interface SoftswitchAdditions {
  readonly modules?: string
  /** Before everything else that is done with a request. */
  readonly atRequest?: string
  /** Whether it logs each wrong password with its source. */
  readonly logsFailures?: boolean
}

export const NOTHING_ADDED: SoftswitchAdditions = {}
/** For guards that read logs: `authentication failed for USER from ADDRESS:PORT`. */
export const FAILURES_LOGGED: SoftswitchAdditions = { logsFailures: true }

/** Where calls to the user `called` go: beside the softswitch, reached as a carrier is. */
export const CARRIER = { address: '10.50.250.2', port: 5_060 } as const
/** The user whom callers call. */
export const CALLED = 'called'

/**
 * Debian's Kamailio as the softswitch: user N has the password `pwN`, bindings in memory, and 1 ms of look-up for each
 * REGISTER in four workers, so that it does some 4,000 a second as one does that asks a database. Calls to `CALLED`
 * go to the carrier, and it stays on their way; any other request is answered 200. `added` is what its guard needs.
 */
export async function startSoftswitch(
  stage: SiegeStage,
  nonces: Nonces,
  added: SoftswitchAdditions = NOTHING_ADDED,
): Promise<Program> {
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
loadmodule "rr.so"
loadmodule "xlog.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
loadmodule "cfgutils.so"
${nonces === 'shared' ? '' : 'modparam("auth", "nonce_count", 1)'}
modparam("auth", "qop", "auth")
modparam("registrar", "max_contacts", 5)
${added.modules ?? ''}
request_route {
  ${added.atRequest ?? ''}
  if (!is_method("REGISTER")) { route(CALLS); sl_send_reply("200", "OK"); exit; }
  usleep("1000");
  $var(password) = "pw" + $aU;
  if (!pv_auth_check("$td", "$var(password)", "0", "0")) {
    ${added.logsFailures === true ? LOG_FAILURE : ''}
    auth_challenge("$td", "1");
    exit;
  }
  save("location");
  exit;
}
route[CALLS] {
  if (has_totag()) {
    if (loose_route()) { t_relay(); exit; }
    if (is_method("ACK")) { exit; }
    return;
  }
  if (is_method("CANCEL")) { if (t_check_trans()) { t_relay(); } exit; }
  if (is_method("INVITE") && $rU == "${CALLED}") {
    record_route();
    $du = "sip:${CARRIER.address}:${CARRIER.port}";
    t_relay();
    exit;
  }
}
`,
  )
  const files = ['-P', stage.path('kamailio.pid'), '-Y', stage.folder, '-w', stage.folder]
  const args = ['-f', file, '-DD', '-E', '-m', '256', ...files]
  const kamailio = stage.start('switch', 'kamailio', args, { errorsTo: stage.softswitchLog })
  await until(async () => (await listening(stage)) || !kamailio.isRunning, {
    within: 15_000,
    what: 'the softswitch',
  })
  if (!kamailio.isRunning) throw new Error(`kamailio ended:\n${kamailio.errors.slice(-2_000)}`)
  return kamailio
}

/** -2: a wrong password; what is merely stale or without credentials is no failure. */
const LOG_FAILURE = 'if ($rc == -2) { xlog("L_ALERT", "authentication failed for $au from $si:$sp\\n"); }'

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
