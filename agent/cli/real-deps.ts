import { userInfo } from 'node:os'
import { askLine } from './ask-line.ts'
import { askSecret } from './ask-secret.ts'
import type { CliDeps, Restored } from './deps.ts'
import { CliFailure, EXIT } from './outcome.ts'
import { readPackageVersion } from './version.ts'

/** The commands' world as it is. */
export function realDeps(): CliDeps {
  const { stdin, stdout, stderr, env } = process
  let brokenPipe = false
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
    brokenPipe = true
  })
  stderr.on('error', () => {})
  return {
    out(text) {
      // `ringfence replay … | head` ends when head has enough; what fits one write has ended anyway.
      if (brokenPipe) throw new CliFailure(EXIT.done, 'broken-pipe', '')
      stdout.write(text)
    },
    err: (text) => stderr.write(text),
    colours: stdout.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb',
    now: Date.now,
    caller: callerName(env),
    // The socket is the same as in agent/config, which is not loaded for every command.
    defaults: { configFile: '/etc/ringfence/ringfence.yaml', socket: '/run/ringfence/control.sock' },
    version: readPackageVersion,
    askSecret: stdin.isTTY
      ? (question) => askSecret(question, { input: stdin, write: (text) => stderr.write(text) })
      : undefined,
    // Both ends: a question that nobody can read gets no answer.
    askLine:
      stdin.isTTY && stderr.isTTY
        ? (question, options) => askLine(question, { ...options, input: stdin, output: stderr })
        : undefined,
    readInput,
    async runDaemon(options) {
      const { runDaemon } = await import('../daemon.ts')
      return runDaemon(options)
    },
    async replayCaptures(options) {
      const { replayCaptures } = await import('../replay.ts')
      return replayCaptures(options)
    },
    removeEverything,
    restoreRules,
    async runBeside(request) {
      const { runBeside } = await import('./run-beside.ts')
      return runBeside(request)
    },
  }
}

/** The person, not the root that sudo made of him. */
export function callerName(env: NodeJS.ProcessEnv): string {
  if (env.SUDO_USER) return `${env.SUDO_USER}@cli`
  try {
    return `${userInfo().username}@cli`
  } catch {
    return `uid${process.getuid?.() ?? ''}@cli`
  }
}

async function readInput(limit: number): Promise<string | undefined> {
  const parts: Buffer[] = []
  let length = 0
  for await (const part of process.stdin) {
    parts.push(part as Buffer)
    length += (part as Buffer).length
    if (length > limit) return undefined
  }
  return Buffer.concat(parts).toString('utf8')
}

async function removeEverything(): Promise<readonly string[]> {
  const { KernelError } = await import('../../rules/kernel.ts')
  const { removeFromEveryBackend } = await import('../../rules/remove-everything.ts')
  try {
    return await removeFromEveryBackend()
  } catch (error) {
    if (!(error instanceof KernelError)) throw error
    const exitCode = error.kind === 'not-permitted' ? EXIT.permission : EXIT.failed
    throw new CliFailure(exitCode, error.kind, error.message)
  }
}

async function restoreRules(options: {
  readonly configFile: string
  readonly socket: string
}): Promise<Restored> {
  const { restoreRules: restore, RestoreError } = await import('../restore.ts')
  try {
    return await restore({ ...options, clock: Date.now })
  } catch (error) {
    if (!(error instanceof RestoreError)) throw error
    throw new CliFailure(EXIT.failed, error.code, error.message)
  }
}
