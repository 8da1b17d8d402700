import { writeFileSync } from 'node:fs'
import type { Running } from './running.ts'
import type { Stage, StageHost } from './stage.ts'

/**
 * Debian's Kamailio as the softswitch: digest accounts of which user N has the password `pwN`, bindings in memory.
 * With `sharedNonces` it gives all sources the same nonce within a second, which is its default.
 */
export async function startKamailio(
  stage: Stage,
  host: StageHost,
  options: { sharedNonces: boolean; port?: number },
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
request_route {
  if (!is_method("REGISTER")) { sl_send_reply("200", "OK"); exit; }
  $var(password) = "pw" + $aU;
  if (!pv_auth_check("$td", "$var(password)", "0", "0")) { auth_challenge("$td", "1"); exit; }
  save("location");
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
