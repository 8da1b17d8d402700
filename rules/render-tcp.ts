import type { ChainRenderer } from './chain-renderer.ts'
import { SYN } from './render-matches.ts'

/**
 * TCP and TLS. Never by method and never inside a connection: one lost segment stalls every message behind it, and a
 * BYE in it never arrives. New connections are limited and refused; what is connected is left alone.
 */
export function renderTcp(render: ChainRenderer): void {
  const { set, over } = render
  render.chain('RINGFENCE-TCP', [
    `${set('allow', 'src')} -g RINGFENCE-TRUSTED`,
    `${set('deny', 'src')} -j DROP`,
    `${set('gw', 'src')} -g RINGFENCE-TRUSTED`,
    `${set('sip', 'src')} -j DROP`,
    `${set('susp', 'src,src')} -j DROP`,
    `${SYN} -g RINGFENCE-CONNECT`,
  ])
  render.chain('RINGFENCE-TRUSTED', over('allowed', '-j DROP', undefined, `${SYN} `))
  const most = (times: number) => render.connectionsOver(times)
  render.chain('RINGFENCE-CONNECT', [
    `${set('reg', 'src')} -j DROP`,
    `${set('susa', 'src')} -j DROP`,
    ...(['3', '2', '1'] as const).flatMap((tier) => {
      const returning = set(`ret${tier}`, 'src')
      const times = { 1: 1, 2: 4, 3: 20 }[tier]
      return [
        ...over(`connect${tier}`, '-j DROP', undefined, `${returning} `),
        ...most(times).map((match) => `${returning} ${match} -j DROP`),
        `${returning} -j RETURN`,
      ]
    }),
    ...over('connectSource', '-j DROP', 'fillable'),
    ...over('connectPrefix', '-j DROP', 'fillable'),
    ...most(1).map((match) => `${match} -j DROP`),
  ])
}
