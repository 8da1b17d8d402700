import { showCount } from '../../bench/figures.ts'
import type { SiegeFigures } from '../report.ts'
import { showVerdict, type Verdict } from '../verdict.ts'

/** One siege of a campaign: its figures, or why there are none. */
export type CampaignRow =
  | { readonly figures: SiegeFigures; readonly verdict: Verdict }
  | { readonly attack: string; readonly guard: string; readonly nonces: string; readonly failed: string }

const HEADS = [
  ['attack', 'guard', 'nonces', 'packets/s'],
  ['customers within 4 s', 'p50, p99'],
  ['newcomers within 32 s', 'honest blocked', 'waited 32 s', 'calls broken', 'guesses answered'],
  ['first drop', 'reached/s', 'guard CPU, user + kernel', 'guard, tables MB', 'verdict'],
].flat()

/** All sieges as one Markdown table, a row each. */
export function renderCampaign(rows: readonly CampaignRow[]): string {
  const lines = rows.map((row) =>
    'failed' in row
      ? [row.attack, row.guard, row.nonces, ...HEADS.slice(4).map(() => ''), `failed: ${row.failed}`]
      : cellsOf(row.figures, row.verdict),
  )
  return [HEADS, HEADS.map(() => '---'), ...lines.map((cells) => cells.slice(-HEADS.length))]
    .map(
      (cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`,
    )
    .join('\n')
}

function cellsOf(figures: SiegeFigures, verdict: Verdict): readonly string[] {
  // A storm and an office have no customers: then it is they who are told of.
  const { customer = figures.kinds.storm ?? figures.kinds.office } = figures.kinds
  const broken = figures.calls.PBXs.broken + figures.calls.trunk.broken
  const { sets = 0, limits = 0 } = figures.tables ?? {}
  const processes = sum(figures.memory)
  return [
    figures.attack,
    figures.guard,
    figures.nonces,
    figures.attackPerSecond === null
      ? '–'
      : `${showCount(figures.attackPerSecond)}${figures.saturated ? ' *sat.*' : ''}`,
    [showShare(customer?.success ?? null), ...othersHurt(figures)].join('; '),
    `${showTime(customer?.p50 ?? null)}, ${showTime(customer?.p99 ?? null)}`,
    showShare(figures.newcomers.within32),
    figures.guard === 'none' ? '–' : String(figures.honestBlocked.length),
    String(figures.unanswered),
    `${broken} of ${figures.calls.PBXs.begun + figures.calls.trunk.begun}`,
    figures.guesses === null ? '–' : `${figures.guesses.refused} of ${figures.guesses.tries}`,
    showTime(figures.firstDropAfter),
    showCount(figures.reachedPerSecond),
    figures.cpu && Object.keys(figures.cpu).length > 0
      ? `${sum(figures.cpu).toFixed(0)} + ${sum(figures.cpuInKernel).toFixed(0)} %`
      : '–',
    figures.guard === 'none' ? '–' : `${megabytes(processes)}, ${megabytes(sets + limits)}`,
    showVerdict(verdict),
  ]
}

/** Phones of other kinds that were not all served in time; newcomers have a column of their own. */
function othersHurt({ kinds }: SiegeFigures): readonly string[] {
  return (['ordinary', 'office', 'busy'] as const).flatMap((kind) => {
    const success = kinds[kind]?.success ?? null
    return success === null || success === 1 ? [] : [`${kind} ${showShare(success)}`]
  })
}

const sum = (values: Readonly<Record<string, number>> | null) =>
  Object.values(values ?? {}).reduce((total, value) => total + value, 0)
const megabytes = (bytes: number) => (bytes / 1e6).toFixed(0)
const showShare = (value: number | null) => (value === null ? '–' : `${(100 * value).toFixed(1)} %`)
const showTime = (value: number | null) => (value === null ? '–' : `${showCount(value)} ms`)
