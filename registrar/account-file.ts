import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { AccountStore, StoredAccount } from './accounts.ts'

/**
 * Added accounts in one JSON file that only its owner may read. A change writes a new file, syncs it and puts it in
 * the old one's place, so that a crash leaves the one or the other, whole.
 */
export class AccountFile implements AccountStore {
  readonly #path: string
  #accounts = new Map<string, StoredAccount>()

  constructor(path: string) {
    this.#path = path
  }

  load(): readonly StoredAccount[] {
    const accounts = readAccounts(this.#path)
    this.#accounts = new Map(accounts.map((account) => [account.user, account]))
    return accounts
  }

  put(account: StoredAccount): void {
    const next = new Map(this.#accounts).set(account.user, account)
    this.#write(next)
    this.#accounts = next
  }

  remove(user: string): void {
    const next = new Map(this.#accounts)
    next.delete(user)
    this.#write(next)
    this.#accounts = next
  }

  #write(accounts: ReadonlyMap<string, StoredAccount>): void {
    const text = `${JSON.stringify({ version: 1, accounts: [...accounts.values()] }, null, 1)}\n`
    const fresh = `${this.#path}.new`
    const file = openSync(fresh, 'w', 0o600)
    try {
      writeFileSync(file, text)
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    renameSync(fresh, this.#path)
    const folder = openSync(dirname(this.#path), 'r')
    try {
      fsyncSync(folder)
    } finally {
      closeSync(folder)
    }
  }
}

/** The file of accounts cannot be used. Nothing is done with it, so that no account is lost. */
export class AccountFileError extends Error {
  override readonly name = 'AccountFileError'
}

function readAccounts(path: string): readonly StoredAccount[] {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw new AccountFileError(`cannot read the accounts in ${path}: ${(error as Error).message}`)
  }
  let content: unknown
  try {
    content = JSON.parse(text)
  } catch {
    throw new AccountFileError(`the accounts in ${path} are no JSON; restore the file or move it away`)
  }
  const accounts = (content as { accounts?: unknown } | null)?.accounts
  if (!Array.isArray(accounts) || !accounts.every(isStoredAccount)) {
    throw new AccountFileError(`the accounts in ${path} cannot be read; restore the file or move it away`)
  }
  return accounts
}

function isStoredAccount(value: unknown): value is StoredAccount {
  const { user, realm, ha1 } = (value ?? {}) as Partial<StoredAccount>
  return typeof user === 'string' && typeof realm === 'string' && typeof ha1 === 'object' && ha1 !== null
}
