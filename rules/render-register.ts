import type { ChainRenderer } from './chain-renderer.ts'
import { renderLimit, seenTable } from './limit-tables.ts'
import { SEEN_FOR, setName } from './names.ts'

/**
 * REGISTER, and whatever cannot be told from one. The order is what keeps a flood in one lane from starving another:
 * nothing that a proven or returning source needs stands behind a table or set that unknown sources can fill.
 */
export function renderRegister(render: ChainRenderer): void {
  const { set, over, family, input } = render
  const strict = set('strict', 'src')
  const member = (purpose: 'ret3' | 'ret2' | 'ret1') => set(purpose, 'src')
  render.chain('RINGFENCE-REGISTER', [
    `${set('susp', 'src,src')} -j DROP`,
    `${set('pvn', 'src,src')} -g RINGFENCE-PROVEN`,
    `${set('sip', 'src')} -j DROP`,
    `${set('reg', 'src')} -j DROP`,
    `${set('susa', 'src')} -j DROP`,
    `${set('ans', 'src,src')} -g RINGFENCE-ANSWERED`,
    '-g RINGFENCE-UNPROVEN',
  ])
  render.chain('RINGFENCE-UNPROVEN', [
    `${strict} -m set ! --match-set ${setName('seen', family)} src,src -g RINGFENCE-FIRST`,
    `${member('ret3')} -g RINGFENCE-RETURN3`,
    `${member('ret2')} -g RINGFENCE-RETURN2`,
    `${member('ret1')} -g RINGFENCE-RETURN1`,
    `${set('ign', 'src')} -g RINGFENCE-IGNORING`,
    `${strict} -g RINGFENCE-STRICT`,
    '-g RINGFENCE-UNKNOWN',
  ])
  render.chain('RINGFENCE-PROVEN', over('proven', '-g RINGFENCE-AGGREGATOR'))
  render.chain('RINGFENCE-AGGREGATOR', [
    ...over('aggregator', '-j DROP', undefined, `${member('ret3')} `),
    `${member('ret3')} -j RETURN`,
    '-j DROP',
  ])
  // A little more than others have, and behind it what others have.
  render.chain('RINGFENCE-ANSWERED', [
    ...over('answered', '-g RINGFENCE-UNPROVEN'),
    ...over('answeredTotal', '-g RINGFENCE-UNPROVEN', undefined, `${strict} `),
  ])
  // Their addresses can be forged, so under attack their ports and all of them together have an end too. All of them
  // share the table of the ports: the bucket of an address is asked before it, or one forged address would fill it.
  const returning = (tier: 'returning1' | 'returning2' | 'returning3') => [
    ...over(tier),
    ...over('returningPort', '-j DROP', 'fillable', `${strict} `),
    ...over('returningTotal', '-j DROP', undefined, `${strict} `),
  ]
  render.chain('RINGFENCE-RETURN1', returning('returning1'))
  render.chain('RINGFENCE-RETURN2', returning('returning2'))
  render.chain('RINGFENCE-RETURN3', returning('returning3'))
  render.chain('RINGFENCE-IGNORING', over('ignoring'))
  const site = (name: 'unknownSite' | 'strictSite') => (family === 6 ? over(name, '-j DROP', 'fillable') : [])
  render.chain('RINGFENCE-UNKNOWN', [
    ...over('unknownSource', '-j DROP', 'fillable'),
    ...site('unknownSite'),
    ...over('unknownPrefix', '-j DROP', 'fillable'),
    ...over('unknownTotal'),
  ])
  // Tables of its own: those of peace are full of forged sources by the time of the switch, and whoever sends one packet
  // under each address must not keep the phones out that come twice.
  render.chain('RINGFENCE-STRICT', [
    ...over('strictSource', '-j DROP', 'fillable'),
    ...site('strictSite'),
    ...over('strictPort', '-j DROP', 'fillable'),
    ...over('strictPrefix', '-j DROP', 'fillable'),
    ...over('strictTotal'),
  ])
  const gate = renderLimit(seenTable(input.sizes, SEEN_FOR), { family, buckets: 1 })
  render.chain('RINGFENCE-FIRST', [
    `${gate} -g RINGFENCE-UNNOTED`,
    `-j SET --add-set ${setName('seen', family)} src,src --timeout ${SEEN_FOR}`,
    '-j DROP',
  ])
  // The gate is one for everybody, and who is unknown shuts it. Who returns has a bucket that nobody else empties.
  render.chain('RINGFENCE-UNNOTED', [
    `${member('ret3')} -g RINGFENCE-RETURN3`,
    `${member('ret2')} -g RINGFENCE-RETURN2`,
    `${member('ret1')} -g RINGFENCE-RETURN1`,
    '-j DROP',
  ])
}
