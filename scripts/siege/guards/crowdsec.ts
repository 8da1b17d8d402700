import { cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Program, until } from '../program.ts'
import type { SiegeStage } from '../stage.ts'
import type { Ban, SiegeGuard } from './guard.ts'
import { figuresOfProcesses, type ProcessFigures } from './processes.ts'

/** Debian's packages of CrowdSec and its firewall bouncer, and the copy of the hub that is in the former. */
const HUB = '/usr/share/crowdsec/hub'
const PATTERNS = '/etc/crowdsec/patterns'
const SET = 'crowdsec-blacklists'
/** It is nobody's but the stage's: its server listens on the loopback of a namespace. */
const KEY = 'siege'

/**
 * CrowdSec without its central API: the hub's scenarios for failed SIP registrations (Asterisk's, 6 failures at 10 s each,
 * unchanged) over the softswitch's log, a ban of four hours as the package has it, and the bouncer with iptables. The hub
 * has no parser for Kamailio, so that one is ours. Its whitelist of private addresses is left out: all phones have such.
 */
export class Crowdsec implements SiegeGuard {
  readonly #stage: SiegeStage
  readonly #log: string
  readonly #folder: string
  #programs: readonly Program[] = []

  /** `log` is the file that the softswitch writes its failures to. */
  constructor(stage: SiegeStage, log: string) {
    this.#stage = stage
    this.#log = log
    this.#folder = stage.path('crowdsec')
  }

