import { mkdirSync, writeFileSync } from 'node:fs'
import type { Running } from './running.ts'
import type { Stage, StageHost } from './stage.ts'

/** Debian's baresip as a phone: it registers every ten seconds, from the port that is given, and answers OPTIONS. */
export function startBaresip(
  stage: Stage,
  host: StageHost,
  options: { server: string; user: string; password: string; port: number },
): Running {
  const { server, user, password, port } = options
  const home = stage.path(`baresip-${host.address}-${port}`)
  mkdirSync(home)
  const modules = ['account', 'menu'].map((name) => `module_app ${name}.so`).join('\n')
  writeFileSync(
    `${home}/config`,
    `sip_listen ${host.address}:${port}\nmodule_path /usr/lib/baresip/modules\n${modules}\n`,
  )
  writeFileSync(`${home}/accounts`, `<sip:${user}@${server}>;auth_pass=${password};regint=10\n`)
  writeFileSync(`${home}/contacts`, '')
  return stage.start(host, 'baresip', ['-f', home])
}
