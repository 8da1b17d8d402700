import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LineBudget, LineCutter } from '../../../agent/logs/line-cutter.ts'
import { readVos3000Line } from '../../../agent/logs/vos3000.ts'

describe("VOS3000's mbx.log", () => {
  const failure = {
    kind: 'failure',
    account: '',
    address: '198.51.100.7',
    port: null,
    transport: 'unknown',
    serverPort: null,
  }

  // No form of it is published: these are forms that it may have, not lines that were seen.
  it.each([
    '2026-01-15 10:23:45 WARN sip register 1001 from 198.51.100.7:5060 failed: password error',
    '2026-01-15 10:23:45|REGISTER|1001|198.51.100.7|403 Forbidden',
    '[10:23:45] Illegal registration, gateway=1001 ip=198.51.100.7.',
    '10:23:45 话机注册失败 1001 198.51.100.7:5060 密码错误',
  ])('takes a refusal of a registration and its one address from %s', (line) => {
    expect(readVos3000Line(line)).toEqual(failure)
  })

  it.each([
    '',
    '2026-01-15 10:23:45 register 1001 from 198.51.100.7:5060 ok',
    '2026-01-15 10:23:45 call failed 198.51.100.7',
    `register failed 198.51.100.7 ${'x'.repeat(4_000)}`,
  ])('takes nothing from %s', (line) => {
    expect(readVos3000Line(line)).toEqual({ kind: 'other' })
  })

  it('doubts a line with no address, or with more than one', () => {
    expect(readVos3000Line('register failed')).toEqual({ kind: 'doubtful' })
    expect(readVos3000Line('register failed 198.51.100.7 of 203.0.113.9')).toEqual({ kind: 'doubtful' })
    expect(readVos3000Line('register failed 198.51.100.7 at 198.51.100.7')).toEqual(failure)
  })

  it('is harmed by no bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2_000 }), (bytes) => {
        const event = readVos3000Line(`register failed ${Buffer.from(bytes).toString('utf8')}`)
        expect(['failure', 'doubtful', 'other']).toContain(event.kind)
      }),
    )
  })

  it('is read in GBK, as in UTF-8', () => {
    // "注册失败", "密码错误" and "成功" in GBK.
    const [failed, password, good] = ['d7a2b2e1caa7b0dc', 'c3dcc2ebb4edcef3', 'd7a2b2e1b3c9b9a6'].map((hex) =>
      Buffer.from(hex, 'hex'),
    )
    const says = (...parts: (string | Buffer | undefined)[]) =>
      Buffer.concat([...parts.map((part) => Buffer.from(part ?? '')), Buffer.from('\n')])
    const events: string[] = []
    const cutter = new LineCutter({
      counts: { read: 0, letGo: 0 },
      budget: new LineBudget({ clock: () => 0 }),
      encoding: 'chinese',
      onLine: (line) => events.push(readVos3000Line(line).kind),
    })
    cutter.push(says('10:23:45 ', failed, ' 1001 198.51.100.7:5060 ', password))
    cutter.push(says('10:23:45 ', good, ' 1001 198.51.100.7:5060'))
    cutter.push(says('10:23:45 注册失败 1001 198.51.100.7:5060'))
    expect(events).toEqual(['failure', 'other', 'failure'])
  })
})
