import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { AccountFile, AccountFileError } from '../../registrar/account-file.ts'
import { Accounts } from '../../registrar/accounts.ts'
import { hashPassword } from '../../registrar/digest.ts'

const realm = 'ringfence'

describe('Accounts', () => {
  const accounts = () => new Accounts({ realm, configured: [{ user: '1001', password: 'secret' }] })

  it('keeps hashes of a configured password, not the password', () => {
    expect(accounts().find('1001')).toEqual({
      user: '1001',
      ha1: hashPassword({ user: '1001', realm, password: 'secret' }),
      origin: 'configuration',
    })
    expect(JSON.stringify(accounts().list())).not.toContain('secret')
  })

  it.each(['1002', '1002@ringfence', 'sip:1002@Ringfence', ' sips:1002@ringfence '])(
    'adds and removes %j',
    (aor) => {
      const table = accounts()
      expect(table.add({ aor, password: 'p' })).toMatchObject({
        kind: 'done',
        account: { user: '1002', origin: 'added' },
      })
      expect(table.remove({ aor })).toMatchObject({ kind: 'done' })
      expect(table.find('1002')).toBeUndefined()
    },
  )

  it.each([
    [{ aor: '', password: 'p' }, 'bad-user'],
    [{ aor: 'a b', password: 'p' }, 'bad-user'],
    [{ aor: 'x'.repeat(65), password: 'p' }, 'bad-user'],
    [{ aor: '1002@elsewhere', password: 'p' }, 'other-realm'],
    [{ aor: '1002', password: '' }, 'empty-password'],
    [{ aor: '1001', password: 'p' }, 'configured'],
    [{ aor: '1001', password: 'p', replace: true }, 'configured'],
  ])('refuses to add %j: %s', (order, refusal) => {
    expect(accounts().add(order)).toMatchObject({ kind: 'refused', refusal })
  })

  it('gives an added account another password only when told to', () => {
    const table = accounts()
    table.add({ aor: '1002', password: 'a' })
    expect(table.add({ aor: '1002', password: 'b' })).toMatchObject({ refusal: 'exists' })
    expect(table.add({ aor: '1002', password: 'b', replace: true })).toMatchObject({ kind: 'done' })
    expect(table.find('1002')?.ha1).toEqual(hashPassword({ user: '1002', realm, password: 'b' }))
  })

  it.each([
    ['1001', 'configured'],
    ['1009', 'unknown'],
  ])('refuses to remove %s: %s', (aor, refusal) => {
    expect(accounts().remove({ aor })).toMatchObject({ kind: 'refused', refusal })
  })

  it.each([[{}], [{ md5: 'short' }], [{ md5: 'A'.repeat(32) }], [{ sha256: 'z'.repeat(64) }]])(
    'takes no account with hashes like %j',
    (ha1) => {
      expect(() => new Accounts({ realm, configured: [{ user: 'x', ha1 }] })).toThrow(/account x: ha1/)
    },
  )
})

describe('AccountFile', () => {
  let folder: string
  let path: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'ringfence-accounts-'))
    path = join(folder, 'accounts.json')
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  it('brings accounts back after a restart, readable by nobody else, without passwords', () => {
    new Accounts({ realm, store: new AccountFile(path) }).add({ aor: '1002', password: 'geheim' })
    const again = new Accounts({ realm, store: new AccountFile(path) })
    expect(again.list()).toEqual([
      { user: '1002', ha1: hashPassword({ user: '1002', realm, password: 'geheim' }), origin: 'added' },
    ])
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(readFileSync(path, 'utf8')).not.toContain('geheim')
    again.remove({ aor: '1002' })
    expect(new Accounts({ realm, store: new AccountFile(path) }).size).toBe(0)
  })

  it('passes over accounts of another realm, whose hashes are of no use, without losing them', () => {
    new Accounts({ realm: 'old', store: new AccountFile(path) }).add({ aor: '1002', password: 'p' })
    const table = new Accounts({ realm, store: new AccountFile(path) })
    expect([table.size, table.passedOver]).toEqual([0, 1])
    table.add({ aor: '1003', password: 'p' })
    expect(new Accounts({ realm: 'old', store: new AccountFile(path) }).find('1002')).toBeDefined()
  })

  it.each(['', '{', '[]', '{"accounts":[{"user":1}]}'])(
    'refuses a file of %j and leaves it alone',
    (content) => {
      writeFileSync(path, content)
      expect(() => new Accounts({ realm, store: new AccountFile(path) })).toThrow(AccountFileError)
      expect(readFileSync(path, 'utf8')).toBe(content)
    },
  )
})
