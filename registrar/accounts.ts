import { type DigestHashes, digestLength, hashPassword } from './digest.ts'

/** Who may register: a user part, compared as `aorOf` writes it, and hashes of the password for our realm. */
export interface Account {
  readonly user: string
  readonly ha1: DigestHashes
  readonly origin: 'configuration' | 'added'
}

/** An account of the configuration file. A bare password is hashed at once and not kept. */
export type ConfiguredAccount =
  | { readonly user: string; readonly password: string }
  | { readonly user: string; readonly ha1: DigestHashes }

/** An account as it is kept on disk: hashes of one realm, never a password. */
export interface StoredAccount {
  readonly user: string
  readonly realm: string
  readonly ha1: DigestHashes
}

/** Where added accounts outlive a restart. Each call has taken effect for good when it returns. */
export interface AccountStore {
  load(): readonly StoredAccount[]
  put(account: StoredAccount): void
  remove(user: string): void
}

export type AccountRefusal =
  | 'bad-user'
  | 'other-realm'
  | 'empty-password'
  | 'exists'
  | 'unknown'
  | 'configured'
  | 'full'

export type AccountResult =
  | { readonly kind: 'done'; readonly account: Account }
  | { readonly kind: 'refused'; readonly refusal: AccountRefusal; readonly message: string }

/**
 * The accounts of one realm. The registrar serves one realm and asks no domain: a phone that registers
 * `1001@192.0.2.1` and one that registers `1001@example.org` mean the account 1001.
 */
export class Accounts {
  readonly realm: string
  readonly #store: AccountStore | undefined
  readonly #byUser = new Map<string, Account>()
  /** Stored accounts that were not taken: hashed for another realm, or configured too. */
  readonly passedOver: number

  constructor(options: { realm: string; configured?: readonly ConfiguredAccount[]; store?: AccountStore }) {
    this.realm = options.realm
    this.#store = options.store
    for (const account of options.configured ?? []) {
      const { user } = account
      const ha1 = 'ha1' in account ? account.ha1 : hashPassword({ ...account, realm: this.realm })
      this.#byUser.set(user, { user, ha1: checkedHashes(user, ha1), origin: 'configuration' })
    }
    let passedOver = 0
    for (const { user, realm, ha1 } of options.store?.load() ?? []) {
      if (realm !== this.realm || this.#byUser.has(user)) passedOver++
      else this.#byUser.set(user, { user, ha1, origin: 'added' })
    }
    this.passedOver = passedOver
  }

  get size(): number {
    return this.#byUser.size
  }

  find(user: string): Account | undefined {
    return this.#byUser.get(user)
  }

  list(): readonly Account[] {
    return [...this.#byUser.values()]
  }

  /** Adds an account by `user`, `user@realm` or `sip:user@realm`; `replace` gives an added one a new password. */
  add({
    aor,
    password,
    replace = false,
  }: {
    aor: string
    password: string
    replace?: boolean
  }): AccountResult {
    const user = this.userOf(aor)
    if (typeof user !== 'string') return user
    const known = this.#byUser.get(user)
    if (known?.origin === 'configuration') return configured(user)
    if (known && !replace) return refused('exists', `The account ${user} exists already.`)
    if (!known && this.#byUser.size >= MOST_ACCOUNTS) {
      return refused('full', `There are ${MOST_ACCOUNTS} accounts already; remove one first.`)
    }
    if (password === '') return refused('empty-password', 'The password is empty; give one.')
    const account: Account = {
      user,
      ha1: hashPassword({ user, realm: this.realm, password }),
      origin: 'added',
    }
    this.#store?.put({ user, realm: this.realm, ha1: account.ha1 })
    this.#byUser.set(user, account)
    return { kind: 'done', account }
  }

  remove({ aor }: { aor: string }): AccountResult {
    const user = this.userOf(aor)
    if (typeof user !== 'string') return user
    const account = this.#byUser.get(user)
    if (!account) return refused('unknown', `There is no account ${user}.`)
    if (account.origin === 'configuration') return configured(user)
    this.#store?.remove(user)
    this.#byUser.delete(user)
    return { kind: 'done', account }
  }

  /** The user part that a person's word for an account means. */
  userOf(aor: string): string | Extract<AccountResult, { kind: 'refused' }> {
    const bare = aor.trim().replace(/^sips?:/i, '')
    const at = bare.indexOf('@')
    const user = at < 0 ? bare : bare.slice(0, at)
    if (at >= 0 && bare.slice(at + 1).toLowerCase() !== this.realm.toLowerCase()) {
      return refused(
        'other-realm',
        `This registrar's realm is ${this.realm}; write ${user}@${this.realm} or ${user}.`,
      )
    }
    if (!isUser(user)) {
      const expected = "a user part of 1 to 64 letters, digits and -_.!~*'()&=+$,;?/, for example 1001"
      return refused(
        'bad-user',
        `${JSON.stringify(user.slice(0, 80))} cannot be an account; expected ${expected}.`,
      )
    }
    return user
  }
}

/** Whether a text can be the user part of an AOR as `aorOf` writes it, without any escapes. */
function isUser(text: string): boolean {
  return /^[A-Za-z0-9\-_.!~*'()&=+$,;?/]{1,64}$/.test(text)
}

const MOST_ACCOUNTS = 1_000_000

function checkedHashes(user: string, ha1: DigestHashes): DigestHashes {
  const isHash = (text: string | undefined, length: number) =>
    text === undefined || (text.length === length && /^[0-9a-f]+$/.test(text))
  const some = ha1.md5 !== undefined || ha1.sha256 !== undefined
  if (some && isHash(ha1.md5, digestLength('MD5')) && isHash(ha1.sha256, digestLength('SHA-256'))) return ha1
  throw new TypeError(`account ${user}: ha1 needs md5 (32) or sha256 (64 lower-case hex digits)`)
}

function configured(user: string): AccountResult {
  return refused('configured', `The account ${user} stands in the configuration file; change it there.`)
}

function refused(refusal: AccountRefusal, message: string): Extract<AccountResult, { kind: 'refused' }> {
  return { kind: 'refused', refusal, message }
}
