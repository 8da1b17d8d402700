import { resolve } from 'node:path'
import type { Command } from 'commander'
import type { ChainDiff, PhonesTouched, PlanView, SomeOf } from '../../../dashboard/api/what-if.ts'
import { readCandidateFile } from '../candidate-file.ts'
import { newCommand, openSession } from '../command.ts'
import type { CliDeps } from '../deps.ts'
import { CliFailure } from '../outcome.ts'
import { count, number, plain, plainLines } from '../terminal.ts'

/** As `diff` does, what a script branches on; a plan that could not be made is 1. */
const EXIT_CHANGES = 2
/** Thousands of phones are traced. */
const PATIENCE = 60_000

export function planCommand(deps: CliDeps): Command {
  return newCommand('plan [file]', {
    says: 'what a configuration would change in the kernel, and which registered phones it would touch; changes nothing',
    examples: [
      'ringfence plan ./new.yaml',
      'ringfence plan  # the configuration file, changed and not reloaded yet',
    ],
  })
    .addHelpText(
      'after',
      `
Exit codes here:
  0  nothing would change
  1  no plan could be made, for example of a bad configuration
  2  something would change (or the command line was wrong, as everywhere: then nothing is printed but why)
`,
    )
    .action(async (file: string | undefined, _options: unknown, command: Command) => {
      const session = openSession(deps, command)
      const body =
        file === undefined ? {} : { candidate: { text: readCandidateFile(file), file: resolve(file) } }
      const plan = (await session.ask(
        { method: 'POST', path: 'plan', body },
        { patience: PATIENCE },
      )) as PlanView
      session.show(plan, planInWords)
      if (!plan.same) throw new CliFailure(EXIT_CHANGES, 'changes', '')
    })
}

function planInWords(plan: PlanView): string {
  const { file, same, needsRestart, limits, warmed, chains, sets, elements, phones, warnings, notes } = plan
  const parts = [
    warnings.map((warning) => `warning: ${plainLines(warning)}\n`).join(''),
    notes.map((note) => `note: ${plain(note)}\n`).join(''),
    same ? `${plain(file)} would change nothing in the kernel\n` : `${plain(file)} would change:\n`,
    section('Only after a restart', needsRestart.map(plain)),
    section(`Limits${warmed ? ' (buckets are warmed before they decide)' : ''}`, limits.map(plain)),
    ...chains.map(chainInWords),
    section('Sets', sets.map(plain)),
    elementsInWords('Elements added', '+', elements.added),
    elementsInWords('Elements removed', '-', elements.removed),
    same ? '' : phonesInWords(phones),
  ]
  return parts.filter((part) => part !== '').join('')
}

function section(title: string, lines: readonly string[]): string {
  return lines.length === 0 ? '' : `\n${title}:\n${lines.map((line) => `  ${line}\n`).join('')}`
}

function chainInWords({ family, chain, removed, added }: ChainDiff): string {
  return section(`Chain ${plain(chain)} (IPv${family})`, [
    ...removed.map((rule) => `- ${plain(rule)}`),
    ...added.map((rule) => `+ ${plain(rule)}`),
  ])
}

function elementsInWords(title: string, sign: string, { count: all, first }: SomeOf): string {
  if (all === 0) return ''
  const more = all > first.length ? [`and ${number(all - first.length)} more`] : []
  return section(`${title} (${number(all)})`, [...first.map((key) => `${sign} ${plain(key)}`), ...more])
}

function phonesInWords({ proven, traced, worse, first }: PhonesTouched): string {
  const looked = traced < proven ? ` (${number(traced)} of them were traced)` : ''
  if (worse === 0) {
    return `\nOf ${count(proven, 'registered phone')}${looked} none would fare worse\n`
  }
  const more = worse > first.length ? [`and ${number(worse - first.length)} more`] : []
  return section(`${number(worse)} of ${count(proven, 'registered phone')}${looked} would fare worse`, [
    ...first.map(({ source, says }) => `${plain(source)}: ${plain(says)}`),
    ...more,
  ])
}
