import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { BesideRequest } from '../../../agent/cli/deps.ts'
import { readOrder } from '../../../agent/cli/simulation-order.ts'
import { newPlace, type Place, run } from './command-line.ts'

const TYPED = { attack: 'sources', rate: '1000', for: '10s', target: '192.0.2.10', seed: '1' }

describe('what is asked of a simulation', () => {
  it('is read with its defaults', () => {
    expect(readOrder(TYPED)).toEqual({
      attack: 'sources',
      perSecond: 1_000,
      seconds: 10,
      target: { address: '192.0.2.10', port: 5_060 },
      seed: 1,
    })
    const account = { user: '9999', password: 'secret' }
    const more = { ...TYPED, target: '192.0.2.10:5080', domain: 'sip.example', namespace: 'pbx' }
    expect(readOrder(more, account)).toMatchObject({
      target: { address: '192.0.2.10', port: 5_080 },
      namespace: 'pbx',
      account: { user: '9999', password: 'secret', domain: 'sip.example' },
    })
  })

  it.each([
    [
      'an attack that is none',
      { attack: 'hasOwnProperty' },
      /no attack "hasOwnProperty"; there are one-source/,
    ],
    ['too fast', { rate: '20001' }, /from 10 to 20000 a second/],
    ['too slow', { rate: '9' }, /from 10 to 20000/],
    ['no number', { rate: '1e3' }, /--rate "1e3"/],
    ['guessers that are too fast', { attack: 'guessers', rate: '201' }, /from 10 to 200 a second/],
    ['too long', { for: '301s' }, /from 2s to 5m/],
    ['too short', { for: '1s' }, /from 2s to 5m/],
    ['a name', { target: 'sip.example' }, /no IPv4 address/],
    ['IPv6', { target: '2001:db8::1' }, /no IPv4 address/],
    ['half an address', { target: '10.1' }, /no IPv4 address/],
    ['a port that is none', { target: '192.0.2.10:70000' }, /from 1 to 65535/],
    ['a namespace with a slash', { namespace: '../x' }, /no name of a network namespace/],
    ['a domain without an account', { domain: 'sip.example' }, /goes with --account/],
    ['a seed that is none', { seed: '-1' }, /--seed/],
  ])('is refused: %s', (_what, typed, says) => {
    expect(readOrder({ ...TYPED, ...typed })).toMatch(says)
  })

  it('takes no account that could be more than a name', () => {
    expect(readOrder(TYPED, { user: '1>\r\nX: y', password: 'p' })).toMatch(/--account/)
  })
})

describe('the command', () => {
  let place: Place
  beforeAll(() => {
    place = newPlace()
  })
  afterAll(() => place.remove())
  const line = ['simulate', '--attack', 'sources', '--target', '192.0.2.10']

  it('hands the order over once somebody has typed yes', async () => {
    const asked: BesideRequest[] = []
    const questions: string[] = []
    const answers = ['no', 'yes']
    const deps = {
      askLine: (question: string) => {
        questions.push(question)
        return Promise.resolve(answers.shift())
      },
      runBeside: (request: BesideRequest) => {
        asked.push(request)
        return Promise.resolve(0)
      },
    }
    const refused = await run(place, line, deps)
    expect([refused.code, refused.err.split('\n').at(-2)]).toEqual([1, 'ringfence: nothing was sent'])
    expect(refused.err).toContain('1000 a second for 10s, to 192.0.2.10:5060')
    expect(asked).toEqual([])
    expect((await run(place, [...line, '--socket', place.socket], deps)).code).toBe(0)
    expect(asked).toEqual([
      {
        program: 'simulate',
        input: { order: readOrder(TYPED), socket: place.socket, caller: 'alice@cli', json: false },
      },
    ])
    expect(questions).toHaveLength(2)
  })

  it('does nothing where nobody can be asked, and says so', async () => {
    expect(await run(place, line)).toMatchObject({
      code: 2,
      err: 'ringfence: nobody is there to be asked: say --yes\n',
    })
  })

  it('reads the password from a file, and passes on that the test was not passed', async () => {
    const file = join(place.folder, 'password')
    writeFileSync(file, 'secret\nmore\n')
    const account = ['--account', '9999', '--password-file', file]
    const given: unknown[] = []
    const runBeside = ({ input }: BesideRequest) => {
      given.push((input as { order: { account: unknown } }).order.account)
      return Promise.resolve(1)
    }
    expect(await run(place, [...line, '--yes', ...account], { runBeside })).toMatchObject({
      code: 1,
      err: '',
    })
    expect(given).toEqual([{ user: '9999', password: 'secret' }])
    expect((await run(place, [...line, '--yes', '--account', '1'])).code).toBe(2)
    const missing = ['--account', '1', '--password-file', join(place.folder, 'none')]
    expect((await run(place, [...line, '--yes', ...missing])).err).toContain('cannot be read (ENOENT)')
  })
})

describe('the demo', () => {
  it('hands over where its dashboard opens, and refuses what is no port', async () => {
    const place = newPlace()
    const asked: BesideRequest[] = []
    const runBeside = (request: BesideRequest) => {
      asked.push(request)
      return Promise.resolve(0)
    }
    expect((await run(place, ['demo', '--no-wait', '--quick'], { runBeside })).code).toBe(0)
    expect(asked).toEqual([{ program: 'demo', input: { port: 8_570, waits: false, quick: true } }])
    expect((await run(place, ['demo', '--port', '0'], { runBeside })).code).toBe(2)
    place.remove()
  })
})
