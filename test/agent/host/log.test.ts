import { describe, expect, it } from 'vitest'
import { escapeUnseen, openLog } from '../../../agent/host/log.ts'

const HOSTILE = [
  '\u009b31m',
  '\u0085',
  '\u202e',
  '\u007f',
  '\u2028',
  '\u200b',
  '\ufeff',
  '\u{e0041}',
  '\u001b[2J',
  '\n',
]

describe('the log', () => {
  it.each(HOSTILE)(
    'writes %j of an account name so that no terminal and no eye takes it for more',
    (text) => {
      const lines: string[] = []
      const log = openLog({ write: (line) => lines.push(line) })
      const account = `10${text}01 é 中 😀`
      log.warn({ evidence: { account } }, `${account} failed`)
      expect(lines).toHaveLength(1)
      const line = lines[0]!
      expect(line.trimEnd()).not.toMatch(/[\p{Cc}\p{Cf}\u2028\u2029]/u)
      expect(line).toContain('é 中 😀')
      expect(JSON.parse(line)).toMatchObject({ evidence: { account }, msg: `${account} failed` })
    },
  )

  it('leaves what is seen as it is', () => {
    expect(escapeUnseen('{"a":"grün 中 😀 \\\\u0041"}')).toBe('{"a":"grün 中 😀 \\\\u0041"}')
  })
})
