import { mkdirSync, writeFileSync } from 'node:fs'
import type { Running } from './running.ts'
import type { Stage, StageHost } from './stage.ts'

/** A registration as a phone does it: REGISTER, 401, REGISTER with credentials, 200, retransmitted by RFC 3261. */
function scenario(realm: string): string {
  const register = (cseq: number, credentials: string) => `<send retrans="500"><![CDATA[
REGISTER sip:${realm} SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
Max-Forwards: 70
From: <sip:[field0]@${realm}>;tag=[pid]t[call_number]
To: <sip:[field0]@${realm}>
Call-ID: [call_id]
CSeq: ${cseq} REGISTER
Contact: <sip:[field0]@[local_ip]:[local_port]>
Expires: 60
${credentials}User-Agent: Honest Phone 1.0
Content-Length: 0

]]></send>`
  return `<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="register">
${register(1, '')}
<recv response="401" auth="true"/>
${register(2, '[field1]\n')}
<recv response="200"/>
</scenario>
`
}

export interface PhonesOptions {
  /** Users 1001, 1002, … with passwords pw1001, pw1002, … */
  readonly users: readonly number[]
  /** Registrations in all, and how many a second. */
  readonly registrations: number
  readonly perSecond: number
  /** `one-each`: every registration from a port of its own, as phones behind a NAT. */
  readonly sockets?: 'one' | 'one-each'
  readonly transport?: 'udp' | 'tcp'
  readonly port?: number
  readonly realm?: string
  readonly localPort?: number
}

/** Phones played by sipp; exit code 0 when every registration succeeded. */
export function startPhones(stage: Stage, host: StageHost, server: string, options: PhonesOptions): Running {
  const {
    users,
    registrations,
    perSecond,
    sockets = 'one',
    transport = 'udp',
    port = 5060,
    realm = server,
  } = options
  const name = `phones-${host.address}-${options.localPort ?? 5090}-${transport}`
  mkdirSync(stage.path(name), { recursive: true })
  writeFileSync(stage.path(`${name}/register.xml`), scenario(realm))
  const lines = users.map((user) => `${user};[authentication username=${user} password=pw${user}]`)
  writeFileSync(stage.path(`${name}/users.csv`), `SEQUENTIAL\n${lines.join('\n')}\n`)
  const kind = `${transport === 'udp' ? 'u' : 't'}${sockets === 'one' ? '1' : 'n'}`
  const args = [`${server}:${port}`, '-i', host.address, '-p', String(options.localPort ?? 5090), '-t', kind]
  args.push('-sf', 'register.xml', '-inf', 'users.csv', '-r', String(perSecond), '-m', String(registrations))
  args.push('-l', String(Math.max(50, registrations)), '-max_socket', '5000', '-nostdin')
  return stage.start(host, 'sipp', args, { cwd: stage.path(name) })
}

/** How many registrations of sipp succeeded and failed, from its last screen. */
export function phoneCounts(phones: Running): { successes: number; failures: number } {
  const last = (name: string) => {
    const found = [...phones.output.matchAll(new RegExp(`${name} call\\s*\\|[^|]*\\|\\s*(\\d+)`, 'g'))].at(-1)
    return found ? Number(found[1]) : Number.NaN
  }
  return { successes: last('Successful'), failures: last('Failed') }
}

/** A phone that is baresip; it registers and refreshes until it is ended. */
export function startBaresip(
  stage: Stage,
  host: StageHost,
  server: string,
  options: { user: number; password: string; localPort: number; port?: number },
): Running {
  const { user, password, localPort, port = 5060 } = options
  const folder = stage.path(`baresip-${user}-${localPort}`)
  mkdirSync(folder, { recursive: true })
  writeFileSync(
    `${folder}/config`,
    `sip_listen ${host.address}:${localPort}\nmodule_path /usr/lib/baresip/modules\nmodule account.so\nmodule g711.so\n`,
  )
  writeFileSync(
    `${folder}/accounts`,
    `<sip:${user}@${server}:${port};transport=udp>;auth_pass=${password};regint=60\n`,
  )
  writeFileSync(`${folder}/contacts`, '')
  return stage.start(host, 'baresip', ['-f', folder])
}
