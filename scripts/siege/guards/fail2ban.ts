import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Program, until } from '../program.ts'
import type { SiegeStage } from '../stage.ts'
import type { Ban, SiegeGuard } from './guard.ts'
import { figuresOfProcesses, type ProcessFigures } from './processes.ts'

/** Debian's package, whose actions are used as they are. */
const PACKAGE = '/etc/fail2ban'
const JAIL = 'kamailio'
const CHAIN = `f2b-${JAIL}`

/** What the jail's settings are: fail2ban's own defaults of 5 failures in 10 minutes, banned for 10. */
const SETTINGS = { findtime: 600, maxretry: 5, bantime: 600 }

/**
 * fail2ban as Kamailio's wiki has it: the softswitch logs each wrong password, a filter reads the log, and an address that
 * failed too often is refused on all ports by iptables. All of its files, socket and database are in the stage's folder.
 */
export class Fail2ban implements SiegeGuard {
  readonly #stage: SiegeStage
  readonly #log: string
  #program: Program | undefined

  /** `log` is the file that the softswitch writes its failures to. */
  constructor(stage: SiegeStage, log: string) {
    this.#stage = stage
    this.#log = log
  }

  async start(): Promise<void> {
    const folder = this.#stage.path('fail2ban')
    this.#configure(folder)
    const files = ['-c', folder, '-s', join(folder, 'socket'), '-p', join(folder, 'pid')]
    this.#program = this.#stage.start('switch', 'fail2ban-server', ['-f', '-x', ...files, 'start'])
    const program = this.#program
    const isUp = () => {
      if (!program.isRunning) throw new Error(`fail2ban ended:\n${program.output}${program.errors}`)
      // Its chain is there from the first ban on.
      return readLog(join(folder, 'log')).includes(`Jail '${JAIL}' started`)
    }
    await until(isUp, { within: 60_000, what: 'the start of fail2ban', every: 300 })
  }

  async end(): Promise<void> {
    await this.#program?.end()
  }

  figures(): Readonly<Record<string, ProcessFigures>> {
    return { fail2ban: figuresOfProcesses(this.#program ? [this.#program.pid] : []) }
  }

  async banned(): Promise<readonly Ban[]> {
    return readFail2banBans(await this.#chain())
  }

  async dropsByRule(): Promise<Readonly<Record<string, number>>> {
    const saved = await this.#stage.run('switch', 'iptables-save', ['-c', '-t', 'filter'])
    const counts = [...saved.matchAll(new RegExp(`^\\[(\\d+):\\d+\\] -A ${CHAIN} -s `, 'gm'))]
    return { [CHAIN]: counts.reduce((sum, [, packets]) => sum + Number(packets), 0) }
  }

  async #chain(): Promise<string> {
    return this.#stage.run('switch', 'iptables', ['-S'])
  }

  /** No names are looked up, its own neither: in a namespace without DNS its filter stood still for 20 s. */
  #configure(folder: string): void {
    mkdirSync(join(folder, 'filter.d'), { recursive: true })
    cpSync(join(PACKAGE, 'action.d'), join(folder, 'action.d'), { recursive: true })
    const { findtime, maxretry, bantime } = SETTINGS
    const own = (name: string) => join(folder, name)
    writeFileSync(
      own('fail2ban.conf'),
      `[Definition]
loglevel = INFO
logtarget = ${own('log')}
syslogsocket = auto
socket = ${own('socket')}
pidfile = ${own('pid')}
dbfile = ${own('database.sqlite3')}
dbpurgeage = 1d
dbmaxmatches = 10
[Thread]
stacksize = 0
`,
    )
    writeFileSync(own(`filter.d/${JAIL}.conf`), `[Definition]\nfailregex = ${FILTER}\ndatepattern = {NONE}\n`)
    writeFileSync(
      own('jail.conf'),
      `[${JAIL}]
enabled = true
backend = pyinotify
usedns = no
ignoreself = false
filter = ${JAIL}
logpath = ${this.#log}
findtime = ${findtime}
maxretry = ${maxretry}
bantime = ${bantime}
action = iptables-allports[name=${JAIL}, protocol=all]
`,
    )
  }
}

function readLog(file: string): string {
  return existsSync(file) ? readFileSync(file, 'latin1') : ''
}

/** The line that `softswitch.ts` logs for a wrong password; on standard error it has no time before it. */
const FILTER = 'authentication failed for \\S* from <HOST>:\\d+$'

/** The addresses that a chain of fail2ban's refuses, from what `iptables -S` says. */
export function readFail2banBans(rules: string): readonly Ban[] {
  const found = rules.matchAll(new RegExp(`^-A ${CHAIN} -s ([\\d.]+)(?:/32)? -j \\S+`, 'gm'))
  return [...found].map(([, address]) => ({
    id: address!,
    target: address!,
    by: JAIL,
    reason: `${SETTINGS.maxretry} failures within ${SETTINGS.findtime} s`,
  }))
}
