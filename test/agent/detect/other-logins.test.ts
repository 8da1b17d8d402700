import { describe, expect, it } from 'vitest'
import type { ExchangeEnded } from '../../../agent/observe/observation.ts'
import { RIGHT, START, source, stage, WRONG } from './stage.ts'

const GUESSER = source('203.0.113.7', 5071)
/** What is told of an INVITE whose credentials were refused. */
const REFUSED: Partial<ExchangeEnded> = { ...WRONG, method: 'INVITE', status: 407 }
const account = (number: number) => ({ account: `${number}@example.com` })

function scopes({ verdicts }: ReturnType<typeof stage>): string[] {
  return verdicts.map(
    ({ action, scope, address, port }) => `${action} ${scope} ${address}${port === null ? '' : `:${port}`}`,
  )
}

describe('who guesses passwords by INVITE', () => {
  it('loses all requests from his port, not the REGISTERs alone', () => {
    const hands = stage()
    for (let i = 0; i < 6; i++) hands.exchange(GUESSER, START + i * 1_000, REFUSED)
    expect(scopes(hands)).toEqual(['suspend sip 203.0.113.7:5071'])
    expect(hands.verdicts[0]!.reason).toBe(
      '6 refused passwords in a row for 1001@example.com, the last one in INVITE',
    )
  })

  it('loses his address when he hops from port to port', () => {
    const hands = stage()
    for (let i = 0; i < 60; i++) hands.exchange(source('203.0.113.7', 6_000 + i), START + i * 500, REFUSED)
    expect(scopes(hands)).toContain('suspend sip 203.0.113.7')
  })

  it('is locked out over three accounts, as by REGISTER', () => {
    const hands = stage()
    for (let i = 0; i < 20; i++)
      hands.exchange(GUESSER, START + i * 1_000, { ...REFUSED, ...account(1001 + i) })
    expect(scopes(hands)).toContain('block sip 203.0.113.7')
  })

  it('loses the connection over TCP', () => {
    const hands = stage()
    for (let i = 0; i < 6; i++) hands.exchange(GUESSER, START + i * 1_000, { ...REFUSED, transport: 'tcp' })
    expect(scopes(hands)).toEqual(['block sip 203.0.113.7:5071'])
  })

  it('is stopped at the registered port of his own good account too, once he tries several others', () => {
    const hands = stage()
    hands.exchange(GUESSER, START, { ...RIGHT, ...account(1001) })
    for (let i = 0; i < 30; i++)
      hands.exchange(GUESSER, START + 1_000 + i * 1_000, { ...REFUSED, ...account(2001 + Math.floor(i / 6)) })
    expect(scopes(hands)).toContain('suspend sip 203.0.113.7:5071')
  })
})

describe('somebody honest', () => {
  it('whose calls have a wrong password keeps his registration', () => {
    const hands = stage()
    hands.exchange(GUESSER, START, RIGHT)
    for (let i = 0; i < 50; i++) hands.exchange(GUESSER, START + 1_000 + i * 1_000, REFUSED)
    expect(scopes(hands)).toEqual([])
  })

  it('with a PBX of one good account and a wrong password for another loses nothing of it', () => {
    const hands = stage()
    hands.exchange(GUESSER, START, RIGHT)
    for (let i = 0; i < 19; i++)
      hands.exchange(GUESSER, START + 1_000 + i * 1_000, { ...REFUSED, ...account(1002) })
    expect(scopes(hands)).toEqual([])
  })

  it('at whose REGISTERs failures fall between is judged by scope register still', () => {
    const hands = stage()
    for (let i = 0; i < 6; i++) hands.exchange(GUESSER, START + i * 1_000, WRONG)
    expect(scopes(hands)).toEqual(['suspend register 203.0.113.7:5071'])
  })
})
