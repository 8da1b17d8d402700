import type { ChainRenderer } from './chain-renderer.ts'
import { renderLimit, SAMPLE_TABLE } from './limit-tables.ts'

/** What is logged of a packet. A REGISTER has seldom more; what is longer cannot be read and decides nothing. */
const LOGGED_BYTES = 2_048

/**
 * The log from which the sensor reads requests under a flood. To log to nobody costs a packet as much as two looks into
 * sets, so nothing is logged before the set `log` holds everybody, and it does so after `named`: whoever reads the first
 * packet of the log knows that the short way of the proven is shut, and that what passes is logged. What the chains
 * below drop does not come back here, so the last rule logs what passes, which the lanes' limits bound.
 */
export function renderLog(render: ChainRenderer): void {
  const { logGroup } = render.input.traffic
  if (logGroup === undefined) {
    render.chain('RINGFENCE-JUDGE', [])
    return
  }
  // A threshold of one: with more, the kernel keeps the last packets for up to a second.
  const log = (prefix: LogPrefix) =>
    `-j NFLOG --nflog-prefix ${prefix} --nflog-group ${logGroup} --nflog-size ${LOGGED_BYTES} --nflog-threshold 1`
  const sample = renderLimit(SAMPLE_TABLE, { family: render.family, buckets: 1, side: 'upto' })
  const isRead = render.set('log', 'src')
  render.chain('RINGFENCE-JUDGE', [
    `${isRead} ${sample} ${log(LOG_PREFIXES.sample)}`,
    '-j RINGFENCE-UDP',
    `${isRead} ${log(LOG_PREFIXES.passed)}`,
  ])
}

/** What tells the packets of the log apart; the sensor reads them (`agent/decode/nflog.ts`). */
const LOG_PREFIXES = { sample: 's', passed: 'p' } as const

type LogPrefix = (typeof LOG_PREFIXES)[keyof typeof LOG_PREFIXES]
