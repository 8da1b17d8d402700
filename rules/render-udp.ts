import type { ChainRenderer } from './chain-renderer.ts'
import { listingTable, renderLimit } from './limit-tables.ts'
import { LISTED_FOR, setName } from './names.ts'
import {
  CALL_METHODS,
  INVITE,
  OPENING_METHODS,
  REGISTER,
  RESPONSE,
  startsFragmentWith,
  startsWith,
  startsWithCall,
  startsWithOpening,
  stun,
  tiny,
} from './render-matches.ts'

/**
 * Which class a packet is of, and the classes but REGISTER. What is not recognised as something else is taken for a
 * REGISTER, since a softswitch finds one behind line breaks, spaces and NULs too.
 */
export function renderUdp(render: ChainRenderer): void {
  const { set, over, family, input } = render
  const { traffic, limits, sizes } = input
  const returning = (['ret3', 'ret2', 'ret1'] as const).map((purpose) => set(purpose, 'src'))
  const fewEnough = renderLimit(listingTable(sizes, limits), { family, buckets: 1, side: 'upto' })
  // What floods are made of is found first.
  const [invite, ...openings] = startsWithOpening(family)
  const [ackOrBye, ...calls] = startsWithCall(family)
  // Over the limit of a prefix or of all are those who only come at the wrong time: they are dropped and not listed.
  const limited = (name: 'sip' | 'calls') =>
    limits.sip.enforced
      ? [
          ...over(name, '-g RINGFENCE-OVER', 'fillable'),
          ...over(`${name}Prefix`, '-j DROP', 'fillable'),
          ...over(`${name}Total`),
        ]
      : over(name, '-g RINGFENCE-OVER', undefined, `${fewEnough} `)
  render.chain('RINGFENCE-UDP', [
    `${set('allow', 'src')} -g RINGFENCE-ALLOWED`,
    `${set('deny', 'src')} -j DROP`,
    ...(input.gateways.length === 0 ? [] : [`${set('gw', 'src')} -g RINGFENCE-GATEWAY`]),
    // The most frequent one under attack is found first. A goto: what comes back must not fall through.
    ...startsWith(REGISTER, family).map((match) => `${match} -g RINGFENCE-REGISTER`),
    ...startsWith(RESPONSE, family).map((match) => `${match} -g RINGFENCE-RESPONSE`),
    ...startsWith([...OPENING_METHODS, ...CALL_METHODS], family).map((match) => `${match} -g RINGFENCE-SIP`),
    `${tiny(family)} -g RINGFENCE-KEEPALIVE`,
    `${stun(family)} -g RINGFENCE-KEEPALIVE`,
    ...startsFragmentWith(RESPONSE, family).map((match) => `${match} -g RINGFENCE-RESPONSE`),
    ...startsFragmentWith([...OPENING_METHODS, ...CALL_METHODS], family).map(
      (match) => `${match} -g RINGFENCE-SIP`,
    ),
    '-g RINGFENCE-REGISTER',
  ])
  render.chain('RINGFENCE-ALLOWED', over('allowed'))

  render.chain('RINGFENCE-GATEWAY', [
    ...startsWith(INVITE, family).map((match) => `${match} -g RINGFENCE-CPS`),
    ...startsWith([...RESPONSE, ...OPENING_METHODS, ...CALL_METHODS], family).map(
      (match) => `${match} -g RINGFENCE-TRUNK`,
    ),
    `${tiny(family)} -g RINGFENCE-TRUNK`,
    `${stun(family)} -g RINGFENCE-TRUNK`,
    ...startsFragmentWith(INVITE, family).map((match) => `${match} -g RINGFENCE-CPS`),
    ...startsFragmentWith([...RESPONSE, ...OPENING_METHODS, ...CALL_METHODS], family).map(
      (match) => `${match} -g RINGFENCE-TRUNK`,
    ),
    '-g RINGFENCE-CPS',
  ])
  render.chain('RINGFENCE-CPS', render.gatewayRules(input.gateways))
  // Not the table of peers, which unknown sources can fill where responses of everybody pass.
  render.chain('RINGFENCE-TRUNK', over('gateway'))

  render.chain('RINGFENCE-RESPONSE', [
    `${set('pvn', 'src,src')} -g RINGFENCE-KNOWN`,
    `${set('sip', 'src')} -j DROP`,
    ...(traffic.responses === 'any'
      ? ['-g RINGFENCE-PEER']
      : [`${set('asked', 'src')} -g RINGFENCE-PEER`, '-g RINGFENCE-REST']),
  ])
  render.chain('RINGFENCE-SIP', [
    `${set('psip', 'src,src')} -j DROP`,
    `${set('pvn', 'src,src')} -g RINGFENCE-KNOWN`,
    `${set('sip', 'src')} -j DROP`,
    `${set('asked', 'src')} -g RINGFENCE-PEER`,
    ...returning.map((match) => `${match} -g RINGFENCE-RETURNSIP`),
    // A flood of INVITEs must not cost the others their BYEs.
    `${invite} -g RINGFENCE-OPENING`,
    `${ackOrBye} -g RINGFENCE-CALLS`,
    ...openings.map((match) => `${match} -g RINGFENCE-OPENING`),
    ...calls.map((match) => `${match} -g RINGFENCE-CALLS`),
    ...startsFragmentWith(CALL_METHODS, family).map((match) => `${match} -g RINGFENCE-CALLS`),
    ...startsFragmentWith(OPENING_METHODS, family).map((match) => `${match} -g RINGFENCE-OPENING`),
    // It only began like one. That is asked here, where it costs nobody who is known.
    '-g RINGFENCE-REGISTER',
  ])
  render.chain('RINGFENCE-OPENING', limited('sip'))
  render.chain('RINGFENCE-CALLS', limited('calls'))
  // Not the tables of unknown sources, which are full when it matters.
  render.chain('RINGFENCE-RETURNSIP', over('returningSip', '-g RINGFENCE-OVER'))
  render.chain('RINGFENCE-KNOWN', over('known'))
  render.chain(
    'RINGFENCE-PEER',
    over('peer', '-j DROP', traffic.responses === 'any' ? 'fillable' : undefined),
  )
  render.chain('RINGFENCE-OVER', [
    // The match counts the packet. Adding a listed source again would set its counters back to one packet.
    `${set('wsip', 'src')} -j ${limits.sip.enforced ? 'DROP' : 'RETURN'}`,
    `-j SET --add-set ${setName('wsip', family)} src --timeout ${LISTED_FOR}`,
    ...(limits.sip.enforced ? ['-j DROP'] : []),
  ])
  render.chain('RINGFENCE-KEEPALIVE', [
    `${set('pvn', 'src,src')} -g RINGFENCE-KNOWN`,
    `${set('sip', 'src')} -j DROP`,
    ...returning.map((match) => `${match} -g RINGFENCE-RETURNSIP`),
    ...over('keepalive', '-j DROP', 'fillable'),
    '-g RINGFENCE-REST',
  ])
  render.chain('RINGFENCE-REST', over('rest'))
}
