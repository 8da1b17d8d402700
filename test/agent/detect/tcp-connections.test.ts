import { describe, expect, it } from 'vitest'
import { RIGHT, START, source, stage, WRONG } from './stage.ts'

const ADDRESS = '192.0.2.50'
const tcp = { ...WRONG, transport: 'tcp', account: 'boss@x' } as const
const good = { ...RIGHT, transport: 'tcp' } as const

describe('failures over TCP', () => {
  it('cut their connection and nothing else', () => {
    const { exchange, verdicts, measures } = stage()
    for (let i = 0; i < 6; i++) exchange(source(ADDRESS, 40_000), START + i, tcp)
    expect(measures()).toEqual([`block ${ADDRESS}:40000`])
    expect(verdicts[0]).toMatchObject({ name: 'retry-limit', scope: 'sip', grade: 'path', duration: 180 })
    expect(verdicts[0]!.reason).toBe('6 failed registrations in a row for boss@x; its connection is cut off')
  })

  it('suspend the address when three connections were cut within ten minutes and nobody good is there', () => {
    const { exchange, measures } = stage()
    for (let connection = 0; connection < 3; connection++)
      for (let i = 0; i < 6; i++)
        exchange(source(ADDRESS, 40_000 + connection), START + connection * 60_000 + i, tcp)
    expect(measures()).toEqual([
      ...[40_000, 40_001, 40_002].map((port) => `block ${ADDRESS}:${port}`),
      `suspend ${ADDRESS}`,
    ])
  })

  it('cut connections one by one where somebody good is there, or they are far apart', () => {
    const beside = stage()
    beside.exchange(source(ADDRESS, 20_000), START, { ...RIGHT, account: 'good@x' })
    const apart = stage()
    for (let connection = 0; connection < 10; connection++) {
      for (let i = 0; i < 6; i++) {
        const port = 40_000 + connection
        beside.exchange(source(ADDRESS, port), START + connection * 60_000 + i, tcp)
        apart.exchange(source(ADDRESS, port), START + connection * 400_000 + i, tcp)
      }
    }
    for (const { measures } of [beside, apart]) {
      expect(measures()).toHaveLength(10)
      expect(measures().every((measure) => measure.startsWith(`block ${ADDRESS}:`))).toBe(true)
    }
  })

  it('faster than any phone, beside one good account, cost the address its ports that are not registered', () => {
    const { exchange, measures } = stage()
    exchange(source(ADDRESS, 20_000), START, { ...RIGHT, account: 'mine@x' })
    for (let connection = 0; connection < 60; connection++)
      for (let i = 0; i < 6; i++)
        exchange(source(ADDRESS, 40_000 + connection), START + connection * 1_000 + i, tcp)
    expect(measures()).toContain(`suspend ${ADDRESS}`)
  })

  it('of a connection that carries a good account too only inform, at the pace of a PBX', () => {
    const pbx = stage()
    pbx.exchange(source(ADDRESS, 40_000), START, { ...good, account: 'good@x' })
    for (let i = 0; i < 60; i++) pbx.exchange(source(ADDRESS, 40_000), START + i * 10_000, tcp)
    expect(pbx.measures()).toEqual([])
    expect(pbx.said()).toContain(`retry-limit: limit ${ADDRESS}:40000`)
    expect(pbx.verdicts[0]!.reason).toContain(
      'not cut off, since 1 other account is registered from this very port',
    )

    const guesser = stage()
    guesser.exchange(source(ADDRESS, 40_000), START, { ...good, account: 'mine@x' })
    for (let i = 0; i < 1_000; i++) guesser.exchange(source(ADDRESS, 40_000), START + i * 10, tcp)
    expect(guesser.measures()[0]).toBe(`block ${ADDRESS}:40000`)
  })

  it('of one connection with many accounts lock the address out', () => {
    const { exchange, measures } = stage()
    for (let i = 0; i < 20; i++) exchange(source(ADDRESS, 40_000), START + i, { ...tcp, account: `${i}@x` })
    expect(measures()).toEqual([`block ${ADDRESS}`])
  })

  it('cut no connection of an SBC, whose accounts come over a new one', () => {
    const { exchange, measures } = stage()
    for (let i = 0; i < 40; i++)
      exchange(source(ADDRESS, 40_000), START + i, { ...good, account: `${i}@sbc` })
    for (let i = 0; i < 30; i++) exchange(source(ADDRESS, 40_001), START + 1_000 + i, tcp)
    expect(measures()).toEqual([])
  })

  it('that may be forged cut nothing', () => {
    const { exchange, measures } = stage()
    for (let i = 0; i < 30; i++) exchange(source(ADDRESS, 40_000), START + i, { ...tcp, grade: 'packet' })
    expect(measures().filter((measure) => measure.startsWith('block'))).toEqual([])
  })
})
