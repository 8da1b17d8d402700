import type {
  ChangeKind,
  ComparisonView,
  PhoneTouched,
  PolicySide,
  SourceChange,
  SourceJudgement,
} from '../../dashboard/api/comparison.ts'
import { showDuration } from '../../registrar/net/time.ts'
import { type Colour, count, number, paint, plain, showTime } from './terminal.ts'

const MOST_PHONES = 20
const MOST_SOURCES = 20

/** A comparison for people: what it costs the registered phones first, then source by source. */
export function comparisonInWords(view: ComparisonView, colours: { readonly colours: boolean }): string {
  const { from, to, before, after, phones, changes, same, notes } = view
  const span =
    from === null || to === null
      ? ''
      : `${showTime(from)} to ${showTime(to)} (${showDuration((to - from) / 1_000)})\n`
  const total = Object.values(changes).reduce((sum, { count: amount }) => sum + amount, 0)
  return [
    falseBlocks(view, colours),
    phonesInWords('Cut off, and not now', phones.touched),
    phonesInWords('Cut off now, and no more', phones.relieved),
    `\n${span}${sideInWords(before)}${sideInWords(after)}`,
    total === 0
      ? `\nEvery source would be judged alike (${number(same)} with a verdict).\n`
      : `\n${count(same, 'source')} judged alike, ${number(total)} otherwise:\n`,
    ...KINDS.map(([kind, title]) => changesInWords(title, changes[kind])),
    notes.length === 0
      ? ''
      : `\nWhat this does not know:\n${notes.map((note) => `  ${plain(note)}\n`).join('')}`,
  ].join('')
}

/** Exit codes of commands that compare two policies, for their help. */
export const COMPARISON_EXIT_CODES = `
Exit codes here:
  0  no registered phone is cut off that is not cut off now
  1  some registered phone would be cut off, or no comparison could be made
`

const KINDS: readonly (readonly [kind: ChangeKind, title: string])[] = [
  ['new', 'New'],
  ['harder', 'Harder'],
  ['softer', 'Softer'],
  ['gone', 'Gone'],
  ['other', 'As hard, but not the same'],
]

function falseBlocks({ phones, after }: ComparisonView, colours: { readonly colours: boolean }): string {
  const { registered, touched, spared } = phones
  const others =
    spared === 0
      ? ''
      : `; ${number(spared)} more are behind addresses that it punishes, and served all the same (proven ports)`
  const [colour, says]: [Colour, string] =
    touched.count === 0
      ? ['green', `of ${count(registered, 'registered phone')} none would be cut off that is not now`]
      : [
          'red',
          `${number(touched.count)} of ${count(registered, 'registered phone')} would be CUT OFF by ${plain(after.name)}`,
        ]
  return `${paint(says, colour, colours)}${others}\n`
}

function phonesInWords(
  title: string,
  { count: all, first }: { readonly count: number; readonly first: readonly PhoneTouched[] },
): string {
  if (all === 0) return ''
  const lines = first
    .slice(0, MOST_PHONES)
    .map(
      ({ account, source, time, by }) =>
        `  ${showTime(time)}  ${plain(account)} at ${plain(source)}: ${plain(by)}\n`,
    )
  return `\n${title}:\n${lines.join('')}${more(all, lines.length)}`
}

function sideInWords({ name, blocks, suspensions, informing, sources, phonesTouched }: PolicySide): string {
  const done = `${count(blocks, 'block')}, ${count(suspensions, 'suspension')}, ${number(informing)} that inform`
  return `  ${plain(name)}: ${done}, of ${count(sources, 'source')}; ${count(phonesTouched, 'registered phone')} cut off\n`
}

function changesInWords(
  title: string,
  { count: all, first }: { readonly count: number; readonly first: readonly SourceChange[] },
): string {
  if (all === 0) return ''
  const lines = first.slice(0, MOST_SOURCES).map(changeInWords)
  return `\n${title} (${number(all)}):\n${lines.join('')}${more(all, lines.length)}`
}

function changeInWords({ source, before, after, phonesTouched }: SourceChange): string {
  const phones = phonesTouched === 0 ? '' : `, cuts off ${count(phonesTouched, 'registered phone')}`
  const [shown, others] = after.length === 0 ? [before, []] : [after, before]
  const [first, ...rest] = shown
  if (first === undefined) return ''
  return [
    `  ${plain(source)}  ${judgementInWords(first)}${phones}\n`,
    `      ${showTime(first.first)}  grade ${first.grade}: ${plain(first.reason)}\n`,
    ...rest.map((judgement) => `      and ${sinceInWords(judgement)}\n`),
    ...others.map((judgement, i) => `      ${i === 0 ? 'instead of' : 'and'} ${sinceInWords(judgement)}\n`),
  ].join('')
}

function sinceInWords(judgement: SourceJudgement): string {
  return `${judgementInWords(judgement)}, first ${showTime(judgement.first)}`
}

function judgementInWords(judgement: SourceJudgement): string {
  const { verdict, action, scope, target, targets, count: times, seconds } = judgement
  const of = targets > 1 ? `${number(targets)} ports, ${plain(target)} first` : plain(target)
  const often = times === 1 ? 'once' : `${number(times)} times`
  const long = seconds === 0 ? '' : `, ${showDuration(seconds)} in all`
  return `${action} of ${of} (${plain(verdict)}, scope ${scope}) ${often}${long}`
}

function more(all: number, shown: number): string {
  return all > shown ? `  and ${number(all - shown)} more\n` : ''
}
