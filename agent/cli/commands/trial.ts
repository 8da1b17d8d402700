import { resolve } from 'node:path'
import type { Command } from 'commander'
import type { AppliedView, TrialView } from '../../../dashboard/api/what-if.ts'
import { parseDuration, type Seconds, showDuration } from '../../../registrar/net/time.ts'
import { readCandidateFile } from '../candidate-file.ts'
import { newCommand, openSession, type Session } from '../command.ts'
import type { CliDeps } from '../deps.ts'
import { CliFailure, EXIT } from '../outcome.ts'
import { plain, plainLines } from '../terminal.ts'

const SHORTEST: Seconds = 10
const LONGEST: Seconds = 3_600
/** The kernel may take its time with a large change; the trial's clock runs meanwhile. */
const PATIENCE = 60_000

export function applyCommand(deps: CliDeps): Command {
  return newCommand('apply <file>', {
    says: 'bring a configuration in; with --confirm it is taken back unless somebody confirms it in time',
    examples: ['ringfence apply ./new.yaml --confirm 60s', 'ringfence apply ./new.yaml'],
  })
    .option(
      '--confirm <duration>',
      'how long to wait for `ringfence confirm`, from 10s to 1h; until then the configuration file stays as it is',
    )
    .addHelpText(
      'after',
      '\nThe file is read by this command and judged by the daemon. What is kept is written over the configuration\nfile, and the one before lies beside it as .previous. What needs a restart (mode, dashboard, control, data) is refused.',
    )
    .action(async (file: string, options: { confirm?: string }, command: Command) => {
      const session = openSession(deps, command)
      const confirmWithin = options.confirm === undefined ? undefined : readWindow(options.confirm)
      const text = readCandidateFile(file)
      const answer = (await session.ask(
        { method: 'POST', path: 'apply', body: { text, file: resolve(file), confirmWithin } },
        { patience: PATIENCE },
      )) as AppliedView
      if (answer.trial === null || session.options.json || !deps.askLine) {
        session.show(answer, appliedInWords)
        return
      }
      deps.out(warningsInWords(answer))
      deps.out(notice(answer.notice))
      await askToKeep(session, answer.trial)
    })
}

export function confirmCommand(deps: CliDeps): Command {
  return newCommand('confirm', {
    says: 'keep the configuration that `ringfence apply --confirm` brought in',
    examples: ['ringfence confirm'],
  }).action(async (_options: unknown, command: Command) => {
    const session = openSession(deps, command)
    const answer = await session.ask({ method: 'POST', path: 'confirm' })
    session.show(answer as AppliedView, appliedInWords)
  })
}

export function revertCommand(deps: CliDeps): Command {
  return newCommand('revert', {
    says: 'take back the configuration that `ringfence apply --confirm` brought in, before its time',
    examples: ['ringfence revert'],
  }).action(async (_options: unknown, command: Command) => {
    const session = openSession(deps, command)
    session.show(
      (await takeBack(session)) as { readonly reverted: string },
      ({ reverted }) => `${plain(reverted)} is taken back: the configuration is as before\n`,
    )
  })
}

/** Whoever answers nothing, or loses the connection, has it taken back: the daemon keeps the time. */
async function askToKeep(session: Session, trial: TrialView): Promise<void> {
  const { deps } = session
  deps.out(`${plain(trial.file)} is in force for ${showDuration(trial.secondsLeft)}.\n`)
  const answer = await deps.askLine!('Keep it? Type yes: ', { within: trial.secondsLeft * 1_000 })
  if (answer === undefined) {
    throw new CliFailure(
      EXIT.failed,
      'not-confirmed',
      `nobody confirmed ${trial.file} in time: the daemon takes it back`,
    )
  }
  if (answer.trim().toLowerCase() === 'yes') {
    const kept = (await session.ask({ method: 'POST', path: 'confirm' })) as AppliedView
    deps.out(appliedInWords(kept))
    return
  }
  await takeBack(session)
  throw new CliFailure(
    EXIT.failed,
    'not-confirmed',
    `${trial.file} is taken back: the configuration is as before`,
  )
}

function takeBack(session: Session): Promise<unknown> {
  return session.ask({ method: 'POST', path: 'revert' }, { patience: PATIENCE })
}

function appliedInWords(answer: AppliedView): string {
  const { trial, file, previous } = answer
  const what = trial
    ? `${plain(trial.file)} is in force for ${showDuration(trial.secondsLeft)}. To keep it: ringfence confirm; to take it back now: ringfence revert\n`
    : `the configuration is in force and written to ${plain(file)}${previous === null ? '' : `; the one before is in ${plain(previous)}`}\n`
  return `${warningsInWords(answer)}${what}${notice(answer.notice)}`
}

function warningsInWords({ warnings }: AppliedView): string {
  return warnings.map((warning) => `warning: ${plainLines(warning)}\n`).join('')
}

function notice(sentence: string | null): string {
  return sentence === null ? '' : `${plain(sentence)}\n`
}

function readWindow(text: string): Seconds {
  const seconds = parseDuration(text)
  if (seconds !== undefined && Number.isInteger(seconds) && seconds >= SHORTEST && seconds <= LONGEST)
    return seconds
  const message = `--confirm ${JSON.stringify(text)} is no duration from 10s to 1h; write it like 60s or 5m`
  throw new CliFailure(EXIT.usage, 'bad-input', message)
}