  async start(): Promise<void> {
    for (const [name, text] of this.#files()) writeFileSync(this.#prepared(name), text)
    const config = this.#path('config.yaml')
    const admin = (...args: readonly string[]) => this.#stage.run('switch', 'cscli', ['-c', config, ...args])
    await admin('machines', 'add', 'siege', '--password', KEY, '-f', this.#path('credentials.yaml'))
    await admin('bouncers', 'add', 'siege', '-k', KEY)
    const engine = this.#stage.start('switch', 'crowdsec', ['-c', config])
    await this.#listening(engine)
    const bouncer = this.#stage.start('switch', 'crowdsec-firewall-bouncer', [
      '-c',
      this.#path('bouncer.yaml'),
    ])
    this.#programs = [engine, bouncer]
    const isUp = async () => {
      if (!bouncer.isRunning) throw new Error(`the bouncer ended:\n${bouncer.output}${bouncer.errors}`)
      return (await this.#stage.run('switch', 'iptables', ['-S', 'INPUT'])).includes(SET)
    }
    await until(isUp, { within: 60_000, what: "CrowdSec's bouncer", every: 300 })
  }

  async end(): Promise<void> {
    for (const program of [...this.#programs].reverse()) await program.end()
  }

  figures(): Readonly<Record<string, ProcessFigures>> {
    const [engine, bouncer] = this.#programs
    const of = (program: Program | undefined) => figuresOfProcesses(program ? [program.pid] : [])
    return { crowdsec: of(engine), bouncer: of(bouncer) }
  }

  async banned(): Promise<readonly Ban[]> {
    return readCrowdsecBans(await this.#stage.run('switch', 'ipset', ['save', SET]))
  }

  async dropsByRule(): Promise<Readonly<Record<string, number>>> {
    const saved = await this.#stage.run('switch', 'iptables-save', ['-c', '-t', 'filter'])
    const counts = [...saved.matchAll(new RegExp(`^\\[(\\d+):\\d+\\] -A INPUT .*--match-set ${SET} `, 'gm'))]
    return { [SET]: counts.reduce((sum, [, packets]) => sum + Number(packets), 0) }
  }

  async #listening(engine: Program): Promise<void> {
    const isUp = async () => {
      if (!engine.isRunning) throw new Error(`crowdsec ended:\n${engine.output}${engine.errors}`)
      return (await this.#stage.run('switch', 'ss', ['-Hltn', 'sport', '=', ':8080'])).includes(':8080')
    }
    await until(isUp, { within: 60_000, what: 'CrowdSec', every: 300 })
  }

  #path(name: string): string {
    return join(this.#folder, name)
  }

  #prepared(name: string): string {
    const file = this.#path(name)
    mkdirSync(join(file, '..'), { recursive: true })
    return file
  }

  #files(): readonly (readonly [string, string])[] {
    const path = (name: string) => this.#path(name)
    for (const name of [
      'data',
      'notifications',
      'plugins',
      'scenarios',
      'parsers/s00-raw',
      'parsers/s01-parse',
    ])
      mkdirSync(path(name), { recursive: true })
    cpSync(HUB, path('hub'), { recursive: true })
    cpSync(PATTERNS, path('patterns'), { recursive: true })
    const raw = 'parsers/s00-raw'
    cpSync(join(HUB, raw, 'crowdsecurity/syslog-logs.yaml'), path(`${raw}/syslog-logs.yaml`))
    for (const name of ['asterisk_bf.yaml', 'asterisk_user_enum.yaml'])
      cpSync(join(HUB, 'scenarios/crowdsecurity', name), path(`scenarios/${name}`))
    return [
      ['config.yaml', configText(this.#folder)],
      ['acquis.yaml', `filenames: [${this.#log}]\nlabels: { type: kamailio }\n`],
      ['simulation.yaml', 'simulation: false\n'],
      ['console.yaml', 'share_manual_decisions: false\nshare_custom: false\nshare_tainted: false\n'],
      ['profiles.yaml', PROFILES],
      ['parsers/s01-parse/kamailio.yaml', PARSER],
      ['bouncer.yaml', bouncerText(this.#folder)],
    ]
  }
}

const PARSER = `name: siege/kamailio-logs
filter: "evt.Parsed.program == 'kamailio'"
onsuccess: next_stage
nodes:
  - grok:
      pattern: 'authentication failed for %{NOTSPACE:username} from %{IPV4:source_ip}:%{NUMBER:source_port}'
      apply_on: message
statics:
  - { meta: log_type, value: asterisk_failed_auth }
  - { meta: service, value: kamailio }
  - { meta: source_ip, expression: evt.Parsed.source_ip }
  - { meta: target_user, expression: evt.Parsed.username }
`

const PROFILES = `name: default_ip_remediation
filters: ['Alert.Remediation == true && Alert.GetScope() == "Ip"']
decisions: [{ type: ban, duration: 4h }]
on_success: break
`

function configText(folder: string): string {
  return `common: { daemonize: false, log_media: stdout, log_level: info, working_dir: ${folder} }
config_paths:
  config_dir: ${folder}/
  data_dir: ${folder}/data/
  simulation_path: ${folder}/simulation.yaml
  hub_dir: ${folder}/hub/
  index_path: ${folder}/hub/.index.json
  notification_dir: ${folder}/notifications/
  plugin_dir: ${folder}/plugins/
crowdsec_service: { acquisition_path: ${folder}/acquis.yaml, parser_routines: 1 }
cscli: { output: human }
db_config: { log_level: error, type: sqlite, db_path: ${folder}/data/crowdsec.db, use_wal: true }
plugin_config: { user: nobody, group: nogroup }
api:
  client: { credentials_path: ${folder}/credentials.yaml }
  server:
    log_level: error
    listen_uri: 127.0.0.1:8080
    profiles_path: ${folder}/profiles.yaml
    console_path: ${folder}/console.yaml
prometheus: { enabled: false }
`
}

function bouncerText(folder: string): string {
  return `mode: iptables
pid_dir: ${folder}/
update_frequency: 10s
daemonize: false
log_mode: stdout
log_level: info
api_url: http://127.0.0.1:8080/
api_key: ${KEY}
disable_ipv6: true
deny_action: DROP
supported_decisions_types: [ban]
blacklists_ipv4: ${SET}
ipset_type: nethash
iptables_chains: [INPUT]
prometheus: { enabled: false }
`
}

/** The addresses in the bouncer's set, from what `ipset save` says. */
export function readCrowdsecBans(saved: string): readonly Ban[] {
  return [...saved.matchAll(/^add \S+ ([\d.]+(?:\/\d+)?)/gm)].map(([, target]) => ({
    id: target!,
    target: target!,
    by: 'crowdsec',
    reason: 'asterisk_bf or asterisk_user_enum',
  }))
}
