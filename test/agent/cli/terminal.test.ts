import { EventEmitter } from 'node:events'
import { describe, expect, test } from 'vitest'
import { askSecret, type SecretInput } from '../../../agent/cli/ask-secret.ts'
import { jsonLine, plain, table } from '../../../agent/cli/terminal.ts'

test.each([
  { text: 'plain äöü 漢字 😀', shown: 'plain äöü 漢字 😀' },
  { text: '\u001b[31mred\u001b[0m', shown: '\\u001b[31mred\\u001b[0m' },
  { text: 'a\r\nb\tc\u0000', shown: 'a\\u000d\\u000ab\\u0009c\\u0000' },
  { text: '\u009b2J\u007f', shown: '\\u009b2J\\u007f' },
  { text: '\u202efdp.exe\u2066\u200b\ufeff', shown: '\\u202efdp.exe\\u2066\\u200b\\ufeff' },
  { text: 'half \ud83d pair \ude00', shown: 'half \\ud83d pair \\ude00' },
  { text: '\u{e0041}', shown: '\\udb40\\udc41' },
])('$shown', ({ text, shown }) => {
  expect(plain(text)).toBe(shown)
  const json = jsonLine({ text })
  expect(JSON.parse(json)).toEqual({ text })
  expect(plain(json.trimEnd())).toBe(json.trimEnd())
})

test('a table is as wide as what is shown', () => {
  const columns = [{ title: 'A' }, { title: 'COUNT', align: 'right' as const }, { title: 'B' }]
  const rows = [
    ['x\u001b', '1', ''],
    ['äöü', '1,000,000', 'last'],
  ]
  expect(table(columns, rows, { colours: false })).toBe(
    'A            COUNT  B\nx\\u001b          1\näöü      1,000,000  last\n',
  )
})

describe('a secret', () => {
  function terminal() {
    const calls: string[] = []
    const input = Object.assign(new EventEmitter(), {
      setRawMode: (raw: boolean) => calls.push(`raw ${raw}`),
      resume: () => calls.push('resume'),
      pause: () => calls.push('pause'),
    }) as unknown as SecretInput & EventEmitter
    let written = ''
    const write = (text: string) => {
      written += text
    }
    return { input, write, calls, written: () => written }
  }

  test.each([
    { typed: ['hunter2\r'], secret: 'hunter2' },
    { typed: ['hun', 'ter', '2\n'], secret: 'hunter2' },
    { typed: ['huntz\u007fer2\r'], secret: 'hunter2' },
    { typed: ['passwörd\u007f\u007f\u007fört\r'], secret: 'passwört' },
    { typed: ['oops\u0015hunter2\r'], secret: 'hunter2' },
    { typed: ['\u007f\r'], secret: '' },
  ])('typed as $typed is $secret, and nothing of it is shown', async ({ typed, secret }) => {
    const { input, write, calls, written } = terminal()
    const asked = askSecret('Password: ', { input, write })
    for (const text of typed) input.emit('data', Buffer.from(text))
    expect(await asked).toBe(secret)
    expect(written()).toBe('Password: \n')
    expect(calls).toEqual(['raw true', 'resume', 'raw false', 'pause'])
    expect(input.listenerCount('data')).toBe(0)
  })

  test.each(['\u0003', '\u0004'])('%j gives up and leaves the terminal as it was', async (key) => {
    const { input, write, calls } = terminal()
    const asked = askSecret('Password: ', { input, write })
    input.emit('data', Buffer.from(`hunter${key}2\r`))
    await expect(asked).rejects.toMatchObject({ exitCode: 1, code: 'interrupted' })
    expect(calls.slice(-2)).toEqual(['raw false', 'pause'])
  })
})
