import {
  chmodSync,
  chownSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { generatePassword, loadOrCreatePassword, PasswordFileError } from '../../dashboard/api/password.ts'

let folder: string
let file: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ringfence-password-'))
  file = join(folder, 'dashboard.password')
})
afterEach(() => rmSync(folder, { recursive: true }))

test('a missing file is made, for its owner only, and read again the next time', async () => {
  const made = await loadOrCreatePassword(file)
  expect(made).toEqual({ password: expect.stringMatching(/^([a-z2-9]{5}-){4}[a-z2-9]{5}$/), created: true })
  expect(statSync(file).mode & 0o777).toBe(0o600)
  expect(readFileSync(file, 'utf8')).toBe(`${made.password}\n`)
  expect(readdirSync(folder)).toEqual(['dashboard.password'])
  expect(await loadOrCreatePassword(file)).toEqual({ password: made.password, created: false })
})

test('two that start at once agree on one password', async () => {
  const both = await Promise.all([loadOrCreatePassword(file), loadOrCreatePassword(file)])
  expect(both[0].password).toBe(both[1].password)
})

test('passwords differ', () => {
  expect(new Set(Array.from({ length: 1000 }, generatePassword)).size).toBe(1000)
})

test('a file that others may read is closed to them, and said', async () => {
  writeFileSync(file, 'a password of mine\n')
  chmodSync(file, 0o644)
  expect(await loadOrCreatePassword(file)).toEqual({
    password: 'a password of mine',
    created: false,
    warning: `${file} could be read by others (mode 644) and is now closed to them (600); change the password if somebody may have read it`,
  })
  expect(statSync(file).mode & 0o777).toBe(0o600)
})

test.each<[string, () => void, RegExp]>([
  ['empty', () => writeFileSync(file, '', { mode: 0o600 }), /less than 12 characters; write a longer one/],
  ['short', () => writeFileSync(file, 'secret\n', { mode: 0o600 }), /less than 12 characters/],
  ['a folder', () => rmSync(folder) as unknown, /is not a file/],
  ['a link', () => symlinkSync('/etc/hostname', file), /is a symbolic link/],
  ['huge', () => writeFileSync(file, 'x'.repeat(5000), { mode: 0o600 }), /too large/],
])('a file that is %s is refused', async (what, make, message) => {
  if (what === 'a folder') file = folder
  else make()
  await expect(loadOrCreatePassword(file)).rejects.toThrow(message)
  await expect(loadOrCreatePassword(file)).rejects.toThrow(PasswordFileError)
})

test.skipIf(process.getuid?.() !== 0)('a file of another user is refused', async () => {
  writeFileSync(file, 'a password of his own\n', { mode: 0o600 })
  chownSync(file, 12_345, 12_345)
  await expect(loadOrCreatePassword(file)).rejects.toThrow(/belongs to user 12345; run: chown root/)
})

test('where nothing can be written, the error names the file', async () => {
  writeFileSync(join(folder, 'plain'), '')
  await expect(loadOrCreatePassword(join(folder, 'plain', 'x'))).rejects.toThrow(`${folder}/plain/x: `)
})
