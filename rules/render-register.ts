import type { ChainRenderer } from './chain-renderer.ts'
import { renderLimit, seenTable } from './limit-tables.ts'
import { SEEN_FOR, setName } from './names.ts'

/**
 * REGISTER, and whatever cannot be told from one. The order is what keeps a flood in one lane from starving another:
 * nothing that a proven or returning source needs stands behind a table or set that unknown sources can fill.
 */
export function renderRegister(render: ChainRenderer): void {
  const { set, over, family, input } = render
  const firstUnderAttack = `${set('strict', 'src')} -m set ! --match-set ${setName('seen', family)} src,src -g RINGFENCE-FIRST`
  render.chain('RINGFENCE-REGISTER', [
    `${set('susp', 'src,src')} -j DROP`,
    `${set('pvn', 'src,src')} -g RINGFENCE-PROVEN`,
    `${set('sip', 'src')} -j DROP`,
    `${set('reg', 'src')} -j DROP`,
    `${set('susa', 'src')} -j DROP`,
    `${set('ans', 'src,src')} -g RINGFENCE-ANSWERED`,
    firstUnderAttack,
    `${set('ret3', 'src')} -g RINGFENCE-RETURN3`,
    `${set('ret2', 'src')} -g RINGFENCE-RETURN2`,
    `${set('ret1', 'src')} -g RINGFENCE-RETURN1`,
    `${set('ign', 'src')} -g RINGFENCE-IGNORING`,
    `${set('strict', 'src')} -g RINGFENCE-STRICT`,
    '-g RINGFENCE-UNKNOWN',
  ])
  render.chain('RINGFENCE-PROVEN', [`${set('ret3', 'src')} -g RINGFENCE-AGGREGATOR`, ...over('proven')])
  render.chain('RINGFENCE-AGGREGATOR', over('aggregator'))
  render.chain('RINGFENCE-ANSWERED', over('answered'))
  render.chain('RINGFENCE-RETURN1', over('returning1'))
  render.chain('RINGFENCE-RETURN2', over('returning2'))
  render.chain('RINGFENCE-RETURN3', over('returning3'))
  render.chain('RINGFENCE-IGNORING', over('ignoring'))
  const site = (name: 'unknownSite' | 'strictSite') => (family === 6 ? over(name, '-j DROP', 'fillable') : [])
  render.chain('RINGFENCE-UNKNOWN', [
    ...over('unknownSource', '-j DROP', 'fillable'),
    // Counts in peace what will decide under attack, or the switch would give every bot a fresh bucket. Behind the limit
    // of the source, so that one source with many ports does not fill it.
    ...render.shadow('strictPort'),
    ...site('unknownSite'),
    ...over('unknownPrefix', '-j DROP', 'fillable'),
    ...over('unknownTotal'),
  ])
  render.chain('RINGFENCE-STRICT', [
    ...over('strictPort', '-j DROP', 'fillable'),
    ...over('strictSource', '-j DROP', 'fillable'),
    ...site('strictSite'),
    ...over('strictPrefix', '-j DROP', 'fillable'),
    ...over('strictTotal'),
  ])
  const seen = renderLimit(seenTable(input.sizes, SEEN_FOR), { family, buckets: 1, side: 'upto' })
  render.chain('RINGFENCE-FIRST', [
    `${seen} -j SET --add-set ${setName('seen', family)} src,src --timeout ${SEEN_FOR}`,
    '-j DROP',
  ])
}
