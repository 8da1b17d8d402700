import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildApi } from '../dashboard/api/app.ts'
import { ListenError, listenOnWeb } from '../dashboard/api/listen.ts'
import { loadOrCreatePassword, PasswordFileError } from '../dashboard/api/password.ts'
import { Agent } from './agent.ts'
import { readPackageVersion } from './cli/version.ts'
import type { Config } from './config/config.ts'
import { ConfigRefused } from './config/problem.ts'
import { loadConfig } from './config/read-config.ts'
import { ControlDoor } from './control/control-door.ts'
import { openLog } from './host/log.ts'
import { notifySystemd } from './host/notify-systemd.ts'
import { JournalError } from './journal/journal.ts'
import { openJournal } from './journal/open-journal.ts'

const EXIT_FAILED = 1

/**
 * Runs the daemon in the foreground until SIGTERM or SIGINT. SIGHUP reads the configuration again; one that is
 * refused changes nothing. Resolves to the exit code.
 */
export async function runDaemon(options: { readonly configFile: string }): Promise<number> {
  const log = openLog()
  try {
    return await run(options.configFile, log)
  } catch (error) {
    if (!isExpected(error)) throw error
    log.fatal(error.message)
    return EXIT_FAILED
  }
}

async function run(configFile: string, log: ReturnType<typeof openLog>): Promise<number> {
  const config = loadConfig(configFile)
  const version = readPackageVersion()
  const { journal, notice } = openJournal({ file: join(config.data, 'ringfence.db'), now: Date.now })
  if (notice) log.warn(notice)
  const agent = new Agent({ config, configFile, journal, log, version, clock: Date.now })

  const doors: { close(): Promise<unknown> }[] = []
  try {
    // The socket first: a second daemon must find out before it touches the kernel.
    doors.push(
      await ControlDoor.open({
        build: () => buildApi({ plane: agent.plane, door: { kind: 'socket' }, version }),
        path: config.control.socket,
        group: config.control.group,
        log: {
          info: (fields, sentence) => log.info(fields, sentence),
          warn: (fields, sentence) => log.warn(fields, sentence),
        },
      }),
    )
    log.info({ socket: config.control.socket }, 'commands are taken')
    await agent.prepare()
    // From here on whoever stops it must find what the sensor saw until then kept.
    const stopped = untilStopped(() => reload(configFile, agent, log))
    agent.start()
    if (config.dashboard.enabled) doors.push(await openDashboard(config, agent, version, log))
    await Promise.race([agent.settled(), stopped])
    await notifySystemd('READY=1')
    log.info(
      { mode: config.mode, interfaces: config.protect.interfaces, ports: config.protect.ports },
      'ringfence is up',
    )
    await stopped
    await notifySystemd('STOPPING=1')
    log.info('ringfence stops; rules and blocks stay in the kernel')
    return 0
  } finally {
    for (const door of doors.reverse()) await door.close()
    await agent.close()
    journal.close()
  }
}

async function openDashboard(config: Config, agent: Agent, version: string, log: ReturnType<typeof openLog>) {
  const { listen, passwordFile } = config.dashboard
  const { password, created, warning } = await loadOrCreatePassword(passwordFile)
  if (warning) log.warn(warning)
  if (created) log.info({ file: passwordFile }, 'a password for the dashboard was generated')
  const app = await buildApi({
    plane: agent.plane,
    door: { kind: 'web', password, webRoot: webRoot() },
    version,
  })
  try {
    const { host, port } = await listenOnWeb(app, listen)
    log.info(
      { address: `http://${host.includes(':') ? `[${host}]` : host}:${port}/` },
      'the dashboard is open',
    )
  } catch (error) {
    // Protection comes first: a taken port costs the page, not the firewall.
    if (!(error instanceof ListenError)) throw error
    log.error(error.message)
  }
  return app
}

function reload(configFile: string, agent: Agent, log: ReturnType<typeof openLog>): void {
  const refusal = agent.refusalOfReload
  if (refusal !== null) {
    log.error(`the configuration is not read again: ${refusal}`)
    return
  }
  try {
    const { needsRestart } = agent.reconfigure(loadConfig(configFile))
    log.info('the configuration was read again')
    if (needsRestart.length > 0) log.warn(`takes effect after a restart: ${needsRestart.join(', ')}`)
  } catch (error) {
    if (!isExpected(error)) throw error
    log.error(`the configuration is refused, the old one stays: ${error.message}`)
  }
}

/**
 * The handlers stay to the end: execa (by its `signal-exit`) ends this process itself at a signal that nobody else
 * listens to while a program of ours runs, and one that listens once is nobody at that moment.
 */
function untilStopped(onReload: () => void): Promise<void> {
  return new Promise((resolve) => {
    let isStopping = false
    process.on('SIGHUP', () => {
      if (!isStopping) onReload()
    })
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => {
        isStopping = true
        resolve()
      })
    }
  })
}

/** Troubles with the world that the admin can mend; their messages say how. */
function isExpected(error: unknown): error is Error {
  return (
    error instanceof ConfigRefused ||
    error instanceof JournalError ||
    error instanceof ListenError ||
    error instanceof PasswordFileError
  )
}

function webRoot(): string {
  return fileURLToPath(new URL('../dashboard/web', import.meta.url))
}
