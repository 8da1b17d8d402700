import { mkdirSync, writeFileSync } from 'node:fs'
import type { Running } from './running.ts'
import type { Stage, StageHost } from './stage.ts'

const COLUMNS =
  'id(int,auto) l_uuid(string) l_username(string) l_domain(string) r_username(string) r_domain(string) realm(string) ' +
  'auth_username(string) auth_password(string) auth_ha1(string,null) auth_proxy(string) expires(int) flags(int) ' +
  'reg_delay(int) contact_addr(string) socket(string,null)'

/** Debian's Kamailio as somebody's trunk: its `uac` module registers user N with the password `pwN` at the server. */
export async function startTrunk(
  stage: Stage,
  host: StageHost,
  { server, user }: { readonly server: string; readonly user: string },
): Promise<Running> {
  const database = stage.path('trunk')
  mkdirSync(database)
  const row = [
    1,
    'trunk',
    user,
    server,
    user,
    server,
    server,
    user,
    `pw${user}`,
    '',
    `sip\\:${server}`,
    60,
    0,
    0,
  ]
  writeFileSync(`${database}/uacreg`, `${COLUMNS}\n${[...row, `${host.address}\\:5060`, ''].join(':')}\n`)
  writeFileSync(`${database}/version`, 'table_name(string) table_version(int)\nuacreg:5\n')
  const file = stage.path('trunk.cfg')
  writeFileSync(
    file,
    `#!KAMAILIO
debug=0
log_stderror=yes
children=1
auto_aliases=no
listen=udp:${host.address}:5060
loadmodule "db_text.so"
loadmodule "pv.so"
loadmodule "sl.so"
loadmodule "tm.so"
loadmodule "rr.so"
loadmodule "uac.so"
modparam("uac", "reg_db_url", "text://${database}")
modparam("uac", "reg_contact_addr", "${host.address}:5060")
modparam("uac", "reg_timer_interval", 5)
request_route { sl_send_reply("200", "OK"); }
`,
  )
  const folder = stage.path('trunk-run')
  mkdirSync(folder)
  const args = ['-f', file, '-DD', '-E', '-m', '32', '-P', `${folder}/pid`, '-Y', folder, '-w', folder]
  const kamailio = stage.start(host, 'kamailio', args)
  await kamailio.says(/Listening on[\s\S]*Aliases/)
  return kamailio
}
