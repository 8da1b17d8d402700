import { afterEach, describe, expect, it } from 'vitest'
import { noticeOf } from '../../../agent/control/notice.ts'
import { Orders, type OrdersOptions } from '../../../agent/control/orders.ts'
import { decisionView } from '../../../agent/control/views.ts'
import { Decisions } from '../../../agent/decide/decisions.ts'
import type { Journal } from '../../../agent/journal/journal.ts'
import { openJournal } from '../../../agent/journal/open-journal.ts'
import { parsePrefix } from '../../../registrar/net/address.ts'
import { RulesEngine } from '../../../rules/engine.ts'
import { ImaginedKernel } from '../../../rules/imagined-kernel.ts'
import { KernelError } from '../../../rules/kernel.ts'
import { desired } from '../../rules/desired.ts'

const NOW = 1_800_000_000_000
const open: (Journal | RulesEngine)[] = []
afterEach(async () => {
  for (const each of open.splice(0)) await each.close()
})

/** Orders with the real decisions and an imagined kernel. */
async function stage(
  options: {
    allow?: string[]
    gateways?: Record<string, string[]>
    removeRules?: OrdersOptions['removeRules']
  } = {},
) {
  const { journal } = openJournal({ file: ':memory:', now: () => NOW })
  const engine = new RulesEngine({ kernel: new ImaginedKernel({ clock: () => NOW }), clock: () => NOW })
  open.push(engine, journal)
  engine.setDesired(desired({}))
  await engine.settled()
  const decisions = new Decisions({
    journal,
    clock: () => NOW,
    configured: {
      allow: (options.allow ?? []).map((text) => parsePrefix(text)!),
      protect: [],
      gateways: [],
    },
    ownAddresses: () => [],
    capacity: { verdicts: 100, orders: 3 },
    onChange: () => {},
  })
  const parts: Partial<OrdersOptions> = {
    clock: () => NOW,
    config: () =>
      ({
        mode: 'enforce',
        gateways: Object.entries(options.gateways ?? {}).map(([name, prefixes]) => ({
          name,
          prefixes: prefixes.map((text) => parsePrefix(text)!),
        })),
      }) as unknown as ReturnType<OrdersOptions['config']>,
    journal,
    decisions,
    engine,
    registrar: { pardon: () => {} } as unknown as OrdersOptions['registrar'],
    pardonSource: () => {},
    removeRules: options.removeRules ?? (() => engine.off()),
    refreshCounters: async () => {},
    onChange: () => {},
    viewsOf: (list) =>
      list.map((each) => {
        const around = decisions.allowedAround(each.target)
        return { ...decisionView(each, NOW), ...(around === undefined ? {} : { allowedBy: around }) }
      }),
  }
  return { orders: new Orders(parts as OrdersOptions), engine, decisions }
}

const by = 'root@cli'

