import { writeFileSync } from 'node:fs'
import type { Running } from './running.ts'
import type { Stage, StageHost } from './stage.ts'

const ASKS = `
loadmodule "kex.so"
loadmodule "nathelper.so"
modparam("usrloc", "nat_bflag", 6)
modparam("nathelper", "received_avp", "$avp(received)")
modparam("registrar", "received_avp", "$avp(received)")
modparam("nathelper", "natping_interval", 1)
modparam("nathelper", "ping_nated_only", 1)
modparam("nathelper", "sipping_bflag", 6)
modparam("nathelper", "sipping_from", "sip:health@softswitch.example")
`

const CALLERS = `
  if (is_method("INVITE|MESSAGE")) {
    $var(password) = "pw" + $aU;
    if (!pv_auth_check("$fd", "$var(password)", "0", "0")) { auth_challenge("$fd", "1"); exit; }
    sl_send_reply("486", "Busy Here");
    exit;
  }
  `

/**
 * Debian's Kamailio as the softswitch: digest accounts of which user N has the password `pwN`, bindings in memory.
 * With `sharedNonces` it gives all sources the same nonce within a second, which is its default. With `asks` it asks
 * whoever is registered over UDP by OPTIONS, once a second. Users that `knows`, a regular expression, does not match
 * it answers 404; without it, nobody. `asksCallers`: it challenges INVITEs and MESSAGEs as well, and every callee is busy.
 */
export async function startKamailio(
  stage: Stage,
  host: StageHost,
  options: { sharedNonces: boolean; port?: number; asks?: boolean; asksCallers?: boolean; knows?: string },
): Promise<Running> {
  const port = options.port ?? 5060
  const file = stage.path('kamailio.cfg')
  writeFileSync(
    file,
    `#!KAMAILIO
debug=0
log_stderror=yes
children=4
tcp_children=2
auto_aliases=no
listen=udp:${host.address}:${port}
listen=tcp:${host.address}:${port}
loadmodule "pv.so"
loadmodule "sl.so"
loadmodule "tm.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
${options.sharedNonces ? '' : 'modparam("auth", "nonce_count", 1)'}
modparam("auth", "qop", "auth")
${options.asks ? ASKS : ''}
request_route {
  ${options.asksCallers ? CALLERS : ''}if (!is_method("REGISTER")) { sl_send_reply("200", "OK"); exit; }
  ${options.knows === undefined ? '' : `if (!($tU =~ "${options.knows}")) { sl_send_reply("404", "Not Found"); exit; }`}
  $var(password) = "pw" + $aU;
  if (!pv_auth_check("$td", "$var(password)", "0", "0")) { auth_challenge("$td", "1"); exit; }
  ${options.asks ? 'fix_nated_register(); setbflag(6); ' : ''}save("location");
  exit;
}
`,
  )
  const args = [
    '-f',
    file,
    '-DD',
    '-E',
    '-m',
    '64',
    '-P',
    stage.path('kamailio.pid'),
    '-Y',
    stage.folder,
    '-w',
    stage.folder,
  ]
  const kamailio = stage.start(host, 'kamailio', args)
  await kamailio.says(/Listening on[\s\S]*Aliases/)
  return kamailio
}