describe('an order to block', () => {
  it('what a wider entry of the allowlist lets through says so', async () => {
    const { orders } = await stage({ allow: ['198.51.100.0/24'] })
    expect(await orders.block({ target: '198.51.100.7', by })).toMatchObject({
      target: '198.51.100.7',
      allowedBy: '198.51.100.0/24',
      notice:
        'noted; 198.51.100.0/24 is on the allowlist, which comes first: nothing of 198.51.100.7 is dropped',
    })
    const wider = await orders.block({ target: '198.51.0.0/16', by })
    expect([wider.notice, wider.allowedBy]).toEqual([null, undefined])
  })

  it.each([
    ['192.0.2.10', 'it cuts off the configured gateway carrier'],
    ['192.0.2.8/29', 'it cuts off the configured gateway carrier'],
    ['198.51.100.7', 'it cuts off a part of the configured gateway trunk'],
    ['192.0.0.0/8', 'it cuts off the configured gateways carrier, both'],
    [
      '2001:db8:5::1234',
      'other addresses of 2001:db8:5::/64 are not blocked, though whoever has one of them has them all: to block them too, block 2001:db8:5::/64',
    ],
    [
      '2001:db8:6::1',
      'it cuts off the configured gateway both; and other addresses of 2001:db8:6::/64 are not blocked, though whoever has one of them has them all: to block them too, block 2001:db8:6::/64',
    ],
    ['2001:db8:5::/64', null],
    ['203.0.113.7', null],
  ])('of %s says what else it does, or does not: %s', async (target, notice) => {
    const { orders } = await stage({
      gateways: {
        carrier: ['192.0.2.10/32'],
        trunk: ['198.51.100.0/24'],
        both: ['192.88.99.1/32', '2001:db8:6::1/128'],
      },
    })
    expect((await orders.block({ target, by })).notice).toBe(notice)
  })

  it('of a gateway that the allowlist lets through does not say that it is cut off', async () => {
    const { orders } = await stage({ allow: ['192.0.2.0/24'], gateways: { carrier: ['192.0.2.10/32'] } })
    expect((await orders.block({ target: '192.0.2.10', by })).notice).toMatch(
      /^noted; 192\.0\.2\.0\/24 is on the/,
    )
  })

  it('of more than a gateway that is allowed says nothing of that one', async () => {
    const { orders } = await stage({ allow: ['192.0.2.10'], gateways: { carrier: ['192.0.2.10/32'] } })
    expect((await orders.block({ target: '192.0.2.0/24', by })).notice).toBeNull()
  })

  it('says both where the rules are off, too', async () => {
    const { orders } = await stage({ allow: ['198.51.100.0/24'] })
    await orders.off({ by })
    expect((await orders.block({ target: '198.51.100.7', by })).notice).toMatch(
      /^noted; nothing is dropped while the rules are off: .*; and 198\.51\.100\.0\/24 is on the allowlist/,
    )
  })

  it('beyond the room of the operator’s set is refused, with the key that makes room', async () => {
    const { orders } = await stage()
    for (const target of ['192.0.2.1', '192.0.2.2', '192.0.2.3']) await orders.block({ target, by })
    await expect(orders.block({ target: '192.0.2.4', by })).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringMatching(/found no place: 3 blocks of IPv4 .* raise kernel\.elements\.$/),
    })
  })
})

describe('an order to allow', () => {
  it('says what it took back, and which larger block goes on', async () => {
    const { orders, decisions } = await stage()
    await orders.block({ target: '198.51.100.0/24', by })
    await orders.block({ target: '198.51.100.7', by })
    expect(await orders.allow({ target: '198.51.100.0/28', by })).toMatchObject({
      target: '198.51.100.0/28',
      lifted: { count: 1, first: ['198.51.100.7'] },
      wider: { count: 1, first: ['198.51.100.0/24'] },
    })
    expect(
      decisions
        .blocks()
        .flat()
        .map(({ target }) => target),
    ).toEqual(['198.51.100.0/24'])
  })
})

describe('off', () => {
  it('is off when all is gone, and on again', async () => {
    const { orders, engine } = await stage()
    expect(orders.power).toEqual({ state: 'on' })
    const going = orders.off({ by })
    expect(orders.power).toEqual({ state: 'leaving' })
    expect((await going).removed).not.toEqual([])
    expect(orders.power).toEqual({ state: 'off' })
    await orders.on({ by })
    expect([orders.power, engine.status().state]).toEqual([{ state: 'on' }, 'applied'])
  })

  it('that was refused is not off, and names what was refused', async () => {
    const refusal = new KernelError('refused', 'A set could not be removed: rf-sip4: it is in use.')
    const { orders, engine } = await stage({ removeRules: () => Promise.reject(refusal) })
    await expect(orders.off({ by })).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('rf-sip4: it is in use.'),
    })
    expect(orders.power).toEqual({ state: 'left-behind', why: refusal.message })
    expect(orders.notice).toMatch(/^noted; the rules were to be taken out .* rf-sip4: it is in use\.$/)
    expect(noticeOf({ mode: 'observe', isOff: true, leftBehind: 'x', rules: engine.status() })).toMatch(
      /mode: observe$/,
    )
  })
})
